//! Keys of the API.

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, http::StatusCode, web};
use askama::Template;
use posthaste_client::{ApiKey, ApiKeyId, NewApiKey, Period, Role, Timestamp};

use super::id;
use crate::{
    elements::When,
    fault::{Fault, Told},
    fields::Fields,
    page::Page,
    paging::{page_of, query},
    posted::Posted,
    visitor::{Visitor, html, html_as},
};

/// Rows of a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "keys.html")]
struct Keys {
    page: Page,
    rows: Vec<Row>,
    next: Option<String>,
    roles: Vec<Choice>,
    new: New,
    /// What was wrong with the new one.
    refused: Option<Told>,
}

/// A key as a row.
struct Row {
    id: ApiKeyId,
    /// What it is called: its name, or its id where it has none.
    called: String,
    role: String,
    tenant: Option<String>,
    made: When,
    expires: Option<When>,
    /// Whether its time is over.
    is_over: bool,
}

impl Row {
    fn of(visitor: &Visitor, key: ApiKey) -> Self {
        let ApiKey { id, name, role, tenant, created_at, expires_at } = key;
        Self {
            id,
            called: called(id, name),
            role: role.as_str().to_owned(),
            tenant: tenant.map(|tenant| tenant.to_string()),
            made: visitor.when(created_at),
            expires: expires_at.map(|at| visitor.when(at)),
            is_over: expires_at.is_some_and(|at| at <= visitor.now),
        }
    }
}

fn called(id: ApiKeyId, name: String) -> String {
    if name.is_empty() { id.to_string() } else { name }
}

/// A role to choose.
struct Choice {
    name: String,
    means: &'static str,
    chosen: bool,
}

/// What a key of a role is for, in a few words.
fn means(role: &Role) -> &'static str {
    match role {
        Role::Admin => "everything, keys included",
        Role::Operator => "sees everything, and repairs",
        Role::Publisher => "publishes events",
        Role::Viewer => "sees everything but secrets",
        Role::Tenant => "looks after its own endpoints",
        _ => "what is newer than these pages",
    }
}

/// The form of a new key, as it was filled in.
#[derive(Default)]
struct New {
    name: String,
    role: String,
    tenant: String,
    expires: String,
}

impl New {
    fn read(fields: &Fields) -> Self {
        let text = |name| fields.get(name).to_owned();
        Self { name: text("name"), role: text("role"), tenant: text("tenant"), expires: text("expires") }
    }

    fn key(&self, now: Timestamp) -> Result<NewApiKey, Fault> {
        let role = Role::ALL.into_iter().find(|role| role.as_str() == self.role);
        let role = role.ok_or_else(|| Fault::field("role", &self.role, "the role of a key"))?;
        let tenant = match self.tenant.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| Fault::field("tenant", text, "the id of a tenant"))?),
        };
        Ok(NewApiKey { name: self.name.clone(), role, tenant, expires_at: self.expires_at(now)? })
    }

    /// When it expires: at a time, or a length of time from now.
    fn expires_at(&self, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
        let text = self.expires.as_str();
        if text.is_empty() {
            return Ok(None);
        }
        let expected = "a length of time such as 90d, or a time such as 2027-01-31T00:00:00Z";
        let wrong = || Fault::field("expires", text, expected);
        match text.parse::<Period>() {
            Ok(Period(time)) => now.checked_add(time).map(Some).map_err(|_| wrong()),
            Err(_) => text.parse().map(Some).map_err(|_| wrong()),
        }
    }

    /// The roles, as entries to choose. The one that may do least is chosen where nothing else is.
    fn roles(&self) -> Vec<Choice> {
        let chosen = if self.role.is_empty() { Role::Viewer.as_str() } else { &self.role };
        let choice = |role: Role| {
            let name = role.as_str().to_owned();
            Choice { means: means(&role), chosen: name == chosen, name }
        };
        Role::ALL.map(choice).into()
    }
}

pub(super) async fn list(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    if !visitor.may().administer {
        return Err(Fault::Nowhere);
    }
    let fields = Fields::read(request.query_string().as_bytes());
    listed(&visitor, &fields, New::default(), None).await
}

