//! Answers that repeat a secret: what a receiver was shown must not be read again in what it said.

use http::{HeaderMap, HeaderValue};
use posthaste_model::{Outcome, Reply};

/// What stands where a secret was.
const HIDDEN: &[u8] = b"***";
/// What `Authorization` says before the secret (RFC 6750 and 7617).
const SCHEMES: [&[u8]; 2] = [b"Bearer ", b"Basic "];
/// A text so short is no secret that could be told from other text.
const SHORTEST: usize = 6;

/// What a request shows the receiver in confidence: the values of headers that are marked as sensitive.
pub(crate) fn shown_in_confidence(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.values().filter(|value| value.is_sensitive()).cloned().collect()
}

/// Takes out of an answer what was shown in confidence, as it is and without its scheme, and a password if there is one.
pub(crate) fn hide(outcome: &mut Outcome, shown: &[HeaderValue], password: Option<&str>) {
    let Outcome::Replied(reply) = outcome else { return };
    let shown = shown.iter().map(HeaderValue::as_bytes).flat_map(|value| {
        let bare = SCHEMES.iter().find_map(|scheme| value.strip_prefix(*scheme));
        [Some(value), bare].into_iter().flatten()
    });
    for secret in shown.chain(password.map(str::as_bytes)) {
        if secret.len() >= SHORTEST {
            hide_in(reply, secret);
        }
    }
}

fn hide_in(Reply { headers, body, .. }: &mut Reply, secret: &[u8]) {
    if let Some(hidden) = without(body, secret) {
        *body = hidden.into();
    }
    for (_, value) in headers {
        if let Some(hidden) = without(value.as_bytes(), secret) {
            *value = String::from_utf8_lossy(&hidden).into_owned();
        }
    }
}

/// A text with something else in place of a secret; none: it is not in there.
fn without(text: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut hidden = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(secret.len()).position(|part| part == secret) {
        hidden.extend_from_slice(&rest[..at]);
        hidden.extend_from_slice(HIDDEN);
        rest = &rest[at + secret.len()..];
    }
    if rest.len() == text.len() {
        return None;
    }
    hidden.extend_from_slice(rest);
    Some(hidden)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[track_caller]
    fn check(shown: &str, said: &str, expect: &str) {
        let mut value = HeaderValue::from_str(shown).unwrap();
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (http::header::AUTHORIZATION, value),
            (http::header::FROM, HeaderValue::from_static("not in confidence")),
        ]);
        let reply = |text: &str| {
            Outcome::Replied(Reply {
                status: 200,
                headers: vec![("x-echo".into(), text.into())],
                body: Bytes::copy_from_slice(text.as_bytes()),
                truncated: false,
            })
        };
        let mut outcome = reply(said);
        hide(&mut outcome, &shown_in_confidence(&headers), Some("password"));
        assert_eq!(outcome, reply(expect));
    }

    #[test]
    fn what_was_shown_in_confidence_is_hidden() {
        check("Bearer token-1", "Authorization: Bearer token-1!", "Authorization: ***!");
        check("Bearer token-1", "token-1token-1 token-2", "****** token-2");
        check("Basic dXM6cGFzcw==", "dXM6cGFzcw==", "***");
        check("s3cret", "you said s3cret, and password", "you said ***, and ***");
        check("s3cret", "not in confidence", "not in confidence");
        check("s3cret", "", "");
        // Too short to be told from other text.
        check("abc", "abcabc", "abcabc");
    }
}
