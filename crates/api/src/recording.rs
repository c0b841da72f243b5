//! Writes down who changed something, and who had a secret shown to them.

use actix_web::{
    Error, HttpMessage as _, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    rt,
    web::Data,
};
use posthaste_model::{Actor, AuditEntry, AuditId, AuditOutcome, TenantId};
use posthaste_store::StoreError;

use crate::{
    caller::Caller,
    permissions::Route,
    problem::{Kind, Problem},
    service::Service,
};

/// How many entries are kept of what tenants' own people did, and as many of what others did; or a hundred more. An entry is
/// about as long as a line of a log: all together are some tens of megabytes. Those that came first are forgotten first.
const MOST_KEPT: u32 = 100_000;
/// What the log has entries under.
const LOG: &str = "posthaste::audit";

/// What an answer says of what was done, beside what the request says of it.
#[derive(Default)]
pub(crate) struct Note {
    /// The path of what was created.
    pub(crate) created: Option<String>,
    /// Whose it is, where the path of the request names no tenant.
    pub(crate) tenant: Option<TenantId>,
    /// What else has to be known, in words.
    pub(crate) detail: Option<String>,
}

impl Note {
    /// An answer that says so.
    pub(crate) fn on(self, mut response: HttpResponse) -> HttpResponse {
        response.extensions_mut().insert(self);
        response
    }
}

/// Says in an answer that nothing was changed.
struct Unchanged;

/// The names of the fields that the body of a request has. There is a place for them where a request is recorded.
#[derive(Default)]
pub(crate) struct FieldNames(pub(crate) Vec<String>);

/// An answer by which something was created that has this path.
pub(crate) fn created(response: HttpResponse, path: String) -> HttpResponse {
    Note { created: Some(path), ..Note::default() }.on(response)
}

/// An answer by which nothing was changed.
pub(crate) fn unchanged(mut response: HttpResponse) -> HttpResponse {
    response.extensions_mut().insert(Unchanged);
    response
}

/// What is known of a request before it is carried out.
struct Asked {
    by: Actor,
    address: Option<String>,
    route: &'static Route,
    path: String,
}

impl Asked {
    /// None: nobody needs to know.
    fn of(request: &ServiceRequest) -> Option<Self> {
        let extensions = request.extensions();
        let route = *extensions.get::<&'static Route>().filter(|route| route.is_recorded())?;
        Some(Self {
            by: extensions.get::<Caller>()?.by.clone(),
            address: request.peer_addr().map(|peer| peer.ip().to_string()),
            route,
            // As the router has decoded it, so that it is written in one way.
            path: request.match_info().as_str().to_owned(),
        })
    }

    /// What is to be recorded once it was carried out; none: nothing has come of it.
    fn entry(
        self,
        service: &Service,
        response: &mut ServiceResponse<impl MessageBody>,
    ) -> Option<AuditEntry> {
        let Self { by, address, route, path } = self;
        let outcome = outcome(route, response.response())?;
        let note = response.response_mut().extensions_mut().remove::<Note>().unwrap_or_default();
        let in_path = || route.tenant(&path).and_then(|tenant| tenant.parse().ok());
        let names = response.request().extensions_mut().remove::<FieldNames>();
        let at = service.clock.now();
        Some(AuditEntry {
            id: AuditId::mint(at, service.entropy.id()),
            at,
            by,
            address,
            action: route.operation().to_owned(),
            tenant: note.tenant.or_else(in_path),
            subject: note.created.unwrap_or(path),
            fields: names.unwrap_or_default().0,
            detail: note.detail,
            outcome,
        })
    }
}

/// What has come of a request; none: it was refused, has failed before it did something, or has changed nothing.
fn outcome(route: &Route, response: &HttpResponse<impl MessageBody>) -> Option<AuditOutcome> {
    let status = response.status();
    let said = response.extensions();
    if status.is_success() {
        (!said.contains::<Unchanged>()).then_some(AuditOutcome::Done)
    } else if status.is_server_error() {
        // Whoever was shown an error was shown no secret.
        (!route.reveals()).then_some(AuditOutcome::Unknown)
    } else {
        // It was refused; but something was done on the way that somebody wants to know of.
        said.contains::<Note>().then_some(AuditOutcome::Done)
    }
}

/// Records a request that has changed something, or has had a secret shown, before it is answered.
pub(crate) async fn record(
    service: Data<Service>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(asked) = Asked::of(&request) else { return next.call(request).await };
    request.extensions_mut().insert(FieldNames::default());
    let answered = next.call(request);
    // On its own, so that it is carried out and recorded also where whoever asked hangs up.
    let recorded = rt::spawn(async move {
        let mut response = answered.await?;
        let route = asked.route;
        if let Some(entry) = asked.entry(&service, &mut response) {
            let kept = keep(&service, entry).await;
            // What was done is done; but nobody sees a secret in secret.
            if kept.is_err() && route.reveals() {
                let detail = "it could not be recorded who asks, so nothing is shown; try again";
                return Err(Problem::new(Kind::Unavailable, detail).into());
            }
        }
        Ok(response)
    });
    recorded.await.map_err(|e| Problem::internal(&e))?
}

/// Keeps an entry, and writes it to the log, so that it can be kept elsewhere, too.
async fn keep(service: &Service, entry: AuditEntry) -> Result<(), StoreError> {
    let kept = service.store.record(entry.clone(), MOST_KEPT).await;
    if let Err(error) = &kept {
        let error = error as &dyn std::error::Error;
        tracing::error!(target: LOG, error, ?entry, "what was asked for could not be recorded");
        return kept;
    }
    let AuditEntry { id, at, by, address, action, subject, tenant, fields, detail, outcome } = entry;
    let tenant = tenant.as_ref().map(TenantId::as_str);
    tracing::info!(
        target: LOG, %id, %at, ?by, address, action, subject, tenant, ?fields, detail, ?outcome,
        "something was done"
    );
    kept
}

#[cfg(test)]
mod tests;
