use actix_web::{
    HttpResponse, delete, get, patch, post,
    web::{Data, Json},
};
use garde::Validate;
use posthaste_egress::TargetUrl;
use posthaste_model::{
    Endpoint, EndpointId, EndpointState, Health, Period, RateLimit, RetryPolicy, TenantId, Timestamp,
    TopicPattern,
};
use posthaste_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    body::{self, JsonBody},
    cursor::{List, ListQuery, Listed},
    merge_patch,
    metadata::{self, Metadata},
    params::{BothInPath, InPath, InQuery},
    problem::{Kind, Problem},
    secrets,
    service::Service,
    validation::validate,
};

/// How often a change is tried again when another one came first.
const TRIES: usize = 5;
/// Why an endpoint is disabled, where nobody says.
pub(crate) const DISABLED: &str = "disabled through the API";

/// What an endpoint is given.
#[derive(Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointFields {
    /// Where deliveries go: an https URL on the public internet, unless the service allows others.
    #[garde(skip)]
    #[schema(example = "https://example.com/hooks")]
    url: String,
    /// Which topics it wants: `order.paid`, `order.*` for all below, `*` for all.
    #[serde(default = "all_topics")]
    #[garde(length(min = 1, max = 100))]
    #[schema(value_type = Vec<String>)]
    topics: Vec<TopicPattern>,
    /// For people.
    #[serde(default)]
    #[garde(length(max = 500))]
    description: String,
    /// The caller's own facts about it: up to 50.
    #[serde(default)]
    #[garde(custom(metadata_bounds))]
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// How long one exchange may take: `1s` to `30s`. Null: the service's default.
    #[garde(custom(timeout_bounds))]
    #[schema(value_type = Option<String>, example = "15s")]
    timeout: Option<Period>,
    /// When failed deliveries are tried again: `{"schedule": ["5s", "5m"]}`, or `initial_interval`, `multiplier`,
    /// `randomization_factor`, `max_interval`, `max_elapsed_time`, `max_attempts`. Null: the service's default.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    retry: Option<RetryPolicy>,
    /// How many requests may be under way at once: 1 to 1000. Null: the service's default.
    #[garde(custom(in_flight_bounds))]
    #[schema(example = 32)]
    max_in_flight: Option<u32>,
    /// How many attempts may begin within a time: `{"limit": 100, "per": "1s"}`, up to 10,000 per `100ms` to `24h`. Null:
    /// as many as there are.
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    rate_limit: Option<RateLimit>,
    /// Whether deliveries go one at a time, in the order in which their events were accepted: each waits until the one
    /// before it is delivered or exhausted.
    #[serde(default)]
    #[garde(skip)]
    ordered: bool,
    /// `enabled`, `paused` (deliveries are held) or `disabled` (deliveries are skipped).
    #[serde(default = "enabled")]
    #[garde(skip)]
    #[schema(value_type = String)]
    state: EndpointState,
}

fn all_topics() -> Vec<TopicPattern> {
    vec![TopicPattern::All]
}

fn enabled() -> EndpointState {
    EndpointState::Enabled
}

fn metadata_bounds(metadata: &Metadata, (): &()) -> garde::Result {
    metadata::excess(metadata).map_or(Ok(()), |excess| Err(garde::Error::new(excess)))
}

fn in_flight_bounds(max: &Option<u32>, (): &()) -> garde::Result {
    match max {
        Some(max) if !(1..=1_000).contains(max) => Err(garde::Error::new("must lie between 1 and 1000")),
        _ => Ok(()),
    }
}

fn timeout_bounds(timeout: &Option<Period>, (): &()) -> garde::Result {
    match timeout {
        Some(timeout) if !(Period::from_secs(1)..=Period::from_secs(30)).contains(timeout) => {
            Err(garde::Error::new("must lie between 1s and 30s"))
        }
        _ => Ok(()),
    }
}

