use std::cell::Cell;

use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Data, Json},
};
use garde::Validate;
use posthaste_egress::TargetUrl;
use posthaste_model::{
    BodyFormat, Endpoint, EndpointId, EndpointState, Health, Method, Period, RateLimit, RetryPolicy,
    TenantId, Timestamp, TopicPattern,
};
use posthaste_signing::Zeroizing;
use posthaste_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;

use crate::{
    body::{self, JsonBody},
    cursor::{List, ListQuery, Listed},
    endpoint_patch::EndpointPatch,
    filters,
    handshake::{self, HandshakeBody, HandshakeFields},
    merge_patch,
    metadata::{self, Metadata},
    params::{BothInPath, InPath, InQuery},
    problem::{Kind, Problem},
    recording::{created, unchanged},
    secrets::{self, CurrentSecrets, CutOver},
    service::Service,
    signature::{self, SignatureSample},
    stop::Stop,
    validation::validate,
    verification::verify_at_once,
    wire::{self, AuthFields, HeaderFields, SecretField, TlsFields, WireFields},
};

/// How often a change is tried again when another one came first.
const TRIES: usize = 5;
/// Why an endpoint is disabled, where nobody says.
pub(crate) const DISABLED: &str = "disabled through the API";

/// What an endpoint is given.
#[derive(Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointFields {
    /// Where deliveries go: an https URL on the public internet, unless the service allows others.
    #[garde(skip)]
    #[schema(example = "https://example.com/hooks")]
    url: String,
    /// Which topics it wants: `order.paid`, `order.*` for all below, `*` for all.
    #[serde(default = "all_topics")]
    #[garde(length(min = 1, max = 100))]
    #[schema(value_type = Vec<String>)]
    topics: Vec<TopicPattern>,
    /// Which events of these topics it wants, by what is in them. Null: all of them.
    // Not for a patch to merge: it would not keep the spelling of numbers, and half a filter is another.
    #[serde(skip_serializing)]
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    filter: Option<Box<RawValue>>,
    /// For people.
    #[serde(default)]
    #[garde(length(max = 500))]
    description: String,
    /// The caller's own facts about it: up to 50.
    #[serde(default)]
    #[garde(custom(metadata_bounds))]
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// How long one exchange may take: `1s` to `30s`. Null: the service's default.
    #[garde(custom(timeout_bounds))]
    #[schema(value_type = Option<String>, example = "15s")]
    timeout: Option<Period>,
    /// When failed deliveries are tried again: `{"schedule": ["5s", "5m"]}`, or `initial_interval`, `multiplier`,
    /// `randomization_factor`, `max_interval`, `max_elapsed_time`, `max_attempts`. Null: the service's default.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    retry: Option<RetryPolicy>,
    /// How many requests may be under way at once: 1 to 1000. Null: the service's default.
    #[garde(custom(in_flight_bounds))]
    #[schema(example = 32)]
    max_in_flight: Option<u32>,
    /// How many attempts may begin within a time: `{"limit": 100, "per": "1s"}`, up to 10,000 per `100ms` to `24h`. Null:
    /// as many as there are.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    rate_limit: Option<RateLimit>,
    /// Whether deliveries go one at a time, in the order in which their events were accepted: each waits until the one
    /// before it is delivered or exhausted.
    #[serde(default)]
    #[garde(skip)]
    ordered: bool,
    /// How deliveries are signed: `{"profile": "standard"}`, another preset, or a format of one's own. Null: the default of the
    /// tenant, or else of the service, as it is now.
    // Not for a patch to merge: half a profile is another.
    #[serde(skip_serializing)]
    #[garde(skip)]
    #[schema(value_type = Option<Object>, example = json!({"profile": "standard"}))]
    signature: Option<Box<RawValue>>,
    /// The secret that signs, brought from elsewhere. Left out: one is made. It is changed by `secret/rotate`.
    #[serde(skip_serializing)]
    #[garde(skip)]
    #[schema(value_type = Option<String>)]
    secret: Option<SecretField>,
    /// What the body looks like: `standard`, `raw`, `cloudevents` or `cloudevents-binary`.
    #[serde(default, deserialize_with = "wire::word")]
    #[garde(skip)]
    #[schema(value_type = String, example = "standard")]
    format: BodyFormat,
    /// `POST` or `PUT`.
    #[serde(default, deserialize_with = "wire::word")]
    #[garde(skip)]
    #[schema(value_type = String, example = "POST")]
    method: Method,
    /// Headers beside those of the service, up to 20: `{"X-Env": "prod"}`, or `{"X-Key": {"secret": "abc"}}` for what nobody
    /// is to see again.
    #[serde(default, deserialize_with = "wire::object")]
    #[garde(skip)]
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    headers: HeaderFields,
    /// Whether an event's metadata travel as headers, too.
    #[serde(default)]
    #[garde(skip)]
    metadata_headers: bool,
    /// How the service shows the receiver who it is: `{"type": "bearer", "token": "…"}`, `basic` with `username` and
    /// `password`, `oauth2` with `token_url`, `client_id`, `client_secret`, `scope` and `audience`.
    #[serde(default, deserialize_with = "wire::object_or_null")]
    #[garde(skip)]
    auth: Option<AuthFields>,
    /// The certificate and key that the receiver is shown, and the CA that it is trusted by: `certificate`, `private_key`,
    /// `ca`, in PEM.
    #[serde(default, deserialize_with = "wire::object_or_null")]
    #[garde(skip)]
    tls: Option<TlsFields>,
    /// What the endpoint has to answer before it is sent anything else: `{"type": "echo"}`, `cloudevents` or `hmac`. It is
    /// asked at once, and paused until it has answered. Null: nothing.
    #[garde(skip)]
    handshake: Option<HandshakeFields>,
    /// `enabled`, `paused` (deliveries are held) or `disabled` (deliveries are skipped).
    #[serde(default = "enabled", deserialize_with = "wire::word")]
    #[garde(skip)]
    #[schema(value_type = String)]
    state: EndpointState,
}

