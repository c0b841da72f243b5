//! What owners say of endpoints. As leases, throttles are memory: only one process has the file open.

use std::collections::HashMap;

use posthaste_store::Epoch;

use crate::schedule::Schedule;

/// By the numbers of their endpoints.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    by_endpoint: HashMap<i64, Said>,
}

/// A throttle, and who said it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) epoch: Epoch,
    /// Unix milliseconds; none: now.
    pub(crate) until: Option<i64>,
    pub(crate) at_most: Option<usize>,
}

impl Throttles {
    /// Takes the place of what was said of the endpoint before.
    pub(crate) fn set(&mut self, endpoint_no: i64, said: Said, schedule: &mut Schedule, now: i64) {
        if said.until.is_none() && said.at_most.is_none() {
            self.by_endpoint.remove(&endpoint_no);
        } else {
            self.by_endpoint.insert(endpoint_no, said);
        }
        schedule.throttle(endpoint_no, said.until.unwrap_or(i64::MIN), now);
    }

    /// Lifts what was said of one endpoint.
    pub(crate) fn lift_one(&mut self, endpoint_no: i64, schedule: &mut Schedule, now: i64) {
        if self.by_endpoint.remove(&endpoint_no).is_some() {
            schedule.throttle(endpoint_no, i64::MIN, now);
        }
    }

    /// How many a turn of the endpoint gives at the most; none: nothing is said of that.
    pub(crate) fn at_most(&self, endpoint_no: i64) -> Option<usize> {
        self.by_endpoint.get(&endpoint_no)?.at_most
    }

    /// Lifts what was said before an epoch; answers whether there was anything.
    pub(crate) fn lift(&mut self, before: Epoch, schedule: &mut Schedule, now: i64) -> bool {
        let lifted: Vec<i64> =
            self.by_endpoint.extract_if(|_, said| said.epoch < before).map(|(no, _)| no).collect();
        for no in &lifted {
            schedule.throttle(*no, i64::MIN, now);
        }
        !lifted.is_empty()
    }

    /// Forgets what was said of an endpoint that is deleted.
    pub(crate) fn forget(&mut self, endpoint_no: i64) {
        self.by_endpoint.remove(&endpoint_no);
    }

    /// Tells a new schedule of every throttle.
    pub(crate) fn apply(&self, schedule: &mut Schedule) {
        for (no, said) in &self.by_endpoint {
            schedule.throttle(*no, said.until.unwrap_or(i64::MIN), i64::MIN);
        }
    }
}
