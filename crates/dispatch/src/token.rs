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
/// sent with it has to arrive while it is good.
const AHEAD: Duration = Duration::from_secs(30);

/// Where an endpoint's tokens come from, and the last of them.
pub(crate) struct Tokens {
    url: TargetUrl,
    /// Who asks, as `Authorization` has it.
    client: HeaderValue,
    form: String,
    /// Whoever comes while a token is fetched waits for that one.
    kept: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    authorization: HeaderValue,
    good_until: Instant,
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
        if let Some(token) = kept.as_ref().filter(|token| now < token.good_until) {
            return Ok(token.authorization.clone());
        }
        let token = self.fetch(transport, now, deadline).await?;
        Ok(kept.insert(token).authorization.clone())
    }

    /// The receiver did not take it: the next attempt has another.
    pub(crate) async fn refused(&self, authorization: &HeaderValue) {
        // Another attempt may have seen to it.
        self.kept.lock().await.take_if(|token| token.authorization == *authorization);
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
        // What is wrong with it is left out: it may quote the token.
        let answer: Answer = serde_json::from_slice(&reply.body)
            .map_err(|_| failed("the token endpoint answered something that is no token"))?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(failed("the token endpoint gave a token that is no bearer token"));
        }
        let authorization = sensitive(&Zeroizing::new(format!("Bearer {}", answer.access_token)))
            .ok_or_else(|| failed("the token endpoint gave a token that no header can hold"))?;
        let life = answer.expires_in.as_ref().and_then(seconds).unwrap_or(USUAL_LIFE).min(LONGEST_LIFE);
        // One that lives for less than a minute is worth half of that, and not a request for each attempt.
        let good_for = life - AHEAD.max(life / 10).min(life / 2);
        Ok(Token { authorization, good_until: now + good_for })
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::String(text) => text.parse().ok()?,
        value => value.as_f64()?,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn failed(detail: impl Into<String>) -> Outcome {
    Outcome::Failed { class: ErrorClass::Auth, detail: detail.into() }
}
