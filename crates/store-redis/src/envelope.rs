//! An event as its key holds it.
//!
//! `fan-out:2 accepted:6 nonce:6 tenant:4 id:1+… endpoints:16 each topic:1+… kind:1 [first fan-out:2] [due:6 options:4+…]
//! [content-type:2+…] [length:4] bytes`: numbers are big-endian, what has a length before it is marked `+`. Scripts read
//! the parts up to when it is due, and add to those up to the first fan-out.
//!
//! Memory is what a Redis runs out of: bytes are kept compressed (LZ4 block format) where that makes them smaller, and
//! ids of our own making without their spelling. What is read is what was written, byte for byte.

use std::collections::BTreeMap;

use bytes::Bytes;
use posthaste_model::{EndpointId, Event, EventId, EventOptions, Payload, Period, TenantId, Timestamp};
use posthaste_store::{EventRecord, StoreError};
use serde::{Deserialize, Serialize};

use crate::{
    endpoints::time,
    layout::{millis, uuid},
};

/// Names one call of accept, so that a client that lost the answer knows its own events.
pub(crate) type Nonce = [u8; 6];

/// An event that was read.
pub(crate) struct Envelope {
    pub(crate) nonce: Nonce,
    pub(crate) endpoints: Vec<EndpointId>,
    /// To how many endpoints it went when it was accepted.
    pub(crate) matched: u32,
    pub(crate) record: EventRecord,
}

/// Bits of the kind: a raw body, which has a content type; compressed bytes, which have a length before them; options; the
/// fan-out of when it was accepted, because it was sent to more endpoints since.
const RAW: u8 = 1;
const COMPRESSED: u8 = 2;
const OPTIONS: u8 = 4;
const SENT: u8 = 8;

/// What a publisher asked for, as JSON. What nobody asked for is left out.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Options {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
}

fn pack_options(options: &EventOptions) -> Option<Vec<u8>> {
    let EventOptions { metadata, deliver_at, retention, test } = options;
    let packed = Options {
        metadata: metadata.clone(),
        deliver_ms: deliver_at.map(Timestamp::as_millisecond),
        retention_ms: retention.map(Period::as_millis),
        test: *test,
    };
    serde_json::to_vec(&packed).ok()
}

fn read_options(packed: &[u8]) -> Result<EventOptions, StoreError> {
    let Options { metadata, deliver_ms, retention_ms, test } =
        serde_json::from_slice(packed).map_err(StoreError::damaged)?;
    Ok(EventOptions {
        metadata,
        deliver_at: deliver_ms.map(time).transpose()?,
        retention: retention_ms.map(Period::from_millis),
        test,
    })
}

/// From how many bytes on it is worth a try.
const WORTH_A_TRY: usize = 192;
/// The longest length that is believed: more than any event may have.
const LONGEST: usize = 1 << 30;

/// Begins an id that is kept as the 16 bytes that its 32 hexadecimal digits stand for. No id begins so by itself.
const MADE: u8 = 0;
/// What the ids that the service makes begin with.
const MADE_PREFIX: &str = "evt_";

/// An event's id as keys and envelopes hold it.
pub(crate) fn pack_id(id: &EventId) -> Vec<u8> {
    let made = id.as_str().strip_prefix(MADE_PREFIX).filter(|digits| digits.len() == 32);
    // Only one spelling comes back as it was.
    let made = made.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    match made.and_then(|digits| u128::from_str_radix(digits, 16).ok()) {
        Some(number) => [&[MADE], &number.to_be_bytes()[..]].concat(),
        None => id.as_str().as_bytes().to_vec(),
    }
}

/// Reads an event's id as keys and envelopes hold it.
pub(crate) fn read_id(packed: &[u8]) -> Result<EventId, StoreError> {
    let text = match packed {
        [MADE, number @ ..] => {
            let number: [u8; 16] = number.try_into().map_err(StoreError::damaged)?;
            format!("{MADE_PREFIX}{:032x}", u128::from_be_bytes(number))
        }
        text => String::from_utf8(text.to_vec()).map_err(StoreError::damaged)?,
    };
    text.parse().map_err(StoreError::damaged)
}