/// A filter as it was written. It was read before it was stored, so it is JSON.
fn written(filter: Option<String>) -> Option<Box<RawValue>> {
    filter.and_then(|text| RawValue::from_string(text).ok())
}

fn all_topics() -> Vec<TopicPattern> {
    vec![TopicPattern::All]
}

fn enabled() -> EndpointState {
    EndpointState::Enabled
}

fn metadata_bounds(metadata: &Metadata, (): &()) -> garde::Result {
    metadata::excess(metadata).map_or(Ok(()), |excess| Err(garde::Error::new(excess)))
}

fn in_flight_bounds(max: &Option<u32>, (): &()) -> garde::Result {
    match max {
        Some(max) if !(1..=1_000).contains(max) => Err(garde::Error::new("must lie between 1 and 1000")),
        _ => Ok(()),
    }
}

fn timeout_bounds(timeout: &Option<Period>, (): &()) -> garde::Result {
    match timeout {
        Some(timeout) if !(Period::from_secs(1)..=Period::from_secs(30)).contains(timeout) => {
            Err(garde::Error::new("must lie between 1s and 30s"))
        }
        _ => Ok(()),
    }
}

/// A URL of a tenant that wants events.
// Its fields are not flattened into it: the specification would ask for what they forbid, that there are others.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointBody {
    #[schema(value_type = String)]
    id: EndpointId,
    #[schema(value_type = String)]
    tenant: TenantId,
    /// Where deliveries go.
    #[schema(example = "https://example.com/hooks")]
    url: String,
    /// Which topics it wants: `order.paid`, `order.*` for all below, `*` for all.
    #[schema(value_type = Vec<String>)]
    topics: Vec<TopicPattern>,
    /// Which events of these topics it wants. Null: all of them.
    #[schema(value_type = Option<Object>)]
    filter: Option<Box<RawValue>>,
    /// For people.
    description: String,
    /// The caller's own facts about it.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// How long one exchange may take. Null: the service's default.
    #[schema(value_type = Option<String>, example = "15s")]
    timeout: Option<Period>,
    /// When failed deliveries are tried again. Null: the service's default.
    #[schema(value_type = Option<Object>)]
    retry: Option<RetryPolicy>,
    /// How many requests may be under way at once. Null: the service's default.
    #[schema(example = 32)]
    max_in_flight: Option<u32>,
    /// How many attempts may begin within a time. Null: as many as there are.
    #[schema(value_type = Option<Object>)]
    rate_limit: Option<RateLimit>,
    /// Whether deliveries go one at a time, in the order in which their events were accepted.
    ordered: bool,
    /// How deliveries are signed.
    #[schema(value_type = Object, example = json!({"profile": "standard"}))]
    signature: Value,
    /// What the body looks like: `standard`, `raw`, `cloudevents` or `cloudevents-binary`.
    #[schema(value_type = String, example = "standard")]
    format: BodyFormat,
    /// `POST` or `PUT`.
    #[schema(value_type = String, example = "POST")]
    method: Method,
    /// Headers beside those of the service. `{"secret": true}` stands for a value that nobody is to see.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    headers: HeaderFields,
    /// Whether an event's metadata travel as headers, too.
    metadata_headers: bool,
    /// How the service shows the receiver who it is. `true` stands for what is secret.
    auth: Option<AuthFields>,
    /// The certificate that the receiver is shown, and the CA that it is trusted by. `true` stands for the private key.
    tls: Option<TlsFields>,
    /// What it has to answer before it is sent anything else. Null: nothing.
    handshake: Option<HandshakeBody>,
    /// `enabled`, `paused` (deliveries are held) or `disabled` (deliveries are skipped).
    #[schema(value_type = String)]
    state: EndpointState,
    /// Why it is disabled; or that it waits for its handshake, and what its state is to be then.
    state_reason: Option<String>,
    /// Nothing is sent before this time, because the endpoint asked for a pause.
    #[schema(value_type = Option<String>, format = DateTime)]
    parked_until: Option<Timestamp>,
    /// How it has fared since its last success.
    health: HealthBody,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// How an endpoint has fared since its last success.