/// A URL of a tenant that wants events.
// Its fields are not flattened into it: the specification would ask for what they forbid, that there are others.
#[derive(Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointBody {
    #[schema(value_type = String)]
    id: EndpointId,
    #[schema(value_type = String)]
    tenant: TenantId,
    /// Where deliveries go.
    #[schema(example = "https://example.com/hooks")]
    url: String,
    /// Which topics it wants: `order.paid`, `order.*` for all below, `*` for all.
    #[schema(value_type = Vec<String>)]
    topics: Vec<TopicPattern>,
    /// For people.
    description: String,
    /// The caller's own facts about it.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// How long one exchange may take. Null: the service's default.
    #[schema(value_type = Option<String>, example = "15s")]
    timeout: Option<Period>,
    /// When failed deliveries are tried again. Null: the service's default.
    #[schema(value_type = Option<Object>)]
    retry: Option<RetryPolicy>,
    /// How many requests may be under way at once. Null: the service's default.
    #[schema(example = 32)]
    max_in_flight: Option<u32>,
    /// How many attempts may begin within a time. Null: as many as there are.
    #[schema(value_type = Option<Object>)]
    rate_limit: Option<RateLimit>,
    /// Whether deliveries go one at a time, in the order in which their events were accepted.
    ordered: bool,
    /// `enabled`, `paused` (deliveries are held) or `disabled` (deliveries are skipped).
    #[schema(value_type = String)]
    state: EndpointState,
    /// Why it is disabled.
    state_reason: Option<String>,
    /// Nothing is sent before this time, because the endpoint asked for a pause.
    #[schema(value_type = Option<String>, format = DateTime)]
    parked_until: Option<Timestamp>,
    /// How it has fared since its last success.
    health: HealthBody,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// How an endpoint has fared since its last success.
#[derive(Serialize, ToSchema)]
#[schema(as = EndpointHealth)]
struct HealthBody {
    /// When the first attempt failed; null: none has.
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<Timestamp>,
    /// How many attempts have failed.
    failures: u32,
    /// How many deliveries have been exhausted.
    exhausted: u32,
    /// The last warning that was given: how much of the time until it is disabled has passed, in percent; 0: none was.
    warned: u8,
}

/// An endpoint as it was made, with the secret that signs its deliveries.
#[derive(Serialize, ToSchema)]
struct CreatedEndpoint {
    #[serde(flatten)]
    endpoint: EndpointBody,
    /// What the subscriber verifies signatures with.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

impl From<Health> for HealthBody {
    fn from(Health { failing_since, failures, exhausted, warned }: Health) -> Self {
        Self { failing_since, failures, exhausted, warned }
    }
}

impl From<&Endpoint> for EndpointFields {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            url: endpoint.url.clone(),
            topics: endpoint.topics.clone(),
            description: endpoint.description.clone(),
            metadata: endpoint.metadata.clone(),
            timeout: endpoint.timeout,
            retry: endpoint.retry.clone(),
            max_in_flight: endpoint.max_in_flight,
            rate_limit: endpoint.rate_limit,
            ordered: endpoint.ordered,
            state: endpoint.state,
        }
    }
}

impl From<Endpoint> for EndpointBody {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id,
            tenant: endpoint.tenant,
            url: endpoint.url,
            topics: endpoint.topics,
            description: endpoint.description,
            metadata: endpoint.metadata,
            timeout: endpoint.timeout,
            retry: endpoint.retry,
            max_in_flight: endpoint.max_in_flight,
            rate_limit: endpoint.rate_limit,
            ordered: endpoint.ordered,
            state: endpoint.state,
            state_reason: endpoint.state_reason,
            parked_until: endpoint.parked_until,
            health: endpoint.health.into(),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

impl EndpointFields {
    /// Checks everything but the URL.
    fn bounded(self) -> Result<Self, Problem> {
        let fields = validate(self)?;
        if fields.ordered && fields.max_in_flight.is_some_and(|max| max > 1) {
            return Err(Problem::field("/max_in_flight", "an ordered endpoint takes one request at a time"));
        }
        Ok(fields)
    }

    /// Checks everything, and writes the URL as it will be used.
    fn checked(self, service: &Service) -> Result<Self, Problem> {
        let mut fields = self.bounded()?;
        let url = TargetUrl::parse(&fields.url, &service.guard).map_err(|e| Problem::field("/url", e))?;
        fields.url = url.as_str().to_owned();
        Ok(fields)
    }

    fn write_to(self, endpoint: &mut Endpoint) {
        let Self {
            url,
            topics,
            description,
            metadata,
            timeout,
            retry,
            max_in_flight,
            rate_limit,
            ordered,
            state,
        } = self;
        if state != endpoint.state {
            endpoint.state_reason = (state == EndpointState::Disabled).then(|| DISABLED.to_owned());
        }
        endpoint.url = url;
        endpoint.topics = topics;
        endpoint.description = description;
        endpoint.metadata = metadata;
        endpoint.timeout = timeout;
        endpoint.retry = retry;
        endpoint.max_in_flight = max_in_flight;
        endpoint.rate_limit = rate_limit;
        endpoint.ordered = ordered;
        endpoint.state = state;
    }
}

/// Reads an endpoint, changes it and writes it back; again when another change came first. What is as it was is not
/// written.
pub(crate) async fn change(
    service: &Service,
    tenant: &TenantId,
    id: EndpointId,
    change: impl Fn(&mut Endpoint) -> Result<(), Problem>,
) -> Result<Endpoint, Problem> {
    for _ in 0..TRIES {
        let before = service.store.endpoint(tenant, id).await?;
        let mut endpoint = before.clone();
        change(&mut endpoint)?;
        if endpoint == before {
            return Ok(before);
        }
        endpoint.updated_at = service.clock.now();
        match service.store.update_endpoint(endpoint).await {
            Err(StoreError::StaleEndpoint) => continue,
            result => return Ok(result?),
        }
    }
    Err(Problem::new(Kind::Conflict, "the endpoint is being changed by others; try again"))
}

/// Register an endpoint. The answer holds its secret.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path)), request_body = EndpointFields,
    responses((status = 201, body = CreatedEndpoint)))]
