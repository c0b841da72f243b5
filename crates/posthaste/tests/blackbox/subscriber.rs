//! What a subscriber does with a request, with a library of its own.

use posthaste_client::{Client, CreatedEndpoint, NewEndpoint};
use posthaste_model::{Period, RetryPolicy, TenantId};
use posthaste_testkit::ReceivedRequest;
use standardwebhooks::Webhook;

/// Registers an endpoint for every topic, with a list of delays between attempts in milliseconds.
pub(crate) async fn endpoint(
    client: &Client,
    tenant: &TenantId,
    url: String,
    delays: &[u64],
) -> CreatedEndpoint {
    endpoint_with(client, tenant, url, delays, |_| {}).await
}

/// Registers one that is different in something.
pub(crate) async fn endpoint_with(
    client: &Client,
    tenant: &TenantId,
    url: String,
    delays: &[u64],
    change: impl FnOnce(&mut NewEndpoint),
) -> CreatedEndpoint {
    let delays = delays.iter().copied().map(Period::from_millis).collect();
    let mut endpoint = NewEndpoint {
        retry: Some(RetryPolicy::schedule(delays).expect("a valid schedule")),
        ..NewEndpoint::new(url)
    };
    change(&mut endpoint);
    client.create_endpoint(tenant, &endpoint).await.expect("the endpoint is registered")
}

/// Verifies a request over its raw bytes, as the `standardwebhooks` crate does it.
pub(crate) fn verify(request: &ReceivedRequest, secret: &str) -> Result<(), String> {
    let mut headers = ::http::HeaderMap::new();
    for (name, value) in &request.headers {
        let name: ::http::HeaderName = name.parse().expect("a header name");
        headers.append(name, value.parse().expect("a header value"));
    }
    Webhook::new(secret)
        .expect("a secret that the library reads")
        .verify(&request.body, &headers)
        .map_err(|error| error.to_string())
}
