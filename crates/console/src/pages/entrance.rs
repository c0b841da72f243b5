//! How a session begins and ends.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError as _,
    http::{
        StatusCode,
        header::{HeaderValue, LOCATION, SET_COOKIE},
    },
    web::{Bytes, Data},
};
use askama::Template;
use posthaste_client::Role;
use posthaste_client::{ClientError, Key, KeyKind};

use super::overview;
use crate::{
    Console,
    door::Door,
    fault::Fault,
    fields::Fields,
    frame::{hop, once_more},
    page::{Page, said},
    posted::Posted,
    session::{Own, Session, drop_cookie, set_cookie},
    visitor::{Visitor, door, html, html_as},
};

/// How long somebody waits who showed a key that is not valid: guessing is hopeless as it is, and this makes it slow.
const SLOWED: Duration = Duration::from_millis(500);

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    page: Page,
    /// Where to go afterwards.
    next: String,
    /// What was wrong with the last try.
    refused: Option<Refused>,
}

/// Why somebody is not let in.
struct Refused {
    told: String,
    /// Where they are: an address and what is there.
    other: Option<(&'static str, &'static str)>,
}

impl From<&'static str> for Refused {
    fn from(told: &'static str) -> Self {
        Self { told: told.to_owned(), other: None }
    }
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Fault> {
    let door = door(&request);
    let query = Fields::read(request.query_string().as_bytes());
    let page = Page { said: said(request.query_string()), ..Page::new(door, "", "Sign in") };
    html(&SignIn { page, next: own_path(door, query.get("next")), refused: None })
}

pub(super) async fn sign_in(
    request: HttpRequest,
    console: Data<Console>,
    body: Bytes,
) -> Result<HttpResponse, Fault> {
    let door = door(&request);
    let fields = Fields::read(&body);
    let (key, next) = (fields.get("key"), own_path(door, fields.get("next")));
    let (status, refused) = match try_key(&console, key).await {
        Ok(whose) => match let_in(&whose, door) {
            Ok(tenant) => {
                let session = console.with_rng(|rng| {
                    Session::new(key.to_owned(), whose.role.clone(), tenant, console.clock.now(), rng)
                });
                let response = HttpResponse::SeeOther().insert_header((LOCATION, next)).finish();
                return with_session(response, &console, &request, door, &session);
            }
            Err(refused) => (StatusCode::FORBIDDEN, refused),
        },
        Err(fault) if fault.needs_sign_in() || is_unfit(&fault) => {
            tokio::time::sleep(SLOWED).await;
            (StatusCode::UNAUTHORIZED, "The key is not valid.".into())
        }
        Err(fault) => (fault.status_code(), Refused { told: fault.to_string(), other: None }),
    };
    let page = Page::new(door, "", "Sign in");
    html_as(status, &SignIn { page, next, refused: Some(refused) })
}

/// Whose pages a key opens behind a door; none: everybody's.
fn let_in(key: &Key, door: Door) -> Result<Option<Own>, Refused> {
    match (door, &key.tenant) {
        _ if key.role == Role::Publisher => Err("This key only publishes events. It opens no pages.".into()),
        _ if matches!(key.role, Role::Other(_)) => {
            Err("This key has a role that is newer than these pages. It opens none of them.".into())
        }
        (Door::Console, None) => Ok(None),
        (Door::Portal, Some(tenant)) => Ok(Some(Own { id: tenant.id.clone(), name: tenant.name.clone() })),
        (Door::Console, Some(_)) => Err(Refused {
            told: "This key is for one tenant alone, whose pages are in the portal.".into(),
            other: Some(("/portal/sign-in", "Sign in to the portal")),
        }),
        (Door::Portal, None) => Err(Refused {
            told: "This key is for no tenant in particular. What it opens is the console.".into(),
            other: Some(("/console/sign-in", "Sign in to the console")),
        }),
    }
}

/// Whether a key has characters that no key can have.
fn is_unfit(fault: &Fault) -> bool {
    matches!(fault, Fault::Api(ClientError::InvalidHeader { .. }))
}

async fn try_key(console: &Console, key: &str) -> Result<Key, Fault> {
    Ok(console.client(key)?.key().await?)
}

/// A link's token was shown while the session of another tenant is open.
#[derive(Template)]
#[template(path = "change_over.html")]
struct ChangeOver {
    page: Page,
    /// Whose session is open.
    from: String,
    /// Whose pages the link opens.
    to: String,
    token: String,
}

/// The first page of the portal; with a link's token, the beginning of a session.
pub(super) async fn enter(
    request: HttpRequest,
    console: Data<Console>,
    visitor: Result<Visitor, Fault>,
) -> Result<HttpResponse, Fault> {
    let query = Fields::read(request.query_string().as_bytes());
    let token = query.get("token");
    if token.is_empty() {
        return overview::show(visitor?, request).await;
    }
    // Whether a session is open already, only our own page can ask.
    if let Some(here) = once_more(&request) {
        return hop(Door::Portal, here);
    }
    let (role, own) = whose_link(&console, token).await?;
    if let Ok(visitor) = &visitor
        && let Some(open) = visitor.session.tenant.as_ref().filter(|open| open.id != own.id)
    {
        let (from, to) = (open.called().to_owned(), own.called().to_owned());
        let page = visitor.page("", "Another tenant’s link");
        return html(&ChangeOver { page, from, to, token: token.to_owned() });
    }
    begin(&request, &console, token, role, own)
}

