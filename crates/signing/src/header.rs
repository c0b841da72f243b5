//! Which headers a profile may set.

use crate::template::Template;

/// Most characters of a header's name.
const MAX_NAME: usize = 64;

/// Headers that are the transport's: they say where the body ends, how the connection goes on, or what the body is.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// A header that a profile sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// As it is sent.
    pub(crate) name: String,
    /// As it is looked up.
    pub(crate) lower_case: String,
    pub(crate) value: Template,
}

/// What is wrong with a name; nothing: a profile may set this header.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_token) {
        // RFC 9110 §5.6.2.
        return Some(format!("is no header name: 1 to {MAX_NAME} letters, digits or !#$%&'*+-.^_`|~"));
    }
    let reserved = RESERVED.contains(&name.to_ascii_lowercase().as_str());
    reserved.then(|| "is a header of the transport, which no profile sets".to_owned())
}

/// What is wrong with a value; nothing: whatever its variables are, it can be sent.
///
/// Texts are visible ASCII with spaces inside. Between two variables there must be a text, or nobody could tell where one
/// ends.
pub(crate) fn value_fault(value: &Template) -> Option<&'static str> {
    use crate::template::Part::{Text, Variable};
    let parts = value.parts();
    if parts.is_empty() {
        return Some("is empty");
    }
    if value.texts().any(|text| !text.bytes().all(|byte| matches!(byte, b' '..=b'~'))) {
        return Some("has characters other than visible ASCII");
    }
    let begins = matches!(parts.first(), Some(Text(text)) if text.starts_with(' '));
    let ends = matches!(parts.last(), Some(Text(text)) if text.ends_with(' '));
    if begins || ends {
        return Some("begins or ends with a space, which HTTP takes away");
    }
    parts
        .windows(2)
        .any(|pair| matches!(pair, [Variable(_), Variable(_)]))
        .then_some("has two variables with nothing between them: nobody could tell where the first one ends")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Variable;

    #[track_caller]
    fn check_name(name: &str, expect: Option<&str>) {
        let fault = name_fault(name);
        assert_eq!(fault.as_deref().map(|fault| fault.split(':').next().unwrap()), expect, "{name}");
    }

    #[test]
    fn names_are_tokens_that_are_not_the_transports() {
        for name in ["X-Acme-Signature", "x", "Authorization", "!#$%&'*+-.^_`|~", &"x".repeat(64)] {
            check_name(name, None);
        }
        for name in ["", "X Acme", "X:Acme", ":path", "X-Acmé", "X\r\nY", &"x".repeat(65)] {
            check_name(name, Some("is no header name"));
        }
        for name in RESERVED.iter().chain(&["Content-Length", "HOST", "Transfer-Encoding"]) {
            check_name(name, Some("is a header of the transport, which no profile sets"));
        }
    }

    #[track_caller]
    fn check_value(value: &str, expect: Option<&str>) {
        let fault = value_fault(&Template::parse(value, Variable::IN_HEADERS).unwrap());
        assert_eq!(fault.map(|fault| fault.split([':', ',']).next().unwrap()), expect, "{value:?}");
    }

    #[test]
    fn values_are_visible() {
        check_value("t={ts}, {signatures}", None);
        check_value("{id}", None);
        check_value("", Some("is empty"));
        check_value("{id}\r\nX-Evil: 1", Some("has characters other than visible ASCII"));
        check_value("ž", Some("has characters other than visible ASCII"));
        check_value(" {id}", Some("begins or ends with a space"));
        check_value("{id} ", Some("begins or ends with a space"));
        check_value("{id}{ts}", Some("has two variables with nothing between them"));
    }
}
