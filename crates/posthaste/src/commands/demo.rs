use std::{
    collections::{HashMap, HashSet},
    net::{SocketAddr, TcpListener},
    process::ExitCode,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use actix_web::http::StatusCode;
use anyhow::Context as _;
use posthaste_client::{Client, NewEndpoint, NewEvent, TopicFields};
use posthaste_model::{Clock, EventId, Period, RetryPolicy, TenantId, TopicName, TopicPattern};
use posthaste_signing::{Credential, DEFAULT_TOLERANCE, Profile, Received as Signed, Verifier};
use serde_json::json;
use tokio::{sync::Notify, time::timeout};

use super::{
    announce,
    receiver::{Received, Receiver},
    stop,
};
use crate::{
    cli::{DemoArgs, complain, say},
    clock,
    running::Running,
    settings::Settings,
    signals::Signals,
    telemetry,
};

/// Events of `demo --once`.
const HANDFUL: u32 = 5;
/// How long they may take, retries included.
const WITHIN: Duration = Duration::from_secs(60);
/// How often the producer publishes when the demo stays up.
const EVERY: Duration = Duration::from_secs(2);
/// How many requests the flaky endpoint fails for each event.
const FAILURES: u32 = 2;

const ALWAYS: &str = "/always";
const FLAKY: &str = "/flaky";

/// Serves on a fresh store, with a receiver and a producer of its own.
pub(crate) async fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let folder =
        tempfile::Builder::new().prefix("posthaste-demo-").tempdir().context("no temporary folder")?;
    let settings = Settings {
        listen: free_address(Settings::default().listen),
        data_dir: folder.path().to_owned(),
        ..demo_settings()?
    };
    telemetry::start(&settings.log)?;
    let mut signals = Signals::hear()?;
    let running = Running::start(&settings).await?;
    let subscriber = Arc::new(Subscriber::new(clock::system()));
    let receiver = Receiver::start(1, {
        let subscriber = Arc::clone(&subscriber);
        move |received| subscriber.receive(received)
    })?;
    announce(&running, &settings);
    let key = running.admin_key.as_ref().map(|admin| admin.key.clone()).context("the demo has no key")?;
    let client = Client::new(&running.url(), &key)?;
    let tenant = TenantId::default_tenant();
    set_up(&client, &tenant, &receiver, &subscriber).await?;

    let code = if args.once {
        once(&client, &tenant, &subscriber).await?
    } else {
        invite(&running, &key, &receiver);
        tokio::select! {
            produced = produce(&client, &tenant) => produced?,
            () = signals.stop() => {}
        }
        ExitCode::SUCCESS
    };
    receiver.stop().await;
    stop(running, &mut signals).await;
    Ok(code)
}

fn demo_settings() -> anyhow::Result<Settings> {
    let mut settings = Settings::default();
    settings.egress.allow = vec!["127.0.0.0/8".parse().context("a network")?];
    settings.log.level = "warn".into();
    Ok(settings)
}

/// The usual address, or a free port beside whoever has it.
fn free_address(usual: SocketAddr) -> SocketAddr {
    match TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::new(usual.ip(), 0),
    }
}

/// Registers a topic and two endpoints: one that takes everything, and one that fails at first.
async fn set_up(
    client: &Client,
    tenant: &TenantId,
    receiver: &Receiver,
    subscriber: &Subscriber,
) -> anyhow::Result<()> {
    let topic = TopicName::from_str("order.paid")?;
    client
        .put_topic(&topic, &TopicFields { description: "An order was paid".into(), ..TopicFields::default() })
        .await?;
    let retry = RetryPolicy::schedule([1, 2, 4, 8].map(Period::from_secs).to_vec())?;
    // Whatever the service signs by otherwise: what arrives is told apart by its id.
    let profile = Profile::named("standard")?;
    for path in [ALWAYS, FLAKY] {
        let endpoint = NewEndpoint {
            topics: vec![TopicPattern::from_str("order.*")?],
            retry: Some(retry.clone()),
            signature: Some(serde_json::to_value(&profile)?),
            ..NewEndpoint::new(receiver.url(path))
        };
        let created = client.create_endpoint(tenant, &endpoint).await?;
        let credential: Credential = created.secret.expose().parse()?;
        subscriber.knows(path, Verifier::new(&profile, [&credential])?);
    }
    Ok(())
}

