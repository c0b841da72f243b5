//! Verifying.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use subtle::{Choice, ConstantTimeEq};

use crate::format::Format;
use crate::key::CheckKey;
use crate::message::Values;
use crate::template::Variable;
use crate::{Credential, KeyError, Profile, SecretKind};

/// How far a timestamp may lie from now, either way: five minutes, as in the reference libraries.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// A request as it was received, but for its headers.
#[derive(Debug, Clone, Copy)]
pub struct Received<'r> {
    /// The method. Only some custom profiles sign it.
    pub method: &'r str,
    /// The URL that the sender used, scheme and host included. Only some custom profiles sign it.
    pub url: &'r str,
    /// The body, byte for byte.
    pub body: &'r [u8],
}

/// Why a request is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header that the profile needs is absent.
    #[error("the header {0} is missing")]
    MissingHeader(String),
    /// A header does not look as the profile writes it.
    #[error("the header {header} is not of the form {form}")]
    MalformedHeader {
        /// Its name.
        header: String,
        /// The template that it should be made from.
        form: String,
    },
    /// Two headers say different things of the same.
    #[error("the header {header} contradicts another one")]
    Contradictory {
        /// The later one.
        header: String,
    },
    /// A full stop ends the id in what is signed, and there is one in it: it could be read in more than one way
    /// (Standard Webhooks 1.0.0, "Signature scheme").
    #[error("the id contains a full stop")]
    AmbiguousId,
    /// The timestamp is not one.
    #[error("the header {header} has no time where the profile has {expected}")]
    MalformedTimestamp {
        /// The header's name.
        header: String,
        /// The variable that stands there.
        expected: String,
    },
    /// The request was signed too long ago: a replay, or a clock that is off.
    #[error("the message was signed {seconds} s ago, which is too old")]
    TooOld {
        /// Its age in seconds.
        seconds: u64,
    },
    /// The request was signed too far in the future: a clock is off.
    #[error("the message was signed {seconds} s in the future, which is too new")]
    TooNew {
        /// Seconds from now to its timestamp.
        seconds: u64,
    },
    /// There is no signature that could be checked.
    #[error("the header {header} holds no signature that can be checked")]
    NoSignature {
        /// The header's name.
        header: String,
    },
    /// No signature fits any key: the request was altered or another secret signed it.
    #[error("no signature matches")]
    NoMatch,
}

/// A profile with what a subscriber was given to verify with.
pub struct Verifier {
    format: Arc<Format>,
    keys: CheckKeys,
}

/// Keys with the schemes whose signatures they check.
pub(crate) type CheckKeys = Vec<(usize, CheckKey)>;

impl Verifier {
    /// Makes a profile ready to verify: what any of the secrets or public keys signed is accepted.
    ///
    /// # Errors
    ///
    /// [`KeyError`] where the profile cannot use one of them, or there is none.
    pub fn new<'c>(
        profile: &Profile,
        credentials: impl IntoIterator<Item = &'c Credential>,
    ) -> Result<Self, KeyError> {
        let format = Arc::clone(profile.format());
        let keys = check_keys(&format, credentials)?;
        Ok(Self { format, keys })
    }

    /// Accepts a request that one of the secrets signed and whose timestamp is within `tolerance` of `now`.
    ///
    /// `header` looks a header up by its lower-case name, for instance
    /// `|name| request.headers().get(name)?.to_str().ok()`. `now` is in seconds since the Unix epoch; of `tolerance`,
    /// whole seconds count. Formats that sign no time have no such bound. Signatures of other versions than the
    /// profile's are skipped.
    ///
    /// # Errors
    ///
    /// [`VerifyError`] names the first part that is wrong.
    pub fn verify<'r>(
        &self,
        header: impl Fn(&str) -> Option<&'r str>,
        received: &Received<'r>,
        now: i64,
        tolerance: Duration,
    ) -> Result<(), VerifyError> {
        let reading = Reading::of(&self.format, header, received)?;
        reading.check_age(&self.format, now, tolerance)?;
        reading.check_signature(&self.format, &self.keys)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} keys, ..)", self.keys.len())
    }
}

/// The keys that check what a format sends. Each credential must be good for something.
pub(crate) fn check_keys<'c>(
    format: &Format,
    credentials: impl IntoIterator<Item = &'c Credential>,
) -> Result<CheckKeys, KeyError> {
    let mut keys = Vec::new();
    for credential in credentials {
        let kind = match credential {
            Credential::Secret(secret) => secret.kind(),
            Credential::PublicKey(_) => SecretKind::Ed25519,
        };
        format.algorithm_for(kind)?.check_key(credential)?;
        let schemes = format.schemes.iter().enumerate();
        keys.extend(
            schemes.filter_map(|(index, scheme)| Some((index, scheme.algorithm.check_key(credential).ok()?))),
        );
    }
    match format.schemes.first() {
        Some(scheme) if keys.is_empty() => Err(KeyError::Missing(scheme.algorithm.kind())),
        _ => Ok(keys),
    }
}

