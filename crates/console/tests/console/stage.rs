//! An API whose answers are set, and somebody who looks at the pages.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use actix_web::{
    App,
    body::MessageBody,
    dev::ServiceResponse,
    http::StatusCode,
    test::{TestRequest, call_service, init_service, read_body},
};
use posthaste_console::{Console, ConsoleSettings};
use posthaste_model::{Clock, Timestamp};
use posthaste_signing::{EncryptionKey, Sealer};
use posthaste_testkit::{ReceivedRequest, Receiver, Reply};
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

/// The time on the stage.
pub(crate) const NOW: &str = "2026-11-21T10:00:00Z";

/// What the API answers, by method and path.
type Answers = Arc<Mutex<HashMap<String, (u16, Value)>>>;

pub(crate) struct Stage {
    api: Receiver,
    answers: Answers,
    console: Arc<Console>,
}

/// What the pages answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: String,
    /// What is set as a cookie; empty: none.
    pub(crate) cookie: String,
    pub(crate) text: String,
}

impl Answer {
    async fn read(response: ServiceResponse<impl MessageBody>) -> Self {
        let header = |name| {
            let value = response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            value.unwrap_or_default()
        };
        let (status, location, cookie) = (response.status(), header("location"), header("set-cookie"));
        let text = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        Self { status, location, cookie, text }
    }

    /// What the forms of a page carry.
    pub(crate) fn csrf(&self) -> String {
        let (_, after) = self.text.split_once(r#"name="csrf" value=""#).unwrap();
        after.split('"').next().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(self.text.contains(text), "{text:?} is missing: {}", self.text);
    }

    #[track_caller]
    pub(crate) fn keeps_quiet_about(&self, text: &str) {
        assert!(!self.text.contains(text), "{text:?} is there: {}", self.text);
    }
}

/// Whose key it is that somebody shows: on this stage keys are called by their role, and by their tenant after an `@`.
/// A portal link is `link@` and its tenant.
fn whose(request: &ReceivedRequest) -> (u16, Value) {
    let key = request.header("authorization").and_then(|it| it.strip_prefix("Bearer ")).unwrap_or_default();
    let (role, tenant) = key.split_once('@').map_or((key, None), |(role, tenant)| (role, Some(tenant)));
    let tenant = tenant.map(|id| json!({"id": id, "name": ""}));
    match role {
        "admin" => (200, json!({"kind": "admin_key", "role": "admin"})),
        "link" => (200, json!({"kind": "portal_link", "role": "tenant", "tenant": tenant})),
        "operator" | "viewer" | "publisher" | "tenant" => {
            (200, json!({"kind": "api_key", "role": role, "name": "Ada", "tenant": tenant}))
        }
        _ => problem(401, "unauthorized", "the key is not valid"),
    }
}

/// An answer of the API that refuses something.
pub(crate) fn problem(status: u16, kind: &str, detail: &str) -> (u16, Value) {
    let kind = format!("urn:posthaste:problem:{kind}");
    (status, json!({"type": kind, "title": "Refused", "status": status, "detail": detail}))
}

/// A list as the API answers it, to its end.
pub(crate) fn list(rows: &[Value]) -> Value {
    json!({"data": rows, "next": null})
}

fn answer(answers: &Answers, request: &ReceivedRequest) -> Reply {
    let path = request.path.split('?').next().unwrap();
    let (status, body) = match path {
        "/v1/key" => whose(request),
        path => {
            let set = answers.lock().unwrap().get(&format!("{} {path}", request.method)).cloned();
            set.unwrap_or_else(|| problem(404, "not-found", "it is not on the stage"))
        }
    };
    let content_type = if status < 400 { "application/json" } else { "application/problem+json" };
    Reply::status(status).with_header("content-type", content_type).with_body(body.to_string())
}

impl Stage {
    /// An API without answers.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// One whose pages are set up otherwise.
    pub(crate) async fn with(change: impl FnOnce(&mut ConsoleSettings)) -> Self {
        let answers = Answers::default();
        let told = Arc::clone(&answers);
        let api = Receiver::start(move |request| answer(&told, request)).await.unwrap();
        let mut settings =
            ConsoleSettings { listen: api.address(), secure: false, source: "https://example.com".into() };
        change(&mut settings);
        let mut rng = StdRng::seed_from_u64(1);
        let sealer = Arc::new(Sealer::new(EncryptionKey::generate(&mut rng)));
        let now: Timestamp = NOW.parse().unwrap();
        let console = Arc::new(Console::new(settings, sealer, Clock::new(move || now), rng));
        Self { api, answers, console }
    }

    /// Sets what the API answers.
    pub(crate) fn set(&self, what: &str, status: u16, body: Value) {
        self.answers.lock().unwrap().insert(what.to_owned(), (status, body));
    }

    /// Sets that the API refuses something.
    pub(crate) fn refuse(&self, what: &str, (status, problem): (u16, Value)) {
        self.set(what, status, problem);
    }

    /// What the API was asked for, by method and path.
    pub(crate) fn asked(&self, what: &str) -> Vec<Arc<ReceivedRequest>> {
        let is_it = |request: &ReceivedRequest| {
            format!("{} {}", request.method, request.path.split('?').next().unwrap()) == what
        };
        self.api.requests().into_iter().filter(|request| is_it(request)).collect()
    }

    /// How many connections the API was asked over.
    pub(crate) fn connections(&self) -> usize {
        self.api.connections()
    }

    pub(crate) async fn send(&self, request: TestRequest) -> Answer {
        let console = Arc::clone(&self.console);
        let app =
            init_service(App::new().configure(move |config| Console::configure(&console, config))).await;
        Answer::read(call_service(&app, request.to_request()).await).await
    }

    /// Signs in with a key.
    pub(crate) async fn sign_in(&self, path: &str, key: &str) -> Answer {
        self.send(TestRequest::post().uri(path).set_payload(format!("key={key}"))).await
    }

    /// Somebody who has signed in to the console.
    pub(crate) async fn visitor(&self, key: &str) -> Visitor<'_> {
        self.come(self.sign_in("/console/sign-in", key).await)
    }

    /// Somebody whose session began with an answer.
    pub(crate) fn come(&self, answer: Answer) -> Visitor<'_> {
        let cookie = answer.cookie.split(';').next().unwrap().to_owned();
        assert!(cookie.contains('='), "{}", answer.text);
        Visitor { stage: self, cookie }
    }
}

/// Somebody with a session.
pub(crate) struct Visitor<'a> {
    stage: &'a Stage,
    cookie: String,
}

impl Visitor<'_> {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.stage.send(TestRequest::get().uri(path).insert_header(("cookie", self.cookie.as_str()))).await
    }

    /// Sends a form that is on a page.
    pub(crate) async fn post(&self, page: &str, path: &str, form: &str) -> Answer {
        let csrf = self.get(page).await.csrf();
        let request = TestRequest::post().uri(path).insert_header(("cookie", self.cookie.as_str()));
        self.stage.send(request.set_payload(format!("csrf={csrf}&{form}"))).await
    }
}
