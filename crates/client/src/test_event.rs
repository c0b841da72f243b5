use posthaste_model::{EndpointId, TenantId, TopicName};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::value::RawValue;

use crate::{Attempt, Client, ClientError, Delivery, Event, call::Body};

/// How an endpoint is tried out. The default is an event that the service makes up.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TestEvent {
    /// The event's topic, one that takes events; none: `posthaste.test`, which needs no registration. For the tenant
    /// `posthaste` it is that, or one of what operators are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<TopicName>,
    /// The event's data; none: the topic's example, if it has one. Where the topic has a schema they must fit that. It cannot be given for the tenant `posthaste`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    /// Whether it goes out although the endpoint is paused or disabled.
    pub force: bool,
}

/// What came of a test event.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    /// The event.
    pub event: Event,
    /// Its delivery.
    pub delivery: Delivery,
    /// The attempt; none: none was made, or it was not over in time.
    pub attempt: Option<Attempt>,
}

impl<'de> Deserialize<'de> for Tested {
    // Not derived: only what is read from text has an event's data byte for byte.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Parts {
            event: Box<RawValue>,
            delivery: Delivery,
            attempt: Option<Attempt>,
        }
        let Parts { event, delivery, attempt } = Parts::deserialize(deserializer)?;
        let event = serde_json::from_str(event.get()).map_err(D::Error::custom)?;
        Ok(Self { event, delivery, attempt })
    }
}

impl Client {
    /// Sends a test event to an endpoint and waits for what comes of it:
    /// `POST /v1/tenants/{tenant}/endpoints/{endpoint}/test`. What fails is not tried again, and what could not be sent in
    /// time is cancelled.
    ///
    /// It may take the endpoint's timeout and 5 seconds: up to 35, which is more than
    /// [`DEFAULT_TIMEOUT`](crate::DEFAULT_TIMEOUT).
    pub async fn test_endpoint(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        event: &TestEvent,
    ) -> Result<Tested, ClientError> {
        self.to_endpoint(tenant, id, "test").post(Some(Body::json(event)?)).await
    }
}
