//! The usual mistakes.

use jiff::Timestamp;
use serde_json::Value;

use super::rewriting::rewritings;
use super::{CheckKeys, Diagnosis, Part, Reading, usual_headers};
use crate::format::Format;
use crate::key::{Algorithm, CheckKey, Hash, KeyForm, MacKey, from_hex};
use crate::message::Values;
use crate::scheme::Encoding;
use crate::secret::{SHARED_PREFIX, decoded};
use crate::template::Variable;
use crate::verify::fits;
use crate::{Credential, Received};

/// A request whose signature does not fit.
pub(super) struct Case<'c, 'r> {
    pub(super) format: &'c Format,
    pub(super) credentials: &'c [Credential],
    pub(super) keys: &'c CheckKeys,
    pub(super) reading: &'c Reading<'r>,
    pub(super) header: &'c dyn Fn(&str) -> Option<&'r str>,
    pub(super) received: &'c Received<'r>,
}

impl<'r> Case<'_, 'r> {
    /// The first mistake that makes the signature fit.
    pub(super) fn mistake(&self) -> Option<Diagnosis> {
        self.misspelt()
            .or_else(|| self.other_key())
            .or_else(|| self.other_hash())
            .or_else(|| self.other_id())
            .or_else(|| self.other_time())
            .or_else(|| self.other_body())
            .or_else(|| self.other_url())
    }

    fn fits_values(&self, values: &Values<'_>) -> bool {
        fits(self.format, self.keys, values, &self.format.split(self.reading.signatures))
    }

    fn fits_keys(&self, keys: &CheckKeys) -> bool {
        fits(self.format, keys, &self.reading.values, &self.format.split(self.reading.signatures))
    }

    /// The right bytes of a signature, written in another way than the format's.
    fn misspelt(&self) -> Option<Diagnosis> {
        let parts = self.reading.values.parts(&self.format.signed);
        let is_right = |bytes: &Vec<u8>| self.keys.iter().any(|(_, key)| key.fits(&parts, bytes));
        let found = words(self.reading.signatures).find(|word| {
            let spellings = [Encoding::Hex.read(word), Encoding::Base64.read(&standard_base64(word))];
            spellings.into_iter().flatten().any(|bytes| is_right(&bytes))
        });
        found.map(|_| {
            let forms: Vec<String> = self.format.schemes.iter().map(|scheme| scheme.form()).collect();
            let separated = match &self.format.separator {
                Some(separator) => format!(", separated by '{separator}'"),
                None => String::new(),
            };
            let forms = forms.join(" or ");
            Diagnosis::new(
                Part::Format,
                format!("the signature is right but not written as the format has it: {forms}{separated}"),
            )
        })
    }

    /// A key that was read from the secret in another way than the format's.
    fn other_key(&self) -> Option<Diagnosis> {
        for credential in self.credentials {
            let Credential::Secret(secret) = credential else { continue };
            let text = secret.text();
            let stripped = text.strip_prefix(SHARED_PREFIX).unwrap_or(text);
            let readings = [
                ("its text as it is, prefix included", KeyForm::Raw.read(text).ok()),
                ("its text without the prefix", KeyForm::Raw.read(stripped).ok()),
                ("what its base64 stands for", decoded(text)),
                ("what its hex digits stand for", from_hex(stripped)),
            ];
            for (how, bytes) in readings {
                let Some(bytes) = bytes else { continue };
                if self.fits_keys(&self.hmac_keys(|hash| MacKey::new(hash, &bytes).ok())) {
                    let message = format!(
                        "the signature was made with another key from the same secret: with {how}, where the format \
                         takes {}",
                        self.key_form()
                    );
                    return Some(Diagnosis::new(Part::Key, message));
                }
            }
        }
        None
    }

    /// Another hash than the format's.
    fn other_hash(&self) -> Option<Diagnosis> {
        let hashes =
            [("HMAC-SHA1", Hash::Sha1), ("HMAC-SHA256", Hash::Sha256), ("HMAC-SHA512", Hash::Sha512)];
        let found = hashes.into_iter().find(|(_, hash)| {
            self.credentials.iter().any(|credential| {
                let Credential::Secret(secret) = credential else { return false };
                let key = |form: KeyForm| MacKey::new(*hash, &form.decode(secret.text()).ok()?).ok();
                let schemes = self.format.schemes.iter().enumerate();
                let keys = schemes
                    .filter_map(|(index, scheme)| Some((index, CheckKey::Hmac(key(scheme.key_form()?)?))));
                self.fits_keys(&keys.collect())
            })
        });
        found.map(|(name, _)| {
            Diagnosis::new(Part::Format, format!("the signature was made with another algorithm: {name}"))
        })
    }

    fn other_id(&self) -> Option<Diagnosis> {
        let signed = |id: &str| {
            let mut values = self.reading.values.clone();
            values.set(Variable::Id, id.to_owned());
            self.fits_values(&values)
        };
        if !self.format.signed.has(Variable::Id) {
            return None;
        }
        let message = |place: &str| {
            Diagnosis::new(
                Part::Id,
                format!("the id that was signed is not the one that the headers tell, but {place}"),
            )
        };
        for header in usual_headers(&[Variable::Id]) {
            if (self.header)(&header).is_some_and(signed) {
                return Some(message(&format!("the one in the header {header}")));
            }
        }
        let body: Option<Value> = serde_json::from_slice(self.received.body).ok();
        for pointer in ["/id", "/data/id"] {
            if body.as_ref().and_then(|body| body.pointer(pointer)?.as_str()).is_some_and(signed) {
                return Some(message(&format!("the one at {pointer} in the body")));
            }
        }
        signed("").then(|| message("empty"))
    }

    fn other_time(&self) -> Option<Diagnosis> {
        let variable = Variable::TIMES.iter().find(|time| self.format.signed.has(**time))?;
        let signed = |text: &str| {
            let mut values = self.reading.values.clone();
            Variable::TIMES.iter().for_each(|time| values.set(*time, text.to_owned()));
            self.fits_values(&values)
        };
        let message = |which: &str| {
            Diagnosis::new(
                Part::Timestamp,
                format!("the timestamp that was signed is not the one that the headers tell, but {which}"),
            )
        };
        let told = self.reading.values.text(*variable);
        for (how, text) in other_spellings(told) {
            if signed(&text) {
                return Some(message(&format!("the same time {how}")));
            }
        }
        for header in usual_headers(Variable::TIMES) {
            if (self.header)(&header).is_some_and(signed) {
                return Some(message(&format!("the one in the header {header}")));
            }
        }
        let body: Option<Value> = serde_json::from_slice(self.received.body).ok();
        let in_body = body.as_ref().and_then(|body| body.get("timestamp")?.as_str())?;
        let spellings = other_spellings(in_body).into_iter().map(|(_, text)| text);
        [in_body.to_owned()]
            .into_iter()
            .chain(spellings)
            .any(|text| signed(&text))
            .then(|| message("the one at /timestamp in the body"))
    }

    fn other_body(&self) -> Option<Diagnosis> {
        for (how, body) in rewritings(self.received.body) {
            let Received { method, url, .. } = *self.received;
            let mut values = Values::of_request(self.format, method, url, &body);
            Variable::TOLD
                .iter()
                .for_each(|told| values.set(*told, self.reading.values.text(*told).to_owned()));
            if self.fits_values(&values) {
                let message = format!(
                    "the body is not the one that was signed: that is this one {how}. Something rewrote it on the way, \
                     or it was parsed and written again: verify the bytes as they came in"
                );
                return Some(Diagnosis::new(Part::Body, message));
            }
        }
        None
    }

    fn other_url(&self) -> Option<Diagnosis> {
        if !self.format.signed.has(Variable::Url) {
            return None;
        }
        other_urls(self.received.url).into_iter().find_map(|(how, url)| {
            let mut values = self.reading.values.clone();
            values.set(Variable::Url, url);
            let message = || format!("the URL that was signed is this one {how}");
            self.fits_values(&values).then(|| Diagnosis::new(Part::Url, message()))
        })
    }

    /// Keys for the format's HMAC signatures.
    fn hmac_keys(&self, key: impl Fn(Hash) -> Option<MacKey>) -> CheckKeys {
        let schemes = self.format.schemes.iter().enumerate();
        schemes
            .filter_map(|(index, scheme)| match scheme.algorithm {
                Algorithm::Hmac(hash, _) => Some((index, CheckKey::Hmac(key(hash)?))),
                Algorithm::Ed25519 => None,
            })
            .collect()
    }

    /// What the format takes as the key of an HMAC.
    fn key_form(&self) -> &'static str {
        match self.format.schemes.iter().find_map(|scheme| scheme.key_form()) {
            Some(KeyForm::Base64) => "what its base64 stands for",
            Some(KeyForm::Hex) => "what its hex digits stand for",
            Some(KeyForm::Raw) | None => "its text as it is, prefix included",
        }
    }
}

