//! What was sent, as it is told to people.

use http::header::AUTHORIZATION;
use posthaste_egress::Request;
use posthaste_model::SentRequest;

/// What stands where something was shown in confidence.
const MASKED: &str = "***";

/// What people may read of a request: what it shows the receiver in confidence is masked. `with_token`: it was sent with one,
/// which came in the place of what it says of itself.
pub(crate) fn told(Request { method, target, headers, .. }: &Request, with_token: bool) -> SentRequest {
    let mut told = Vec::with_capacity(headers.len() + 1);
    for (name, value) in headers {
        let masked = value.is_sensitive() || name == AUTHORIZATION;
        let value = if masked { MASKED.into() } else { String::from_utf8_lossy(value.as_bytes()) };
        told.push((name.as_str().to_owned(), value.into_owned()));
    }
    if with_token && !headers.contains_key(AUTHORIZATION) {
        told.push((AUTHORIZATION.as_str().to_owned(), MASKED.to_owned()));
    }
    SentRequest {
        method: http::Method::from(*method).to_string(),
        url: target.as_str().to_owned(),
        headers: told,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use posthaste_egress::{EgressPolicy, Guard, Method, TargetUrl};

    use super::*;

    #[test]
    fn what_is_shown_in_confidence_is_masked() {
        let guard = Guard::new(EgressPolicy::default());
        let target = TargetUrl::parse("https://hook.example/in?a=b", &guard).unwrap();
        let request = Request::post(target, Bytes::from_static(b"{}"), std::time::Duration::from_secs(1));
        let mut secret = HeaderValue::from_static("s3cret");
        secret.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("webhook-id"), HeaderValue::from_static("evt_1")),
            (HeaderName::from_static("x-key"), secret),
            (AUTHORIZATION, HeaderValue::from_static("Bearer abc")),
        ]);
        let mut request = Request { method: Method::Put, headers, ..request };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![pair("webhook-id", "evt_1"), pair("x-key", "***"), pair("authorization", "***")];
        let url = "https://hook.example/in?a=b".to_owned();
        let expect = SentRequest { method: "PUT".into(), url, headers };
        assert_eq!(told(&request, false), expect);
        assert_eq!(told(&request, true), expect);
        // A token is put in when it is sent.
        request.headers.remove(AUTHORIZATION);
        assert_eq!(told(&request, true), expect);
        assert_eq!(told(&request, false).headers, expect.headers[..2]);
    }
}
