use std::collections::BTreeMap;

use posthaste_model::{
    BodyFormat, EndpointId, EndpointState, Method, Period, RateLimit, RetryPolicy, TenantId, Timestamp,
    TopicPattern,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, value::RawValue};

use crate::{
    Client, ClientError, EndpointAuth, EndpointFilter, EndpointHandshake, EndpointTls, HeaderField,
    ListOptions, NewHandshake, Paged, SecretText, SignatureSample,
    call::{Body, Call},
};

/// What an endpoint is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewEndpoint {
    /// Where deliveries go.
    pub url: String,
    /// Which topics it wants; not empty.
    pub topics: Vec<TopicPattern>,
    /// Which events of these topics it wants; none: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<EndpointFilter>,
    /// For people.
    pub description: String,
    /// The caller's own facts about it.
    pub metadata: BTreeMap<String, String>,
    /// How long one exchange may take: 1 s to 30 s; none: the service's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Period>,
    /// When failed deliveries are tried again; none: the service's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// How many requests may be under way at once: 1 to 1000; none: the service's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// How many attempts may begin within a time; none: as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Whether deliveries go one at a time, in the order in which their events were accepted.
    pub ordered: bool,
    /// How deliveries are signed, as JSON: `{"profile": "standard"}`; none: as the tenant or the service has it by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Value>,
    /// The secret that signs, brought from elsewhere; none: one is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretText>,
    /// What the body looks like.
    pub format: BodyFormat,
    /// With which method it is sent.
    pub method: Method,
    /// Headers beside those of the service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderField>,
    /// Whether an event's metadata travel as headers, too.
    pub metadata_headers: bool,
    /// How the service shows the receiver who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<EndpointAuth>,
    /// The certificate that the receiver is shown, and the CA that it is trusted by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<EndpointTls>,
    /// What it has to answer before it is sent anything else; none: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake: Option<NewHandshake>,
    /// Whether deliveries go out.
    pub state: EndpointState,
}

/// A URL of a tenant that wants events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Made by the service.
    pub id: EndpointId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where deliveries go, as the service writes it.
    pub url: String,
    /// Which topics it wants.
    pub topics: Vec<TopicPattern>,
    /// Which events of these topics it wants; none: all of them.
    pub filter: Option<EndpointFilter>,
    /// For people.
    pub description: String,
    /// The caller's own facts about it.
    pub metadata: BTreeMap<String, String>,
    /// How long one exchange may take; none: the service's default.
    pub timeout: Option<Period>,
    /// When failed deliveries are tried again; none: the service's default.
    pub retry: Option<RetryPolicy>,
    /// How many requests may be under way at once; none: the service's default.
    pub max_in_flight: Option<u32>,
    /// How many attempts may begin within a time; none: as many as there are.
    pub rate_limit: Option<RateLimit>,
    /// Whether deliveries go one at a time, in the order in which their events were accepted.
    pub ordered: bool,
    /// How deliveries are signed, as JSON: `{"profile": "standard"}`.
    pub signature: Value,
    /// Where an answer to a request that says how deliveries are signed: what that sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_sample: Option<SignatureSample>,
    /// What the body looks like.
    pub format: BodyFormat,
    /// With which method it is sent.
    pub method: Method,
    /// Headers beside those of the service.
    pub headers: BTreeMap<String, HeaderField>,
    /// Whether an event's metadata travel as headers, too.
    pub metadata_headers: bool,
    /// How the service shows the receiver who it is.
    pub auth: Option<EndpointAuth>,
    /// The certificate that the receiver is shown, and the CA that it is trusted by.
    pub tls: Option<EndpointTls>,
    /// What it has to answer before it is sent anything else; none: nothing.
    pub handshake: Option<EndpointHandshake>,
    /// Whether deliveries go out.
    pub state: EndpointState,
    /// Why it is disabled; or that it waits for its handshake, and what its state is to be then. For people.
    pub state_reason: Option<String>,
    /// Nothing is sent to it before this time, because it asked for a pause.
    pub parked_until: Option<Timestamp>,
    /// How it has fared since its last success.
    pub health: EndpointHealth,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How an endpoint has fared since its last success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointHealth {
    /// When the first attempt failed; none: none has.
    pub failing_since: Option<Timestamp>,
    /// How many attempts have failed.
    pub failures: u32,
    /// How many deliveries have been exhausted.
    pub exhausted: u32,
    /// The last warning that was given: how much of the time until it is disabled has passed, in percent; 0: none was.
    pub warned: u8,
}