#[post("/tenants/{tenant}/endpoints")]
pub(crate) async fn create_endpoint(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    fields: JsonBody<EndpointFields>,
) -> Result<HttpResponse, Problem> {
    let fields = fields.0.checked(&service)?;
    let now = service.clock.now();
    let id = EndpointId::mint(now, service.entropy.id());
    let (secret, sealed) = secrets::new(&service, id)?;
    let mut endpoint = Endpoint {
        id,
        tenant: tenant.0,
        url: String::new(),
        topics: Vec::new(),
        description: String::new(),
        metadata: Metadata::new(),
        timeout: None,
        retry: None,
        max_in_flight: None,
        rate_limit: None,
        ordered: false,
        state: EndpointState::Enabled,
        state_reason: None,
        parked_until: None,
        health: Health::default(),
        secrets: vec![sealed],
        version: 1,
        created_at: now,
        updated_at: now,
    };
    fields.write_to(&mut endpoint);
    service.store.create_endpoint(endpoint.clone()).await.map_err(Problem::not_repeatable)?;
    let created = CreatedEndpoint { endpoint: endpoint.into(), secret: secret.expose().to_string() };
    Ok(HttpResponse::Created().json(created))
}

/// List a tenant's endpoints, newest first.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ListQuery),
    responses((status = 200, body = Listed<EndpointBody>)))]
#[get("/tenants/{tenant}/endpoints")]
pub(crate) async fn list_endpoints(
    service: Data<Service>,
    tenant: InPath<TenantId>,
    query: InQuery<ListQuery>,
) -> Result<Json<Listed<EndpointBody>>, Problem> {
    let list = List::new("endpoints", &tenant.0);
    let page = service.store.endpoints(&tenant.0, list.query(&query)?).await?;
    Ok(Json(list.answer(page, EndpointBody::from)))
}

/// Read an endpoint.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 200, body = EndpointBody)))]
#[get("/tenants/{tenant}/endpoints/{endpoint}")]
pub(crate) async fn get_endpoint(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
) -> Result<Json<EndpointBody>, Problem> {
    Ok(Json(service.store.endpoint(&path.0, path.1).await?.into()))
}

/// Change an endpoint by a JSON merge patch (RFC 7396). What is not named stays; null takes the default.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    request_body = Object, responses((status = 200, body = EndpointBody)))]
#[patch("/tenants/{tenant}/endpoints/{endpoint}")]
pub(crate) async fn patch_endpoint(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
    patch: JsonBody<Value>,
) -> Result<Json<EndpointBody>, Problem> {
    let Value::Object(changes) = &patch.0 else {
        return Err(Problem::field("", "expected an object with the fields to change"));
    };
    let endpoint = change(&service, &path.0, path.1, |endpoint| {
        let mut fields =
            serde_json::to_value(EndpointFields::from(&*endpoint)).map_err(|e| Problem::internal(&e))?;
        // Null would remove an unknown field without a trace.
        if let Some(unknown) = changes.keys().find(|name| fields.get(name.as_str()).is_none()) {
            return Err(Problem::field(
                format!("/{}", body::escape(unknown)),
                format!("unknown field `{unknown}`"),
            ));
        }
        merge_patch::apply(&mut fields, patch.0.clone());
        let patched: EndpointFields = body::parse(fields.to_string().as_bytes())?;
        // A URL that is not changed is not judged here: it is whenever it is used.
        let patched =
            if changes.contains_key("url") { patched.checked(&service)? } else { patched.bounded()? };
        patched.write_to(endpoint);
        Ok(())
    })
    .await?;
    Ok(Json(endpoint.into()))
}

/// Delete an endpoint. Its open deliveries are cancelled.
#[utoipa::path(tag = "endpoints", params(("tenant" = String, Path), ("endpoint" = String, Path)),
    responses((status = 204)))]
#[delete("/tenants/{tenant}/endpoints/{endpoint}")]
pub(crate) async fn delete_endpoint(
    service: Data<Service>,
    path: BothInPath<TenantId, EndpointId>,
) -> Result<HttpResponse, Problem> {
    service.store.delete_endpoint(&path.0, path.1, service.clock.now()).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests;
