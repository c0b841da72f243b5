//! Signature profiles.

use std::str::FromStr;
use std::sync::Arc;

use rand::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::format::Format;
use crate::given::{Fields, Given};
use crate::key::KeyForm;
use crate::preset::{self, CUSTOM};
use crate::{InvalidProfile, KeyError, Secret, SecretKind};

/// How an endpoint's requests are signed, as data.
///
/// As JSON either a preset by its name, some with options:
///
/// ```json
/// {"profile": "standard", "versions": ["v1", "v1a"]}
/// {"profile": "svix"}
/// {"profile": "stripe"}
/// {"profile": "github"}
/// {"profile": "shopify", "shop_domain": "acme.myshopify.com", "api_version": "2026-10"}
/// {"profile": "slack"}
/// ```
///
/// or a format of one's own:
///
/// ```json
/// {"profile": "custom", "signed": "{ts}.{body}", "algorithm": "hmac-sha256", "encoding": "hex", "key": "raw",
///  "signature": "v1={value}", "separator": ",",
///  "headers": {"X-Acme-Signature": "t={ts},{signatures}", "X-Acme-Id": "{id}"}}
/// ```
///
/// | field | |
/// |---|---|
/// | `signed` | what is signed: a template that covers the body |
/// | `algorithm` | `hmac-sha1`, `hmac-sha256`, `hmac-sha512`, `ed25519` |
/// | `encoding` | how a signature's bytes are written: `hex` (lower case), `base64` |
/// | `key` | of an HMAC, what its key is: the secret as it is (`raw`), or what its `base64` or `hex` stands for |
/// | `signature` | a template for one signature; `{value}` where nothing is said |
/// | `signatures` | in place of the four above: a list of them, for formats that sign in several ways at once |
/// | `separator` | what stands between signatures. Without one, a request carries one signature |
/// | `headers` | what is sent: templates by name, one of them with `{signatures}`, or `{signature}` without a separator |
///
/// Templates have these variables; `{{` and `}}` stand for braces:
///
/// | variable | |
/// |---|---|
/// | `{id}`, `{topic}` | of the event |
/// | `{ts}`, `{ts_ms}`, `{ts_rfc3339}` | the time of the attempt: in seconds, in milliseconds, as `2026-11-21T12:00:00Z` |
/// | `{method}`, `{url}` | of the request |
/// | `{body}` | byte for byte; only in `signed` |
/// | `{sha256(body)}` | its SHA-256 in hex |
/// | `{form(body)}` | the fields of a form: decoded, sorted, each once, names and values joined; only in `signed` |
///
/// Reading a profile validates it, and it is written again as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    given: Given,
    name: String,
    format: Arc<Format>,
}

impl Profile {
    /// Reads a profile from JSON.
    ///
    /// # Errors
    ///
    /// [`InvalidProfile`] names the first field that is wrong.
    pub fn parse(json: &str) -> Result<Self, InvalidProfile> {
        let given = serde_json::from_str(json)
            .map_err(|error| InvalidProfile::new("", format!("is no JSON: {error}")))?;
        Self::read(given)
    }

    /// A preset without any options, such as `standard`.
    ///
    /// # Errors
    ///
    /// [`InvalidProfile`] where there is no such preset.
    pub fn named(name: &str) -> Result<Self, InvalidProfile> {
        Self::read(Given::Object(vec![("profile".to_owned(), Given::Text(name.to_owned()))]))
    }

    /// The names of all presets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        preset::names()
    }

    fn read(given: Given) -> Result<Self, InvalidProfile> {
        let fields = Fields::of(&given, "")?;
        let name = fields.required_text("profile")?;
        let format = if name == CUSTOM {
            let is_known = |name: &str| name == "profile" || Format::FIELDS.contains(&name);
            if let Some((unknown, _)) = fields.iter().find(|(name, _)| !is_known(name)) {
                let known = Format::FIELDS.join(", ");
                let reason =
                    format!("is no field of the profile '{CUSTOM}'; beside 'profile' it has {known}");
                return Err(fields.wrong(unknown, reason));
            }
            Format::read(&fields)?
        } else {
            Format::read(&Fields::of(&preset::expand(name, &fields)?, "")?)?
        };
        let name = name.to_owned();
        Ok(Self { given, name, format: Arc::new(format) })
    }

    /// The name of the preset, or `custom`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a request can carry several signatures: then a secret can be rotated with an overlap. Where it cannot, the
    /// new secret takes over at once.
    #[must_use]
    pub fn carries_several(&self) -> bool {
        self.format.separator.is_some()
    }

    /// The names of the headers that it sets, as they are sent.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.format.headers.iter().map(|header| header.name.as_str())
    }

    /// The kinds of secrets that it needs, each once. An endpoint has a current secret of every kind.
    #[must_use]
    pub fn kinds(&self) -> Vec<SecretKind> {
        let mut kinds = Vec::new();
        for scheme in &self.format.schemes {
            let kind = scheme.algorithm.kind();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// New secrets that suit it: one of every kind that it needs.
    pub fn generate(&self, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<Secret> {
        let hex = self.format.schemes.iter().any(|scheme| scheme.key_form() == Some(KeyForm::Hex));
        let kinds = self.kinds().into_iter();
        kinds
            .map(|kind| match kind {
                SecretKind::Shared if hex => Secret::generate_hex(rng),
                SecretKind::Shared => Secret::generate(rng),
                SecretKind::Ed25519 => Secret::generate_ed25519(rng),
            })
            .collect()
    }

    /// Whether it can sign with a secret.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says why it cannot.
    pub fn accepts(&self, secret: &Secret) -> Result<(), KeyError> {
        self.format.algorithm_for(secret.kind())?.key(secret).map(drop)
    }

    pub(crate) fn format(&self) -> &Arc<Format> {
        &self.format
    }
}

impl FromStr for Profile {
    type Err = InvalidProfile;

    fn from_str(json: &str) -> Result<Self, InvalidProfile> {
        Self::parse(json)
    }
}

impl Serialize for Profile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.given.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Given::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