/// Takes the place of another tenant's session.
pub(super) async fn change_over(request: HttpRequest, posted: Posted) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let token = fields.get("token");
    let (role, own) = whose_link(&visitor.console, token).await?;
    begin(&request, &visitor.console, token, role, own)
}

/// Whose people have a link, and what it is for.
async fn whose_link(console: &Console, token: &str) -> Result<(Role, Own), Fault> {
    match try_key(console, token).await {
        Ok(Key { kind: KeyKind::PortalLink, role, tenant: Some(tenant), .. }) => {
            Ok((role, Own { id: tenant.id, name: tenant.name }))
        }
        Ok(_) => Err(Fault::SignedOut),
        Err(fault) if is_unfit(&fault) => Err(Fault::SignedOut),
        Err(fault) => Err(fault),
    }
}

/// Begins a session with a link, whose token leaves the address.
fn begin(
    request: &HttpRequest,
    console: &Console,
    token: &str,
    role: Role,
    own: Own,
) -> Result<HttpResponse, Fault> {
    let now = console.clock.now();
    let session = console.with_rng(|rng| Session::new(token.to_owned(), role, Some(own), now, rng));
    let response = hop(Door::Portal, Door::Portal.prefix().to_owned())?;
    with_session(response, console, request, Door::Portal, &session)
}

pub(super) async fn sign_out(request: HttpRequest, posted: Posted) -> HttpResponse {
    let Posted { visitor, .. } = posted;
    let cookie = drop_cookie(visitor.door, visitor.console.is_secure(&request));
    let path = if visitor.operates() { "/sign-in" } else { "" };
    let mut response = visitor.go(path, Some("signed-out"));
    if let Ok(cookie) = cookie.try_into() {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// An answer that begins a session.
fn with_session(
    mut response: HttpResponse,
    console: &Console,
    request: &HttpRequest,
    door: Door,
    session: &Session,
) -> Result<HttpResponse, Fault> {
    let sealed = console.with_rng(|rng| session.seal(door, &console.sealer, rng)).ok_or(Fault::Unsealed)?;
    let cookie = set_cookie(door, &sealed, console.is_secure(request));
    let cookie = HeaderValue::try_from(cookie).map_err(|_| Fault::Unsealed)?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// Where to go, if it is a page of this door.
fn own_path(door: Door, path: &str) -> String {
    let prefix = door.prefix();
    let rest = path.strip_prefix(prefix);
    let own = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let is_sign_in = rest.is_some_and(|rest| rest.starts_with("/sign-"));
    if own && !is_sign_in && !path.contains(['\r', '\n']) { path.to_owned() } else { prefix.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for path in ["/console", "/console/deliveries?state=exhausted", "/console?since=1h"] {
            assert_eq!(own_path(Door::Console, path), path);
        }
        for path in [
            "",
            "/",
            "//evil.example",
            "https://evil.example",
            "/consolex",
            "/portal",
            "/console/sign-in",
            "/console/\r\nX: y",
        ] {
            assert_eq!(own_path(Door::Console, path), "/console", "{path}");
        }
    }

    /// Whose pages a key of a role opens behind a door, or why it opens none.
    #[track_caller]
    fn check(role: &str, tenant: Option<&str>, door: Door, expect: Result<Option<&str>, &str>) {
        let tenant = tenant.map(|id| serde_json::json!({"id": id, "name": ""}));
        let key = serde_json::json!({"kind": "api_key", "role": role, "tenant": tenant});
        let come = let_in(&serde_json::from_value(key).unwrap(), door);
        let come = come.map(|own| own.map(|own| own.called().to_owned())).map_err(|refused| refused.told);
        assert_eq!(come.as_ref().map(Option::as_deref).map_err(String::as_str), expect, "{role} {door:?}");
    }

    #[test]
    fn a_key_opens_the_door_that_it_is_for() {
        for role in ["admin", "operator", "viewer"] {
            check(role, None, Door::Console, Ok(None));
        }
        for role in ["tenant", "operator", "viewer"] {
            check(role, Some("acme"), Door::Portal, Ok(Some("acme")));
            let elsewhere = "This key is for one tenant alone, whose pages are in the portal.";
            check(role, Some("acme"), Door::Console, Err(elsewhere));
        }
        let elsewhere = "This key is for no tenant in particular. What it opens is the console.";
        check("admin", None, Door::Portal, Err(elsewhere));
        for (tenant, door) in [(None, Door::Console), (Some("acme"), Door::Portal)] {
            check("publisher", tenant, door, Err("This key only publishes events. It opens no pages."));
            let newer = "This key has a role that is newer than these pages. It opens none of them.";
            check("auditor", tenant, door, Err(newer));
        }
    }
}
