//! Who changed what.

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, http::StatusCode};
use askama::Template;
use posthaste_client::{
    Actor, ApiKeyId, AuditEntry, AuditOutcome, DeliveryId, EndpointId, EventId, Paged, ReplayId, TenantId,
    TopicName,
};

use crate::{
    elements::When,
    fault::{Fault, Told},
    fields::Fields,
    may::May,
    page::Page,
    paging::{page_of, query},
    visitor::{Visitor, html_as},
};

/// Rows of a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    page: Page,
    /// Whose entries are asked for, as it was written; empty: all.
    tenant: String,
    rows: Vec<Row>,
    next: Option<String>,
    /// Whether the page ended before it was full, since a search looks at a bounded number of entries.
    ended_early: bool,
    /// What was wrong with the question.
    refused: Option<Told>,
}

/// An entry as a row.
struct Row {
    at: When,
    who: String,
    /// From which address; empty: it is not known.
    from: String,
    what: String,
    fields: String,
    /// What else has to be known; empty: nothing.
    detail: String,
    /// Whether it may have been done, or not.
    is_unknown: bool,
    subject: String,
    /// Where the subject is; none: there is no page for it.
    path: Option<String>,
}

impl Row {
    fn of(visitor: &Visitor, entry: AuditEntry) -> Self {
        let AuditEntry { at, by, address, action, subject, fields, detail, outcome, .. } = entry;
        let page = page_for(&subject, visitor.may());
        Self {
            at: visitor.when(at),
            who: who(by),
            from: address.unwrap_or_default(),
            what: action.replace('_', " "),
            fields: fields.join(", "),
            detail: detail.unwrap_or_default(),
            is_unknown: outcome != AuditOutcome::Done,
            path: page.map(|path| format!("{}{path}", visitor.door.prefix())),
            subject: subject.strip_prefix("/v1/").map(str::to_owned).unwrap_or(subject),
        }
    }
}

/// Who it was, in words.
fn who(by: Actor) -> String {
    match by {
        Actor::AdminKey => "the admin key".into(),
        Actor::ApiKey { id, name, .. } if name.is_empty() => format!("key {id}"),
        Actor::ApiKey { name, .. } => format!("key “{name}”"),
        Actor::PortalLink { tenant, made_by: None } => format!("a portal link of {tenant}"),
        Actor::PortalLink { tenant, made_by: Some(key) } => {
            format!("a portal link of {tenant}, made with key {key}")
        }
        _ => "somebody else".into(),
    }
}

/// The page of what was done something to, by its path in the API; none: there is none, or not for who looks.
fn page_for(subject: &str, may: May) -> Option<String> {
    let mut segments = subject.strip_prefix("/v1/")?.split('/');
    match (segments.next()?, segments.next()?) {
        ("keys", key) => (may.administer && key.parse::<ApiKeyId>().is_ok()).then(|| "/keys".to_owned()),
        ("topics", topic) => topic.parse::<TopicName>().is_ok().then(|| "/topics".to_owned()),
        ("tenants", tenant) => {
            let tenant: TenantId = tenant.parse().ok()?;
            match (segments.next(), segments.next()) {
                (Some(kind), Some(id)) if is_id(kind, id) => Some(format!("/tenants/{tenant}/{kind}/{id}")),
                _ => Some(format!("/tenants/{tenant}")),
            }
        }
        _ => None,
    }
}

/// Whether something of a kind that has pages can have this id.
fn is_id(kind: &str, id: &str) -> bool {
    match kind {
        "endpoints" => id.parse::<EndpointId>().is_ok(),
        "deliveries" => id.parse::<DeliveryId>().is_ok(),
        "events" => id.parse::<EventId>().is_ok(),
        "replays" => id.parse::<ReplayId>().is_ok(),
        _ => false,
    }
}

pub(super) async fn list(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    let fields = Fields::read(request.query_string().as_bytes());
    let (found, refused, status) = match find(&visitor, &fields).await {
        Ok(found) => (found, None, StatusCode::OK),
        Err(fault @ Fault::Field { .. }) => {
            (Paged { data: Vec::new(), next: None }, Some(fault.told()), fault.status_code())
        }
        Err(fault) => return Err(fault),
    };
    let tenant = fields.get("tenant").to_owned();
    let page = Audit {
        page: visitor.page("audit", "Audit"),
        ended_early: found.next.is_some() && found.data.len() < ROWS as usize,
        next: found.next.map(|cursor| query(&cursor, &[("tenant", &tenant)])),
        rows: found.data.into_iter().map(|entry| Row::of(&visitor, entry)).collect(),
        tenant,
        refused,
    };
    html_as(status, &page)
}

async fn find(visitor: &Visitor, fields: &Fields) -> Result<Paged<AuditEntry>, Fault> {
    let tenant = fields.parse("tenant", "the id of a tenant")?;
    Ok(visitor.client.audit(tenant.as_ref(), &page_of(fields, ROWS)).await?)
}

#[cfg(test)]
mod tests {
    use posthaste_client::Role;

    use super::*;
    use crate::door::Door;

    #[track_caller]
    fn check(subject: &str, expect: Option<&str>) {
        let may = May::of(&Role::Admin, Door::Console);
        assert_eq!(page_for(subject, may).as_deref(), expect, "{subject}");
    }

    #[test]
    fn what_has_a_page_is_linked() {
        let endpoint = format!("/tenants/acme/endpoints/ep_{:032x}", 1);
        check(&format!("/v1{endpoint}"), Some(&endpoint));
        check(&format!("/v1{endpoint}/secret/rotate"), Some(&endpoint));
        let delivery = format!("/tenants/acme/deliveries/dlv_{:032x}", 1);
        check(&format!("/v1{delivery}/retry"), Some(&delivery));
        check("/v1/tenants/acme/events/order-1/send", Some("/tenants/acme/events/order-1"));
        check("/v1/tenants/acme/portal-links", Some("/tenants/acme"));
        check("/v1/tenants/acme", Some("/tenants/acme"));
        check("/v1/topics/order.paid", Some("/topics"));
        let key = format!("/v1/keys/key_{:032x}", 1);
        check(&key, Some("/keys"));
        assert_eq!(page_for(&key, May::of(&Role::Operator, Door::Console)), None);
    }

    #[test]
    fn what_is_no_subject_is_not_linked() {
        for subject in
            ["", "/v1/", "/v1/tenants", "/v1/tenants/a b", "//evil.example", "/v2/tenants/acme", "/v1/x/y"]
        {
            check(subject, None);
        }
        check("/v1/tenants/acme/endpoints/\"><script>", Some("/tenants/acme"));
    }

    #[test]
    fn who_it_was_is_said_in_words() {
        let id = format!("key_{:032x}", 1).parse().unwrap();
        assert_eq!(who(Actor::AdminKey), "the admin key");
        let key = |name: &str| Actor::ApiKey { id, name: name.into(), role: Role::Operator };
        assert_eq!(who(key("ops")), "key “ops”");
        assert_eq!(who(key("")), format!("key {id}"));
        let link = |made_by| Actor::PortalLink { tenant: "acme".parse().unwrap(), made_by };
        assert_eq!(who(link(None)), "a portal link of acme");
        assert_eq!(who(link(Some(id))), format!("a portal link of acme, made with key {id}"));
    }
}
