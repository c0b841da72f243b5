use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use posthaste_egress::Method;
use posthaste_model::{DeliveryId, Next, Outcome, Timestamp};
use posthaste_store::{Lease, Partition, Settled, Settlement, conformance::invariants::Step};
use tokio::{sync::watch, time::Instant};

/// What happened so far, in order. Tests wait for facts of it.
#[derive(Default)]
pub(crate) struct Seen {
    /// What the store did.
    pub(crate) steps: Vec<Step>,
    /// What it was asked to do.
    pub(crate) calls: Vec<Call>,
    /// What subscribers were sent.
    pub(crate) requests: Vec<Sent>,
}

pub(crate) type Record = watch::Sender<Seen>;

/// One call of a process to the store.
pub(crate) struct Call {
    pub(crate) process: String,
    pub(crate) op: Op,
    /// For which partition; none: it is not for one.
    pub(crate) partition: Option<Partition>,
    pub(crate) at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Attend,
    Claim,
    Renew,
    Release,
    Recover,
    Lease,
    Settle,
    Prune,
    Accept,
    Notices,
    RunningReplays,
    Reopen,
    UpdateReplay,
    ForgetStats,
}

/// One request as its subscriber saw it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Timestamp,
    pub(crate) process: String,
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) deadline: Duration,
    /// When it was over, and what its sender was told; none: not yet, or the sender was gone.
    pub(crate) ended: Option<(Timestamp, Outcome)>,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn event(&self) -> &str {
        self.header("webhook-id").unwrap()
    }
}

impl Seen {
    pub(crate) fn leases(&self) -> impl Iterator<Item = (&Lease, Timestamp)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Leased { lease, now, .. } => Some((lease, *now)),
            _ => None,
        })
    }

    /// Every settlement that reached the store, with what it made of it.
    pub(crate) fn settlements(&self) -> impl Iterator<Item = (&Settlement, Settled)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Settled { settlement, settled } => Some((settlement, *settled)),
            _ => None,
        })
    }

    pub(crate) fn delivered(&self) -> usize {
        let done = |(settlement, settled): &(&Settlement, Settled)| {
            *settled == Settled::Applied && settlement.decision.next == Next::Delivered
        };
        self.settlements().filter(done).count()
    }

    /// How many leases were given back.
    pub(crate) fn interrupted(&self) -> u64 {
        let counts = self.steps.iter().map(|step| match step {
            Step::Recovered { interrupted, .. } => *interrupted,
            _ => 0,
        });
        counts.sum()
    }

    /// How often a process asked the store for something.
    pub(crate) fn calls(&self, process: &str, op: Op) -> usize {
        self.calls.iter().filter(|call| call.process == process && call.op == op).count()
    }

    /// The most requests of a process that were under way at once.
    pub(crate) fn most_at_once(&self, process: &str) -> usize {
        let requests = || self.requests.iter().filter(|sent| sent.process == process);
        // Those that end at the moment at which others begin have made room for them.
        let begins = requests().map(|sent| (sent.at, 1));
        let ends = requests().filter_map(|sent| Some((sent.ended.as_ref()?.0, -1)));
        let mut changes: Vec<(Timestamp, isize)> = begins.chain(ends).collect();
        changes.sort_unstable();
        let running = changes.iter().scan(0, |now, (_, change)| {
            *now += change;
            Some(*now)
        });
        running.max().unwrap_or(0).unsigned_abs()
    }

    /// The most deliveries that were leased and neither settled nor given back at once.
    pub(crate) fn most_leased(&self) -> usize {
        let mut live = HashSet::<DeliveryId>::new();
        let sizes = self.steps.iter().map(|step| {
            match step {
                Step::Leased { lease, .. } => {
                    live.insert(lease.delivery);
                }
                Step::Settled { settlement, settled: Settled::Applied } => {
                    live.remove(&settlement.delivery);
                }
                _ => {}
            }
            live.len()
        });
        sizes.max().unwrap_or(0)
    }
}
