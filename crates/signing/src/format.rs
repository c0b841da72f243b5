//! The engine's view of a profile: what is signed, how, and which headers tell of it.

use crate::given::{Fields, join};
use crate::header::{self, Header};
use crate::key::Algorithm;
use crate::scheme::Scheme;
use crate::template::{Part, Template, Variable};
use crate::{InvalidProfile, KeyError, SecretKind};

/// Most bytes of a template.
const MAX_TEMPLATE: usize = 1_000;
/// Most bytes of all headers' templates together.
const MAX_TEMPLATES: usize = 4_096;
/// Most headers.
const MAX_HEADERS: usize = 20;
/// Most ways to sign at once.
const MAX_SCHEMES: usize = 4;
/// Most characters between two signatures.
const MAX_SEPARATOR: usize = 8;

/// How many signatures of a request are looked at: each costs time, and anybody can send them.
const MAX_SIGNATURES: usize = 32;

/// The fields that say how one signature is made.
const SCHEME_FIELDS: &[&str] = &["algorithm", "encoding", "key", "signature"];

/// A format of signatures, checked and ready to be used. Every profile is one, and nothing knows formats by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Format {
    pub(crate) signed: Template,
    pub(crate) schemes: Vec<Scheme>,
    /// What stands between signatures; none: a message carries one.
    pub(crate) separator: Option<String>,
    pub(crate) headers: Vec<Header>,
}

impl Format {
    /// The fields that a format is read from.
    pub(crate) const FIELDS: &[&str] =
        &["signed", "algorithm", "encoding", "key", "signature", "signatures", "separator", "headers"];

    /// Reads a format, and checks that what it sends can be verified.
    pub(crate) fn read(fields: &Fields) -> Result<Self, InvalidProfile> {
        let format = Self {
            signed: signed(fields)?,
            schemes: schemes(fields)?,
            separator: separator(fields)?,
            headers: headers(fields)?,
        };
        format.check_schemes(fields)?;
        format.check_signatures(fields)?;
        format.check_told(fields)?;
        Ok(format)
    }

    /// Whether a variable stands anywhere.
    pub(crate) fn uses(&self, variable: Variable) -> bool {
        self.signed.has(variable) || self.sends(variable)
    }

    /// Whether a variable stands in a header.
    pub(crate) fn sends(&self, variable: Variable) -> bool {
        self.headers.iter().any(|header| header.value.has(variable))
    }

    /// Whether a full stop ends the id in what is signed.
    pub(crate) fn stops_the_id(&self) -> bool {
        self.signed.parts().windows(2).any(
            |pair| matches!(pair, [Part::Variable(Variable::Id), Part::Text(text)] if text.starts_with('.')),
        )
    }

    /// What stands for the signatures in a header.
    pub(crate) fn signature_variable(&self) -> Variable {
        if self.separator.is_some() { Variable::Signatures } else { Variable::Signature }
    }

    /// What signs with a kind of secret; where nothing does, what tells why.
    ///
    /// All that take a shared secret read it in the same way, so that the first speaks for them.
    pub(crate) fn algorithm_for(&self, kind: SecretKind) -> Result<Algorithm, KeyError> {
        let mut algorithms = self.schemes.iter().map(|scheme| scheme.algorithm);
        let first = self.schemes.first().map(|scheme| scheme.algorithm);
        algorithms.find(|algorithm| algorithm.kind() == kind).or(first).ok_or(KeyError::Missing(kind))
    }

    /// The signatures in what a header says of them.
    pub(crate) fn split<'s>(&self, signatures: &'s str) -> Vec<&'s str> {
        match &self.separator {
            Some(separator) => signatures.split(separator.as_str()).take(MAX_SIGNATURES).collect(),
            None => vec![signatures],
        }
    }

    /// The header that has a variable.
    pub(crate) fn header_of(&self, variable: Variable) -> Option<&Header> {
        self.headers.iter().find(|header| header.value.has(variable))
    }

    fn check_schemes(&self, fields: &Fields) -> Result<(), InvalidProfile> {
        if self.schemes.len() > 1 && self.separator.is_none() {
            return Err(
                fields.wrong("separator", "is missing: something must stand between several signatures")
            );
        }
        let mut forms = self.schemes.iter().filter_map(Scheme::key_form);
        let first = forms.next();
        if forms.any(|form| Some(form) != first) {
            return Err(
                fields.wrong("signatures", "must all read the secret in the same way: one has another 'key'")
            );
        }
        let Some(separator) = &self.separator else { return Ok(()) };
        for scheme in &self.schemes {
            if separator.bytes().all(|byte| scheme.encoding.has(byte)) {
                return Err(fields.wrong("separator", "has only characters that signatures are made of"));
            }
            if scheme.before.contains(separator.as_str()) || scheme.after.contains(separator.as_str()) {
                return Err(
                    fields.wrong("separator", "stands in a signature too: nobody could tell them apart")
                );
            }
        }
        Ok(())
    }

    /// The signatures stand in one place, and in the right number.
    fn check_signatures(&self, fields: &Fields) -> Result<(), InvalidProfile> {
        let right = self.signature_variable();
        let wrong = if right == Variable::Signature { Variable::Signatures } else { Variable::Signature };
        let mut places = 0;
        for header in &self.headers {
            if header.value.has(wrong) {
                let why = match right {
                    Variable::Signatures => "there is a separator, so there may be several",
                    _ => "there is no separator, so there is one",
                };
                let pointer = join(&fields.pointer("headers"), &header.name);
                return Err(InvalidProfile::new(
                    pointer,
                    format!("must have {right} in place of {wrong}: {why}"),
                ));
            }
            places += header.value.variables().filter(|variable| *variable == right).count();
        }
        match places {
            1 => Ok(()),
            0 => Err(fields.wrong("headers", format!("must have {right} in one of them"))),
            _ => Err(fields.wrong("headers", format!("must have {right} once, not in several places"))),
        }
    }

    /// A receiver can put together what is signed.
    fn check_told(&self, fields: &Fields) -> Result<(), InvalidProfile> {
        let untold =
            self.signed.variables().find(|signed| Variable::TOLD.contains(signed) && !self.sends(*signed));
        untold.map_or(Ok(()), |variable| {
            let reason = format!("has {variable}, which no header has: nobody could verify it");
            Err(fields.wrong("signed", reason))
        })
    }
}

