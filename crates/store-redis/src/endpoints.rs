//! An endpoint as its hash holds it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use posthaste_model::{
    Endpoint, EndpointId, EndpointSecret, EndpointState, Handshake, Health, Period, RateLimit, RetryPolicy,
    Sealed, TenantId, Timestamp, TopicPattern, Wire,
};
use posthaste_store::StoreError;
use redis::{Pipeline, Value};
use serde::{Deserialize, Serialize};

use crate::{
    layout::{millis, uuid},
    reply::{Reply, maybe_bytes},
};

/// The fields that every read of an endpoint gives, in this order: state, reason, parked until, health, version, updated,
/// URL, and the rest.
const FIELDS: [&str; 8] = ["s", "w", "k", "h", "v", "u", "x", "d"];

/// What scripts need not look into.
#[derive(Serialize, Deserialize)]
struct Rest {
    tenant: TenantId,
    topics: Vec<TopicPattern>,
    description: String,
    metadata: BTreeMap<String, String>,
    timeout_ms: Option<u64>,
    retry: Option<RetryPolicy>,
    #[serde(default)]
    max_in_flight: Option<u32>,
    #[serde(default)]
    rate_limit: Option<RateLimit>,
    #[serde(default)]
    ordered: bool,
    #[serde(default)]
    filter: Option<String>,
    #[serde(default)]
    wire: Wire,
    #[serde(default)]
    credentials: Option<String>,
    #[serde(default)]
    handshake: Option<Handshake>,
    secrets: Vec<SecretRest>,
    created_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct SecretRest {
    sealed: String,
    expires_ms: Option<i64>,
}

/// The rest of an endpoint, packed.
pub(crate) fn pack(endpoint: &Endpoint) -> Result<String, StoreError> {
    let secrets = endpoint.secrets.iter().map(|secret| SecretRest {
        sealed: BASE64_STANDARD.encode(&secret.sealed.0),
        expires_ms: secret.expires_at.map(|time| time.as_millisecond()),
    });
    let rest = Rest {
        tenant: endpoint.tenant.clone(),
        topics: endpoint.topics.clone(),
        description: endpoint.description.clone(),
        metadata: endpoint.metadata.clone(),
        timeout_ms: endpoint.timeout.map(|timeout| timeout.as_millis()),
        retry: endpoint.retry.clone(),
        max_in_flight: endpoint.max_in_flight,
        rate_limit: endpoint.rate_limit,
        ordered: endpoint.ordered,
        filter: endpoint.filter.clone(),
        wire: endpoint.wire.clone(),
        credentials: endpoint.credentials.as_ref().map(|sealed| BASE64_STANDARD.encode(&sealed.0)),
        handshake: endpoint.handshake.clone(),
        secrets: secrets.collect(),
        created_ms: endpoint.created_at.as_millisecond(),
    };
    serde_json::to_string(&rest).map_err(StoreError::damaged)
}

/// Reads an endpoint from its id and [`FIELDS`].
pub(crate) fn read(reply: &mut Reply) -> Result<Endpoint, StoreError> {
    let id = reply.bytes()?;
    read_fields(EndpointId::from_uuid(uuid(&id).map_err(StoreError::damaged)?), reply)
}

/// Reads an endpoint from [`FIELDS`].
fn read_fields(id: EndpointId, reply: &mut Reply) -> Result<Endpoint, StoreError> {
    let state = match &*reply.bytes()? {
        b"0" => EndpointState::Enabled,
        b"1" => EndpointState::Paused,
        b"2" => EndpointState::Disabled,
        other => return Err(StoreError::damaged(format!("endpoint state {other:?}"))),
    };
    let state_reason = Some(reply.text()?).filter(|reason| !reason.is_empty());
    let parked_until = reply.maybe_number()?.map(time).transpose()?;
    let health = health(&maybe_bytes(reply.next()?)?)?;
    let version = reply.number()? as u64;
    let updated_at = time(reply.number()?)?;
    let url = reply.text()?;
    let rest: Rest = serde_json::from_slice(&reply.bytes()?).map_err(StoreError::damaged)?;
    let sealed = |text: String| {
        let bytes = BASE64_STANDARD.decode(text).map_err(StoreError::damaged)?;
        Ok::<_, StoreError>(Sealed(bytes.into()))
    };
    let secrets = rest.secrets.into_iter().map(|secret| {
        Ok(EndpointSecret {
            sealed: sealed(secret.sealed)?,
            expires_at: secret.expires_ms.map(time).transpose()?,
        })
    });
    Ok(Endpoint {
        id,
        tenant: rest.tenant,
        url,
        topics: rest.topics,
        description: rest.description,
        metadata: rest.metadata,
        timeout: rest.timeout_ms.map(|ms| Period(Duration::from_millis(ms))),
        retry: rest.retry,
        max_in_flight: rest.max_in_flight,
        rate_limit: rest.rate_limit,
        ordered: rest.ordered,
        filter: rest.filter,
        wire: rest.wire,
        credentials: rest.credentials.map(sealed).transpose()?,
        handshake: rest.handshake,
        state,
        state_reason,
        parked_until,
        health,
        secrets: secrets.collect::<Result<_, StoreError>>()?,
        version,
        created_at: time(rest.created_ms)?,
        updated_at,
    })
}

pub(crate) fn state_code(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Enabled => "0",
        EndpointState::Paused => "1",
        EndpointState::Disabled => "2",
    }
}