/// What the headers of a request tell.
pub(crate) struct Reading<'r> {
    pub(crate) values: Values<'r>,
    /// What stands for the signatures.
    pub(crate) signatures: &'r str,
}

impl<'r> Reading<'r> {
    /// Takes the headers apart that are needed to put together what was signed.
    pub(crate) fn of(
        format: &Format,
        header: impl Fn(&str) -> Option<&'r str>,
        received: &Received<'r>,
    ) -> Result<Self, VerifyError> {
        let mut values = Values::of_request(format, received.method, received.url, received.body);
        let mut told: Vec<(Variable, &str)> = Vec::new();
        let is_told = |variable: &Variable| Variable::TOLD.contains(variable) && format.signed.has(*variable);
        let is_signature = |variable: &Variable| *variable == format.signature_variable();
        let mut signatures = "";
        for here in &format.headers {
            if !here.value.variables().any(|variable| is_told(&variable) || is_signature(&variable)) {
                continue;
            }
            let value =
                header(&here.lower_case).ok_or_else(|| VerifyError::MissingHeader(here.name.clone()))?;
            let read = here.value.read(value).ok_or_else(|| VerifyError::MalformedHeader {
                header: here.name.clone(),
                form: here.value.to_string(),
            })?;
            for (variable, text) in read {
                if is_signature(&variable) {
                    signatures = text;
                } else if is_told(&variable) {
                    if told.iter().any(|(known, before)| *known == variable && *before != text) {
                        return Err(VerifyError::Contradictory { header: here.name.clone() });
                    }
                    told.push((variable, text));
                }
            }
        }
        for (variable, text) in told {
            values.set(variable, text);
        }
        if format.stops_the_id() && values.text(Variable::Id).contains('.') {
            return Err(VerifyError::AmbiguousId);
        }
        Ok(Self { values, signatures })
    }

    /// Whether the time that was signed is near enough. It is signed as it was written, so a second spelling of the same
    /// time does not pass.
    pub(crate) fn check_age(
        &self,
        format: &Format,
        now: i64,
        tolerance: Duration,
    ) -> Result<(), VerifyError> {
        for variable in Variable::TIMES.iter().filter(|time| format.signed.has(**time)) {
            let time = seconds(*variable, self.values.text(*variable)).ok_or_else(|| {
                VerifyError::MalformedTimestamp {
                    header: format.header_of(*variable).map(|header| header.name.clone()).unwrap_or_default(),
                    expected: variable.to_string(),
                }
            })?;
            check_age(time, now, tolerance)?;
        }
        Ok(())
    }

    /// Whether one of the signatures fits one of the keys.
    pub(crate) fn check_signature(&self, format: &Format, keys: &CheckKeys) -> Result<(), VerifyError> {
        let candidates = format.split(self.signatures);
        let can_be_checked = |candidate: &&str| {
            keys.iter().any(|(scheme, _)| format.schemes[*scheme].encoded(candidate).is_some())
        };
        if !candidates.iter().any(can_be_checked) {
            let header = format.header_of(format.signature_variable());
            return Err(VerifyError::NoSignature {
                header: header.map(|header| header.name.clone()).unwrap_or_default(),
            });
        }
        if fits(format, keys, &self.values, &candidates) { Ok(()) } else { Err(VerifyError::NoMatch) }
    }
}

/// Whether one of the signatures fits one of the keys. All are tried, so that the time tells nothing.
pub(crate) fn fits(format: &Format, keys: &CheckKeys, values: &Values<'_>, candidates: &[&str]) -> bool {
    let parts = values.parts(&format.signed);
    let mut matched = Choice::from(0);
    for (scheme, key) in keys {
        let scheme = &format.schemes[*scheme];
        let encoded = candidates.iter().filter_map(|candidate| scheme.encoded(candidate));
        match key {
            CheckKey::Hmac(key) => {
                // Compared as it is written, so that a second spelling of the same bytes does not pass.
                let mut expected = String::new();
                key.mac(&parts, |mac| scheme.encoding.write(mac, &mut expected));
                for encoded in encoded {
                    matched |= expected.as_bytes().ct_eq(encoded.as_bytes());
                }
            }
            CheckKey::Ed25519(_) => {
                for signature in encoded.filter_map(|encoded| scheme.encoding.read(encoded)) {
                    matched |= Choice::from(u8::from(key.fits(&parts, &signature)));
                }
            }
        }
    }
    matched.into()
}

/// The seconds since the Unix epoch that a text stands for.
fn seconds(variable: Variable, text: &str) -> Option<i64> {
    match variable {
        Variable::Millis => Some(text.parse::<i64>().ok()?.div_euclid(1_000)),
        Variable::Rfc3339 => Some(text.parse::<Timestamp>().ok()?.as_second()),
        _ => text.parse().ok(),
    }
}

pub(crate) fn check_age(timestamp: i64, now: i64, tolerance: Duration) -> Result<(), VerifyError> {
    let seconds = now.abs_diff(timestamp);
    if seconds <= tolerance.as_secs() {
        Ok(())
    } else if timestamp < now {
        Err(VerifyError::TooOld { seconds })
    } else {
        Err(VerifyError::TooNew { seconds })
    }
}