fn invite(running: &Running, key: &str, receiver: &Receiver) {
    say("");
    say(format_args!(
        "Two endpoints listen for 'order.*': {} takes everything, {} fails {FAILURES} times for each event.",
        receiver.url(ALWAYS),
        receiver.url(FLAKY)
    ));
    say(format_args!("Look at it in a browser: {}/console, with the key {key}", running.url()));
    say("Publish an event of your own:");
    say("");
    say(format_args!("  curl -X POST {}/v1/tenants/default/events \\", running.url()));
    say(format_args!("    -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\"));
    say(r#"    -d '{"topic": "order.paid", "data": {"order": 42}}'"#);
    say("");
    say("Stop with Ctrl-C. The store is thrown away then.");
    say("");
}

async fn produce(client: &Client, tenant: &TenantId) -> anyhow::Result<()> {
    for order in 1.. {
        client.publish(tenant, &event(order)?).await?;
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}

fn event(order: u32) -> anyhow::Result<NewEvent> {
    Ok(NewEvent::new(TopicName::from_str("order.paid")?, &json!({ "order": order, "amount": 100 + order }))?)
}

/// Publishes a handful and waits until each has arrived at both endpoints.
async fn once(client: &Client, tenant: &TenantId, subscriber: &Subscriber) -> anyhow::Result<ExitCode> {
    let mut expected = HashSet::new();
    for order in 1..=HANDFUL {
        let accepted = client.publish(tenant, &event(order)?).await?;
        for path in [ALWAYS, FLAKY] {
            expected.insert((path.to_owned(), accepted.id.clone()));
        }
    }
    let arrived = timeout(WITHIN, subscriber.all_arrived(&expected)).await.is_ok();
    let forged = subscriber.forged();
    let missing = subscriber.missing(&expected);
    if arrived && forged == 0 {
        say(format_args!("all {} deliveries arrived, every signature verified", expected.len()));
        return Ok(ExitCode::SUCCESS);
    }
    complain(format_args!(
        "{missing} of {} deliveries are missing, {forged} had a bad signature",
        expected.len()
    ));
    Ok(ExitCode::FAILURE)
}

/// What stands behind the demo's receiver: verifies each request with the endpoint's secret, and remembers it.
struct Subscriber {
    clock: Clock,
    verifiers: RwLock<HashMap<String, Verifier>>,
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Default)]
struct Seen {
    /// Requests so far, by endpoint and event.
    requests: HashMap<(String, EventId), u32>,
    arrived: HashSet<(String, EventId)>,
    forged: u32,
}

impl Subscriber {
    fn new(clock: Clock) -> Self {
        Self { clock, verifiers: RwLock::default(), seen: Mutex::default(), changed: Notify::new() }
    }

    fn knows(&self, path: &str, verifier: Verifier) {
        self.verifiers.write().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), verifier);
    }

    fn receive(&self, received: &Received<'_>) -> StatusCode {
        let now = self.clock.now();
        let signed = Signed { method: "POST", url: received.path, body: received.body };
        let verified = match self.verifiers.read().unwrap_or_else(PoisonError::into_inner).get(received.path)
        {
            Some(verifier) => verifier
                .verify(|name| received.header(name), &signed, now.as_second(), DEFAULT_TOLERANCE)
                .map_err(|error| error.to_string()),
            None => Err("nobody listens here".to_owned()),
        };
        let id = received.header("webhook-id").unwrap_or_default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, remark) = match (verified, EventId::from_str(id)) {
            (Ok(()), Ok(id)) => {
                let key = (received.path.to_owned(), id);
                let requests = seen.requests.entry(key.clone()).or_default();
                *requests += 1;
                if received.path == FLAKY && *requests <= FAILURES {
                    (StatusCode::INTERNAL_SERVER_ERROR, format!("request {requests}: fails on purpose"))
                } else {
                    let remark = format!("request {requests}: delivered");
                    seen.arrived.insert(key);
                    (StatusCode::OK, remark)
                }
            }
            (Err(reason), _) => {
                seen.forged += 1;
                (StatusCode::UNAUTHORIZED, format!("NOT VERIFIED: {reason}"))
            }
            (Ok(()), Err(error)) => {
                seen.forged += 1;
                (StatusCode::BAD_REQUEST, error.to_string())
            }
        };
        drop(seen);
        let time = now.strftime("%H:%M:%S%.3f");
        let proof = if status == StatusCode::UNAUTHORIZED { "" } else { ", signature verified" };
        say(format_args!("{time}  {:<8} {id}  {}  {remark}{proof}", received.path, status.as_u16()));
        self.changed.notify_one();
        status
    }

    /// Returns once everything expected has arrived, or something had a bad signature.
    async fn all_arrived(&self, expected: &HashSet<(String, EventId)>) {
        while self.forged() == 0 && self.missing(expected) > 0 {
            self.changed.notified().await;
        }
    }

    fn missing(&self, expected: &HashSet<(String, EventId)>) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        expected.difference(&seen.arrived).count()
    }

    fn forged(&self) -> u32 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).forged
    }
}
