//! Finding out what is wrong with a request that does not verify.

mod mistakes;
mod rewriting;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::format::Format;
use crate::scheme::Scheme;
use crate::template::{Template, Variable};
use crate::verify::{CheckKeys, Reading, check_keys};
use crate::{Credential, KeyError, Profile, Received, VerifyError};
use mistakes::Case;

/// A part of a signed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The message's id.
    Id,
    /// The time of the attempt.
    Timestamp,
    /// The body.
    Body,
    /// The request's URL, where that is signed.
    Url,
    /// The secret or public key.
    Key,
    /// The format: the profile, its headers, how signatures are written.
    Format,
}

/// What is wrong with a request. Never tells anything of the secret, nor what the right signature would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The part that is wrong. Several where the request alone does not tell, the likeliest first.
    pub suspects: Vec<Part>,
    /// What is wrong, for people.
    pub message: String,
}

impl Diagnosis {
    fn new(part: Part, message: impl Into<String>) -> Self {
        Self { suspects: vec![part], message: message.into() }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnosis {}

/// Verifies a request as [`Verifier::verify`](crate::Verifier::verify) does, and finds out what is wrong if it does not
/// verify: by trying the usual mistakes until one of them makes the signature fit.
///
/// This is for people who look for a mistake. It takes its time, and is not for deciding whether to trust a request.
///
/// # Errors
///
/// [`Diagnosis`], the first that fits.
pub fn diagnose<'r>(
    profile: &Profile,
    credentials: &[Credential],
    header: impl Fn(&str) -> Option<&'r str>,
    received: &Received<'r>,
    now: i64,
    tolerance: Duration,
) -> Result<(), Diagnosis> {
    let format = profile.format();
    let keys = check_keys(format, credentials);
    let reading = Reading::of(format, &header, received);
    let verified = match (&keys, &reading) {
        (Ok(keys), Ok(reading)) => reading.check_signature(format, keys),
        (_, Err(error)) => Err(error.clone()),
        (Err(_), Ok(_)) => Err(VerifyError::NoMatch),
    };
    let Err(error) = verified else {
        return reading
            .map_err(|error| unreadable(format, &error))
            .and_then(|reading| timely(format, &reading, now, tolerance));
    };
    if let Some(other) = other_preset(profile, credentials, &header, received) {
        let message =
            format!("the request is signed in another format: it verifies as the profile '{other}'");
        return Err(Diagnosis::new(Part::Format, message));
    }
    let keys = keys.map_err(|error| unusable(&error))?;
    let reading = reading.map_err(|error| unreadable(format, &error))?;
    let case = Case { format, credentials, keys: &keys, reading: &reading, header: &header, received };
    Err(case.mistake().unwrap_or_else(|| match (error, reading.check_age(format, now, tolerance)) {
        (error @ VerifyError::NoSignature { .. }, _) => unreadable(format, &error),
        (_, Err(error @ VerifyError::MalformedTimestamp { .. })) => unreadable(format, &error),
        _ => unexplained(&case),
    }))
}

fn unusable(error: &KeyError) -> Diagnosis {
    Diagnosis::new(Part::Key, format!("the secret is of the wrong kind: {error}"))
}

/// A header that is missing or does not look as it should: which part it carries says what is wrong.
fn unreadable(format: &Format, error: &VerifyError) -> Diagnosis {
    let carried = |name: &str| {
        let header = format.headers.iter().find(|header| header.name == name);
        let has = |variable| header.is_some_and(|header| header.value.has(variable));
        if has(format.signature_variable()) {
            Part::Format
        } else if has(Variable::Id) {
            Part::Id
        } else if Variable::TIMES.iter().any(|time| has(*time)) {
            Part::Timestamp
        } else {
            Part::Format
        }
    };
    let part = match error {
        VerifyError::MissingHeader(header)
        | VerifyError::MalformedHeader { header, .. }
        | VerifyError::Contradictory { header } => carried(header),
        VerifyError::AmbiguousId => Part::Id,
        VerifyError::MalformedTimestamp { .. } | VerifyError::TooOld { .. } | VerifyError::TooNew { .. } => {
            Part::Timestamp
        }
        VerifyError::NoSignature { .. } | VerifyError::NoMatch => Part::Format,
    };
    let message = match error {
        VerifyError::NoSignature { header } => {
            let forms: Vec<String> = format.schemes.iter().map(Scheme::form).collect();
            format!("the header {header} holds no signature of the form {}", forms.join(" or "))
        }
        error => error.to_string(),
    };
    Diagnosis::new(part, message)
}

/// The signature fits; is its time near enough?
fn timely(format: &Format, reading: &Reading<'_>, now: i64, tolerance: Duration) -> Result<(), Diagnosis> {
    let Err(error) = reading.check_age(format, now, tolerance) else { return Ok(()) };
    // Seconds of this size lie in the year 5138, milliseconds in 1973.
    let in_millis = format.signed.has(Variable::Seconds)
        && reading.values.text(Variable::Seconds).parse().is_ok_and(|time: i64| time > 100_000_000_000);
    let message = if in_millis {
        "the signature fits, but its timestamp is in milliseconds where the format has seconds".to_owned()
    } else {
        format!("the signature fits, but {error}: more than {} s from now", tolerance.as_secs())
    };
    Err(Diagnosis::new(Part::Timestamp, message))
}

/// The preset as which a request verifies, but for its time.
fn other_preset<'r>(
    profile: &Profile,
    credentials: &[Credential],
    header: &impl Fn(&str) -> Option<&'r str>,
    received: &Received<'r>,
) -> Option<&'static str> {
    Profile::names().filter(|name| *name != profile.name()).find(|name| {
        let Ok(other) = Profile::named(name) else { return false };
        let Ok(keys) = check_keys(other.format(), credentials) else { return false };
        let Ok(reading) = Reading::of(other.format(), header, received) else { return false };
        reading.check_signature(other.format(), &keys).is_ok()
    })
}

