//! Publishes what producers leave in the store's inbox, as if they had posted it.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use posthaste_policy::Jitter;
use posthaste_store::{Inbox, Letter, LetterId, Missing, StoreError};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    intake::{Refused, publish},
    letter::{self, Posted, WrongField},
    patience::Patience,
    schemas::Unfit,
    service::Service,
    stop::{Stop, Stopper},
};

/// Letters that are taken together, and filed together.
const BATCH: usize = 128;
/// How many of them are published at once.
const AT_ONCE: usize = 32;
/// How often a letter is tried that the store fails at for no reason that passes. Then it is put aside: one that the
/// store cannot take must not hold up the others for ever.
const TRIES: usize = 10;
/// How long the inbox gets to answer when the service stops: what it gives later, another reader receives.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// How long letters that were taken get to be finished when the service stops.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// The task that reads the inbox.
pub(crate) struct Reader {
    stopper: Stopper,
    task: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts on the current tokio runtime.
    pub(crate) fn start(service: Arc<Service>, inbox: Arc<dyn Inbox>) -> Self {
        let (stopper, stop) = Stopper::new();
        let jitter = Jitter::seeded(service.entropy.seed());
        let desk = Desk { service, inbox, stop, patience: Patience::new("reading the inbox", jitter) };
        Self { stopper, task: Some(tokio::spawn(desk.work())) }
    }

    /// Receives no more letters, and finishes those that were taken.
    pub(crate) async fn stop(self) {
        let Self { stopper, task } = self;
        stopper.stop();
        let Some(mut task) = task else { return };
        if timeout(FINISH_WITHIN, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("stopped with letters in hand; another reader of the inbox receives them");
        }
    }

    /// Returns when the task has ended although nobody stopped it.
    pub(crate) async fn failed(&mut self) {
        if let Some(task) = &mut self.task {
            if let Err(error) = task.await {
                tracing::error!(error = &error as &dyn std::error::Error, "the reader of the inbox died");
            }
            self.task = None;
        }
    }
}

/// Where letters are dealt with.
struct Desk {
    service: Arc<Service>,
    inbox: Arc<dyn Inbox>,
    stop: Stop,
    patience: Patience,
}

/// A letter that has to wait for the store.
struct Waiting {
    letter: Letter,
    why: StoreError,
}

impl Desk {
    async fn work(mut self) {
        while let Some(letters) = self.receive().await {
            match letters {
                Ok(letters) => {
                    self.patience.over();
                    self.deal_with(letters).await;
                }
                Err(error) => self.patience.wait(&error, &mut self.stop).await,
            }
        }
    }

    /// The next letters; none: the service stops.
    async fn receive(&mut self) -> Option<posthaste_store::Result<Vec<Letter>>> {
        if self.stop.is_asked() {
            return None;
        }
        let receiving = self.inbox.receive(&self.service.settings.reader, BATCH);
        tokio::pin!(receiving);
        tokio::select! {
            letters = &mut receiving => Some(letters),
            // What it is about to give is taken already: better to wait for it than to leave it lying.
            () = self.stop.asked() => timeout(LAST_ANSWER, receiving).await.ok(),
        }
    }

    /// Publishes letters and files them. While the store is away they stay, unless the service stops.
    async fn deal_with(&mut self, mut letters: Vec<Letter>) {
        let mut accepted = Vec::new();
        let mut failed_rounds = 0;
        loop {
            let last_round = self.stop.is_asked();
            let put_aside = failed_rounds >= TRIES;
            let mut trouble = None;
            let mut results = stream::iter(std::mem::take(&mut letters).into_iter().map(|letter| {
                let (service, inbox) = (Arc::clone(&self.service), Arc::clone(&self.inbox));
                async move { settle(&service, &*inbox, letter, put_aside).await }
            }))
            .buffer_unordered(AT_ONCE);
            while let Some(result) = results.next().await {
                match result {
                    Ok(filed) => accepted.extend(filed),
                    Err(Waiting { letter, why }) => {
                        letters.push(letter);
                        trouble = Some(why);
                    }
                }
            }
            drop(results);
            if !accepted.is_empty() {
                match self.inbox.file(accepted.clone()).await {
                    Ok(()) => accepted.clear(),
                    Err(error) => trouble = Some(error),
                }
            }
            let Some(error) = trouble else { return self.patience.over() };
            failed_rounds += usize::from(!passes(&error));
            if last_round {
                return;
            }
            self.patience.wait(&error, &mut self.stop).await;
        }
    }
}

/// Publishes a letter, or rejects it; `put_aside`: one that the store keeps failing at, too. Answers with its name if it
/// is to be filed.
async fn settle(
    service: &Service,
    inbox: &dyn Inbox,
    letter: Letter,
    put_aside: bool,
) -> Result<Option<LetterId>, Waiting> {
    let reason = match letter::read(&letter) {
        Ok(Posted { tenant, publication }) => {
            let data = publication.payload.content_type().is_none();
            match publish(service, &tenant, vec![publication]).await {
                Ok(_) => return Ok(Some(letter.id)),
                Err(refused) => match wrong_field(refused, data) {
                    Ok(wrong) => wrong.to_string(),
                    Err(error) if passes(&error) || !put_aside => {
                        return Err(Waiting { letter, why: error });
                    }
                    Err(error) => {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "a letter could not be published"
                        );
                        format!("the service failed: {error}")
                    }
                },
            }
        }
        Err(wrong) => wrong.to_string(),
    };
    let id = letter.id.clone();
    match inbox.reject(letter.clone(), &reason, service.clock.now()).await {
        Ok(()) => {
            tracing::warn!(letter = id.0, reason, "a letter of the inbox was rejected");
            Ok(None)
        }
        Err(why) => Err(Waiting { letter, why }),
    }
}

/// The field that a refusal is about, or the error of the store that is about none.
fn wrong_field(refused: Refused, data: bool) -> Result<WrongField, StoreError> {
    let detail = refused.to_string();
    Ok(match refused {
        Refused::UnknownTopic { .. } | Refused::ArchivedTopic { .. } | Refused::ReservedTopic { .. } => {
            WrongField::new("topic", detail)
        }
        Refused::Unfit { unfit: Unfit::NotJson { .. }, .. } => WrongField::new("content_type", detail),
        Refused::Unfit { unfit: Unfit::Data(wrong), .. } => {
            let at = if wrong.pointer.is_empty() { String::new() } else { format!("at {}: ", wrong.pointer) };
            WrongField::new(if data { "data" } else { "body" }, format!("{at}{detail}"))
        }
        Refused::UnknownEndpoint { .. } => WrongField::new("endpoint", detail),
        Refused::Wish { field, .. } => WrongField::new(field, detail),
        Refused::ReservedTenant { .. } => WrongField::new("tenant", detail),
        Refused::TooLarge { .. } => WrongField::new(if data { "data" } else { "body" }, detail),
        Refused::Conflict { .. } => WrongField::new("id", detail),
        Refused::Store(StoreError::NotFound(Missing::Tenant)) => WrongField::new("tenant", detail),
        Refused::Store(StoreError::TooManyDeliveries) => WrongField::new("topic", detail),
        Refused::Store(error) => return Err(error),
    })
}

/// Whether it is a matter of time.
fn passes(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { .. } | StoreError::Full { .. } | StoreError::StaleView)
}

#[cfg(test)]
mod tests;
