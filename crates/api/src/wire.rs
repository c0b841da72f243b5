//! How an endpoint's requests are made, as callers say and see it, but for how they are signed (`signature`, `secrets`).

mod auth;
mod headers;
mod origin;
mod secret_field;
mod tls;
mod word;

use posthaste_model::{BodyFormat, Credentials, Endpoint, Method, Sealed, Wire};
use posthaste_signing::{Profile, Zeroizing};
use serde_json::{Map, Value};

use self::headers::Others;
pub(crate) use self::{
    auth::AuthFields,
    headers::{HeaderField, HeaderFields},
    origin::origin,
    secret_field::{SecretField, object, object_or_null},
    tls::TlsFields,
    word::word,
};
use crate::{merge_patch::refuse_unknown, problem::Problem, service::Service, signature};

/// The names of the fields of [`WireFields`].
const NAMES: [&str; 6] = ["format", "method", "headers", "metadata_headers", "auth", "tls"];

/// What a caller says of an endpoint's requests.
pub(crate) struct WireFields {
    pub(crate) format: BodyFormat,
    pub(crate) method: Method,
    pub(crate) headers: HeaderFields,
    pub(crate) metadata_headers: bool,
    pub(crate) auth: Option<AuthFields>,
    pub(crate) tls: Option<TlsFields>,
}

impl From<&Wire> for WireFields {
    fn from(wire: &Wire) -> Self {
        let header = |value: &Option<String>| match value {
            Some(value) => HeaderField::Shown(value.clone()),
            None => HeaderField::Secret(SecretField::Kept),
        };
        Self {
            format: wire.format,
            method: wire.method,
            headers: wire.headers.iter().map(|(name, value)| (name.clone(), header(value))).collect(),
            metadata_headers: wire.metadata_headers,
            auth: wire.auth.as_ref().map(AuthFields::from),
            tls: TlsFields::of(wire),
        }
    }
}

impl WireFields {
    /// Whether it has a field of this name.
    pub(crate) fn has(name: &str) -> bool {
        NAMES.contains(&name)
    }

    /// Checks everything together, and writes it to the endpoint. Secrets that it keeps are those of the endpoint.
    pub(crate) fn write_to(
        self,
        service: &Service,
        profile: &Profile,
        endpoint: &mut Endpoint,
    ) -> Result<(), Problem> {
        let Self { format, method, headers, metadata_headers, auth, tls } = self;
        let kept = open(service, endpoint)?;
        let mut credentials = Credentials::default();
        let others = Others { prefix: &service.settings.header_prefix, profile, format };
        others.collide()?;
        let mut wire = Wire {
            method,
            format,
            signature: Some(signature::kept(profile)?),
            headers: headers::judge(&headers, &others, &kept, &mut credentials)?,
            metadata_headers,
            ..Wire::default()
        };
        if let Some(auth) = auth {
            if profile.header_names().any(|name| name.eq_ignore_ascii_case("authorization")) {
                return Err(Problem::field("/auth", "the signature profile sets 'Authorization' itself"));
            }
            let before = (endpoint.wire.auth.as_ref(), &kept);
            wire.auth = Some(auth.judge(service, before, &mut credentials)?);
        }
        if let Some(tls) = tls {
            tls.judge(&mut wire, &kept, &mut credentials)?;
        }
        endpoint.wire = wire;
        // Sealed again, the same would be other bytes.
        if credentials != kept {
            endpoint.credentials = seal(service, endpoint, &credentials)?;
        }
        Ok(())
    }
}

/// Whether the receiver is shown a secret by these that was there already.
pub(crate) fn keep_secrets(headers: &HeaderFields, auth: Option<&AuthFields>) -> bool {
    auth.is_some_and(AuthFields::keeps_secret) || headers.values().any(HeaderField::keeps_secret)
}

/// Asserts that endpoints can be signed by a profile where they say nothing else of their requests.
pub(crate) fn check_default(service: &Service, profile: &Profile) -> Result<(), Problem> {
    let format = BodyFormat::default();
    Others { prefix: &service.settings.header_prefix, profile, format }.collide()
}

/// What was sealed are no credentials. How so is left out: it might quote a secret.
#[derive(Debug, thiserror::Error)]
#[error("an endpoint's credentials are damaged")]
struct Damaged;

/// Readies what a patch says of requests to be merged with an endpoint's fields.
pub(crate) fn prepare(fields: &mut Value, changes: &mut Map<String, Value>) -> Result<(), Problem> {
    make_way(fields, changes);
    if let (Some(Value::Object(present)), Some(Value::Object(headers))) =
        (fields.get("headers"), changes.get_mut("headers"))
    {
        headers::rename(headers, present);
    }
    refuse_unknown(changes, "auth", &auth::NAMES)?;
    refuse_unknown(changes, "tls", &tls::NAMES)
}

/// Removes from an endpoint's fields what a patch does not merge with: another type of `auth` has other fields.
fn make_way(fields: &mut Value, changes: &Map<String, Value>) {
    let kind = |auth: &Value| auth.get("type").cloned();
    if let (Some(auth), Some(change)) = (fields.get_mut("auth"), changes.get("auth"))
        && kind(change).is_some_and(|wanted| kind(auth).is_some_and(|present| present != wanted))
    {
        *auth = Value::Null;
    }
}

/// What is secret about an endpoint's requests.
fn open(service: &Service, endpoint: &Endpoint) -> Result<Credentials, Problem> {
    let Some(sealed) = &endpoint.credentials else { return Ok(Credentials::default()) };
    let record = Credentials::record(endpoint.id);
    let opened = service.sealer.open(&sealed.0, record.as_bytes()).map_err(|e| Problem::internal(&e))?;
    serde_json::from_slice(&opened).map_err(|_| Problem::internal(&Damaged))
}

fn seal(
    service: &Service,
    endpoint: &Endpoint,
    credentials: &Credentials,
) -> Result<Option<Sealed>, Problem> {
    if *credentials == Credentials::default() {
        return Ok(None);
    }
    let text = Zeroizing::new(serde_json::to_vec(credentials).map_err(|e| Problem::internal(&e))?);
    let record = Credentials::record(endpoint.id);
    let sealed = service.entropy.with(|rng| service.sealer.seal(&text, record.as_bytes(), rng));
    Ok(Some(Sealed(sealed.map_err(|e| Problem::internal(&e))?.into())))
}

/// Asserts that a text has 1 to `max` characters of visible ASCII, with spaces inside only: then a header can hold it.
fn visible(text: &str, max: usize) -> Result<(), String> {
    if !(1..=max).contains(&text.len()) {
        Err(format!("must have 1 to {max} characters"))
    } else if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        Err("must be visible ASCII, with spaces inside".to_owned())
    } else if text.trim() != text {
        Err("must not begin or end with a space".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
