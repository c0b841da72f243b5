//! More endpoints than an event can have.

use posthaste_store::{NewEvent, Sent, StoreError, conformance::sample_event};

use crate::Alone;

/// Gives every event as many endpoints as one can have, of which the store knows only the first: the number of endpoints
/// (2 bytes) stands in front, their ids behind that of the event. What comes before the ids has 19 bytes and the event's id.
const FILL: &str = "for _, key in ipairs(redis.call('KEYS', '*:e:*')) do \
    local bytes = redis.call('GET', key) \
    local ids = 20 + string.byte(bytes, 19) \
    redis.call('SET', key, string.char(255, 255) .. string.sub(bytes, 3, ids + 15) \
        .. string.rep('\\1', 16 * 65534) .. string.sub(bytes, ids + 16)) end";

/// A text of everything that the server holds.
const EVERYTHING: &str = "local all = redis.call('KEYS', '*') table.sort(all) for i, key in ipairs(all) do \
    all[i] = key .. redis.sha1hex(redis.call('DUMP', key)) end return all";

#[tokio::test]
async fn an_event_has_no_more_endpoints_than_can_be_numbered() {
    let fixture = Alone::new();
    let server = fixture.server.clone();
    let mut driver = fixture.driver().await;
    let tenant = driver.tenant("acme").await;
    let (first, other) = (driver.endpoint(&tenant).await, driver.endpoint(&tenant).await);
    driver.accept(&tenant, "evt", &[&first]).await;
    let delivery = driver.delivery_of(&tenant, "evt").await.id;
    server.command(&["EVAL", FILL, "0"]).unwrap();
    let everything = || server.command(&["EVAL", EVERYTHING, "0"]).unwrap();
    let before = everything();
    let refused = driver.send("evt", &other).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooManyDeliveries), "{refused:?}");
    assert_eq!(everything(), before, "nothing was written");
    // What is there is known.
    assert_eq!(driver.send("evt", &first).await.unwrap(), Sent { delivery, created: false });
    // Nor is an event accepted for more.
    let event = sample_event(&tenant, "wide", driver.now());
    let new = NewEvent { event, endpoints: vec![first.id; 65_536] };
    let refused = driver.accept_all(&tenant, vec![new]).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooManyDeliveries), "{refused:?}");
    assert_eq!(everything(), before, "nothing was written");
}
