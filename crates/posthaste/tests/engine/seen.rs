use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use posthaste_model::{Next, Outcome, Timestamp};
use posthaste_store::{Epoch, Lease, Partition, Settled, Settlement};
use tokio::sync::watch;

/// What processes did so far. Calls of several processes have no order of their own: each is known by when it was asked
/// for and when it was answered, and happened between the two.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) lent: Vec<Lent>,
    pub(crate) reports: Vec<Report>,
    pub(crate) recoveries: Vec<Recovery>,
    /// What subscribers were sent.
    pub(crate) requests: Vec<Sent>,
}

pub(crate) type Record = watch::Sender<Seen>;

/// A lease that a process was given.
pub(crate) struct Lent {
    pub(crate) process: String,
    pub(crate) partition: Partition,
    pub(crate) lease: Lease,
    /// What is due by then was asked for.
    pub(crate) now: Timestamp,
    pub(crate) asked: Instant,
    pub(crate) given: Instant,
}

/// A settlement that a process asked for.
pub(crate) struct Report {
    pub(crate) settlement: Settlement,
    pub(crate) asked: Instant,
    /// None: it was not answered, or was refused.
    pub(crate) answer: Option<(Instant, Settled)>,
}

impl Report {
    /// Since when its delivery is known to be so; none: it may not be.
    pub(crate) fn applied(&self) -> Option<Instant> {
        self.answer.filter(|(_, settled)| *settled == Settled::Applied).map(|(at, _)| at)
    }
}

/// Leases that a process gave back.
pub(crate) struct Recovery {
    pub(crate) partition: Partition,
    pub(crate) epoch: Epoch,
    pub(crate) asked: Instant,
    /// How many; none: it was not answered, or was refused.
    pub(crate) interrupted: Option<u64>,
}

/// One request as its subscriber saw it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) process: String,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Timestamp,
    pub(crate) began: Instant,
    /// When it was over, and what its sender was told; none: not yet, or the sender was gone.
    pub(crate) ended: Option<(Instant, Outcome)>,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn event(&self) -> &str {
        self.header("webhook-id").unwrap()
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.ended.as_ref().map(|(_, outcome)| outcome)
    }
}

impl Seen {
    /// The requests to a URL, in their order.
    pub(crate) fn to<'a>(&'a self, url: &'a str) -> impl Iterator<Item = &'a Sent> {
        self.requests.iter().filter(move |sent| sent.url == url)
    }

    /// The events that a URL was sent, once for each request.
    pub(crate) fn events_to<'a>(&'a self, url: &'a str) -> Vec<&'a str> {
        self.to(url).map(Sent::event).collect()
    }

    /// How many deliveries are known to be delivered.
    pub(crate) fn delivered(&self) -> usize {
        self.applied(Next::Delivered)
    }

    /// How many settlements of a kind changed their delivery.
    pub(crate) fn applied(&self, next: Next) -> usize {
        let applied =
            |report: &&Report| report.settlement.decision.next == next && report.applied().is_some();
        self.reports.iter().filter(applied).count()
    }

    /// How many settlements were answered.
    pub(crate) fn settled(&self) -> usize {
        self.reports.iter().filter(|report| report.answer.is_some()).count()
    }
}
