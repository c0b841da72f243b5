//! Whether an endpoint wants what it would be sent.

use posthaste_model::{Outcome, RateLimit, Reply};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

/// Says who may send (CloudEvents, HTTP 1.1 Web Hooks for Event Delivery, section 4.2).
const ALLOWED_ORIGIN: &str = "WebHook-Allowed-Origin";
/// Says how many requests per minute (the same).
const ALLOWED_RATE: &str = "WebHook-Allowed-Rate";

/// What an endpoint was asked.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// Whether it consents to what comes from an origin.
    CloudEvents {
        /// The DNS name that the service gave.
        origin: &'a str,
    },
    /// To repeat a challenge.
    Echo {
        /// The challenge.
        challenge: &'a str,
    },
    /// To repeat a challenge and to prove that it holds the secret.
    Hmac {
        /// The challenge.
        challenge: &'a str,
        /// The proof that it has to give, in lower-case hex.
        proof: &'a str,
    },
}

/// An endpoint's consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consent {
    /// How much it consents to; none: however much.
    pub allowed_rate: Option<RateLimit>,
}

/// Why an answer is no consent, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Withheld(String);

/// Judges what came of the request of a handshake. A status alone is never a consent: a page that answers 200 to whatever
/// comes has not understood the question.
///
/// # Errors
/// Says what the answer lacks.
pub fn judge_handshake(question: Question<'_>, outcome: &Outcome) -> Result<Consent, Withheld> {
    let reply = match outcome {
        Outcome::Replied(reply) => reply,
        Outcome::Failed { class, detail } => {
            return Err(Withheld(format!("there was no answer ({}): {detail}", class.as_str())));
        }
    };
    if !(200..300).contains(&reply.status) {
        return Err(Withheld(format!("the answer has the status {}, not 2xx", reply.status)));
    }
    match question {
        Question::CloudEvents { origin } => {
            consents_to(origin, reply)?;
            Ok(Consent { allowed_rate: allowed_rate(reply)? })
        }
        Question::Echo { challenge } => repeats(challenge, reply),
        Question::Hmac { challenge, proof } => proves(challenge, proof, reply),
    }
}

fn consents_to(origin: &str, reply: &Reply) -> Result<(), Withheld> {
    let mut allowed = values(reply, ALLOWED_ORIGIN).peekable();
    let Some(first) = allowed.peek().copied() else {
        return Err(Withheld(format!("the answer has no header {ALLOWED_ORIGIN}")));
    };
    if allowed.any(|value| value == "*" || value.eq_ignore_ascii_case(origin)) {
        return Ok(());
    }
    Err(Withheld(format!("the answer's {ALLOWED_ORIGIN} is '{}', not '{origin}' or '*'", short(first))))
}

fn allowed_rate(reply: &Reply) -> Result<Option<RateLimit>, Withheld> {
    let Some(value) = values(reply, ALLOWED_RATE).next() else { return Ok(None) };
    if value == "*" {
        return Ok(None);
    }
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // What is too large for a number is more than a limit can say.
    let rate = digits.then(|| RateLimit::per_minute_of(value.parse().unwrap_or(u64::MAX))).flatten();
    let wrong = || format!("the answer's {ALLOWED_RATE} is '{}', not a number above 0 or '*'", short(value));
    rate.map(Some).ok_or_else(|| Withheld(wrong()))
}

fn repeats(challenge: &str, reply: &Reply) -> Result<Consent, Withheld> {
    let consent = Consent { allowed_rate: None };
    if same(reply.body.trim_ascii(), challenge) {
        return Ok(consent);
    }
    match object(reply) {
        Some(fields) => has(&fields, "challenge", challenge).map(|()| consent),
        None => {
            Err(Withheld(format!("the answer is not the challenge, nor an object with it{}", cut(reply))))
        }
    }
}