#[derive(Serialize, ToSchema)]
#[schema(as = EndpointHealth)]
struct HealthBody {
    /// When the first attempt failed; null: none has.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
    /// How many attempts have failed.
    failures: u32,
    /// How many deliveries have been exhausted.
    exhausted: u32,
    /// The last warning that was given: how much of the time until it is disabled has passed, in percent; 0: none was.
    warned: u8,
}

/// An endpoint as it was made, with the secret that signs its deliveries.
#[derive(Serialize, ToSchema)]
struct CreatedEndpoint {
    #[serde(flatten)]
    endpoint: EndpointBody,
    #[serde(flatten)]
    secrets: CurrentSecrets,
    signature_sample: SignatureSample,
}

/// An endpoint as it was changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangedEndpoint {
    #[serde(flatten)]
    endpoint: EndpointBody,
    /// Where the patch says how deliveries are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_sample: Option<SignatureSample>,
    /// Where it does while an old secret signs, too: when that ends. `at_once` where the new profile cannot go on with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_over: Option<CutOver>,
}

impl From<Health> for HealthBody {
    fn from(Health { failing_since, failures, exhausted, warned }: Health) -> Self {
        Self { failing_since, failures, exhausted, warned }
    }
}

impl From<&Endpoint> for EndpointFields {
    fn from(endpoint: &Endpoint) -> Self {
        let WireFields { format, method, headers, metadata_headers, auth, tls } = (&endpoint.wire).into();
        Self {
            url: endpoint.url.clone(),
            topics: endpoint.topics.clone(),
            // Never merged.
            filter: None,
            signature: None,
            secret: None,
            description: endpoint.description.clone(),
            metadata: endpoint.metadata.clone(),
            timeout: endpoint.timeout,
            retry: endpoint.retry.clone(),
            max_in_flight: endpoint.max_in_flight,
            rate_limit: endpoint.rate_limit,
            ordered: endpoint.ordered,
            format,
            method,
            headers,
            metadata_headers,
            auth,
            tls,
            handshake: endpoint.handshake.as_ref().map(HandshakeFields::from),
            state: endpoint.state,
        }
    }
}

