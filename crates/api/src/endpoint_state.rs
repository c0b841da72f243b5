//! Pausing, resuming, enabling and disabling an endpoint.

use actix_web::{HttpResponse, post, web::Data};
use garde::Validate;
use posthaste_model::{Endpoint, EndpointId, EndpointState, TenantId};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    body::{Nothing, OptionalJson},
    endpoints::{DISABLED, EndpointBody, change},
    handshake::{self, require_verified},
    params::BothInPath,
    problem::{Kind, Problem},
    service::Service,
    validation::validate,
};

type OfEndpoint = BothInPath<TenantId, EndpointId>;

/// How an endpoint is disabled.
#[derive(Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Disabling {
    /// Why, for people.
    #[garde(length(chars, max = 500))]
    #[schema(example = "the customer left")]
    reason: Option<String>,
}

/// Pause an endpoint: its deliveries are held. Pausing it again changes nothing.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 200, body = EndpointBody)))]
#[post("/tenants/{tenant}/endpoints/{endpoint}/pause")]
pub(crate) async fn pause_endpoint(
    service: Data<Service>,
    path: OfEndpoint,
    _: OptionalJson<Nothing>,
) -> Result<HttpResponse, Problem> {
    let changed = change(&service, &path.0, path.1, |endpoint| {
        require_not_disabled(endpoint)?;
        handshake::set_state(endpoint, EndpointState::Paused);
        Ok(())
    })
    .await?;
    Ok(changed.answer())
}

/// Resume an endpoint that is paused: what was held goes out, oldest first.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 200, body = EndpointBody)))]
#[post("/tenants/{tenant}/endpoints/{endpoint}/resume")]
pub(crate) async fn resume_endpoint(
    service: Data<Service>,
    path: OfEndpoint,
    _: OptionalJson<Nothing>,
) -> Result<HttpResponse, Problem> {
    let changed = change(&service, &path.0, path.1, |endpoint| {
        require_not_disabled(endpoint)?;
        require_verified(endpoint)?;
        endpoint.state = EndpointState::Enabled;
        Ok(())
    })
    .await?;
    Ok(changed.answer())
}

/// Refuses what does not wake an endpoint that is disabled, such as pausing or resuming: whoever does that should mean it.
pub(crate) fn require_not_disabled(endpoint: &Endpoint) -> Result<(), Problem> {
    match endpoint.state {
        EndpointState::Disabled => {
            Err(Problem::new(Kind::EndpointClosed, "the endpoint is disabled; enable it first"))
        }
        EndpointState::Enabled | EndpointState::Paused => Ok(()),
    }
}

/// Enable an endpoint, whatever its state is. What was held goes out; what was skipped stays skipped. One that was disabled
/// before it was verified waits for its handshake then.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 200, body = EndpointBody)))]
#[post("/tenants/{tenant}/endpoints/{endpoint}/enable")]
pub(crate) async fn enable_endpoint(
    service: Data<Service>,
    path: OfEndpoint,
    _: OptionalJson<Nothing>,
) -> Result<HttpResponse, Problem> {
    let changed = change(&service, &path.0, path.1, |endpoint| {
        let from = endpoint.state;
        handshake::enable(endpoint, from)
    })
    .await?;
    Ok(changed.answer())
}

