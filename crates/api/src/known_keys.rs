//! API keys that were looked up just now, so that not every request asks the store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use posthaste_model::ApiKey;
use posthaste_store::KeyDigest;
use tokio::time::Instant;

/// How long a key is good without the store being asked: so long one may open something that another process has deleted.
const FRESH: Duration = Duration::from_secs(1);
/// How many keys are remembered.
const MOST: usize = 10_000;

/// API keys that were looked up just now, and were good.
#[derive(Default)]
pub struct KnownKeys(Mutex<Known>);

#[derive(Default)]
struct Known {
    keys: HashMap<KeyDigest, (Instant, Arc<ApiKey>)>,
    /// How often everything was forgotten.
    forgotten: u64,
}

/// A look-up that is under way.
pub(crate) struct LookUp {
    digest: KeyDigest,
    begun: Instant,
    forgotten: u64,
}

impl KnownKeys {
    /// The key, or else the look-up that is to find it.
    pub(crate) fn get(&self, digest: &KeyDigest) -> Result<Arc<ApiKey>, LookUp> {
        let (known, now) = (self.known(), Instant::now());
        match known.keys.get(digest) {
            Some((found, key)) if now.duration_since(*found) < FRESH => Ok(Arc::clone(key)),
            _ => Err(LookUp { digest: *digest, begun: now, forgotten: known.forgotten }),
        }
    }

    /// Remembers what a look-up has found, as of when it began; not if something was forgotten meanwhile.
    pub(crate) fn remember(&self, look_up: LookUp, key: Arc<ApiKey>) {
        let LookUp { digest, begun, forgotten } = look_up;
        let mut known = self.known();
        if known.forgotten != forgotten {
            return;
        }
        if known.keys.len() >= MOST {
            known.keys.retain(|_, (found, _)| begun.saturating_duration_since(*found) < FRESH);
        }
        if known.keys.len() < MOST {
            known.keys.insert(digest, (begun, key));
        }
    }

    /// Forgets all: a key, or the tenant of some, was deleted.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        known.keys.clear();
        known.forgotten += 1;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use posthaste_model::{ApiKeyId, Role};
    use tokio::time::advance;

    use super::*;
    use crate::fixture::NOW;

    fn key(number: u32) -> (KeyDigest, Arc<ApiKey>) {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        let key = ApiKey {
            id: ApiKeyId::mint(NOW, [0; 10]),
            name: String::new(),
            role: Role::Viewer,
            tenant: None,
            created_at: NOW,
            expires_at: None,
        };
        (KeyDigest(digest), Arc::new(key))
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_remembered_for_a_second_from_when_it_was_looked_up() {
        let known = KnownKeys::default();
        let (digest, key) = key(1);
        let look_up = known.get(&digest).unwrap_err();
        advance(Duration::from_millis(400)).await;
        known.remember(look_up, Arc::clone(&key));
        advance(Duration::from_millis(599)).await;
        assert_eq!(known.get(&digest).ok(), Some(key));
        advance(Duration::from_millis(1)).await;
        assert!(known.get(&digest).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_forgotten_while_it_was_looked_up_is_not_remembered() {
        let known = KnownKeys::default();
        let (digest, key) = key(1);
        let look_up = known.get(&digest).unwrap_err();
        known.forget();
        known.remember(look_up, Arc::clone(&key));
        let look_up = known.get(&digest).unwrap_err();
        known.remember(look_up, key);
        assert!(known.get(&digest).is_ok());
        known.forget();
        assert!(known.get(&digest).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_remembered_than_there_is_room_for() {
        let known = KnownKeys::default();
        let look = |number| {
            let (digest, key) = key(number);
            if let Err(look_up) = known.get(&digest) {
                known.remember(look_up, key);
            }
            known.get(&digest).is_ok()
        };
        let most = u32::try_from(MOST).unwrap();
        assert!((0..most).all(look));
        assert!(!look(most), "there is no room");
        assert_eq!(known.known().keys.len(), MOST);
        advance(FRESH).await;
        assert!(look(most), "the others are too old");
        assert_eq!(known.known().keys.len(), 1);
    }
}