impl From<Endpoint> for EndpointBody {
    fn from(endpoint: Endpoint) -> Self {
        let WireFields { format, method, headers, metadata_headers, auth, tls } = (&endpoint.wire).into();
        Self {
            id: endpoint.id,
            tenant: endpoint.tenant,
            url: endpoint.url,
            topics: endpoint.topics,
            filter: written(endpoint.filter),
            description: endpoint.description,
            metadata: endpoint.metadata,
            timeout: endpoint.timeout,
            retry: endpoint.retry,
            max_in_flight: endpoint.max_in_flight,
            rate_limit: endpoint.rate_limit,
            ordered: endpoint.ordered,
            signature: signature::shown(&endpoint.wire),
            format,
            method,
            headers,
            metadata_headers,
            auth,
            tls,
            handshake: endpoint.handshake.map(HandshakeBody::from),
            state: endpoint.state,
            state_reason: endpoint.state_reason,
            parked_until: endpoint.parked_until,
            health: endpoint.health.into(),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

impl EndpointBody {
    /// An endpoint whose handshake has just been run, or was to be, and why it was not given.
    fn asked((endpoint, failure): (Endpoint, Option<String>)) -> Self {
        let mut body = Self::from(endpoint);
        if let Some(handshake) = &mut body.handshake {
            handshake.failure = failure;
        }
        body
    }
}

impl EndpointFields {
    /// Checks everything but the URL, and what has to do with it.
    fn bounded(self) -> Result<Self, Problem> {
        let fields = validate(self)?;
        if let Some(filter) = &fields.filter {
            filters::read(filter)?;
        }
        if fields.ordered && fields.max_in_flight.is_some_and(|max| max > 1) {
            return Err(Problem::field("/max_in_flight", "an ordered endpoint takes one request at a time"));
        }
        Ok(fields)
    }

    /// Asserts that `tls` is for a URL such as this.
    fn tls_suits(&self) -> Result<(), Problem> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.suits(&self.url))
    }

    /// Checks everything, and writes the URL as it will be used.
    fn checked(self, service: &Service) -> Result<Self, Problem> {
        let mut fields = self.bounded()?;
        fields.tls_suits()?;
        let url = TargetUrl::parse(&fields.url, &service.guard).map_err(|e| Problem::field("/url", e))?;
        fields.url = url.as_str().to_owned();
        Ok(fields)
    }

    /// Asserts that no secret is kept that was given for another host: whoever changes the URL need not know it.
    fn secrets_stay(&self, before: &Endpoint) -> Result<(), Problem> {
        let are_kept = wire::keep_secrets(&self.headers, self.auth.as_ref());
        if are_kept && wire::origin(&self.url) != wire::origin(&before.url) {
            let detail =
                "the secrets of 'auth' and 'headers' were given for another host: give them again, or null";
            return Err(Problem::field("/url", detail));
        }
        Ok(())
    }

    /// Takes out what says how requests are made.
    fn take_wire(&mut self) -> WireFields {
        WireFields {
            format: self.format,
            method: self.method,
            headers: std::mem::take(&mut self.headers),
            metadata_headers: self.metadata_headers,
            auth: self.auth.take(),
            tls: self.tls.take(),
        }
    }

    /// Writes the rest.
    fn write_to(self, endpoint: &mut Endpoint) {
        let Self {
            url,
            topics,
            filter,
            description,
            metadata,
            timeout,
            retry,
            max_in_flight,
            rate_limit,
            ordered,
            state,
            ..
        } = self;
        if state != endpoint.state {
            endpoint.state_reason = (state == EndpointState::Disabled).then(|| DISABLED.to_owned());
        }
        endpoint.url = url;
        endpoint.topics = topics;
        endpoint.filter = filter.map(|filter| filter.get().to_owned());
        endpoint.description = description;
        endpoint.metadata = metadata;
        endpoint.timeout = timeout;
        endpoint.retry = retry;
        endpoint.max_in_flight = max_in_flight;
        endpoint.rate_limit = rate_limit;
        endpoint.ordered = ordered;
        endpoint.state = state;
    }
}

/// An endpoint as it is after a change.
pub(crate) struct Changed {
    pub(crate) endpoint: Endpoint,
    /// Whether it was another before.
    pub(crate) is_new: bool,
}

impl Changed {
    /// The endpoint as an answer.
    pub(crate) fn answer(self) -> HttpResponse {
        let response = HttpResponse::Ok().json(EndpointBody::from(self.endpoint));
        if self.is_new { response } else { unchanged(response) }
    }
}

/// Reads an endpoint, changes it and writes it back; again when another change came first. What is as it was is not
/// written.
pub(crate) async fn change(
    service: &Service,
    tenant: &TenantId,
    id: EndpointId,
    change: impl Fn(&mut Endpoint) -> Result<(), Problem>,
) -> Result<Changed, Problem> {
    for _ in 0..TRIES {
        let before = service.store.endpoint(tenant, id).await?;
        let mut endpoint = before.clone();
        change(&mut endpoint)?;
        if endpoint == before {
            return Ok(Changed { endpoint, is_new: false });
        }
        endpoint.updated_at = service.clock.now();
        match service.store.update_endpoint(endpoint).await {
            Err(StoreError::StaleEndpoint) => continue,
            result => return Ok(Changed { endpoint: result?, is_new: true }),
        }
    }
    Err(Problem::new(Kind::Conflict, "the endpoint is being changed by others; try again"))
}

/// Register an endpoint. The answer holds its secret. One that is to give a handshake is asked for it at once, and the answer
/// waits for that.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path)), request_body = EndpointFields,
    responses((status = 201, body = CreatedEndpoint)))]
