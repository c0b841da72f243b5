//! Tokens of OAuth 2.0 by client credentials (RFC 6749 section 4.4), kept until shortly before they expire.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use form_urlencoded::{Serializer, byte_serialize};
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use posthaste_egress::{Request, TargetUrl, Transport};
use posthaste_model::{ErrorClass, Outcome};
use posthaste_signing::Zeroizing;
use serde::Deserialize;
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

/// How long a token is kept whose server does not say.
const USUAL_LIFE: Duration = Duration::from_secs(300);
/// A token is fetched anew at least once in so long.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// A token is fetched anew so long before it expires, and no later than when nine tenths of its life are over: what is
/// sent with it has to arrive while it is good. Where no other is to be had it is shown until it expires.
const AHEAD: Duration = Duration::from_secs(30);
/// After a failure no token is asked for in so long, nor after one that the receiver then refuses: there may be many
/// attempts. Failures that go on keep the attempts back themselves, longer and longer; the first probe comes a little
/// later than this, and is to find out something.
const PAUSE: Duration = Duration::from_millis(500);

/// Where an endpoint's tokens come from, and what came of asking last.
pub(crate) struct Tokens {
    url: TargetUrl,
    /// Who asks, as `Authorization` has it.
    client: HeaderValue,
    form: String,
    /// Whoever comes while the first token is fetched, or one for an expired token, waits for what comes of that.
    kept: Mutex<Kept>,
}

#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    Token(Token),
    Failure(Failure),
}

struct Token {
    authorization: HeaderValue,
    fetched_at: Instant,
    /// When another is asked for.
    good_until: Instant,
    /// Until when it is shown where no other is to be had.
    expires_at: Instant,
}

struct Failure {
    detail: String,
    /// When a token may be asked for again.
    until: Instant,
}

/// What a server of tokens answers (RFC 6749 section 5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    /// Seconds. Some servers write it as a text.
    #[serde(default)]
    expires_in: Option<Value>,
}

impl Tokens {
    /// None: the client's name and secret are nothing that a header may hold, which percent-encoding rules out.
    pub(crate) fn new(
        url: TargetUrl,
        (client_id, client_secret): (&str, &str),
        scope: Option<&str>,
        audience: Option<&str>,
    ) -> Option<Self> {
        // Both are encoded as in a form first (section 2.3.1).
        let encoded = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
        let pair = Zeroizing::new(format!("{}:{}", *encoded(client_id), *encoded(client_secret)));
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", scope), ("audience", audience)] {
            form.extend_pairs(value.map(|value| (name, value)));
        }
        let client = sensitive(&Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(&*pair))))?;
        Some(Self { url, client, form: form.finish(), kept: Mutex::default() })
    }

    /// What `Authorization` says now; a token is fetched if there is none that is good.
    ///
    /// # Errors
    /// What the attempt comes to that cannot be made without a token.
    pub(crate) async fn authorization(
        &self,
        transport: &dyn Transport,
        deadline: Instant,
    ) -> Result<HeaderValue, Outcome> {
        let mut kept = self.kept.lock().await;
        let now = Instant::now();
        match &mut *kept {
            Kept::Token(token) if now < token.good_until.min(token.expires_at) => {
                return Ok(token.authorization.clone());
            }
            Kept::Token(token) if now < token.expires_at => {
                // Half of the time is left to the request, should nothing come of this.
                let deadline = now + deadline.saturating_duration_since(now) / 2;
                // Others go on with it meanwhile.
                token.good_until = deadline + PAUSE;
                drop(kept);
                let fetched = self.fetch(transport, now, deadline).await;
                return self.kept.lock().await.learn(fetched);
            }
            Kept::Failure(failure) if now < failure.until => {
                return Err(failed(format!("no token is asked for again yet: {}", failure.detail)));
            }
            Kept::Nothing | Kept::Token(_) | Kept::Failure(_) => {}
        }
        let fetched = self.fetch(transport, now, deadline).await;
        kept.learn(fetched)
    }

    /// The receiver did not take it: attempts have another, but for those within [`PAUSE`] of its fetch.
    pub(crate) async fn refused(&self, authorization: &HeaderValue) {
        if let Kept::Token(token) = &mut *self.kept.lock().await
            // Another attempt may have seen to it.
            && token.authorization == *authorization
        {
            token.expires_at = token.expires_at.min(token.fetched_at + PAUSE);
        }
    }

    async fn fetch(
        &self,
        transport: &dyn Transport,
        now: Instant,
        deadline: Instant,
    ) -> Result<Token, Outcome> {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let json = HeaderValue::from_static("application/json");
        let headers = [(AUTHORIZATION, self.client.clone()), (CONTENT_TYPE, form), (ACCEPT, json)];
        let within = deadline.saturating_duration_since(now);
        let request = Request::post(self.url.clone(), self.form.clone().into(), within);
        let request = Request { headers: HeaderMap::from_iter(headers), ..request };
        let reply = match transport.send(request).await.outcome {
            Outcome::Replied(reply) => reply,
            Outcome::Failed { class: ErrorClass::Internal, detail } => {
                return Err(Outcome::Failed { class: ErrorClass::Internal, detail });
            }
            Outcome::Failed { class, detail } => {
                return Err(failed(format!(
                    "the token endpoint cannot be used ({}): {detail}",
                    class.as_str()
                )));
            }
        };
        if reply.status != 200 {
            return Err(failed(format!("the token endpoint answered {}", reply.status)));
        }
        if reply.truncated {
            return Err(failed("the token endpoint answered more than a token can be"));
        }
        // What is wrong with it is left out: it may quote the token.
        let answer: Answer = serde_json::from_slice(&reply.body)
            .map_err(|_| failed("the token endpoint answered something that is no token"))?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(failed("the token endpoint gave a token that is no bearer token"));
        }
        let authorization = bearer(&Zeroizing::new(answer.access_token))
            .ok_or_else(|| failed("the token endpoint gave a token that no header can hold"))?;
        let life = answer.expires_in.as_ref().and_then(seconds).unwrap_or(USUAL_LIFE).min(LONGEST_LIFE);
        // One that lives for less than a minute is worth half of that, and not a request for each attempt.
        let good_for = life - AHEAD.max(life / 10).min(life / 2);
        Ok(Token { authorization, fetched_at: now, good_until: now + good_for, expires_at: now + life })
    }
}

impl Kept {
    /// Keeps what came of asking, and gives what an attempt can use after that.
    fn learn(&mut self, fetched: Result<Token, Outcome>) -> Result<HeaderValue, Outcome> {
        let now = Instant::now();
        match (fetched, &mut *self) {
            (Ok(token), _) => {
                let authorization = token.authorization.clone();
                *self = Self::Token(token);
                Ok(authorization)
            }
            (Err(_), Self::Token(old)) if now < old.expires_at => {
                old.good_until = now + PAUSE;
                Ok(old.authorization.clone())
            }
            (Err(outcome), _) => {
                // A fault of ours says nothing of the server.
                if let Outcome::Failed { class: ErrorClass::Auth, detail } = &outcome {
                    *self = Self::Failure(Failure { detail: detail.clone(), until: now + PAUSE });
                }
                Err(outcome)
            }
        }
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::String(text) => text.parse().ok()?,
        value => value.as_f64()?,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// None: it is no token, which has no spaces and is not empty (RFC 6750 section 2.1).
fn bearer(token: &str) -> Option<HeaderValue> {
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| sensitive(&Zeroizing::new(format!("Bearer {token}")))).flatten()
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn failed(detail: impl Into<String>) -> Outcome {
    Outcome::Failed { class: ErrorClass::Auth, detail: detail.into() }
}