/// An endpoint as it was made, with the secret that signs its deliveries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CreatedEndpoint {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// What the subscriber verifies signatures with; `whsk_`: the private half of a key pair.
    pub secret: SecretText,
    /// What the subscriber verifies ed25519 signatures with, where there are such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Both secrets, where the signature profile takes a shared one and a key pair; or else none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretText>,
}

impl<'de> Deserialize<'de> for CreatedEndpoint {
    // Not derived: what is flattened goes through a buffer, which no filter survives as it was written.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Rest {
            secret: SecretText,
            public_key: Option<String>,
            #[serde(default)]
            secrets: Vec<SecretText>,
        }
        let whole = Box::<RawValue>::deserialize(deserializer)?;
        let endpoint = serde_json::from_str(whole.get()).map_err(D::Error::custom)?;
        let Rest { secret, public_key, secrets } =
            serde_json::from_str(whole.get()).map_err(D::Error::custom)?;
        Ok(Self { endpoint, secret, public_key, secrets })
    }
}

impl NewEndpoint {
    /// An enabled endpoint that wants every topic, and is otherwise as the service has it by default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            topics: vec![TopicPattern::All],
            filter: None,
            description: String::new(),
            metadata: BTreeMap::new(),
            timeout: None,
            retry: None,
            max_in_flight: None,
            rate_limit: None,
            ordered: false,
            signature: None,
            secret: None,
            format: BodyFormat::default(),
            method: Method::default(),
            headers: BTreeMap::new(),
            metadata_headers: false,
            auth: None,
            tls: None,
            handshake: None,
            state: EndpointState::Enabled,
        }
    }
}

impl Client {
    /// Registers an endpoint: `POST /v1/tenants/{tenant}/endpoints`. One that has to give a handshake is asked for it at
    /// once, and the answer waits for that, as that of [`verify_endpoint`](Self::verify_endpoint) does.
    pub async fn create_endpoint(
        &self,
        tenant: &TenantId,
        endpoint: &NewEndpoint,
    ) -> Result<CreatedEndpoint, ClientError> {
        let endpoints = self.at(&["v1", "tenants", tenant.as_str(), "endpoints"]);
        endpoints.post(Some(Body::json(endpoint)?)).await
    }

    /// Lists a tenant's endpoints, newest first: `GET /v1/tenants/{tenant}/endpoints`.
    pub async fn endpoints(
        &self,
        tenant: &TenantId,
        options: &ListOptions,
    ) -> Result<Paged<Endpoint>, ClientError> {
        self.at(&["v1", "tenants", tenant.as_str(), "endpoints"]).page(options).get().await
    }

    /// Reads an endpoint: `GET /v1/tenants/{tenant}/endpoints/{endpoint}`.
    pub async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Endpoint, ClientError> {
        self.at_endpoint(tenant, id).get().await
    }

    /// Changes an endpoint by a JSON merge patch (RFC 7396): `PATCH /v1/tenants/{tenant}/endpoints/{endpoint}`.
    ///
    /// The patch has the fields of [`NewEndpoint`] that change, such as `{"state": "paused"}`; null takes the default. A
    /// filter and a signature profile are replaced as a whole.
    pub async fn patch_endpoint(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        patch: &impl Serialize,
    ) -> Result<Endpoint, ClientError> {
        self.at_endpoint(tenant, id).patch(patch).await
    }

    /// Deletes an endpoint and cancels its open deliveries: `DELETE /v1/tenants/{tenant}/endpoints/{endpoint}`.
    pub async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<(), ClientError> {
        self.at_endpoint(tenant, id).delete().await
    }

    fn at_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Call<'_> {
        self.at(&["v1", "tenants", tenant.as_str(), "endpoints", &id.to_string()])
    }
}
