//! What became of an event's deliveries, as their record holds it; `lua/common/record.lua` writes it.

use std::time::Duration;

use bytes::Bytes;
use posthaste_model::{
    Attempt, AttemptId, DeliveryReason, DeliveryState, ErrorClass, Outcome, Reply, Timestamp, Timings,
};
use posthaste_store::StoreError;

use crate::layout::{millis, uuid};

const HEADER: usize = 10;
const SLOT: usize = 14;
/// A length of time that there was none of.
const NEVER: u64 = (1 << 48) - 1;
/// The bit of an attempt's status that says that somebody asked for it.
const MANUAL: u16 = 1 << 15;

/// A final state, and why a delivery came to it.
pub(crate) type End = (DeliveryState, Option<DeliveryReason>);

/// What is recorded of a delivery.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// None: it is not final.
    pub(crate) end: Option<(End, Timestamp)>,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) last_status: Option<u16>,
    pub(crate) last_error: Option<ErrorClass>,
}

type Result<T> = std::result::Result<T, StoreError>;

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn time(bytes: &[u8]) -> Result<Timestamp> {
    Timestamp::from_millisecond(number(bytes) as i64).map_err(StoreError::damaged)
}

/// The code of an error class: its place in [`ErrorClass::ALL`], to which new ones are only appended, from 1.
pub(crate) fn error_code(class: Option<ErrorClass>) -> u8 {
    class.map_or(0, |class| class as u8 + 1)
}

fn error_class(code: u8) -> Result<Option<ErrorClass>> {
    let Some(place) = code.checked_sub(1) else { return Ok(None) };
    let class = ErrorClass::ALL.get(usize::from(place)).copied();
    class.map(Some).ok_or_else(|| StoreError::damaged(format!("error class {code}")))
}

/// The end that a code stands for, as scripts have it.
pub(crate) fn end(code: u8) -> Result<End> {
    Ok(match code {
        1 => (DeliveryState::Delivered, None),
        2 => (DeliveryState::Exhausted, None),
        3 => (DeliveryState::Skipped, Some(DeliveryReason::EndpointDisabled)),
        4 => (DeliveryState::Cancelled, Some(DeliveryReason::EndpointDeleted)),
        5 => (DeliveryState::Cancelled, Some(DeliveryReason::Operator)),
        other => return Err(StoreError::damaged(format!("delivery state {other}"))),
    })
}

/// Reads the slot of the `n`-th delivery; one that was never written is empty.
pub(crate) fn slot(record: &[u8], n: u16) -> Result<Slot> {
    let from = HEADER + SLOT * usize::from(n);
    let Some(bytes) = record.get(from..from + SLOT) else { return Ok(Slot::default()) };
    let end = match bytes[0] {
        0 => None,
        code => Some(end(code)?),
    };
    let status = number(&bytes[2..4]) as u16;
    Ok(Slot {
        end: end.map(|end| Ok::<_, StoreError>((end, time(&bytes[8..14])?))).transpose()?,
        attempts: number(&bytes[4..6]) as u32,
        failures: number(&bytes[6..8]) as u32,
        last_status: (status != 0).then_some(status),
        last_error: error_class(bytes[1])?,
    })
}

/// Reads the attempts of the `n`-th of `count` deliveries, numbered in the order in which they were recorded.
pub(crate) fn attempts(record: &Bytes, n: u16, count: u32) -> Result<Vec<Attempt>> {
    let mut rest = record.slice((HEADER + SLOT * count as usize).min(record.len())..);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let cut = || StoreError::damaged("a record ends within an attempt");
        let (of, length) = (rest.get(..2).ok_or_else(cut)?, rest.get(2..6).ok_or_else(cut)?);
        let (of, length) = (number(of), number(length) as usize);
        if rest.len() < 6 + length {
            return Err(cut());
        }
        let frame = rest.split_to(6 + length).slice(6..);
        if of == u64::from(n) {
            found.push(read_attempt(frame, found.len() as u32 + 1)?);
        }
    }
    Ok(found)
}

/// Packs an attempt: `id:16 started:6 queued:6 first byte:6 total:6 status:2`, then of a reply
/// `truncated:1 headers:2 (name:2+… value:4+…) body`, and of a failure, whose status is 0, `class:1 detail`. The first bit
/// of the status says that the attempt is a manual one.
pub(crate) fn pack_attempt(attempt: &Attempt) -> Vec<u8> {
    let mut packed = attempt.id.uuid().as_bytes().to_vec();
    packed.extend(pack_outcome(attempt));
    packed
}

/// The same without the id, for scripts that make ids themselves.
pub(crate) fn pack_outcome(attempt: &Attempt) -> Vec<u8> {
    let Attempt { manual, started_at, timings, outcome, .. } = attempt;
    let mut packed = Vec::with_capacity(64);
    let mut six = |number: u64| packed.extend(&number.min(NEVER).to_be_bytes()[2..]);
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(NEVER - 1);
    six(millis(*started_at) as u64);
    six(micros(timings.queued));
    six(timings.first_byte.map_or(NEVER, micros));
    six(micros(timings.total));
    packed.extend((outcome.status().unwrap_or(0) | if *manual { MANUAL } else { 0 }).to_be_bytes());
    match outcome {
        Outcome::Failed { class, detail } => {
            packed.push(error_code(Some(*class)));
            packed.extend(detail.as_bytes());
        }
        Outcome::Replied(Reply { headers, body, truncated, .. }) => {
            packed.push(u8::from(*truncated));
            packed.extend((headers.len().min(usize::from(u16::MAX)) as u16).to_be_bytes());
            for (name, value) in headers.iter().take(usize::from(u16::MAX)) {
                packed.extend((name.len() as u16).to_be_bytes());
                packed.extend(&name.as_bytes()[..usize::from(name.len() as u16)]);
                packed.extend((value.len() as u32).to_be_bytes());
                packed.extend(value.as_bytes());
            }
            packed.extend(body);
        }
    }
    packed
}

fn read_attempt(packed: Bytes, attempt_number: u32) -> Result<Attempt> {
    let mut rest = packed;
    let mut take = |count: usize| {
        let cut = || StoreError::damaged("an attempt ends too early");
        (rest.len() >= count).then(|| rest.split_to(count)).ok_or_else(cut)
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(StoreError::damaged);
    let id = AttemptId::from_uuid(uuid(&take(16)?).map_err(StoreError::damaged)?);
    let started_at = time(&take(6)?)?;
    let queued = Duration::from_micros(number(&take(6)?));
    let first_byte = Some(number(&take(6)?)).filter(|micros| *micros != NEVER).map(Duration::from_micros);
    let total = Duration::from_micros(number(&take(6)?));
    let bits = number(&take(2)?) as u16;
    let (manual, status) = (bits & MANUAL != 0, bits & !MANUAL);
    let code = take(1)?[0];
    let outcome = if status == 0 {
        let class = error_class(code)?.ok_or_else(|| StoreError::damaged("a failure of no class"))?;
        Outcome::Failed { class, detail: text(&rest)? }
    } else {
        let count = number(&take(2)?);
        let mut headers = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let length = number(&take(2)?) as usize;
            let name = text(&take(length)?)?;
            let length = number(&take(4)?) as usize;
            headers.push((name, text(&take(length)?)?));
        }
        Outcome::Replied(Reply { status, headers, body: rest, truncated: code != 0 })
    };
    let timings = Timings { queued, first_byte, total };
    Ok(Attempt { id, number: attempt_number, manual, started_at, timings, outcome })
}