async fn listed(
    visitor: &Visitor,
    fields: &Fields,
    new: New,
    refused: Option<Fault>,
) -> Result<HttpResponse, Fault> {
    let found = visitor.client.keys(&page_of(fields, ROWS)).await?;
    let status = refused.as_ref().map_or(StatusCode::OK, Fault::status_code);
    let page = Keys {
        page: visitor.page("keys", "Keys"),
        rows: found.data.into_iter().map(|key| Row::of(visitor, key)).collect(),
        next: found.next.map(|cursor| query(&cursor, &[])),
        roles: new.roles(),
        new,
        refused: refused.map(|fault| fault.told()),
    };
    html_as(status, &page)
}

/// A key that was made just now.
#[derive(Template)]
#[template(path = "key.html")]
struct Made {
    page: Page,
    called: String,
    role: String,
    means: &'static str,
    tenant: Option<String>,
    expires: Option<When>,
    /// What is told this once.
    secret: String,
    /// Where people sign in with it; none: it opens no pages.
    opens: Option<&'static str>,
}

/// Makes a key, and shows its secret.
pub(super) async fn create(posted: Posted) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let new = New::read(&fields);
    let created = match new.key(visitor.now) {
        Ok(key) => visitor.client.create_key(&key).await.map_err(Fault::from),
        Err(fault) => Err(fault),
    };
    let created = match created {
        Ok(created) => created,
        Err(fault) if fault.is_askers() => {
            return listed(&visitor, &Fields::default(), new, Some(fault)).await;
        }
        Err(fault) => return Err(fault),
    };
    let ApiKey { id, name, role, tenant, expires_at, .. } = created.key;
    html(&Made {
        page: visitor.page("keys", "New key"),
        called: called(id, name),
        role: role.as_str().to_owned(),
        means: means(&role),
        opens: opens(&role, tenant.is_some()),
        tenant: tenant.map(|tenant| tenant.to_string()),
        expires: expires_at.map(|at| visitor.when(at)),
        secret: created.secret.expose().to_owned(),
    })
}

/// Where people sign in with a key of a role; none: it opens no pages.
fn opens(role: &Role, is_bound: bool) -> Option<&'static str> {
    match (role, is_bound) {
        (Role::Publisher | Role::Other(_), _) => None,
        (_, true) => Some("/portal/sign-in"),
        (_, false) => Some("/console"),
    }
}

pub(super) async fn delete(posted: Posted, path: web::Path<String>) -> Result<HttpResponse, Fault> {
    let visitor = posted.visitor;
    visitor.client.delete_key(id(&path)?).await?;
    Ok(visitor.go("/keys", Some("key-deleted")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(form: &str) -> New {
        New::read(&Fields::read(form.as_bytes()))
    }

    /// What becomes of a form: role, tenant and expiry of the key, or what is wrong.
    #[track_caller]
    fn check(form: &str, expect: Result<(Role, Option<&str>, Option<&str>), &str>) {
        let key = new(form).key("2026-11-21T10:00:00Z".parse().unwrap());
        let key = key.map(|key| {
            let NewApiKey { role, tenant, expires_at, .. } = key;
            (role, tenant.map(|id| id.to_string()), expires_at.map(|at| at.to_string()))
        });
        let key = key.as_ref().map(|(role, tenant, at)| (role.clone(), tenant.as_deref(), at.as_deref()));
        assert_eq!(key.map_err(ToString::to_string), expect.map_err(str::to_owned), "{form}");
    }

    #[test]
    fn a_form_becomes_a_key() {
        check("role=viewer", Ok((Role::Viewer, None, None)));
        check(
            "role=tenant&tenant=acme&expires=90d",
            Ok((Role::Tenant, Some("acme"), Some("2027-02-19T10:00:00Z"))),
        );
        check(
            "role=admin&expires=2027-01-31T00:00:00Z",
            Ok((Role::Admin, None, Some("2027-01-31T00:00:00Z"))),
        );
        check("role=king", Err("role: 'king' is not the role of a key"));
        check("role=viewer&tenant=a+b", Err("tenant: 'a b' is not the id of a tenant"));
        let expected = "a length of time such as 90d, or a time such as 2027-01-31T00:00:00Z";
        for expires in ["soon", "99999999d"] {
            let wrong = format!("expires: '{expires}' is not {expected}");
            check(&format!("role=viewer&expires={expires}"), Err(&wrong));
        }
    }

    #[test]
    fn who_chooses_no_role_gets_the_one_that_may_do_least() {
        let chosen = |form| {
            let choices = new(form).roles();
            choices.into_iter().filter_map(|role| role.chosen.then_some(role.name)).collect::<Vec<_>>()
        };
        assert_eq!(chosen(""), ["viewer"]);
        assert_eq!(chosen("role=admin"), ["admin"]);
    }
}
