//! The request of an attempt.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use posthaste_egress::{Method, Request};
use posthaste_model::{BodyFormat, Event, HandshakeKind, Timestamp};
use posthaste_signing::{Message, SignError};
use posthaste_store::Lease;

use crate::{WireSettings, body::Body, handshake, target::Target};

/// What a value from outside has to be rid of to be that of a header: all but visible ASCII, and the percent sign that
/// tells of it. Spaces would be lost at either end.
const NOT_IN_A_HEADER: &AsciiSet = &CONTROLS.add(b'%').add(b' ');

/// How many bytes of metadata go into headers, names and values: many receivers take no more than 8 KiB of headers in all.
/// What is beyond that is left out.
const MOST_METADATA: usize = 2_048;

/// Makes the request of an attempt, and signs it: the id stays from one attempt to the next, the timestamp moves.
///
/// Where headers have the same name, what the service says of the event comes before what the endpoint asked for, and the
/// signature before both.
///
/// # Errors
/// When the event cannot be signed in the endpoint's format.
pub(crate) fn request(
    lease: &Lease,
    target: &Target,
    started_at: Timestamp,
    settings: &WireSettings,
) -> Result<Request, SignError> {
    let event = &*lease.event;
    let format = match handshake::asked(lease) {
        None => target.format,
        Some(HandshakeKind::CloudEvents) => return Ok(handshake::consent(lease, target, settings)),
        // Whatever events look like: who is to answer it must be able to rely on what it is.
        Some(HandshakeKind::Echo | HandshakeKind::Hmac) => BodyFormat::Raw,
    };
    let Body { content_type, bytes: body, headers: about } = Body::new(event, format, &settings.source);
    let mut headers = target.headers.clone();
    // All are made of what a header may hold, but for the names of metadata: those that no header can have are left out.
    let mut set = |name: Result<HeaderName, _>, value: &str| {
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    };
    if target.metadata_headers {
        let mut room = MOST_METADATA;
        for (key, value) in &event.options.metadata {
            let value = utf8_percent_encode(value, NOT_IN_A_HEADER).to_string();
            let Some(left) = room.checked_sub(key.len() + value.len()) else { continue };
            room = left;
            let name = format!("{}-Metadata-{key}", settings.header_prefix);
            set(HeaderName::try_from(name), &value);
        }
    }
    let [topic, attempt] = &target.own_names;
    set(Ok(topic.clone()), event.topic.as_str());
    set(Ok(attempt.clone()), &lease.attempt.to_string());
    set(Ok(CONTENT_TYPE), &content_type);
    headers.extend(about);
    sign(event, target, started_at, &body, &mut headers)?;
    let request = Request::post(target.url.clone(), body, target.timeout);
    Ok(Request { method: target.method, headers, identity: target.identity.clone(), ..request })
}

fn sign(
    event: &Event,
    target: &Target,
    at: Timestamp,
    body: &[u8],
    headers: &mut HeaderMap,
) -> Result<(), SignError> {
    let message = Message {
        id: event.id.as_str(),
        topic: event.topic.as_str(),
        time_ms: at.as_millisecond(),
        method: match target.method {
            Method::Put => "PUT",
            Method::Post | Method::Options => "POST",
        },
        url: target.url.as_str(),
        body,
    };
    for (name, (_, value)) in target.signature_names.iter().zip(target.signer.headers(&message)?) {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    Ok(())
}
