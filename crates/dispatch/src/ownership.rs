use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use posthaste_store::{Epoch, Partition, Result, StoreError};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use crate::{
    hold::{self, Hold},
    membership,
    share::Share,
    shared::Shared,
    stage::{Stage, Stages, until_drained, while_running},
};

/// Holds this dispatcher's share of the partitions, whoever else is there, until it is drained.
pub(crate) async fn run(shared: Arc<Shared>, stages: Stages) {
    let (share, shares) = watch::channel(None);
    tokio::join!(membership::attend(&shared, stages.clone(), &share), hold_share(&shared, stages, shares));
}

/// Gives up what is too much, and takes what is missing and free.
async fn hold_share(shared: &Arc<Shared>, mut stages: Stages, mut shares: watch::Receiver<Option<Share>>) {
    let mut holdings = Holdings::default();
    let mut patience = shared.patience("taking partitions");
    while let Some(share) = while_running(&mut stages, known(&mut shares)).await {
        holdings.forget_ended();
        holdings.give_up_beyond(share);
        let tried = holdings.take(shared, share).await;
        let pause = async {
            match tried {
                Tried { failure: None, .. } => _ = patience.over(),
                // A part of the store is away: the other parts are not to wait for it.
                Tried { failure: Some(error), answered: true } => patience.note(&error),
                Tried { failure: Some(error), answered: false } => return patience.wait(&error).await,
            }
            sleep(shared.settings.beat()).await;
        };
        let changed = async { _ = shares.changed().await };
        let next = async {
            tokio::select! { biased; () = changed => {}, () = pause => {} }
        };
        while_running(&mut stages, next).await;
    }
    drop(patience);
    holdings.enter(Stage::Draining);
    if until_drained(&mut stages, holdings.ended()).await.is_none() {
        holdings.enter(Stage::Drained);
        holdings.ended().await;
    }
}

/// Waits until it is known what the share is.
async fn known(shares: &mut watch::Receiver<Option<Share>>) -> Share {
    loop {
        if let Some(share) = *shares.borrow_and_update() {
            return share;
        }
        // An error is a dispatcher that is gone, and this with it.
        let _ = shares.changed().await;
    }
}

/// The partitions that are held, and those that are being handed over.
#[derive(Default)]
struct Holdings {
    held: BTreeMap<Partition, Holding>,
    leaving: Vec<Holding>,
    tasks: JoinSet<()>,
}

struct Holding {
    stage: watch::Sender<Stage>,
    task: AbortHandle,
}

/// What came of trying to take partitions.
#[derive(Default)]
struct Tried {
    answered: bool,
    failure: Option<StoreError>,
}

impl Holdings {
    fn forget_ended(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        self.held.retain(|_, holding| !holding.task.is_finished());
        self.leaving.retain(|holding| !holding.task.is_finished());
    }

    /// Gives up what is furthest from the share.
    fn give_up_beyond(&mut self, share: Share) {
        for partition in share.order().rev() {
            if self.held.len() <= share.size {
                break;
            }
            if let Some(holding) = self.held.remove(&partition) {
                holding.stage.send_replace(Stage::Draining);
                self.leaving.push(holding);
            }
        }
    }

    /// Claims what is free until the share is full, so many at once as are missing.
    async fn take(&mut self, shared: &Arc<Shared>, share: Share) -> Tried {
        let mut tried = Tried::default();
        let untried: Vec<_> = share.order().filter(|partition| !self.held.contains_key(partition)).collect();
        let mut untried = untried.into_iter();
        loop {
            let missing = share.size.saturating_sub(self.held.len());
            let partitions: Vec<_> = untried.by_ref().take(missing).collect();
            if partitions.is_empty() {
                return tried;
            }
            let claims = partitions.iter().map(|partition| claim(shared, *partition));
            for (partition, claimed) in partitions.iter().zip(join_all(claims).await) {
                match claimed {
                    Ok(Some(epoch)) => self.hold(shared, Hold { partition: *partition, epoch }),
                    Ok(None) => {}
                    Err(error) => {
                        tried.failure.get_or_insert(error);
                        continue;
                    }
                }
                tried.answered = true;
            }
        }
    }

    fn hold(&mut self, shared: &Arc<Shared>, hold: Hold) {
        let stage = watch::Sender::new(Stage::Running);
        let (shared, stages) = (Arc::clone(shared), stage.subscribe());
        let work = async move {
            let driving = hold::run(&shared, hold, stages);
            shared.alarm.guard("the driving of a partition", driving).await;
        };
        let task = self.tasks.spawn(work);
        self.held.insert(hold.partition, Holding { stage, task });
    }

    /// Brings all of them into a stage.
    fn enter(&self, stage: Stage) {
        for holding in self.held.values().chain(&self.leaving) {
            holding.stage.send_replace(stage);
        }
    }

    async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn claim(shared: &Shared, partition: Partition) -> Result<Option<Epoch>> {
    let Shared { store, settings, clock, .. } = shared;
    store.claim(partition, &settings.owner, clock.now(), settings.ownership).await
}
