use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthaste_egress::Transport;
use posthaste_model::{AttemptId, Clock, Timestamp};
use posthaste_policy::Jitter;
use posthaste_store::Store;
use posthaste_telemetry::{Load, Telemetry};
use rand::{Rng as _, rngs::StdRng};
use tokio::sync::Semaphore;

use crate::{
    DispatchSettings,
    alarm::Alarm,
    gates::Gates,
    patience::{Outage, Patience},
    target::Targets,
};

/// What the dispatcher's tasks have in common.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) targets: Targets,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) settings: DispatchSettings,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) chance: Chance,
    pub(crate) outage: Outage,
    pub(crate) alarm: Alarm,
    /// The partition that has it goes on forgetting what is over.
    pub(crate) forgetting: Semaphore,
}

impl Shared {
    /// The patience of one who needs the store.
    pub(crate) fn patience(&self, doing: &'static str) -> Patience<'_> {
        Patience::new(doing, &self.chance, &self.outage)
    }

    /// What is under way.
    pub(crate) fn load(&self) -> Load {
        let most_in_flight = self.settings.max_in_flight;
        let in_flight = most_in_flight.saturating_sub(self.permits.available_permits());
        Load { in_flight, most_in_flight, ..self.gates.load(self.clock.now()) }
    }
}

/// The dispatcher's randomness, all from the seed it was given.
pub(crate) struct Chance {
    jitter: Mutex<Jitter>,
    ids: Mutex<StdRng>,
}

impl Chance {
    pub(crate) fn new(mut seed: StdRng) -> Self {
        Self { jitter: Mutex::new(Jitter::seeded(seed.next_u64())), ids: Mutex::new(seed) }
    }

    pub(crate) fn jitter(&self) -> MutexGuard<'_, Jitter> {
        self.jitter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn attempt_id(&self, now: Timestamp) -> AttemptId {
        let mut random = [0; 10];
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut random);
        AttemptId::mint(now, random)
    }
}