/// Disable an endpoint: its deliveries are skipped. Where it is disabled already, only a reason that is given changes.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    request_body = Option<Disabling>, responses((status = 200, body = EndpointBody)))]
#[post("/tenants/{tenant}/endpoints/{endpoint}/disable")]
pub(crate) async fn disable_endpoint(
    service: Data<Service>,
    path: OfEndpoint,
    disabling: OptionalJson<Disabling>,
) -> Result<HttpResponse, Problem> {
    let Disabling { reason } = validate(disabling.0)?;
    let changed = change(&service, &path.0, path.1, |endpoint| {
        if endpoint.state != EndpointState::Disabled || reason.is_some() {
            endpoint.state = EndpointState::Disabled;
            endpoint.state_reason = Some(reason.clone().unwrap_or_else(|| DISABLED.to_owned()));
        }
        Ok(())
    })
    .await?;
    Ok(changed.answer())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::fixture::{Api, ENDPOINTS};

    /// What comes of something that is done to an endpoint in a state: its state and the reason, or the refusal.
    async fn check(from: &str, what: &str, body: &str, expect: Result<(&str, Option<&str>), &str>) {
        let api = Api::new().await;
        let made = api.endpoint(json!({ "state": from })).await;
        let endpoint = format!("{ENDPOINTS}/{}", made["id"].as_str().unwrap());
        let line = format!("POST {endpoint}/{what}");
        match expect {
            Ok((state, reason)) => {
                let answer = api.json(&line, body, 200).await;
                assert_eq!(answer["state"], state, "{what} from {from}");
                assert_eq!(answer["state_reason"].as_str(), reason, "{what} from {from}");
                assert_eq!(api.json(&format!("GET {endpoint}"), "", 200).await, answer);
            }
            Err(refused) => {
                api.refuses(&line, body, refused).await;
                assert_eq!(api.json(&format!("GET {endpoint}"), "", 200).await["state"], from);
            }
        }
    }

    const API: Option<&str> = Some("disabled through the API");

    #[tokio::test]
    async fn from_every_state_to_every_other() {
        let closed = Err("409 endpoint-closed: the endpoint is disabled; enable it first");
        check("enabled", "pause", "", Ok(("paused", None))).await;
        check("paused", "pause", "", Ok(("paused", None))).await;
        check("disabled", "pause", "", closed).await;
        check("enabled", "resume", "", Ok(("enabled", None))).await;
        check("paused", "resume", "{}", Ok(("enabled", None))).await;
        check("disabled", "resume", "", closed).await;
        for from in ["enabled", "paused", "disabled"] {
            check(from, "enable", "", Ok(("enabled", None))).await;
            check(from, "disable", "", Ok(("disabled", API))).await;
            check(from, "disable", "{}", Ok(("disabled", API))).await;
            check(from, "disable", r#"{"reason": "they left"}"#, Ok(("disabled", Some("they left")))).await;
        }
        // Characters are counted, not bytes.
        let long = "ü".repeat(400);
        let body = json!({ "reason": long }).to_string();
        check("enabled", "disable", &body, Ok(("disabled", Some(&long)))).await;
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        let long = json!({ "reason": "x".repeat(501) }).to_string();
        for (what, body, refused) in [
            ("disable", long.as_str(), "422 invalid-field pointer /reason: "),
            ("disable", r#"{"reason": 5}"#, "422 invalid-field pointer /reason: "),
            ("disable", r#"{"why": "x"}"#, "422 invalid-field pointer /why: unknown field"),
            ("disable", "{", "400 malformed-json: "),
            ("pause", r#"{"until": "5m"}"#, "422 invalid-field pointer /until: unknown field"),
            ("resume", "[]", "422 invalid-field pointer : expected an object"),
            ("enable", "nothing", "400 malformed-json: "),
        ] {
            check("enabled", what, body, Err(refused)).await;
        }
        let api = Api::new().await;
        let missing = format!("{ENDPOINTS}/ep_00000000000000000000000000000000");
        for what in ["pause", "resume", "enable", "disable"] {
            api.refuses(&format!("POST {missing}/{what}"), "", "404 not-found: no such endpoint").await;
            api.refuses(
                &format!("POST {ENDPOINTS}/ep_1/{what}"),
                "",
                "400 invalid-parameter parameter endpoint: ",
            )
            .await;
        }
    }

    /// What changes nothing is not written: it would look as if somebody had changed something.
    #[tokio::test]
    async fn a_state_that_it_has_already_is_no_change() {
        let api = Api::new().await;
        let made = api.endpoint(json!({ "state": "paused" })).await;
        let id = made["id"].as_str().unwrap().parse().unwrap();
        let version = || async {
            use posthaste_store::Catalogue as _;
            api.store.endpoint(&posthaste_model::TenantId::default_tenant(), id).await.unwrap().version
        };
        let before = version().await;
        let answer: Value = api.json(&format!("POST {ENDPOINTS}/{id}/pause"), "", 200).await;
        assert_eq!(answer["state"], "paused");
        assert_eq!(version().await, before);
        api.json(&format!("POST {ENDPOINTS}/{id}/resume"), "", 200).await;
        assert!(version().await > before);
    }
}
