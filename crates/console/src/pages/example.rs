//! What tests look at.

use posthaste_client::Endpoint;

/// An endpoint as the API shows it, with nothing set.
pub(super) fn endpoint() -> Endpoint {
    let endpoint = serde_json::json!({
        "id": "ep_00000000000000000000000000000001", "tenant": "acme", "url": "https://example.com/hook",
        "topics": ["*"], "filter": null, "description": "", "metadata": {}, "timeout": null, "retry": null,
        "max_in_flight": null, "rate_limit": null, "ordered": false, "signature": {"profile": "standard"},
        "format": "standard", "method": "POST", "headers": {}, "metadata_headers": false, "auth": null,
        "tls": null, "handshake": null, "state": "enabled", "state_reason": null, "parked_until": null,
        "health": {"failing_since": null, "failures": 0, "exhausted": 0, "warned": 0},
        "created_at": "2026-11-21T10:00:00Z", "updated_at": "2026-11-21T10:00:00Z",
    });
    serde_json::from_str(&endpoint.to_string()).unwrap()
}