fn proves(challenge: &str, proof: &str, reply: &Reply) -> Result<Consent, Withheld> {
    let Some(fields) = object(reply) else {
        let detail = format!("the answer is no object with 'challenge' and 'proof'{}", cut(reply));
        return Err(Withheld(detail));
    };
    has(&fields, "challenge", challenge)?;
    has(&fields, "proof", proof)?;
    Ok(Consent { allowed_rate: None })
}

fn has(fields: &Map<String, Value>, name: &str, expected: &str) -> Result<(), Withheld> {
    let Some(Value::String(given)) = fields.get(name) else {
        return Err(Withheld(format!("the answer has no text '{name}'")));
    };
    // Hex digits may be of either case.
    let given = if name == "proof" { given.to_ascii_lowercase() } else { given.clone() };
    if same(given.as_bytes(), expected) {
        return Ok(());
    }
    Err(Withheld(format!("the answer's {name} is another one")))
}

/// Compares in a time that does not tell where two texts differ.
fn same(given: &[u8], expected: &str) -> bool {
    given.ct_eq(expected.as_bytes()).into()
}

fn object(reply: &Reply) -> Option<Map<String, Value>> {
    serde_json::from_slice(&reply.body).ok()
}

fn values<'r>(reply: &'r Reply, name: &str) -> impl Iterator<Item = &'r str> {
    let named = reply.headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.trim())
}

/// What to add where the answer was longer than what is kept.
fn cut(reply: &Reply) -> &'static str {
    if reply.truncated { " (it was too long to be read whole)" } else { "" }
}