/// No mistake that is known makes the signature fit.
fn unexplained(case: &Case<'_, '_>) -> Diagnosis {
    let Received { body, .. } = case.received;
    let length = (case.header)("content-length").and_then(|length| length.trim().parse::<usize>().ok());
    if let Some(length) = length.filter(|length| *length != body.len()) {
        let message = format!(
            "no signature matches, and the body is not the one that was sent: it has {} bytes, Content-Length says {length}",
            body.len()
        );
        return Diagnosis::new(Part::Body, message);
    }
    if is_damaged_json(body) {
        let message =
            "no signature matches, and the body begins as JSON but is none: it was cut off or changed";
        return Diagnosis::new(Part::Body, message);
    }
    let mut suspects = vec![Part::Key, Part::Body];
    let signed = &case.format.signed;
    let mut others = Vec::new();
    for (part, name, variables) in [
        (Part::Id, "id", &[Variable::Id][..]),
        (Part::Timestamp, "timestamp", Variable::TIMES),
        (Part::Url, "URL", &[Variable::Url]),
    ] {
        if variables.iter().any(|variable| signed.has(*variable)) {
            suspects.push(part);
            others.push(name);
        }
    }
    let others = if others.is_empty() { String::new() } else { format!(" (or {})", others.join(", ")) };
    let message = format!(
        "no signature matches, and no usual mistake explains it: either another secret signed the request, or its \
         body{others} is not what was signed"
    );
    Diagnosis { suspects, message }
}

fn is_damaged_json(body: &[u8]) -> bool {
    let begins = body.trim_ascii_start().first().is_some_and(|first| b"{[".contains(first));
    begins && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err()
}

/// The headers in which the presets tell a variable, and nothing else: where to look for another value of it.
fn usual_headers(variables: &[Variable]) -> Vec<String> {
    let mut names = Vec::new();
    for preset in Profile::names().filter_map(|name| Profile::named(name).ok()) {
        let tells = |value: &Template| {
            value.parts().len() == 1 && variables.iter().any(|variable| value.has(*variable))
        };
        let headers = preset.format().headers.iter().filter(|header| tells(&header.value));
        names.extend(headers.map(|header| header.lower_case.clone()));
    }
    names
}
