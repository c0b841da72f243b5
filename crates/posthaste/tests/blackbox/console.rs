//! The console and the portal, as a browser asks for them.

use std::net::SocketAddr;

use posthaste_client::{Client, DeliveryState, ListOptions, NewEvent, TenantFields};
use posthaste_model::TenantId;
use posthaste_testkit::{Receiver, Reply};
use serde_json::json;

use crate::{
    delivery::in_state,
    http::{Answer, send},
    service::{KEY, Service, folder, posthaste, tenant, topic},
    subscriber::endpoint,
};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Somebody with a browser that runs no script.
struct Browser {
    address: SocketAddr,
    cookie: String,
}

impl Browser {
    /// Signs in as an operator.
    fn sign_in(address: SocketAddr) -> Self {
        let answer = send(address, "POST", "/console/sign-in", &[FORM], format!("key={KEY}").as_bytes());
        assert_eq!((answer.status, header(&answer, "location")), (303, Some("/console")), "{answer:?}");
        Self { address, cookie: cookie(&answer) }
    }

    /// Comes by a portal link.
    async fn enter(service: &Service, client: &Client, tenant: &TenantId) -> Self {
        let link = client.create_portal_link(tenant, None).await.unwrap();
        let path = format!("/portal?token={}", link.token.expose());
        let answer = send(service.address, "GET", &path, &[], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        Self { address: service.address, cookie: cookie(&answer) }
    }

    fn get(&self, path: &str) -> Answer {
        send(self.address, "GET", path, &[("Cookie", &self.cookie)], b"")
    }

    fn post(&self, path: &str, form: &str) -> Answer {
        send(self.address, "POST", path, &[FORM, ("Cookie", &self.cookie)], form.as_bytes())
    }

    /// What the forms of a page carry.
    fn csrf(&self, path: &str) -> String {
        let page = self.get(path).text;
        let (_, after) = page.split_once(r#"name="csrf" value=""#).expect("the page has a form");
        after.split('"').next().unwrap().to_owned()
    }
}

/// The first value of a header. Answers have their heads in lower case, which only cookies mind.
fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The cookie that an answer sets, as it was written.
fn cookie(answer: &Answer) -> String {
    let set = answer.raw_head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("set-cookie").then_some(value)
    });
    set.and_then(|set| set.split(';').next()).expect("a cookie is set").to_owned()
}

#[test]
fn nobody_sees_anything_without_a_key() {
    let folder = folder();
    let service = Service::start(folder.path());
    for path in ["/console", "/console/deliveries?state=exhausted", "/console/topics", "/console/nothing"] {
        let answer = send(service.address, "GET", path, &[], b"");
        assert_eq!(answer.status, 303, "{path}");
        assert!(header(&answer, "location").is_some_and(|to| to.starts_with("/console/sign-in?next=")));
    }
    let answer = send(service.address, "GET", "/portal", &[], b"");
    assert_eq!(answer.status, 401);
    assert!(answer.text.contains("Ask for a new link"), "{}", answer.text);
    for key in ["", "wrong", "with%0Aline"] {
        let answer =
            send(service.address, "POST", "/console/sign-in", &[FORM], format!("key={key}").as_bytes());
        assert_eq!(answer.status, 401, "{key}");
        assert!(answer.text.contains("The key is not valid."), "{}", answer.text);
        assert_eq!(header(&answer, "set-cookie"), None);
    }
    let forged = Browser { address: service.address, cookie: "posthaste_console=AAAA".into() };
    assert_eq!(forged.get("/console").status, 303);
}

