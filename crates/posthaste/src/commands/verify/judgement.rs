use std::time::Duration;

use jiff::Timestamp;
use posthaste_signing::{Credential, Diagnosis, Profile, Received, Verifier, VerifyError, diagnose};

use super::request::Request;

/// How old a request may be.
#[derive(Clone, Copy)]
pub(super) struct Age {
    pub(super) now: Timestamp,
    pub(super) tolerance: Duration,
    /// Whether one that is older fails.
    pub(super) strict: bool,
}

/// Judges a request as a receiver does, but for its age, unless that is asked for: what was captured is old by the time
/// somebody looks at it. From the future it never is, so that fails: a clock, or the spelling of the time, is wrong.
pub(super) fn judge(
    profile: &Profile,
    credentials: &[Credential],
    request: &Request,
    age: Age,
) -> Result<(), Diagnosis> {
    let header = |name: &str| request.header(name);
    let received = received(request);
    let now = age.now.as_second();
    let judged = diagnose(profile, credentials, header, &received, now, age.tolerance);
    let verified = Verifier::new(profile, credentials)
        .map(|verifier| verifier.verify(header, &received, now, age.tolerance));
    match verified {
        Ok(Err(VerifyError::TooOld { .. })) if !age.strict => {
            diagnose(profile, credentials, header, &received, now, Duration::MAX)
        }
        _ => judged,
    }
}

/// Which of the credentials made one of the signatures.
pub(super) fn matches(profile: &Profile, credential: &Credential, request: &Request) -> bool {
    let header = |name: &str| request.header(name);
    Verifier::new(profile, [credential])
        .is_ok_and(|verifier| verifier.verify(header, &received(request), 0, Duration::MAX).is_ok())
}

fn received(request: &Request) -> Received<'_> {
    Received { method: &request.method, url: &request.url, body: &request.body }
}