/// The bytes compressed, if that spares an eighth of them.
fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    if !(WORTH_A_TRY..LONGEST).contains(&bytes.len()) {
        return None;
    }
    Some(lz4_flex::block::compress(bytes)).filter(|smaller| smaller.len() + bytes.len() / 8 < bytes.len())
}

/// Packs an event. None: a part is longer than its length can say.
pub(crate) fn pack(
    event: &Event,
    tenant_number: u32,
    endpoints: &[EndpointId],
    nonce: Nonce,
) -> Option<Vec<u8>> {
    let (id, topic, bytes) = (pack_id(&event.id), event.topic.as_str(), event.payload.bytes());
    let smaller = compressed(bytes);
    let mut packed = Vec::with_capacity(24 + id.len() + 16 * endpoints.len() + topic.len() + bytes.len());
    packed.extend(u16::try_from(endpoints.len()).ok()?.to_be_bytes());
    packed.extend(&millis(event.accepted_at).to_be_bytes()[2..]);
    packed.extend(nonce);
    packed.extend(tenant_number.to_be_bytes());
    packed.push(u8::try_from(id.len()).ok()?);
    packed.extend(id);
    for endpoint in endpoints {
        packed.extend(endpoint.uuid().as_bytes());
    }
    packed.push(u8::try_from(topic.len()).ok()?);
    packed.extend(topic.as_bytes());
    let content_type = event.payload.content_type();
    let raw = if content_type.is_some() { RAW } else { 0 };
    let options = if event.options == EventOptions::default() { 0 } else { OPTIONS };
    packed.push(raw | options | if smaller.is_some() { COMPRESSED } else { 0 });
    if options != 0 {
        let options = pack_options(&event.options)?;
        packed.extend(&millis(event.due_at()).to_be_bytes()[2..]);
        packed.extend(u32::try_from(options.len()).ok()?.to_be_bytes());
        packed.extend(options);
    }
    if let Some(content_type) = content_type {
        packed.extend(u16::try_from(content_type.len()).ok()?.to_be_bytes());
        packed.extend(content_type.as_bytes());
    }
    match smaller {
        None => packed.extend(bytes),
        Some(smaller) => {
            packed.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
            packed.extend(smaller);
        }
    }
    Some(packed)
}

