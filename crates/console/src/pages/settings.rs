//! How an endpoint is set up, in words.

use posthaste_client::{BodyFormat, Endpoint, EndpointAuth, HeaderField, Method, RateLimit, RetryPolicy};

use crate::words;

/// What is set of an endpoint beside its URL and its topics: names and values.
pub(super) fn settings(endpoint: &Endpoint) -> Vec<(&'static str, String)> {
    let usual = || "the service’s default".to_owned();
    let signature = endpoint.signature.get("profile").and_then(|profile| profile.as_str());
    let mut settings = vec![
        ("Body", format!("{}, by {}", format(endpoint.format), method(endpoint.method))),
        ("Signature", signature.map_or_else(|| endpoint.signature.to_string(), str::to_owned)),
        ("Timeout", endpoint.timeout.map_or_else(usual, |timeout| timeout.to_string())),
        ("Retries", endpoint.retry.as_ref().map_or_else(usual, retries)),
        ("At once, at most", endpoint.max_in_flight.map_or_else(usual, |most| words::count(most.into()))),
        ("Order", if endpoint.ordered { "one at a time, in order".into() } else { "any".into() }),
    ];
    let metadata = endpoint.metadata.iter().map(|(name, value)| format!("{name}: {value}"));
    let more = [
        ("Filter", endpoint.filter.as_ref().map(ToString::to_string)),
        ("Rate limit", endpoint.rate_limit.map(rate_limit)),
        ("Headers", listed(endpoint.headers.iter().map(|(name, value)| header(name, value)))),
        ("Metadata as headers", endpoint.metadata_headers.then(|| "those of the event".to_owned())),
        ("Shows the receiver", endpoint.auth.as_ref().map(auth)),
        ("TLS", tls(endpoint)),
        ("Metadata", listed(metadata)),
    ];
    settings.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
    settings
}

/// Things one after the other; none: there are none.
fn listed(things: impl Iterator<Item = String>) -> Option<String> {
    let things: Vec<_> = things.collect();
    (!things.is_empty()).then(|| things.join(", "))
}

fn format(format: BodyFormat) -> &'static str {
    match format {
        BodyFormat::Standard => "envelope of Standard Webhooks",
        BodyFormat::Raw => "the data alone",
        BodyFormat::CloudEvents => "CloudEvent, structured",
        BodyFormat::CloudEventsBinary => "CloudEvent, binary",
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Post => "POST",
        Method::Put => "PUT",
    }
}

fn rate_limit(limit: RateLimit) -> String {
    format!("{} in {}", words::counted(limit.limit().into(), "attempt"), limit.per())
}

/// A header. What was given in confidence stays so.
fn header(name: &str, value: &HeaderField) -> String {
    match value {
        HeaderField::Shown(value) => format!("{name}: {value}"),
        HeaderField::Secret { .. } => format!("{name}: ***"),
    }
}

fn auth(auth: &EndpointAuth) -> String {
    match auth {
        EndpointAuth::Bearer { .. } => "a token that was given".into(),
        EndpointAuth::Basic { username, .. } => format!("user {username} and a password"),
        EndpointAuth::OAuth2 { token_url, client_id, .. } => {
            format!("a token for client {client_id}, fetched from {token_url}")
        }
    }
}

fn tls(endpoint: &Endpoint) -> Option<String> {
    let tls = endpoint.tls.as_ref()?;
    let own = tls.certificate.is_some().then(|| "shows a certificate of its own".to_owned());
    let ca = tls.ca.is_some().then(|| "trusts the receiver by a CA of its own".to_owned());
    listed(own.into_iter().chain(ca))
}

/// When failed deliveries are tried again: the delays of a schedule, or a policy as the API writes it.
fn retries(retry: &RetryPolicy) -> String {
    let written = serde_json::to_value(retry).unwrap_or_default();
    let delays = written.get("schedule").and_then(|schedule| schedule.as_array());
    match delays {
        Some(delays) => {
            let delays: Vec<_> = delays.iter().filter_map(|delay| delay.as_str()).collect();
            format!("after {}", delays.join(", "))
        }
        None => written.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use posthaste_client::{EndpointTls, SecretField};

    use super::{super::example, *};

    /// What is said of one setting.
    fn said(endpoint: &Endpoint, name: &str) -> Option<String> {
        settings(endpoint).into_iter().find_map(|(of, value)| (of == name).then_some(value))
    }

    #[test]
    fn what_is_not_set_is_the_default_of_the_service() {
        let endpoint = example::endpoint();
        let said = |name| said(&endpoint, name);
        assert_eq!(said("Body").as_deref(), Some("envelope of Standard Webhooks, by POST"));
        assert_eq!(said("Signature").as_deref(), Some("standard"));
        assert_eq!(said("Timeout").as_deref(), Some("the service’s default"));
        for name in ["Filter", "Rate limit", "Headers", "Shows the receiver", "TLS", "Metadata"] {
            assert_eq!(said(name), None);
        }
    }

    #[test]
    fn what_it_sends_is_said_but_for_what_is_secret() {
        let kept = SecretField::Kept(true);
        let endpoint = Endpoint {
            format: BodyFormat::CloudEventsBinary,
            method: Method::Put,
            headers: [
                ("X-Region".to_owned(), HeaderField::from("eu")),
                ("X-Token".to_owned(), HeaderField::Secret { secret: kept.clone() }),
            ]
            .into(),
            metadata_headers: true,
            auth: Some(EndpointAuth::Basic { username: "hooks".into(), password: kept.clone() }),
            tls: Some(EndpointTls { ca: Some("PEM".into()), ..EndpointTls::default() }),
            rate_limit: RateLimit::new(100, posthaste_client::Period::from_secs(60)).ok(),
            retry: serde_json::from_str(r#"{"schedule": ["5s", "5m"]}"#).ok(),
            ..example::endpoint()
        };
        for (name, expect) in [
            ("Body", "CloudEvent, binary, by PUT"),
            ("Headers", "X-Region: eu, X-Token: ***"),
            ("Metadata as headers", "those of the event"),
            ("Shows the receiver", "user hooks and a password"),
            ("TLS", "trusts the receiver by a CA of its own"),
            ("Rate limit", "100 attempts in 1m"),
            ("Retries", "after 5s, 5m"),
        ] {
            assert_eq!(said(&endpoint, name).as_deref(), Some(expect), "{name}");
        }
    }
}
