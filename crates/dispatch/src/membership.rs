use std::{collections::BTreeSet, time::Duration};

use posthaste_store::Result;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    share::Share,
    shared::Shared,
    stage::{Stage, Stages, while_running},
};

/// Says again and again that this dispatcher is there, and tells which share of the partitions is its own among all who
/// are. Leaves when the dispatcher drains.
pub(crate) async fn attend(shared: &Shared, mut stages: Stages, share: &watch::Sender<Option<Share>>) {
    let Shared { store, settings, .. } = shared;
    let mut patience = shared.patience("attending").at_most(settings.renewal());
    let (mut members, mut heard) = (BTreeSet::new(), Instant::now());
    let mut lenient_until = heard;
    while *stages.borrow() == Stage::Running {
        match say(shared, settings.ownership).await {
            Ok(there) => {
                // While the store was away nobody could say that they are there: who was before gets time to.
                if patience.over() && heard.elapsed() >= settings.ownership {
                    lenient_until = Instant::now() + settings.ownership;
                }
                heard = Instant::now();
                if heard >= lenient_until {
                    members.clear();
                }
                members.extend(there);
                let own = Share::of(&settings.owner, &members, store.partitions());
                if share.send_if_modified(|share| share.replace(own) != Some(own)) {
                    let (dispatchers, of) = (members.len(), store.partitions());
                    tracing::info!(dispatchers, share = own.size, of, "sharing the partitions");
                }
                while_running(&mut stages, sleep(settings.beat())).await;
            }
            Err(error) => {
                while_running(&mut stages, patience.wait(&error)).await;
            }
        }
    }
    // The others need not find out.
    let leave = async {
        while let Err(error) = say(shared, Duration::ZERO).await {
            patience.wait(&error).await;
        }
        patience.over();
    };
    // With nothing in flight the dispatcher is drained at once; what it says last is said nevertheless.
    let _ = timeout(settings.renewal(), leave).await;
}

/// Says that this dispatcher is there for so long, and hears who is.
async fn say(shared: &Shared, ttl: Duration) -> Result<Vec<String>> {
    shared.store.attend(&shared.settings.owner, shared.clock.now(), ttl).await
}