fn template(
    text: &str,
    known: &'static [Variable],
    pointer: impl Fn() -> String,
) -> Result<Template, InvalidProfile> {
    if text.len() > MAX_TEMPLATE {
        let reason = format!("must have at most {MAX_TEMPLATE} bytes, not {}", text.len());
        return Err(InvalidProfile::new(pointer(), reason));
    }
    Template::parse(text, known).map_err(|invalid| InvalidProfile::new(pointer(), invalid.to_string()))
}

fn signed(fields: &Fields) -> Result<Template, InvalidProfile> {
    let text = fields.required_text("signed")?;
    let signed = template(text, Variable::SIGNED, || fields.pointer("signed"))?;
    let body = [Variable::Body, Variable::BodySha256, Variable::BodyForm];
    if !body.iter().any(|body| signed.has(*body)) {
        let [body, digest, form] = body;
        let reason =
            format!("must cover the body, by {body}, {digest} or {form}: or anybody could replace it");
        return Err(fields.wrong("signed", reason));
    }
    Ok(signed)
}

/// One signature said by the fields of the format itself, or several by a list.
fn schemes(fields: &Fields) -> Result<Vec<Scheme>, InvalidProfile> {
    let Some(list) = fields.get("signatures") else {
        return Ok(vec![Scheme::read(fields)?]);
    };
    if let Some(field) = SCHEME_FIELDS.iter().find(|field| fields.get(field).is_some()) {
        return Err(fields.wrong(field, "does not go with 'signatures': each of them says its own"));
    }
    let pointer = fields.pointer("signatures");
    let list = list.list(&pointer)?;
    if !(1..=MAX_SCHEMES).contains(&list.len()) {
        return Err(InvalidProfile::new(pointer, format!("must have 1 to {MAX_SCHEMES} entries")));
    }
    list.iter()
        .enumerate()
        .map(|(index, given)| {
            let fields = Fields::of(given, &format!("{pointer}/{index}"))?;
            if let Some((name, _)) = fields.iter().find(|(name, _)| !SCHEME_FIELDS.contains(name)) {
                let known = SCHEME_FIELDS.join(", ");
                return Err(fields.wrong(name, format!("is no field of a signature; those are {known}")));
            }
            Scheme::read(&fields)
        })
        .collect()
}

fn separator(fields: &Fields) -> Result<Option<String>, InvalidProfile> {
    let Some(text) = fields.text("separator")? else { return Ok(None) };
    if !(1..=MAX_SEPARATOR).contains(&text.len()) || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let reason = format!("must be 1 to {MAX_SEPARATOR} characters of visible ASCII or spaces");
        return Err(fields.wrong("separator", reason));
    }
    Ok(Some(text.to_owned()))
}

fn headers(fields: &Fields) -> Result<Vec<Header>, InvalidProfile> {
    let pointer = fields.pointer("headers");
    let given = Fields::of(fields.required("headers")?, &pointer)?;
    let mut headers: Vec<Header> = Vec::new();
    let mut bytes = 0;
    for (name, value) in given.iter() {
        if let Some(fault) = header::name_fault(name) {
            return Err(given.wrong(name, fault));
        }
        let lower_case = name.to_ascii_lowercase();
        if headers.iter().any(|other| other.lower_case == lower_case) {
            return Err(given.wrong(name, "is there twice: upper and lower case are the same"));
        }
        let text = value.text(&given.pointer(name))?;
        bytes += text.len();
        let value = template(text, Variable::IN_HEADERS, || given.pointer(name))?;
        if let Some(fault) = header::value_fault(&value) {
            return Err(given.wrong(name, fault));
        }
        headers.push(Header { name: name.to_owned(), lower_case, value });
    }
    if headers.len() > MAX_HEADERS {
        return Err(InvalidProfile::new(
            pointer,
            format!("must be at most {MAX_HEADERS}, not {}", headers.len()),
        ));
    }
    if bytes > MAX_TEMPLATES {
        let reason = format!("must have at most {MAX_TEMPLATES} bytes together, not {bytes}");
        return Err(InvalidProfile::new(pointer, reason));
    }
    Ok(headers)
}
