use std::{sync::Arc, time::Duration};

use posthaste_client::{
    Client, ClientError, DeliveryId, EndpointId, EventId, TenantId, Timestamp, TopicName,
};
use posthaste_testkit::{ReceivedRequest, Receiver, Reply};

/// Longer than anything here takes, so that a test that waits for it has failed.
const AMPLE: Duration = Duration::from_secs(20);

pub(crate) const KEY: &str = "a-key-of-some-24-characters";

pub(crate) fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

pub(crate) fn topic() -> TopicName {
    "order.paid".parse().unwrap()
}

pub(crate) fn event() -> EventId {
    "urn:ord-42:paid".parse().unwrap()
}

pub(crate) fn endpoint() -> EndpointId {
    EndpointId::mint(Timestamp::UNIX_EPOCH, [7; 10])
}

pub(crate) fn delivery() -> DeliveryId {
    DeliveryId::mint(Timestamp::UNIX_EPOCH, [7; 10])
}

/// Runs `test` to its end, so that tables can be plain functions that know who called them.
fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// Makes a call to a service that replies so, and tells what came of it and what arrived.
pub(crate) fn exchange<T>(
    reply: Reply,
    call: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
) -> (Result<T, ClientError>, Vec<Arc<ReceivedRequest>>) {
    block_on(async {
        let service = Receiver::start(move |_| reply.clone()).await.unwrap();
        let client = Client::new(&service.url(""), KEY).unwrap().with_timeout(AMPLE);
        (call(client).await, service.requests())
    })
}

pub(crate) fn json(body: impl Into<String>) -> Reply {
    Reply::status(200).with_header("content-type", "application/json").with_body(body.into())
}
