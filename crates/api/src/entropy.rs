use std::sync::{Mutex, PoisonError};

use rand::{Rng as _, rngs::StdRng};

/// Where ids, secrets and nonces come from: a cryptographic generator that the composition root has seeded.
pub struct Entropy(Mutex<StdRng>);

impl Entropy {
    /// Wraps a generator.
    pub fn new(seeded: StdRng) -> Self {
        Self(Mutex::new(seeded))
    }

    /// The random part of an id.
    pub(crate) fn id(&self) -> [u8; 10] {
        let mut random = [0; 10];
        self.with(|rng| rng.fill_bytes(&mut random));
        random
    }

    /// What a sequence that is no secret begins with.
    pub(crate) fn seed(&self) -> u64 {
        self.with(|rng| rng.next_u64())
    }

    pub(crate) fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
