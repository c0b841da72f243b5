//! What all pages have in common: the headers that protect them, and what is said where there is none.

use actix_web::{
    Error, HttpMessage as _, HttpRequest, HttpResponse, ResponseError as _,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HeaderValue, LOCATION, REFERRER_POLICY,
            SET_COOKIE, UPGRADE_INSECURE_REQUESTS, X_CONTENT_TYPE_OPTIONS,
        },
    },
    middleware::Next,
};
use askama::Template;

use crate::{
    door::Door,
    fault::{Fault, Told},
    fields::Fields,
    page::Page,
    session::{drop_cookie, find_cookie},
    visitor::{Known, door, html_as},
};

/// Nothing runs or loads but our own files, and nobody shows our pages inside theirs (CSP level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page that only says something.
#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    page: Page,
    told: Told,
    /// Where else to go: a path of this door, and what is there.
    other: Option<(&'static str, &'static str)>,
}

/// A page that loads another one: what it asks for comes from our own page.
#[derive(Template)]
#[template(path = "hop.html")]
struct Hop {
    page: Page,
    to: String,
}

/// Stands in an address that our own page asks for once more where browsers do not say whose page asks.
const AGAIN: &str = "again";

/// Serves a page, or says in one why there is none.
pub(crate) async fn frame(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let served = if is_foreign_form(&request) {
        let (request, _) = request.into_parts();
        let told = explain(&request, &Fault::Forged);
        ServiceResponse::new(request, told)
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let (request, response) = served.into_parts();
    let mut response = match response.error().and_then(|error| error.as_error::<Fault>()) {
        Some(fault) => explain(&request, fault),
        None => response,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A portal link has a key in it.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(ServiceResponse::new(request, response))
}

/// Whether a browser says that another site sent a form here (Fetch Metadata, section 2.4).
fn is_foreign_form(request: &ServiceRequest) -> bool {
    request.method() == Method::POST && comes_from(request.request()) == Some("cross-site")
}

/// Says why there is no page, or sends somebody where a session begins.
fn explain(request: &HttpRequest, fault: &Fault) -> HttpResponse {
    let door = door(request);
    if fault.needs_sign_in() {
        return sign_in(door, request);
    }
    let known = request.extensions().get::<Known>().map(|Known(page)| page.clone());
    tell(known.unwrap_or_else(|| Page::new(door, "", "")), fault)
}

fn comes_from(request: &HttpRequest) -> Option<&str> {
    request.headers().get("sec-fetch-site")?.to_str().ok()
}

/// Sends a browser on by a page, and not by a redirect: what another site's page began, a redirect goes on with.
pub(crate) fn hop(door: Door, to: String) -> Result<HttpResponse, Fault> {
    html_as(StatusCode::OK, &Hop { page: Page::new(door, "", "One moment"), to })
}

/// The address that a page of our own has to ask for once more; none: the request has all that it can have.
///
/// Browsers hold the cookie back from what another site's page began (`SameSite=Strict`). They say that it did, but not to
/// hosts that are asked by plain http (Fetch Metadata, section 2): who loads a page there without a cookie is asked once more.
pub(crate) fn once_more(request: &HttpRequest) -> Option<String> {
    if request.method() != Method::GET {
        return None;
    }
    let here = request.uri().path_and_query()?.as_str();
    match comes_from(request) {
        Some(from) => (from == "cross-site").then(|| here.to_owned()),
        None => {
            // Browsers say so of pages, and not of what a script loads (Upgrade Insecure Requests, section 3.2.1).
            let loads_page = request.headers().contains_key(UPGRADE_INSECURE_REQUESTS);
            let query = request.query_string();
            let was_here = !Fields::read(query.as_bytes()).get(AGAIN).is_empty();
            let sign = if query.is_empty() { '?' } else { '&' };
            (loads_page && !was_here && !has_cookie(request)).then(|| format!("{here}{sign}{AGAIN}=1"))
        }
    }
}

/// Whether a request brings a session, a good one or not.
fn has_cookie(request: &HttpRequest) -> bool {
    let cookies = request.headers().get_all(COOKIE).filter_map(|value| value.to_str().ok());
    find_cookie(cookies, door(request)).is_some()
}

/// The address of a request without what [`once_more`] adds to it.
fn own_address(request: &HttpRequest) -> &str {
    let here = request.uri().path_and_query().map_or("", |path| path.as_str());
    let mark = [format!("?{AGAIN}=1"), format!("&{AGAIN}=1")];
    mark.iter().find_map(|mark| here.strip_suffix(mark.as_str())).unwrap_or(here)
}

fn tell(page: Page, fault: &Fault) -> HttpResponse {
    if fault.is_ours() {
        tracing::error!(error = fault as &dyn std::error::Error, "a page could not be served");
    }
    let told = fault.told();
    let status = fault.status_code();
    let page = Page { title: told.title.into(), said: None, ..page };
    written(status, &Message { page, told, other: None })
}

fn written(status: StatusCode, template: &impl Template) -> HttpResponse {
    html_as(status, template).unwrap_or_else(HttpResponse::from_error)
}

/// Sends somebody without a session where one begins.
fn sign_in(door: Door, request: &HttpRequest) -> HttpResponse {
    if let Some(here) = once_more(request) {
        return hop(door, here).unwrap_or_else(HttpResponse::from_error);
    }
    let mut response = match door {
        Door::Console => {
            let next = if request.method() == Method::GET { own_address(request) } else { "" };
            let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
            let location = format!("{}/sign-in?next={next}", door.prefix());
            HttpResponse::SeeOther().insert_header((LOCATION, location)).finish()
        }
        Door::Portal => {
            let told = Told {
                title: "Ask for a new link",
                detail: "A link to these pages is good for a short time only. This one has expired, or you signed out.".into(),
                advice: "Go back to where you found the link: there is a new one.",
                operators: "",
                fields: Vec::new(),
            };
            let page = Page::new(door, "", told.title);
            let other = Some(("/sign-in", "Sign in with an API key of your tenant"));
            written(StatusCode::UNAUTHORIZED, &Message { page, told, other })
        }
    };
    // Only one that was brought: a browser may have held back another, which is good.
    if has_cookie(request)
        && let Ok(drop) = HeaderValue::try_from(drop_cookie(door, false))
    {
        response.headers_mut().insert(SET_COOKIE, drop);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use actix_web::test::TestRequest;

    use super::*;

    /// Where a browser is sent that asks for an address with these headers.
    #[track_caller]
    fn check(address: &str, headers: &[(&'static str, &'static str)], expect: Option<&str>) {
        let request = headers
            .iter()
            .fold(TestRequest::with_uri(address), |request, header| request.insert_header(*header));
        assert_eq!(once_more(&request.to_http_request()).as_deref(), expect, "{address} {headers:?}");
    }

    #[test]
    fn what_may_lack_its_cookie_is_asked_for_once_more() {
        let (page, cookie) = (("upgrade-insecure-requests", "1"), ("cookie", "posthaste_console=AAAA"));
        let from = |site| ("sec-fetch-site", site);
        let here = "/console/deliveries?state=exhausted";
        check(here, &[page, from("cross-site")], Some(here));
        for site in ["same-origin", "same-site", "none"] {
            check(here, &[page, from(site)], None);
        }
        // By plain http browsers do not say whose page asks.
        check(here, &[page], Some("/console/deliveries?state=exhausted&again=1"));
        check("/console", &[page], Some("/console?again=1"));
        check("/console?again=1", &[page], None);
        check(here, &[page, cookie], None);
        check(here, &[], None);
    }

    #[test]
    fn who_signs_in_goes_on_to_the_address_that_was_asked_for() {
        for (asked, expect) in [
            ("/console?again=1", "/console"),
            ("/console/deliveries?state=exhausted&again=1", "/console/deliveries?state=exhausted"),
            ("/console/deliveries?state=exhausted", "/console/deliveries?state=exhausted"),
        ] {
            assert_eq!(own_address(&TestRequest::with_uri(asked).to_http_request()), expect);
        }
    }

    #[test]
    fn a_session_that_was_not_brought_is_not_ended() {
        for (cookie, expect) in
            [(Some("posthaste_console=AAAA"), true), (Some("posthaste_portal=AAAA"), false), (None, false)]
        {
            let request = TestRequest::with_uri("/console");
            let request = cookie.into_iter().fold(request, |request, it| request.insert_header((COOKIE, it)));
            let answer = sign_in(Door::Console, &request.to_http_request());
            assert_eq!(answer.headers().contains_key(SET_COOKIE), expect, "{cookie:?}");
        }
    }

    #[test]
    fn templates_escape_everything_and_have_nothing_inline() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() > 10);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for word in ["|safe", "| safe", "|escape(", " style=", "<style", " onclick=", "<script>", "//cdn"]
            {
                assert!(!text.contains(word), "{}: {word}", file.display());
            }
        }
    }
}
