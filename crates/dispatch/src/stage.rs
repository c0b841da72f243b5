use tokio::sync::watch;

/// How far a dispatcher, or its hold of a partition, is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It leases.
    Running,
    /// It leases nothing more, and waits for what is in flight.
    Draining,
    /// It waits no longer.
    Drained,
}

pub(crate) type Stages = watch::Receiver<Stage>;

/// Does `work`, or breaks it off when it is time to drain. None: it was.
pub(crate) async fn while_running<T>(stages: &mut Stages, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _ = stages.wait_for(|stage| *stage != Stage::Running) => None,
        done = work => Some(done),
    }
}

/// Does `work`, or breaks it off when there is no time left. None: it was.
pub(crate) async fn until_drained<T>(stages: &mut Stages, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        _ = stages.wait_for(|stage| *stage == Stage::Drained) => None,
    }
}
