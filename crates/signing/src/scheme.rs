//! How one signature is made and written.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::InvalidProfile;
use crate::given::Fields;
use crate::key::{Algorithm, Hash, Key, KeyForm, from_hex};
use crate::secret::from_base64;
use crate::template::{Part, Template, Variable};

/// Most bytes of the template of a signature.
const MAX_TEMPLATE: usize = 64;

/// How one of a message's signatures is made and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheme {
    pub(crate) algorithm: Algorithm,
    pub(crate) encoding: Encoding,
    /// What stands before the encoded bytes, such as `v1,`.
    pub(crate) before: String,
    /// What stands behind them.
    pub(crate) after: String,
}

/// How the bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Lower-case hex digits.
    Hex,
    /// Standard, padded base64 (RFC 4648 §4).
    Base64,
}

impl Scheme {
    /// Reads the fields that say how a signature is made.
    pub(crate) fn read(fields: &Fields) -> Result<Self, InvalidProfile> {
        let algorithm = algorithm(fields)?;
        let encoding = choice(fields, "encoding", &[("hex", Encoding::Hex), ("base64", Encoding::Base64)])?;
        let text = fields.text("signature")?.unwrap_or("{value}");
        let template = Template::parse(text, Variable::IN_SIGNATURES)
            .map_err(|invalid| fields.wrong("signature", invalid.to_string()))?;
        let (before, after) = match template.parts() {
            [Part::Variable(_)] => ("", ""),
            [Part::Text(before), Part::Variable(_)] => (before.as_str(), ""),
            [Part::Variable(_), Part::Text(after)] => ("", after.as_str()),
            [Part::Text(before), Part::Variable(_), Part::Text(after)] => (before.as_str(), after.as_str()),
            _ => return Err(fields.wrong("signature", "must have {value} once")),
        };
        if text.len() > MAX_TEMPLATE {
            return Err(fields.wrong("signature", format!("must have at most {MAX_TEMPLATE} bytes")));
        }
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(fields.wrong("signature", "has characters other than visible ASCII"));
        }
        Ok(Self { algorithm, encoding, before: before.to_owned(), after: after.to_owned() })
    }

    /// How it reads the text of a secret, if it takes a shared one.
    pub(crate) fn key_form(&self) -> Option<KeyForm> {
        match self.algorithm {
            Algorithm::Hmac(_, form) => Some(form),
            Algorithm::Ed25519 => None,
        }
    }

    /// Signs the parts and writes the signature.
    pub(crate) fn write(&self, key: &Key, parts: &[&[u8]], out: &mut String) {
        out.push_str(&self.before);
        key.sign(parts, |bytes| self.encoding.write(bytes, out));
        out.push_str(&self.after);
    }

    /// What a signature looks like, for people.
    pub(crate) fn form(&self) -> String {
        format!("'{}<{}>{}'", self.before, self.encoding.name(), self.after)
    }

    /// The encoded bytes of a signature; none: it is not written as this scheme writes them.
    pub(crate) fn encoded<'s>(&self, signature: &'s str) -> Option<&'s str> {
        signature.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())
    }
}

fn algorithm(fields: &Fields) -> Result<Algorithm, InvalidProfile> {
    let hashes = [
        ("hmac-sha1", Some(Hash::Sha1)),
        ("hmac-sha256", Some(Hash::Sha256)),
        ("hmac-sha512", Some(Hash::Sha512)),
        ("ed25519", None),
    ];
    let Some(hash) = choice(fields, "algorithm", &hashes)? else {
        if fields.get("key").is_some() {
            return Err(fields.wrong("key", "does not go with ed25519, whose key is always whsk_ and base64"));
        }
        return Ok(Algorithm::Ed25519);
    };
    let forms = [("raw", KeyForm::Raw), ("base64", KeyForm::Base64), ("hex", KeyForm::Hex)];
    Ok(Algorithm::Hmac(hash, choice(fields, "key", &forms)?))
}

/// What one of a few words stands for.
fn choice<T: Copy>(fields: &Fields, name: &str, words: &[(&str, T)]) -> Result<T, InvalidProfile> {
    let word = fields.required_text(name)?;
    words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
        fields.wrong(name, format!("must be one of {}", known.join(", ")))
    })
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }

    pub(crate) fn write(self, bytes: &[u8], out: &mut String) {
        match self {
            Self::Hex => out.push_str(&base16ct::lower::encode_string(bytes)),
            Self::Base64 => BASE64_STANDARD.encode_string(bytes, out),
        }
    }

    /// The bytes that a text stands for, if it stands for any.
    pub(crate) fn read(self, text: &str) -> Option<Vec<u8>> {
        let bytes = match self {
            Self::Hex => from_hex(text),
            Self::Base64 => from_base64(text),
        };
        bytes.map(|bytes| bytes.to_vec())
    }

    /// Whether an encoded signature can have this character.
    pub(crate) fn has(self, byte: u8) -> bool {
        match self {
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::Base64 => byte.is_ascii_alphanumeric() || b"+/=".contains(&byte),
        }
    }
}
