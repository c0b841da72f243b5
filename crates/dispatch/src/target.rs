use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use posthaste_egress::{Guard, InvalidTarget, TargetUrl};
use posthaste_model::{Endpoint, EndpointId, EndpointSecret, Timestamp};
use posthaste_signing::{SealError, Sealer, Secret, SecretError, SigningKeys};

use crate::DispatchSettings;

/// How many endpoints are kept ready. Beyond that the memory is emptied, and fills again as needed.
const AT_HAND: usize = 10_000;

/// What the attempts of one endpoint have in common.
pub(crate) struct Target {
    version: u64,
    /// When a secret's overlap ends and the target is to be made anew.
    good_until: Option<Timestamp>,
    pub(crate) url: TargetUrl,
    pub(crate) keys: SigningKeys,
    pub(crate) timeout: Duration,
}

/// Why an endpoint cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// The URL is not, or no longer, allowed.
    #[error(transparent)]
    Forbidden(#[from] InvalidTarget),
    /// Its secret cannot be opened: a fault of ours.
    #[error("the endpoint's secret cannot be opened")]
    Sealed(#[from] SealError),
    /// What was sealed is no secret: a fault of ours.
    #[error("the endpoint's secret is damaged")]
    Damaged(#[from] SecretError),
    /// It has none: a fault of ours.
    #[error("the endpoint has no secret")]
    NoSecret,
}

/// Endpoints that are ready to be sent to.
pub(crate) struct Targets {
    guard: Guard,
    sealer: Arc<Sealer>,
    ready: Mutex<HashMap<EndpointId, Arc<Target>>>,
}

impl Targets {
    pub(crate) fn new(guard: Guard, sealer: Arc<Sealer>) -> Self {
        Self { guard, sealer, ready: Mutex::default() }
    }

    pub(crate) fn get(
        &self,
        endpoint: &Endpoint,
        now: Timestamp,
        settings: &DispatchSettings,
    ) -> Result<Arc<Target>, Unusable> {
        let ready = || self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = ready().get(&endpoint.id)
            && target.version == endpoint.version
            && target.good_until.is_none_or(|end| now < end)
        {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(self.make(endpoint, now, settings)?);
        let mut ready = ready();
        if ready.len() >= AT_HAND {
            ready.clear();
        }
        ready.insert(endpoint.id, Arc::clone(&target));
        Ok(target)
    }

    fn make(
        &self,
        endpoint: &Endpoint,
        now: Timestamp,
        settings: &DispatchSettings,
    ) -> Result<Target, Unusable> {
        let record = EndpointSecret::record(endpoint.id);
        let secrets = endpoint
            .live_secrets(now)
            .map(|secret| {
                let opened = self.sealer.open(&secret.sealed.0, record.as_bytes())?;
                Ok(Secret::from_key(&opened)?)
            })
            .collect::<Result<Vec<_>, Unusable>>()?;
        let (current, retiring) = secrets.split_first().ok_or(Unusable::NoSecret)?;
        Ok(Target {
            version: endpoint.version,
            good_until: endpoint.live_secrets(now).filter_map(|secret| secret.expires_at).min(),
            url: TargetUrl::parse(&endpoint.url, &self.guard)?,
            keys: SigningKeys::new(current, retiring),
            timeout: endpoint.timeout.map_or(settings.timeout, |timeout| timeout.0),
        })
    }
}