/// As much of a text as is quoted.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use posthaste_model::{ErrorClass, Period};

    use super::*;
    use crate::sample::{failed, reply};

    const CONSENT: Result<Option<(u32, u64)>, &str> = Ok(None);
    const ECHO: Question<'_> = Question::Echo { challenge: "abc-123" };
    const HMAC: Question<'_> = Question::Hmac { challenge: "abc-123", proof: "00ff" };
    const ORIGIN: Question<'_> = Question::CloudEvents { origin: "hooks.acme.example" };

    #[track_caller]
    fn judged(question: Question<'_>, reply: Reply, expect: Result<Option<(u32, u64)>, &str>) {
        let judged = judge_handshake(question, &Outcome::Replied(reply));
        let expect = expect.map(|rate| Consent {
            allowed_rate: rate.map(|(limit, secs)| RateLimit::new(limit, Period::from_secs(secs)).unwrap()),
        });
        assert_eq!(judged.map_err(|withheld| withheld.to_string()), expect.map_err(str::to_owned));
    }

    #[track_caller]
    fn body(question: Question<'_>, body: &'static str, expect: Result<(), &str>) {
        judged(question, Reply { body: body.into(), ..reply(200, &[]) }, expect.map(|()| None));
    }

    #[track_caller]
    fn headers(headers: &[(&str, &str)], expect: Result<Option<(u32, u64)>, &str>) {
        judged(ORIGIN, reply(200, headers), expect);
    }

    #[test]
    fn a_challenge_is_repeated() {
        body(ECHO, "abc-123", Ok(()));
        body(ECHO, " abc-123\r\n", Ok(()));
        body(ECHO, r#"{"challenge": "abc-123"}"#, Ok(()));
        body(ECHO, r#"{"type": "url_verification", "challenge": "abc-123"}"#, Ok(()));
        let not = "the answer is not the challenge, nor an object with it";
        body(ECHO, "", Err(not));
        body(ECHO, "ok", Err(not));
        body(ECHO, "abc-1234", Err(not));
        body(ECHO, "ABC-123", Err(not));
        body(ECHO, "[\"abc-123\"]", Err(not));
        body(ECHO, r#"{"challenge": "abc-124"}"#, Err("the answer's challenge is another one"));
        body(ECHO, r#"{"challenge": "abc-123 "}"#, Err("the answer's challenge is another one"));
        body(ECHO, r#"{"challenge": 5}"#, Err("the answer has no text 'challenge'"));
        body(ECHO, "{}", Err("the answer has no text 'challenge'"));
        let long = Reply { body: "abc".into(), truncated: true, ..reply(200, &[]) };
        let not = "the answer is not the challenge, nor an object with it (it was too long to be read whole)";
        judged(ECHO, long, Err(not));
    }

    #[test]
    fn a_secret_is_proved() {
        body(HMAC, r#"{"challenge": "abc-123", "proof": "00ff"}"#, Ok(()));
        body(HMAC, r#"{"proof": "00FF", "challenge": "abc-123", "more": 1}"#, Ok(()));
        let not = "the answer is no object with 'challenge' and 'proof'";
        body(HMAC, "abc-123", Err(not));
        body(HMAC, "00ff", Err(not));
        body(HMAC, r#"{"challenge": "abc-123"}"#, Err("the answer has no text 'proof'"));
        body(HMAC, r#"{"challenge": "abc-123", "proof": null}"#, Err("the answer has no text 'proof'"));
        body(HMAC, r#"{"challenge": "abc-123", "proof": ""}"#, Err("the answer's proof is another one"));
        body(HMAC, r#"{"challenge": "abc-123", "proof": "00fe"}"#, Err("the answer's proof is another one"));
        body(
            HMAC,
            r#"{"challenge": "other", "proof": "00ff"}"#,
            Err("the answer's challenge is another one"),
        );
        body(HMAC, r#"{"proof": "00ff"}"#, Err("the answer has no text 'challenge'"));
    }

    #[test]
    fn an_origin_is_allowed() {
        headers(&[("WebHook-Allowed-Origin", "hooks.acme.example")], CONSENT);
        headers(&[("webhook-allowed-origin", " Hooks.ACME.example ")], CONSENT);
        headers(&[("WebHook-Allowed-Origin", "*")], CONSENT);
        headers(&[("WebHook-Allowed-Origin", "other"), ("WebHook-Allowed-Origin", "*")], CONSENT);
        headers(&[], Err("the answer has no header WebHook-Allowed-Origin"));
        headers(&[("WebHook-Allowed-Rate", "100")], Err("the answer has no header WebHook-Allowed-Origin"));
        let other = "the answer's WebHook-Allowed-Origin is 'acme.example', not 'hooks.acme.example' or '*'";
        headers(&[("WebHook-Allowed-Origin", "acme.example")], Err(other));
        let none = "the answer's WebHook-Allowed-Origin is '', not 'hooks.acme.example' or '*'";
        headers(&[("WebHook-Allowed-Origin", "")], Err(none));
    }

    #[test]
    fn a_rate_is_allowed() {
        #[track_caller]
        fn rate(value: &str, expect: Result<Option<(u32, u64)>, &str>) {
            headers(&[("WebHook-Allowed-Origin", "*"), ("WebHook-Allowed-Rate", value)], expect);
        }
        rate("*", Ok(None));
        rate("120", Ok(Some((120, 60))));
        rate(" 1 ", Ok(Some((1, 60))));
        rate("60000", Ok(Some((1_000, 1))));
        rate("99999999999999999999999", Ok(Some((10_000, 1))));
        for wrong in ["0", "-1", "1.5", "fast", ""] {
            let why = format!("the answer's WebHook-Allowed-Rate is '{wrong}', not a number above 0 or '*'");
            rate(wrong, Err(&why));
        }
    }

    /// Whatever else it says.
    #[test]
    fn only_a_success_is_a_consent() {
        for status in [101, 199, 300, 302, 404, 405, 500] {
            let why = format!("the answer has the status {status}, not 2xx");
            judged(ORIGIN, reply(status, &[("WebHook-Allowed-Origin", "*")]), Err(&why));
            judged(ECHO, Reply { body: "abc-123".into(), ..reply(status, &[]) }, Err(&why));
        }
        for status in [200, 204, 299] {
            judged(ORIGIN, reply(status, &[("WebHook-Allowed-Origin", "*")]), CONSENT);
        }
        let withheld = judge_handshake(ECHO, &failed(ErrorClass::Dns)).unwrap_err();
        assert_eq!(withheld.to_string(), "there was no answer (dns): it failed");
    }
}
