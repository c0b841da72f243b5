use std::sync::Arc;

use posthaste_model::Timestamp;
use posthaste_store::{Epoch, Partition, Recovered, StoreError};
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    announcing, leasing, replaying,
    settler::{self, Reports},
    shared::Shared,
    stage::{Stages, until_drained, while_running},
    upkeep,
};

/// A partition that this dispatcher has claimed, and the epoch that it got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold {
    pub(crate) partition: Partition,
    pub(crate) epoch: Epoch,
}

/// Another epoch has the partition.
pub(crate) struct Lost;

/// Drives a partition from its claim until it is handed over, or lost.
pub(crate) async fn run(shared: &Arc<Shared>, hold: Hold, mut stages: Stages) {
    let noticed = Arc::default();
    let (reports, settler) = settler::start(shared, &noticed);
    let driven = tokio::select! {
        biased;
        driven = drive(shared, hold, &reports, &mut stages) => driven,
        Lost = keep(shared, hold) => Err(Lost),
        never = upkeep::run(shared, hold, &reports) => match never {},
        never = announcing::run(shared, hold, &noticed) => match never {},
        never = replaying::run(shared, hold) => match never {},
    };
    drop(reports);
    match driven {
        Ok(()) => hand_over(shared, hold, settler, stages).await,
        // What is in flight is settled nevertheless: it counts unless the new owner has given it back.
        Err(Lost) => tracing::warn!(partition = hold.partition.0, "lost a partition"),
    }
}

/// Takes the partition over and leases what is due, until it is to be given up.
async fn drive(shared: &Arc<Shared>, hold: Hold, reports: &Reports, stages: &mut Stages) -> Result<(), Lost> {
    take_over(shared, hold, stages).await?;
    let bell = shared.gates.enter(hold, shared.clock.now());
    let _ours = Entered { shared, hold };
    leasing::run(shared, hold, &bell, reports, stages).await
}

/// A partition whose endpoints are spoken of to the store, until this is dropped.
struct Entered<'a> {
    shared: &'a Shared,
    hold: Hold,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.shared.gates.leave(self.hold, self.shared.clock.now());
    }
}

/// Gives back what former owners left behind, unless the partition is to be given up before.
async fn take_over(shared: &Shared, hold: Hold, stages: &mut Stages) -> Result<(), Lost> {
    let Hold { partition, epoch } = hold;
    let mut patience = shared.patience("taking a partition over");
    loop {
        match shared.store.recover(partition, epoch, shared.clock.now()).await {
            Ok(Recovered { interrupted }) => {
                patience.over();
                tracing::debug!(partition = partition.0, epoch = epoch.0, interrupted, "took a partition");
                if interrupted > 0 {
                    shared.telemetry.interrupted(interrupted);
                    tracing::info!(partition = partition.0, interrupted, "took over what was in flight");
                }
                return Ok(());
            }
            Err(StoreError::NotOwner) => {
                patience.over();
                return Err(Lost);
            }
            Err(error) => {
                if while_running(stages, patience.wait(&error)).await.is_none() {
                    return Ok(());
                }
            }
        }
    }
}

/// Renews the hold until it is lost.
async fn keep(shared: &Shared, Hold { partition, epoch }: Hold) -> Lost {
    let Shared { store, settings, clock, .. } = shared;
    let mut patience = shared.patience("keeping a partition").at_most(settings.renewal());
    loop {
        sleep(settings.renewal()).await;
        while let Err(error) = store.renew(partition, epoch, clock.now(), settings.ownership).await {
            if matches!(error, StoreError::NotOwner) {
                patience.over();
                return Lost;
            }
            patience.wait(&error).await;
        }
        patience.over();
    }
}

/// Gives the partition up at once, and what is in flight when it is settled: until then whoever takes the partition is
/// asked to spare it, again and again, so that it is taken over soon should this process not live to say so.
///
/// What does not end in time is left to the next owner.
async fn hand_over(shared: &Shared, hold: Hold, mut settler: JoinHandle<()>, mut stages: Stages) {
    let Shared { settings, clock, .. } = shared;
    let spare = async {
        let mut patience = shared.patience("handing a partition over").at_most(settings.renewal());
        loop {
            let until = clock.now().checked_add(settings.ownership).unwrap_or(Timestamp::MAX);
            match release(shared, hold, until).await {
                Ok(()) => {
                    patience.over();
                    sleep(settings.renewal()).await;
                }
                Err(error) => patience.wait(&error).await,
            }
        }
    };
    let settled = async {
        tokio::select! {
            biased;
            _ = &mut settler => {}
            () = spare => {}
        }
    };
    if until_drained(&mut stages, settled).await.is_none() {
        settler.abort();
    }
    if let Err(error) = release(shared, hold, clock.now()).await {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a partition is free when its time is over"
        );
    }
}

async fn release(shared: &Shared, hold: Hold, until: Timestamp) -> posthaste_store::Result<()> {
    shared.store.release(hold.partition, hold.epoch, until).await
}
