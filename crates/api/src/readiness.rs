//! Whether the service can do its work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join;
use posthaste_model::Clock;
use posthaste_store::{Durability, Finding, Level, Store};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

/// How long what was found out is good for: probes that come faster cost the store nothing.
const FRESH: Duration = Duration::from_secs(1);
/// How long a probe waits for the store.
const PATIENCE: Duration = Duration::from_secs(2);
/// After which a look at the store is given up, and another one may begin.
const GIVE_UP: Duration = Duration::from_secs(30);

/// Tells whether the service can accept and deliver, however many ask.
///
/// One look at the store is under way at a time, and one begins a second at the most. A store that is slow keeps no probe
/// waiting for longer than two seconds.
pub struct Readiness {
    store: Arc<dyn Store>,
    clock: Clock,
    tolerated: Vec<String>,
    last: Mutex<Option<Look>>,
}

/// A look at the store, under way or over.
struct Look {
    begun: Instant,
    seen: watch::Receiver<Option<Arc<Seen>>>,
}

/// What a look at the store found.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Why the service cannot do its work; none: it can.
    pub(crate) trouble: Option<String>,
    pub(crate) findings: Vec<Finding>,
}

impl Readiness {
    /// Looks at `store`. Dangers of the checks that are `tolerated` are shown, and no reason not to be ready.
    pub fn new(store: Arc<dyn Store>, clock: Clock, tolerated: Vec<String>) -> Self {
        Self { store, clock, tolerated, last: Mutex::default() }
    }

    pub(crate) fn durability(&self) -> Durability {
        self.store.durability()
    }

    /// What the last look found, which is at most a second old, or is waited for.
    pub(crate) async fn seen(&self) -> Arc<Seen> {
        let (begun, mut seen) = self.look();
        match timeout_at(begun + PATIENCE, seen.wait_for(Option::is_some)).await {
            Ok(Ok(seen)) => seen.as_ref().map_or_else(unanswered, Arc::clone),
            Ok(Err(_)) | Err(_) => unanswered(),
        }
    }

    fn look(&self) -> (Instant, watch::Receiver<Option<Arc<Seen>>>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Look { begun, seen }) = &*last {
            let under_way = seen.borrow().is_none() && seen.has_changed().is_ok();
            if under_way || begun.elapsed() < FRESH {
                return (*begun, seen.clone());
            }
        }
        let (tell, seen) = watch::channel(None);
        let (store, clock, tolerated) = (Arc::clone(&self.store), self.clock.clone(), self.tolerated.clone());
        // On its own, so that it goes on when whoever asked hangs up.
        tokio::spawn(async move {
            let seen = timeout(GIVE_UP, examine(&*store, &clock, &tolerated)).await;
            tell.send_replace(Some(seen.map_or_else(|_| unanswered(), Arc::new)));
        });
        let begun = Instant::now();
        *last = Some(Look { begun, seen: seen.clone() });
        (begun, seen)
    }
}

fn unanswered() -> Arc<Seen> {
    Arc::new(Seen { trouble: Some("the store does not answer in time".to_owned()), findings: Vec::new() })
}

async fn examine(store: &dyn Store, clock: &Clock, tolerated: &[String]) -> Seen {
    let (checked, examined) = join(store.check(), store.examine(clock.now())).await;
    let (findings, not_examined) = match examined {
        Ok(findings) => (findings, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let unusable = checked.err().or(not_examined).map(|error| error.to_string());
    let trouble = unusable.or_else(|| dangers(&findings, tolerated).next().map(ToString::to_string));
    Seen { trouble, findings }
}

/// The findings on which the service does not run: dangers of checks that are not tolerated.
pub fn dangers<'a>(findings: &'a [Finding], tolerated: &'a [String]) -> impl Iterator<Item = &'a Finding> {
    findings.iter().filter(|finding| {
        finding.level == Level::Danger && !tolerated.iter().any(|check| check == finding.check)
    })
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::fixture::{ShapedStore, clock};

    fn readiness(store: &Arc<ShapedStore>, tolerated: &[&str]) -> Readiness {
        let tolerated = tolerated.iter().map(|check| (*check).to_owned()).collect();
        Readiness::new(Arc::clone(store) as Arc<dyn Store>, clock(), tolerated)
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_probes_is_one_look() {
        let store = Arc::new(ShapedStore::default());
        let readiness = readiness(&store, &["durability"]);
        store.answers_after(Duration::from_millis(100));
        for seen in join_all((0..1_000).map(|_| readiness.seen())).await {
            assert_eq!(seen.trouble, None);
            assert_eq!(seen.findings.len(), 1, "what is tolerated is shown");
        }
        assert_eq!(store.checks(), 1);
        tokio::time::sleep(Duration::from_millis(899)).await;
        readiness.seen().await;
        assert_eq!(store.checks(), 1, "it is still fresh");
        tokio::time::sleep(Duration::from_millis(1)).await;
        readiness.seen().await;
        assert_eq!(store.checks(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_keeps_nobody_waiting() {
        let store = Arc::new(ShapedStore::default());
        let readiness = readiness(&store, &["durability"]);
        store.answers_after(Duration::from_secs(5));
        let begun = Instant::now();
        let seen = join_all((0..100).map(|_| readiness.seen())).await;
        assert_eq!(begun.elapsed(), PATIENCE);
        assert!(seen.iter().all(|seen| seen.trouble.as_deref() == Some("the store does not answer in time")));
        assert!(readiness.seen().await.trouble.is_some());
        assert_eq!(begun.elapsed(), PATIENCE, "what is known to be late is not waited for again");
        assert_eq!(store.checks(), 1, "nothing piles up");

        tokio::time::sleep(Duration::from_secs(4)).await;
        store.answers_after(Duration::ZERO);
        assert_eq!(readiness.seen().await.trouble, None, "it is back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_never_ends_is_given_up() {
        let store = Arc::new(ShapedStore::default());
        let readiness = readiness(&store, &["durability"]);
        store.answers_after(Duration::from_secs(1_000_000));
        assert!(readiness.seen().await.trouble.is_some());
        store.answers_after(Duration::ZERO);
        assert!(readiness.seen().await.trouble.is_some(), "one look at a time");
        tokio::time::sleep(GIVE_UP).await;
        assert_eq!(readiness.seen().await.trouble, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_danger_is_a_reason_not_to_be_ready() {
        let store = Arc::new(ShapedStore::default());
        let seen = readiness(&store, &["eviction"]).seen().await;
        assert!(seen.trouble.as_ref().unwrap().starts_with("durability: volatile"), "{seen:?}");
        assert_eq!(seen.findings.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_is_named() {
        let store = Arc::new(ShapedStore::default());
        let readiness = readiness(&store, &["durability"]);
        store.away(true);
        let seen = readiness.seen().await;
        assert!(seen.trouble.as_ref().unwrap().contains("unavailable"), "{seen:?}");
        store.away(false);
        tokio::time::sleep(FRESH).await;
        assert_eq!(readiness.seen().await.trouble, None);
    }
}
