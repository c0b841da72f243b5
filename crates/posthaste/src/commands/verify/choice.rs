use std::{fmt, fs, time::Duration};

use anyhow::Context as _;
use posthaste_signing::{Profile, Received, SecretKind, Verifier};
use serde_json::json;

use super::{credentials::Credentials, request::Request};

/// The profile that a request is judged by, and why that one.
pub(super) struct Choice {
    pub(super) profile: Profile,
    pub(super) reason: Reason,
}

/// Why a profile is the one.
pub(super) enum Reason {
    /// It is asked for.
    Given,
    /// A header is there that is its own.
    Recognised(String),
    /// No preset is recognised.
    Default,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("as given"),
            Self::Recognised(header) => write!(f, "recognised by the header {header}"),
            Self::Default => f.write_str("taken for want of a header of any preset; --profile names another"),
        }
    }
}

/// The profile that is asked for, or else the preset whose headers the request has.
pub(super) fn choose(
    given: Option<&str>,
    request: &Request,
    credentials: &Credentials,
) -> anyhow::Result<Choice> {
    match given {
        Some(text) => Ok(Choice { profile: read(text, credentials)?, reason: Reason::Given }),
        None => recognise(request, credentials),
    }
}

/// A profile by its name, as JSON, or in a file.
fn read(text: &str, credentials: &Credentials) -> anyhow::Result<Profile> {
    if let Some(file) = text.strip_prefix('@') {
        let json = fs::read_to_string(file).with_context(|| format!("--profile: {file} cannot be read"))?;
        return Profile::parse(&json).with_context(|| format!("--profile {file}"));
    }
    if text.trim_start().starts_with('{') {
        return Profile::parse(text).context("--profile");
    }
    preset(text, credentials).context("--profile")
}

/// A preset in the versions that the credentials are for, if it has any.
fn preset(name: &str, credentials: &Credentials) -> anyhow::Result<Profile> {
    let profile = Profile::named(name)?;
    let kinds = [(SecretKind::Shared, "v1"), (SecretKind::Ed25519, "v1a")];
    let versions: Vec<&str> =
        kinds.iter().filter(|(kind, _)| credentials.have(*kind)).map(|(_, version)| *version).collect();
    let json = json!({ "profile": name, "versions": versions });
    // Most presets have no versions.
    Ok(Profile::parse(&json.to_string()).unwrap_or(profile))
}

fn recognise(request: &Request, credentials: &Credentials) -> anyhow::Result<Choice> {
    let mut signed = Vec::new();
    let mut told = None;
    for name in Profile::names() {
        let profile = preset(name, credentials)?;
        let signatures = profile.placement().signatures.to_owned();
        let own = profile.header_names().find(|header| request.header(header).is_some()).map(str::to_owned);
        if request.header(&signatures).is_some() {
            signed.push(Choice { profile, reason: Reason::Recognised(signatures) });
        } else if let (Some(header), None) = (own, &told) {
            told = Some(Choice { profile, reason: Reason::Recognised(header) });
        }
    }
    // A sender may sign in several ways at once: the one that fits speaks for it.
    let fits = signed.iter().position(|choice| fits(&choice.profile, request, credentials));
    if !signed.is_empty() {
        return Ok(signed.swap_remove(fits.unwrap_or(0)));
    }
    match told {
        Some(choice) => Ok(choice),
        None => Ok(Choice { profile: preset("standard", credentials)?, reason: Reason::Default }),
    }
}

fn fits(profile: &Profile, request: &Request, credentials: &Credentials) -> bool {
    let Request { method, url, body, .. } = request;
    let received = Received { method, url, body };
    let header = |name: &str| request.header(name);
    Verifier::new(profile, &credentials.all)
        .is_ok_and(|verifier| verifier.verify(header, &received, 0, Duration::MAX).is_ok())
}