#[post("/tenants/{tenant}/endpoints")]
pub(crate) async fn create_endpoint(
    service: Data<Service>,
    stop: Data<Stop>,
    tenant: InPath<TenantId>,
    fields: JsonBody<EndpointFields>,
) -> Result<HttpResponse, Problem> {
    let mut fields = fields.0.checked(&service)?;
    let profile = signature::choose(&service, &tenant.0, fields.signature.as_deref()).await?;
    let now = service.clock.now();
    let id = EndpointId::mint(now, service.entropy.id());
    let mut endpoint = Endpoint::new(id, tenant.0, String::new(), now);
    fields.take_wire().write_to(&service, &profile, &mut endpoint)?;
    let brought = fields.secret.take();
    let secret_is_new = secrets::begin(&service, &mut endpoint, &profile, brought)?;
    let handshake = fields.handshake;
    fields.write_to(&mut endpoint);
    handshake::begin(&mut endpoint, &profile, handshake)?;
    let secrets = secrets::current(&service, &endpoint)?;
    let signature_sample = signature::sample(&profile)?;
    service.store.create_endpoint(endpoint.clone()).await.map_err(Problem::not_repeatable)?;
    let asked = match handshake {
        None => (endpoint, None),
        Some(_) => verify_at_once(&service, &stop, endpoint, secret_is_new).await,
    };
    let path = format!("/v1/tenants/{}/endpoints/{id}", asked.0.tenant);
    let made = CreatedEndpoint { endpoint: EndpointBody::asked(asked), secrets, signature_sample };
    Ok(created(HttpResponse::Created().json(made), path))
}

/// List a tenant's endpoints, newest first.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ListQuery),
    responses((status = 200, body = Listed<EndpointBody>)))]
#[get("/tenants/{tenant}/endpoints")]
pub(crate) async fn list_endpoints(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    query: InQuery<ListQuery>,
) -> Result<Json<Listed<EndpointBody>>, Problem> {
    let list = List::new("endpoints", &tenant.0);
    let page = service.store.endpoints(&tenant.0, list.query(&query)?).await?;
    Ok(Json(list.answer(page, EndpointBody::from)))
}

/// Read an endpoint.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 200, body = EndpointBody)))]
#[get("/tenants/{tenant}/endpoints/{endpoint}")]
pub(crate) async fn get_endpoint(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
) -> Result<Json<EndpointBody>, Problem> {
    Ok(Json(service.store.endpoint(&path.0, path.1).await?.into()))
}

