//! Memory is what a Redis runs out of, and what was delivered is what is missed least.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{examine::facts, fault::Fault, link::Link, outage::Trouble};

/// How long a look is relied on that found room. As long as there is none, every call looks: room is being made.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Whether what was delivered makes room for what is to be.
pub(crate) struct Pressure {
    /// From which share of `maxmemory` on, in percent.
    from: u8,
    last: Mutex<Option<(Instant, bool)>>,
    high: Trouble,
}

impl Pressure {
    pub(crate) fn new(from: u8) -> Self {
        Self { from, last: Mutex::new(None), high: Trouble::default() }
    }

    /// Whether any server is beyond its share. One without `maxmemory` never is.
    pub(crate) async fn is_high(&self, link: &Link) -> Result<bool, Fault> {
        if self.from >= 100 {
            return Ok(false);
        }
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, false)) = *last()
            && when.elapsed() < LOOK_EVERY
        {
            return Ok(false);
        }
        let mut info = redis::cmd("INFO");
        info.arg("memory");
        let mut is = false;
        for (_, answer) in link.call_primaries(&info).await? {
            let facts = facts(answer)?;
            let amount = |name: &str| facts.get(name).and_then(|fact| fact.parse::<u128>().ok()).unwrap_or(0);
            let (used, most) = (amount("used_memory"), amount("maxmemory"));
            is |= most > 0 && used * 100 >= most * u128::from(self.from);
        }
        *last() = Some((Instant::now(), is));
        if is && self.high.begins() {
            tracing::warn!(
                "Redis is beyond {} % of its maxmemory: delivered events are forgotten before their time, oldest first",
                self.from
            );
        } else if !is && self.high.is_over() {
            tracing::info!("Redis has room for history again");
        }
        Ok(is)
    }
}
