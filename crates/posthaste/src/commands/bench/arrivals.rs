use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use actix_web::http::StatusCode;
use tokio::sync::Notify;

/// What has arrived, and how long after it was sent. Each event says in its data when it was sent.
pub(super) struct Arrivals {
    beginning: Instant,
    seen: Mutex<Seen>,
    enough: Notify,
}

#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    last: Duration,
    wanted: Option<u64>,
}

/// What stands before the time of sending, in nanoseconds since the beginning.
const SENT: &[u8] = br#""sent":"#;

impl Default for Arrivals {
    fn default() -> Self {
        Self { beginning: Instant::now(), seen: Mutex::default(), enough: Notify::new() }
    }
}

impl Arrivals {
    /// The time since the beginning.
    pub(super) fn now(&self) -> Duration {
        self.beginning.elapsed()
    }

    /// The data of an event that is sent now, filled up to a size.
    pub(super) fn data(&self, size: usize) -> String {
        data(self.now(), size)
    }

    /// Notes a request.
    pub(super) fn arrived(&self, body: &[u8]) -> StatusCode {
        let now = self.now();
        let Some(sent) = sent(body) else { return StatusCode::OK };
        let mut seen = self.seen();
        seen.latencies.push(now.saturating_sub(sent));
        seen.last = now;
        if seen.wanted.is_some_and(|wanted| seen.latencies.len() as u64 >= wanted) {
            self.enough.notify_one();
        }
        StatusCode::OK
    }

    pub(super) fn clear(&self) {
        *self.seen() = Seen::default();
    }

    pub(super) fn count(&self) -> usize {
        self.seen().latencies.len()
    }

    /// Returns once so many have arrived.
    pub(super) async fn at_least(&self, wanted: u64) {
        let enough = self.enough.notified();
        {
            let mut seen = self.seen();
            seen.wanted = Some(wanted);
            if seen.latencies.len() as u64 >= wanted {
                return;
            }
        }
        enough.await;
    }

    /// The latencies, and when the last arrived.
    pub(super) fn take(&self) -> (Vec<Duration>, Duration) {
        let mut seen = self.seen();
        (std::mem::take(&mut seen.latencies), seen.last)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn data(sent: Duration, size: usize) -> String {
    let mut data = format!(r#"{{"sent":{},"pad":""#, sent.as_nanos());
    let fill = size.saturating_sub(data.len() + 2);
    data.extend(std::iter::repeat_n('x', fill));
    data.push_str(r#""}"#);
    data
}

fn sent(body: &[u8]) -> Option<Duration> {
    let at = body.windows(SENT.len()).position(|window| window == SENT)? + SENT.len();
    let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits
        .fold(None, |nanos: Option<u64>, digit| {
            Some(nanos.unwrap_or(0).wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
        })
        .map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_sending_survives_the_journey() {
        let data = data(Duration::from_nanos(123_456_789), 250);
        assert_eq!(data.len(), 250);
        let body = format!(r#"{{"type":"x","data":{data}}}"#);
        assert_eq!(sent(body.as_bytes()), Some(Duration::from_nanos(123_456_789)));
        assert_eq!(sent(b"{}"), None);
    }
}