/// Change an endpoint by a JSON merge patch (RFC 7396). What is not named stays; null takes the default. A filter and a
/// signature profile are replaced as a whole, and so is `auth` where its type is another one. A handshake has to be given anew
/// where the URL or its type changes: it is asked for at once, and the answer waits for that. Where scheme, host or port of the
/// URL change, secrets of `auth` and `headers` have to be given anew, or removed, and so has `client_secret` where those of
/// `token_url` do.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    request_body = Object, responses((status = 200, body = ChangedEndpoint)))]
#[patch("/tenants/{tenant}/endpoints/{endpoint}")]
pub(crate) async fn patch_endpoint(
    service: Data<Service>,
    stop: Data<Stop>,
    path: BothInPath<TenantId, EndpointId>,
    patch: JsonBody<EndpointPatch>,
) -> Result<HttpResponse, Problem> {
    let EndpointPatch { filter, signature, fields: changes } = patch.0;
    let chosen = match &signature {
        Some(given) => Some(signature::choose(&service, &path.0, given.as_deref()).await?),
        None => None,
    };
    let is_wire = chosen.is_some() || changes.keys().any(|name| WireFields::has(name));
    let cut_over = Cell::new(None);
    let secret_is_new = Cell::new(false);
    let to_be_asked = Cell::new(false);
    let Changed { endpoint, is_new } = change(&service, &path.0, path.1, |endpoint| {
        let before = endpoint.clone();
        let mut fields =
            serde_json::to_value(EndpointFields::from(&*endpoint)).map_err(|e| Problem::internal(&e))?;
        // Null would remove an unknown field without a trace.
        if let Some(unknown) = changes.keys().find(|name| fields.get(name.as_str()).is_none()) {
            return Err(Problem::field(
                format!("/{}", body::escape(unknown)),
                format!("unknown field `{unknown}`"),
            ));
        }
        let mut changes = changes.clone();
        wire::prepare(&mut fields, &mut changes)?;
        merge_patch::refuse_unknown(&changes, "handshake", &handshake::NAMES)?;
        let [new_url, new_tls, changes_state] =
            ["url", "tls", "state"].map(|name| changes.contains_key(name));
        merge_patch::apply(&mut fields, changes.into());
        let merged = Zeroizing::new(fields.to_string());
        let mut patched: EndpointFields = body::parse(merged.as_bytes())?;
        patched.filter = filter.clone().unwrap_or_default();
        // A URL that is not changed is not judged here: it is whenever it is used.
        let mut patched = if new_url { patched.checked(&service)? } else { patched.bounded()? };
        if new_tls {
            patched.tls_suits()?;
        }
        patched.secrets_stay(&before)?;
        if is_wire {
            let kept = || signature::of(&endpoint.wire);
            let profile = chosen.clone().map_or_else(kept, Ok)?;
            patched.take_wire().write_to(&service, &profile, endpoint)?;
            if chosen.is_some() {
                secret_is_new.set(secrets::complete(&service, endpoint, &profile)?);
                cut_over.set(secrets::cut_over(&service, &before, endpoint)?);
            }
        }
        let asked = changes_state.then_some(patched.state);
        let handshake = patched.handshake;
        patched.write_to(endpoint);
        if filter.is_none() {
            endpoint.filter = before.filter.clone();
        }
        to_be_asked.set(handshake::follow_change(&before, endpoint, handshake, asked)?);
        Ok(())
    })
    .await?;
    let signature_sample = chosen.as_ref().map(signature::sample).transpose()?;
    let cut_over = cut_over.into_inner();
    let asked = match to_be_asked.into_inner() {
        true => verify_at_once(&service, &stop, endpoint, secret_is_new.into_inner()).await,
        false => (endpoint, None),
    };
    let changed = ChangedEndpoint { endpoint: EndpointBody::asked(asked), signature_sample, cut_over };
    let response = HttpResponse::Ok().json(changed);
    // A handshake is asked for where its endpoint is another only.
    Ok(if is_new { response } else { unchanged(response) })
}

/// Delete an endpoint. Its open deliveries are cancelled.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 204)))]
#[delete("/tenants/{tenant}/endpoints/{endpoint}")]
pub(crate) async fn delete_endpoint(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
) -> Result<HttpResponse, Problem> {
    service.store.delete_endpoint(&path.0, path.1, service.clock.now()).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests;
