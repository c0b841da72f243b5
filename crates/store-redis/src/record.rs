//! What became of an event's deliveries, as their record holds it; `lua/common/record.lua` writes it.

use std::time::Duration;

use bytes::Bytes;
use posthaste_model::{
    Attempt, AttemptId, DeliveryReason, DeliveryState, ErrorClass, Outcome, Reply, SentRequest, Timestamp,
    Timings,
};
use posthaste_store::StoreError;

use crate::layout::{millis, uuid};

const HEADER: usize = 10;
const SLOT: usize = 14;
/// A length of time that there was none of.
const NEVER: u64 = (1 << 48) - 1;
/// The bit of an attempt's status that says that somebody asked for it.
const MANUAL: u16 = 1 << 15;
/// The bit that says that more is known of it than of the first attempts that stores recorded.
const MORE: u16 = 1 << 14;
/// The bits that say what: how long the steps to a connection took, and what was sent.
const DNS: u8 = 1;
const CONNECT: u8 = 2;
const TLS: u8 = 4;
const SENT: u8 = 8;

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
    record.get(from..from + SLOT).map_or_else(|| Ok(Slot::default()), read_slot)
}

/// Reads a slot.
pub(crate) fn read_slot(bytes: &[u8]) -> Result<Slot> {
    let Some(bytes) = bytes.get(..SLOT) else {
        return Err(StoreError::damaged("what became of a delivery ends too early"));
    };
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

/// Packs an attempt: `id:16 started:6 queued:6 first byte:6 total:6 status:2 [what:1 [dns:6] [connect:6] [tls:6]
/// [method:2+… url:4+… headers]]`, then of a reply `truncated:1 headers body`, and of a failure, whose status is 0, `class:1
/// detail`. Headers are `count:2 (name:2+… value:4+…)`. The first bit of the status says that the attempt is a manual one, the
/// second one that what stands in brackets follows.
pub(crate) fn pack_attempt(attempt: &Attempt) -> Vec<u8> {
    let mut packed = attempt.id.uuid().as_bytes().to_vec();
    packed.extend(pack_outcome(attempt));
    packed
}

/// The same without the id, for scripts that make ids themselves.
pub(crate) fn pack_outcome(attempt: &Attempt) -> Vec<u8> {
    let Attempt { manual, started_at, timings, request, outcome, .. } = attempt;
    let Timings { queued, dns, connect, tls, first_byte, total } = *timings;
    let mut packed = Vec::with_capacity(64);
    let mut six = |number: u64| packed.extend(&number.min(NEVER).to_be_bytes()[2..]);
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(NEVER - 1);
    six(millis(*started_at) as u64);
    six(micros(queued));
    six(first_byte.map_or(NEVER, micros));
    six(micros(total));
    let steps = [(DNS, dns), (CONNECT, connect), (TLS, tls)];
    let known = steps.iter().filter(|(_, time)| time.is_some()).fold(0, |known, (bit, _)| known | bit);
    let known = known | if request.is_some() { SENT } else { 0 };
    let more = if known == 0 { 0 } else { MORE };
    packed.extend((outcome.status().unwrap_or(0) | if *manual { MANUAL } else { 0 } | more).to_be_bytes());
    if known != 0 {
        packed.push(known);
        for time in steps.into_iter().filter_map(|(_, time)| time) {
            packed.extend(&micros(time).to_be_bytes()[2..]);
        }
    }
    if let Some(request) = request {
        push_short(&mut packed, &request.method);
        push_long(&mut packed, &request.url);
        push_headers(&mut packed, &request.headers);
    }
    match outcome {
        Outcome::Failed { class, detail } => {
            packed.push(error_code(Some(*class)));
            packed.extend(detail.as_bytes());
        }
        Outcome::Replied(Reply { headers, body, truncated, .. }) => {
            packed.push(u8::from(*truncated));
            push_headers(&mut packed, headers);
            packed.extend(body);
        }
    }
    packed
}

/// Appends a text of less than 64 KiB; what is longer is cut.
fn push_short(packed: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    packed.extend((text.len() as u16).to_be_bytes());
    packed.extend(text.as_bytes());
}

/// Appends a text of any length.
fn push_long(packed: &mut Vec<u8>, text: &str) {
    packed.extend((text.len() as u32).to_be_bytes());
    packed.extend(text.as_bytes());
}

fn push_headers(packed: &mut Vec<u8>, headers: &[(String, String)]) {
    let count = u16::try_from(headers.len()).unwrap_or(u16::MAX);
    packed.extend(count.to_be_bytes());
    for (name, value) in headers.iter().take(usize::from(count)) {
        push_short(packed, name);
        push_long(packed, value);
    }
}

/// Takes what was packed from its front.
struct Unpacking(Bytes);

impl Unpacking {
    fn take(&mut self, count: usize) -> Result<Bytes> {
        let cut = || StoreError::damaged("an attempt ends too early");
        (self.0.len() >= count).then(|| self.0.split_to(count)).ok_or_else(cut)
    }

    fn number(&mut self, bytes: usize) -> Result<u64> {
        Ok(number(&self.take(bytes)?))
    }

    fn micros(&mut self) -> Result<Duration> {
        self.number(6).map(Duration::from_micros)
    }

    /// A text with its length of so many bytes before it.
    fn text(&mut self, of_length: usize) -> Result<String> {
        let length = self.number(of_length)? as usize;
        String::from_utf8(self.take(length)?.to_vec()).map_err(StoreError::damaged)
    }

    fn headers(&mut self) -> Result<Vec<(String, String)>> {
        let count = self.number(2)?;
        (0..count).map(|_| Ok((self.text(2)?, self.text(4)?))).collect()
    }
}

fn read_attempt(packed: Bytes, attempt_number: u32) -> Result<Attempt> {
    let mut rest = Unpacking(packed);
    let id = AttemptId::from_uuid(uuid(&rest.take(16)?).map_err(StoreError::damaged)?);
    let started_at = time(&rest.take(6)?)?;
    let queued = rest.micros()?;
    let first_byte = Some(rest.number(6)?).filter(|micros| *micros != NEVER).map(Duration::from_micros);
    let total = rest.micros()?;
    let bits = rest.number(2)? as u16;
    let (manual, status) = (bits & MANUAL != 0, bits & !(MANUAL | MORE));
    let known = if bits & MORE != 0 { rest.take(1)?[0] } else { 0 };
    let mut step = |bit| (known & bit != 0).then(|| rest.micros()).transpose();
    let (dns, connect, tls) = (step(DNS)?, step(CONNECT)?, step(TLS)?);
    let request = if known & SENT != 0 {
        let (method, url) = (rest.text(2)?, rest.text(4)?);
        Some(Box::new(SentRequest { method, url, headers: rest.headers()? }))
    } else {
        None
    };
    let code = rest.take(1)?[0];
    let outcome = if status == 0 {
        let class = error_class(code)?.ok_or_else(|| StoreError::damaged("a failure of no class"))?;
        let detail = String::from_utf8(rest.0.to_vec()).map_err(StoreError::damaged)?;
        Outcome::Failed { class, detail }
    } else {
        let headers = rest.headers()?;
        Outcome::Replied(Reply { status, headers, body: rest.0, truncated: code != 0 })
    };
    let timings = Timings { queued, dns, connect, tls, first_byte, total };
    Ok(Attempt { id, number: attempt_number, manual, started_at, timings, request, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of which everything is known.
    fn attempt() -> Attempt {
        let headers = vec![("content-type".into(), "application/json".into()), ("x".into(), String::new())];
        Attempt {
            id: AttemptId::mint(Timestamp::UNIX_EPOCH, [7; 10]),
            number: 1,
            manual: true,
            started_at: Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
            timings: Timings {
                queued: Duration::from_micros(1),
                dns: Some(Duration::from_micros(2)),
                connect: Some(Duration::ZERO),
                tls: Some(Duration::from_secs(86_400)),
                first_byte: None,
                total: Duration::from_micros(5),
            },
            request: Some(Box::new(SentRequest {
                method: "POST".into(),
                url: "https://receiver.example/ü".into(),
                headers: headers.clone(),
            })),
            outcome: Outcome::Replied(Reply {
                status: 503,
                headers,
                body: Bytes::from_static(b"busy"),
                truncated: true,
            }),
        }
    }

    #[test]
    fn whatever_is_known_of_an_attempt_reads_back() {
        let full = attempt();
        let failed = Outcome::Failed { class: ErrorClass::Tls, detail: "the certificate is too old".into() };
        for known in 0..16_u8 {
            for outcome in [full.outcome.clone(), failed.clone()] {
                let mut one = Attempt { manual: known == 3, outcome, ..full.clone() };
                let timings = &mut one.timings;
                let steps =
                    [(DNS, &mut timings.dns), (CONNECT, &mut timings.connect), (TLS, &mut timings.tls)];
                steps.into_iter().filter(|(bit, _)| known & bit == 0).for_each(|(_, step)| *step = None);
                one.request = one.request.filter(|_| known & SENT != 0);
                assert_eq!(read_attempt(pack_attempt(&one).into(), 1).unwrap(), one);
            }
        }
    }

    /// As attempts were packed before more was known of them: id, started, queued, first byte, total, status, class, detail.
    #[test]
    fn an_attempt_of_an_older_store_is_read() {
        let mut packed = vec![7; 16];
        for number in [1_700_000_000_123_u64, 1, NEVER, 5] {
            packed.extend(&number.to_be_bytes()[2..]);
        }
        packed.extend(MANUAL.to_be_bytes());
        packed.push(error_code(Some(ErrorClass::Connect)));
        packed.extend(b"refused");
        let read = read_attempt(packed.clone().into(), 4).unwrap();
        assert_eq!((read.number, read.manual, read.request.is_none()), (4, true, true));
        assert_eq!(read.timings.total, Duration::from_micros(5));
        assert_eq!(read.outcome, Outcome::Failed { class: ErrorClass::Connect, detail: "refused".into() });
        // Nothing more is known of it: it takes no more room than it did.
        assert_eq!(pack_attempt(&read), packed);
    }

    #[test]
    fn what_is_cut_is_refused() {
        let packed = pack_attempt(&attempt());
        // What is behind the headers is the body.
        for length in 0..packed.len() - b"busy".len() {
            assert!(read_attempt(Bytes::copy_from_slice(&packed[..length]), 1).is_err(), "{length}");
        }
    }
}