/// The pieces of a text that could be encoded bytes.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_encoded = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
    text.split(move |c: char| !is_encoded(c)).flat_map(|word| {
        // `v1=0a1b...` is one word; so is what follows its first `=`.
        let value = word.split_once('=').map(|(_, value)| value);
        [Some(word), value].into_iter().flatten()
    })
}

/// Base64 as the standard alphabet has it, padded.
fn standard_base64(word: &str) -> String {
    let word = word.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let padding = word.len().next_multiple_of(4) - word.len();
    word + &"=".repeat(padding)
}

/// The same time as other formats write it.
fn other_spellings(time: &str) -> Vec<(&'static str, String)> {
    if let Ok(number) = time.parse::<i64>() {
        let rfc3339 =
            Timestamp::from_second(number).ok().map(|time| ("as RFC 3339 has it", time.to_string()));
        let millis = number.checked_mul(1_000).map(|millis| ("in milliseconds", millis.to_string()));
        let seconds = ("in seconds", (number / 1_000).to_string());
        return [Some(seconds), millis, rfc3339].into_iter().flatten().collect();
    }
    let Ok(time) = time.parse::<Timestamp>() else { return Vec::new() };
    vec![("in seconds", time.as_second().to_string()), ("in milliseconds", time.as_millisecond().to_string())]
}

/// What proxies and frameworks make of a URL.
fn other_urls(url: &str) -> Vec<(&'static str, String)> {
    let mut others = Vec::new();
    if let Some(rest) = url.strip_prefix("http://") {
        others.push(("with https", format!("https://{rest}")));
    }
    if let Some(rest) = url.strip_prefix("https://") {
        others.push(("with http", format!("http://{rest}")));
    }
    if let Some((before, _)) = url.split_once('?') {
        others.push(("without its query", before.to_owned()));
    }
    match url.strip_suffix('/') {
        Some(before) => others.push(("without the slash at its end", before.to_owned())),
        None => others.push(("with a slash at its end", format!("{url}/"))),
    }
    if let Some(path) = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])) {
        others.push(("without scheme and host", path.to_owned()));
    }
    others
}