/// Reads an event of a tenant.
///
/// # Errors
/// [`StoreError::Damaged`].
pub(crate) fn read(packed: Bytes, tenant: &TenantId) -> Result<Envelope, StoreError> {
    let damaged = || StoreError::damaged("an event's envelope ends too early");
    let mut rest = packed;
    let mut take = |count: usize| (rest.len() >= count).then(|| rest.split_to(count)).ok_or_else(damaged);
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(StoreError::damaged);

    let count = number(&take(2)?) as usize;
    let accepted_at = Timestamp::from_millisecond(number(&take(6)?) as i64).map_err(StoreError::damaged)?;
    let mut nonce = Nonce::default();
    nonce.copy_from_slice(&take(6)?);
    take(4)?;
    let length = number(&take(1)?) as usize;
    let id = read_id(&take(length)?)?;
    let endpoints = (0..count)
        .map(|_| Ok(EndpointId::from_uuid(uuid(&take(16)?).map_err(StoreError::damaged)?)))
        .collect::<Result<Vec<_>, StoreError>>()?;
    let length = number(&take(1)?) as usize;
    let topic = text(&take(length)?)?.parse().map_err(StoreError::damaged)?;
    let kind = take(1)?[0];
    if kind & !(RAW | COMPRESSED | OPTIONS | SENT) != 0 {
        return Err(StoreError::damaged(format!("a payload of kind {kind}")));
    }
    let matched = if kind & SENT == 0 { count } else { number(&take(2)?) as usize };
    let options = if kind & OPTIONS == 0 {
        EventOptions::default()
    } else {
        take(6)?;
        let length = number(&take(4)?) as usize;
        read_options(&take(length)?)?
    };
    let content_type = if kind & RAW == 0 {
        None
    } else {
        let length = number(&take(2)?) as usize;
        Some(text(&take(length)?)?)
    };
    let length = if kind & COMPRESSED == 0 { None } else { Some(number(&take(4)?) as usize) };
    let bytes = match length {
        None => rest,
        Some(length) if length < LONGEST => {
            let bytes = lz4_flex::block::decompress(&rest, length).map_err(StoreError::damaged)?;
            if bytes.len() != length {
                return Err(damaged());
            }
            bytes.into()
        }
        Some(length) => return Err(StoreError::damaged(format!("a payload of {length} bytes"))),
    };
    let payload = Payload::from_parts(content_type, bytes);
    let event = Event { tenant: tenant.clone(), id, topic, payload, accepted_at, options };
    let record = EventRecord { event, deliveries: count as u32 };
    Ok(Envelope { nonce, endpoints, matched: matched as u32, record })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is packed reads back as it was; answers with how many bytes it took.
    #[track_caller]
    fn check(id: &str, payload: Payload) -> usize {
        check_with(id, payload, EventOptions::default())
    }

    #[track_caller]
    fn check_with(id: &str, payload: Payload, options: EventOptions) -> usize {
        let tenant = TenantId::default_tenant();
        let event = Event {
            tenant: tenant.clone(),
            id: id.parse().unwrap(),
            topic: "order.paid".parse().unwrap(),
            payload,
            accepted_at: Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
            options,
        };
        let endpoints =
            [EndpointId::mint(event.accepted_at, [7; 10]), EndpointId::mint(event.accepted_at, [8; 10])];
        let packed = pack(&event, 9, &endpoints, [1, 2, 3, 4, 5, 6]).unwrap();
        let size = packed.len();
        let read = read(packed.into(), &tenant).unwrap();
        assert_eq!((read.record.event, read.record.deliveries), (event, 2));
        assert_eq!((&read.endpoints[..], read.nonce), (&endpoints[..], [1, 2, 3, 4, 5, 6]));
        size
    }

    #[test]
    fn what_is_packed_reads_back() {
        let long = Bytes::from(br#"{"item": "a", "price": 10.50}, "#.repeat(40));
        let noise: Vec<u8> =
            (0_u64..4_000).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        let made = "evt_0123456789abcdef0123456789abcdef";
        check("order-17", Payload::Data(Bytes::from_static(b"1")));
        check("e", Payload::Data(Bytes::new()));
        assert!(check("e", Payload::Data(long.clone())) < long.len() / 2);
        check(made, Payload::Raw { content_type: "text/xml".into(), body: long });
        check(made, Payload::Raw { content_type: String::new(), body: noise.into() });
    }

    #[test]
    fn what_was_asked_for_reads_back() {
        let at = |ms| Some(Timestamp::from_millisecond(ms).unwrap());
        let data = || Payload::Data(Bytes::from_static(b"1"));
        let metadata = BTreeMap::from([("shop".into(), "\u{1f6d2} \"7\"".into())]);
        let nothing = EventOptions::default();
        let plain = check("e", data());
        for options in [
            EventOptions { metadata, ..nothing.clone() },
            EventOptions { deliver_at: at(1_700_000_001_000), ..nothing.clone() },
            EventOptions { deliver_at: at(1_600_000_000_000), ..nothing.clone() },
            EventOptions { retention: Some(Period::from_secs(86_400)), ..nothing.clone() },
            EventOptions { test: true, ..nothing.clone() },
        ] {
            assert!(check_with("e", data(), options) > plain);
        }
    }

    #[test]
    fn an_id_keeps_its_spelling() {
        let made = "evt_0123456789abcdef0123456789abcdef";
        assert_eq!(pack_id(&made.parse().unwrap()).len(), 17);
        for id in
            [made, "evt_0123456789ABCDEF0123456789abcdef", "evt_+123456789abcdef0123456789abcdef", "evt_1"]
        {
            let Ok(id) = id.parse::<EventId>() else { continue };
            assert_eq!(read_id(&pack_id(&id)).unwrap(), id);
        }
    }

    #[test]
    fn what_is_cut_is_refused() {
        let tenant = TenantId::default_tenant();
        let event = Event {
            tenant: tenant.clone(),
            id: "e".parse().unwrap(),
            topic: "t".parse().unwrap(),
            payload: Payload::Data(Bytes::from("x".repeat(500))),
            accepted_at: Timestamp::UNIX_EPOCH,
            options: EventOptions { test: true, ..EventOptions::default() },
        };
        let packed = pack(&event, 1, &[], [0; 6]).unwrap();
        for length in 0..packed.len() {
            assert!(read(Bytes::copy_from_slice(&packed[..length]), &tenant).is_err(), "{length}");
        }
    }
}
