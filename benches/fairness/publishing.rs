use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use posthaste_model::Endpoint;
use tokio::{task::JoinSet, time::sleep};

use crate::service::Door;

/// Bytes of an event's payload.
const PAYLOAD: usize = 1_024;

/// A tenant that publishes evenly to its endpoints, in turns.
#[derive(Clone)]
pub(crate) struct Publisher {
    pub(crate) door: Door,
    pub(crate) endpoints: Arc<[Endpoint]>,
    pub(crate) per_second: u32,
}

impl Publisher {
    /// Publishes for a while, whether or not what went before has been accepted already; answers with when each event was
    /// published, in their order. Their ids begin with `name`.
    pub(crate) async fn publish(self, name: &'static str, lasting: Duration) -> Vec<Instant> {
        let Self { door, endpoints, per_second } = self;
        let data = data();
        let begun = Instant::now();
        let mut published = Vec::new();
        let mut accepting = JoinSet::new();
        for number in 0.. {
            let due = Duration::from_secs_f64(number as f64 / f64::from(per_second));
            if due >= lasting {
                break;
            }
            sleep(due.saturating_sub(begun.elapsed())).await;
            let (door, endpoints, data) = (door.clone(), Arc::clone(&endpoints), data.clone());
            published.push(Instant::now());
            accepting.spawn(async move {
                door.accept(&endpoints[number % endpoints.len()], &event_id(name, number), data).await;
            });
            while let Some(accepted) = accepting.try_join_next() {
                accepted.unwrap();
            }
        }
        accepting.join_all().await;
        published
    }
}

/// The id of a publisher's event.
pub(crate) fn event_id(name: &str, number: usize) -> String {
    format!("{name}-{number:08}")
}

/// A JSON value.
pub(crate) fn data() -> Bytes {
    format!("\"{}\"", "x".repeat(PAYLOAD - 2)).into()
}