/// An endpoint's health as its hash holds it; nothing while it is well.
pub(crate) fn pack_health(health: &Health) -> Vec<u8> {
    if *health == Health::default() {
        return Vec::new();
    }
    let since = health.failing_since.map_or(0, millis);
    let mut packed = since.to_be_bytes()[2..].to_vec();
    packed.extend(health.failures.to_be_bytes());
    packed.extend(health.exhausted.to_be_bytes());
    packed.push(health.warned);
    packed
}

/// Reads what [`pack_health`] packed.
pub(crate) fn health(packed: &[u8]) -> Result<Health, StoreError> {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    if packed.is_empty() {
        return Ok(Health::default());
    }
    if packed.len() != 15 {
        return Err(StoreError::damaged("the health of an endpoint is cut"));
    }
    let since = Some(number(&packed[..6]) as i64).filter(|since| *since != 0);
    Ok(Health {
        failing_since: since.map(time).transpose()?,
        failures: number(&packed[6..10]) as u32,
        exhausted: number(&packed[10..14]) as u32,
        warned: packed[14],
    })
}

/// How many of an endpoint's deliveries a turn may give for its own sake, or an empty text.
pub(crate) fn burst(endpoint: &Endpoint) -> String {
    endpoint.burst().map_or_else(String::new, |burst| burst.to_string())
}

/// A time from Unix milliseconds.
pub(crate) fn time(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(StoreError::damaged)
}

/// Unix milliseconds, or an empty text.
pub(crate) fn maybe_millis(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |time| millis(time).to_string())
}

/// How many endpoints are kept at hand. Beyond that the memory is emptied, and fills again as needed.
const AT_HAND: usize = 100_000;

/// Endpoints as they were last read, with their revisions. A lease says which revision it means.
#[derive(Default)]
pub(crate) struct AtHand(Mutex<HashMap<EndpointId, (i64, Arc<Endpoint>)>>);

impl AtHand {
    fn known(&self) -> MutexGuard<'_, HashMap<EndpointId, (i64, Arc<Endpoint>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint as it is at a revision, with a pause and its health.
    pub(crate) fn get(
        &self,
        id: EndpointId,
        revision: i64,
        parked_until: Option<Timestamp>,
        health: Health,
    ) -> Option<Arc<Endpoint>> {
        let mut known = self.known();
        let (_, endpoint) = known.get_mut(&id).filter(|(known, _)| *known == revision)?;
        if endpoint.parked_until != parked_until || endpoint.health != health {
            *endpoint = Arc::new(Endpoint { parked_until, health, ..Endpoint::clone(endpoint) });
        }
        Some(Arc::clone(endpoint))
    }

    pub(crate) fn put(&self, (revision, endpoint): (i64, Endpoint)) -> Arc<Endpoint> {
        let endpoint = Arc::new(endpoint);
        let mut known = self.known();
        if known.len() >= AT_HAND {
            known.clear();
        }
        known.insert(endpoint.id, (revision, Arc::clone(&endpoint)));
        endpoint
    }
}

/// Asks for an endpoint, for [`read_hash`].
pub(crate) fn ask(key: &[u8], calls: &mut Pipeline) {
    calls.cmd("HMGET").arg(key).arg("r").arg(&FIELDS);
}

/// Reads what [`ask`] asked for: the endpoint and its revision. None: there is no such endpoint.
pub(crate) fn read_hash(id: EndpointId, value: Value) -> Result<Option<(i64, Endpoint)>, StoreError> {
    let mut fields = Reply::items(value)?;
    let Some(revision) = fields.maybe_number()? else { return Ok(None) };
    Ok(Some((revision, read_fields(id, &mut fields)?)))
}
