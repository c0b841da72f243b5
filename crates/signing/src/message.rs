//! What is signed, and the values that it gives to variables.

use std::borrow::Cow;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::format::Format;
use crate::template::{Part, Template, Variable};

/// A request that is to be signed.
#[derive(Debug, Clone, Copy)]
pub struct Message<'m> {
    /// The same for every attempt, so that the subscriber can drop repeats. A full stop in it is refused where the format
    /// puts one behind it.
    pub id: &'m str,
    /// The type of the event.
    pub topic: &'m str,
    /// The time of this attempt, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The request's method, such as `POST`.
    pub method: &'m str,
    /// The request's URL, as the receiver knows it.
    pub url: &'m str,
    /// The body, byte for byte.
    pub body: &'m [u8],
}

/// Why a message is not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The format puts a full stop behind the id, and there is one in it: it could be read in two ways
    /// (Standard Webhooks 1.0.0, "Signature scheme").
    #[error("the id contains a full stop, which ends it in what is signed")]
    AmbiguousId,
    /// What goes into a header is not visible ASCII.
    #[error("the {0} is not visible ASCII, and goes into a header")]
    NotVisible(&'static str),
    /// The time lies outside the years that RFC 3339 can write.
    #[error("the time {time_ms} ms is out of range")]
    TimeOutOfRange {
        /// The time that was given.
        time_ms: i64,
    },
}

/// The values of variables.
#[derive(Clone)]
pub(crate) struct Values<'v> {
    texts: [Cow<'v, str>; Variable::COUNT],
    body: &'v [u8],
}

impl<'v> Values<'v> {
    /// What a receiver knows of a request without its headers.
    pub(crate) fn of_request(format: &Format, method: &'v str, url: &'v str, body: &'v [u8]) -> Self {
        let mut values = Self { texts: std::array::from_fn(|_| Cow::Borrowed("")), body: b"" };
        values.set(Variable::Method, method);
        values.set(Variable::Url, url);
        values.set_body(format, body);
        values
    }

    /// What a sender knows, as far as the format uses it.
    pub(crate) fn of_message(format: &Format, message: &Message<'v>) -> Result<Self, SignError> {
        let Message { id, topic, time_ms, method, url, body } = *message;
        if format.stops_the_id() && id.contains('.') {
            return Err(SignError::AmbiguousId);
        }
        for (variable, text, name) in [
            (Variable::Id, id, "id"),
            (Variable::Topic, topic, "topic"),
            (Variable::Method, method, "method"),
            (Variable::Url, url, "URL"),
        ] {
            if format.sends(variable) && !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(SignError::NotVisible(name));
            }
        }
        let mut values = Self::of_request(format, method, url, body);
        values.set(Variable::Id, id);
        values.set(Variable::Topic, topic);
        let seconds = time_ms.div_euclid(1_000);
        if format.uses(Variable::Seconds) {
            values.set(Variable::Seconds, seconds.to_string());
        }
        if format.uses(Variable::Millis) {
            values.set(Variable::Millis, time_ms.to_string());
        }
        if format.uses(Variable::Rfc3339) {
            let time = Timestamp::from_second(seconds).map_err(|_| SignError::TimeOutOfRange { time_ms })?;
            values.set(Variable::Rfc3339, time.to_string());
        }
        Ok(values)
    }

    pub(crate) fn set(&mut self, variable: Variable, text: impl Into<Cow<'v, str>>) {
        self.texts[variable as usize] = text.into();
    }

    /// Sets the body, and what follows from it.
    pub(crate) fn set_body(&mut self, format: &Format, body: &'v [u8]) {
        self.body = body;
        if format.uses(Variable::BodySha256) {
            self.set(Variable::BodySha256, base16ct::lower::encode_string(&Sha256::digest(body)));
        }
        if format.uses(Variable::BodyForm) {
            self.set(Variable::BodyForm, form(body));
        }
    }

    pub(crate) fn text(&self, variable: Variable) -> &str {
        &self.texts[variable as usize]
    }

    /// What is made from a template, piece by piece: so that a body need not be copied.
    pub(crate) fn parts<'a>(&'a self, template: &'a Template) -> Vec<&'a [u8]> {
        template
            .parts()
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_bytes(),
                Part::Variable(Variable::Body) => self.body,
                Part::Variable(variable) => self.text(*variable).as_bytes(),
            })
            .collect()
    }

    /// What is made from the template of a header.
    pub(crate) fn render(&self, template: &Template) -> String {
        let pieces = || {
            template.parts().iter().map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Variable(variable) => self.text(*variable),
            })
        };
        let mut text = String::with_capacity(pieces().map(str::len).sum());
        text.extend(pieces());
        text
    }
}

/// The fields of a form (`application/x-www-form-urlencoded`) as Twilio signs them: decoded, in order, each once, every
/// name followed by its value.
fn form(body: &[u8]) -> String {
    let mut fields: Vec<_> = form_urlencoded::parse(body).collect();
    fields.sort();
    fields.dedup();
    fields.iter().flat_map(|(name, value)| [name, value]).map(AsRef::as_ref).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_form(body: &str, expect: &str) {
        assert_eq!(form(body.as_bytes()), expect);
    }

    #[test]
    fn forms_are_sorted_and_joined() {
        // Twilio's own example, in another order.
        check_form(
            "To=%2B18005551212&CallSid=CA1234567890ABCDE&Caller=%2B14158675309&From=%2B14158675309&Digits=1234",
            "CallSidCA1234567890ABCDECaller+14158675309Digits1234From+14158675309To+18005551212",
        );
        check_form("", "");
        check_form("b=2&a=%C5%BE+%21&b=1&b=2", "až !b1b2");
        check_form(r#"{"a": 1}"#, r#"{"a": 1}"#);
    }
}