#[test]
fn what_protects_a_page_is_on_every_page() {
    let folder = folder();
    let service = Service::start(folder.path());
    let browser = Browser::sign_in(service.address);
    for path in ["/console", "/console/sign-in", "/console/nothing", "/portal", "/console/deliveries?since=x"]
    {
        let answer = browser.get(path);
        let policy = header(&answer, "content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header(&answer, "referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(header(&answer, "cache-control"), Some("no-store"), "{path}");
        for inline in ["<script>", " style=", " onclick=", "javascript:"] {
            assert!(!answer.text.contains(inline), "{path}: {inline}");
        }
    }
    let page = browser.get("/console").text;
    let style = page.split('"').find(|text| text.ends_with("/console.css")).unwrap();
    let answer = send(service.address, "GET", style, &[], b"");
    assert_eq!(header(&answer, "cache-control"), Some("public, max-age=31536000, immutable"));
    let etag = header(&answer, "etag").unwrap();
    assert_eq!(send(service.address, "GET", style, &[("If-None-Match", etag)], b"").status, 304);
}

#[test]
fn a_cookie_is_for_https_where_a_browser_came_by_it() {
    let folder = folder();
    let service = Service::start(folder.path());
    let key = format!("key={KEY}");
    let sign_in = |more: &[(&str, &str)]| {
        let headers: Vec<_> = [FORM].into_iter().chain(more.iter().copied()).collect();
        let answer = send(service.address, "POST", "/console/sign-in", &headers, key.as_bytes());
        header(&answer, "set-cookie").unwrap_or_default().to_owned()
    };
    let plain = sign_in(&[]);
    assert!(plain.ends_with("; path=/console; max-age=43200; httponly; samesite=strict"), "{plain}");
    assert!(sign_in(&[("X-Forwarded-Proto", "https")]).ends_with("; samesite=strict; secure"));
}

#[tokio::test]
async fn a_form_without_the_token_of_its_session_changes_nothing() {
    let folder = folder();
    let service = Service::start(folder.path());
    let (mine, other) = (Browser::sign_in(service.address), Browser::sign_in(service.address));
    let foreign = other.csrf("/console/topics");
    for form in [
        "name=order.paid".to_owned(),
        "name=order.paid&csrf=".into(),
        format!("name=order.paid&csrf={foreign}"),
    ] {
        let answer = mine.post("/console/topics", &form);
        assert_eq!(answer.status, 403, "{form}");
        assert!(answer.text.contains("The form was not accepted"), "{}", answer.text);
    }
    let form = format!("name=order.paid&csrf={}", mine.csrf("/console/topics"));
    let headers = [FORM, ("Cookie", mine.cookie.as_str()), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(send(service.address, "POST", "/console/topics", &headers, form.as_bytes()).status, 403);
    let topics = async || service.client().topics(&ListOptions::default()).await.unwrap().data.len();
    assert_eq!(topics().await, 0);
    assert_eq!(mine.post("/console/topics", &form).status, 303);
    assert_eq!(topics().await, 1);
}

const SCRIPT: &str = r#"<script>alert(1)</script>"><img src=x onerror=alert(2)>"#;

#[tokio::test]
async fn what_a_receiver_says_stays_text() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let receiver = Receiver::start(|_| Reply::Answer {
        status: 500,
        headers: vec![("X-Why".into(), SCRIPT.into())],
        body: SCRIPT.into(),
    })
    .await
    .unwrap();
    let topic = topic(&client, "order.paid").await;
    let made = endpoint(&client, &tenant(), receiver.url("/"), &[1]).await.endpoint;
    let patch = json!({"description": SCRIPT, "metadata": {"why": SCRIPT}});
    client.patch_endpoint(&tenant(), made.id, &patch).await.unwrap();
    let event = NewEvent::new(topic, &json!({ "note": SCRIPT })).unwrap().with_id("e1".parse().unwrap());
    client.publish(&tenant(), &event).await.unwrap();
    let exhausted = in_state(&client, "e1", DeliveryState::Exhausted).await.id;

    let browser = Browser::sign_in(service.address);
    let encoded: String = SCRIPT.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut told = 0;
    for path in [
        format!("/console/tenants/default/deliveries/{exhausted}"),
        format!("/console/tenants/default/endpoints/{}", made.id),
        "/console/tenants/default/events/e1".to_owned(),
        "/console/endpoints".to_owned(),
        format!("/console/deliveries?topic={encoded}"),
        format!("/console/nothing?said={encoded}"),
    ] {
        let page = browser.get(&path).text;
        assert!(page.ends_with("</html>\n") || page.ends_with("</html>"), "{path}: {page}");
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{path}: {page}");
        told += page.matches("&#60;script&#62;alert(1)&#60;/script&#62;").count();
    }
    assert!(told >= 6, "it is shown all the same: {told}");
    let payload = browser.get("/console/tenants/default/events/e1/payload");
    assert_eq!(header(&payload, "content-type"), Some("application/octet-stream"));
    assert!(header(&payload, "content-disposition").is_some_and(|how| how.starts_with("attachment;")));
}

#[tokio::test]
async fn a_tenants_people_see_their_own() {
    let folder = folder();
    let service = Service::start(folder.path());
    let client = service.client();
    let [acme, globex]: [TenantId; 2] = ["acme", "globex"].map(|id| id.parse().unwrap());
    for tenant in [&acme, &globex] {
        let fields = TenantFields { name: format!("The {tenant} company"), ..TenantFields::default() };
        client.put_tenant(tenant, &fields).await.unwrap();
    }
    let receiver = Receiver::start(|_| Reply::status(200)).await.unwrap();
    let [own, theirs] = [
        endpoint(&client, &acme, receiver.url("/acme"), &[100]).await.endpoint,
        endpoint(&client, &globex, receiver.url("/globex"), &[100]).await.endpoint,
    ];

    let browser = Browser::enter(&service, &client, &acme).await;
    let page = browser.get("/portal/endpoints?tenant=globex");
    assert_eq!(page.status, 200);
    assert!(page.text.contains("The acme company") && page.text.contains("/acme"), "{}", page.text);
    assert!(!page.text.contains("globex"), "{}", page.text);
    let csrf = browser.csrf(&format!("/portal/tenants/acme/endpoints/{}", own.id));
    let paused = browser
        .post(&format!("/portal/tenants/acme/endpoints/{}/set", own.id), &format!("to=paused&csrf={csrf}"));
    assert_eq!(paused.status, 303, "{paused:?}");

    let of_theirs = format!("/portal/tenants/globex/endpoints/{}", theirs.id);
    assert_eq!(browser.get(&of_theirs).status, 404);
    for (what, form) in [("set", "to=disabled"), ("delete", ""), ("secret", ""), ("rotate", ""), ("test", "")]
    {
        let answer = browser.post(&format!("{of_theirs}/{what}"), &format!("csrf={csrf}&{form}"));
        assert_eq!(answer.status, 404, "{what}: {answer:?}");
    }
    for path in ["/portal/tenants", "/portal/replays", "/portal/topics", "/portal/tenants/acme"] {
        assert_eq!(browser.get(path).status, 404, "{path}");
    }
    // The portal's session opens no console.
    let console =
        Browser { cookie: browser.cookie.replace("posthaste_portal", "posthaste_console"), ..browser };
    assert_eq!(console.get("/console").status, 303);
    let theirs = client.endpoint(&globex, theirs.id).await.unwrap();
    assert_eq!(theirs.state.as_str(), "enabled");
}

#[test]
fn the_pages_can_be_switched_off() {
    let folder = folder();
    let mut command = posthaste(folder.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--set", "console.enabled=false"]);
    let service = Service::start_with(&mut command);
    for path in ["/console", "/console/sign-in", "/portal"] {
        let answer = send(service.address, "GET", path, &[], b"");
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.body["type"], "urn:posthaste:problem:not-found");
    }
}
