//! Who looks at a page.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        StatusCode,
        header::{COOKIE, LOCATION},
    },
    web::Data,
};
use askama::Template;
use posthaste_client::Role;
use posthaste_client::{Client, TenantId, Timestamp};

use crate::{
    Console,
    door::Door,
    elements::When,
    fault::Fault,
    may::May,
    page::{Page, said},
    session::{Session, find_cookie},
};

/// Somebody with a session.
pub(crate) struct Visitor {
    pub(crate) door: Door,
    pub(crate) session: Session,
    /// The API, as it answers to them.
    pub(crate) client: Client,
    pub(crate) console: Data<Console>,
    /// What the last thing they did came to.
    said: Option<&'static str>,
    /// The time of the request.
    pub(crate) now: Timestamp,
}

/// What the frame around a page has to know of who looks at it, also where the page is an error.
#[derive(Clone)]
pub(crate) struct Known(pub(crate) Page);

impl FromRequest for Visitor {
    type Error = Fault;
    type Future = Ready<Result<Self, Fault>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

/// The door that a request came by.
pub(crate) fn door(request: &HttpRequest) -> Door {
    request.app_data::<Data<Door>>().map_or(Door::Console, |door| *door.get_ref())
}

impl Visitor {
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Fault> {
        let door = door(request);
        let console = request.app_data::<Data<Console>>().ok_or(Fault::SignedOut)?.clone();
        let now = console.clock.now();
        let cookies = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
        let session = find_cookie(cookies, door)
            .and_then(|cookie| Session::open(cookie, door, &console.sealer, now))
            .ok_or(Fault::SignedOut)?;
        let client = console.client(&session.key)?;
        let visitor = Self { door, session, client, console, said: said(request.query_string()), now };
        request.extensions_mut().insert(Known(visitor.page("", "")));
        Ok(visitor)
    }

    /// What the pages offer to them.
    pub(crate) fn may(&self) -> May {
        May::of(&self.session.role, self.door)
    }

    /// Whether they look across tenants: through the console.
    pub(crate) fn operates(&self) -> bool {
        self.door == Door::Console
    }

    /// The tenant whose people they are; none: operators.
    pub(crate) fn tenant(&self) -> Option<&TenantId> {
        self.session.tenant.as_ref().map(|own| &own.id)
    }

    /// What stands around a page.
    pub(crate) fn page(&self, section: &'static str, title: impl Into<String>) -> Page {
        Page {
            csrf: self.session.csrf.clone(),
            may: self.may(),
            // A tenant's own people need not be told that this is what they are.
            role: Some(&self.session.role)
                .filter(|role| !matches!(role, Role::Admin | Role::Tenant))
                .map(|role| role.as_str().to_owned()),
            own: self.session.tenant.as_ref().map(|own| own.called().to_owned()),
            said: self.said,
            ..Page::new(self.door, section, title)
        }
    }

    /// A time as it is shown to them.
    pub(crate) fn when(&self, at: Timestamp) -> When {
        When::new(at, self.now)
    }

    /// Sends them on to another page, which says what was done by a word that [`said`] knows; none: nothing.
    pub(crate) fn go(&self, path: &str, said: Option<&str>) -> HttpResponse {
        let sign = if path.contains('?') { '&' } else { '?' };
        let said = said.map(|word| format!("{sign}said={word}")).unwrap_or_default();
        let location = format!("{}{path}{said}", self.door.prefix());
        HttpResponse::SeeOther().insert_header((LOCATION, location)).finish()
    }
}

/// A page as an answer.
pub(crate) fn html(template: &impl Template) -> Result<HttpResponse, Fault> {
    html_as(StatusCode::OK, template)
}

/// A page as an answer with a status, such as that of what was refused.
pub(crate) fn html_as(status: StatusCode, template: &impl Template) -> Result<HttpResponse, Fault> {
    let text = template.render()?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(text))
}
