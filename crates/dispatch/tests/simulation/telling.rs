//! What the dispatcher tells of what happens: metrics, figures, and what is recorded of requests.

use std::sync::Arc;

use posthaste_model::{Auth, Counts, Credentials, SentRequest, Wire};
use posthaste_store::{Statistics as _, Stretch, Subject};
use tokio::sync::watch;

use crate::{access::Access, reckoning::reckon, subscribers::Does, world::World};

fn lines(world: &World, name: &str) -> Vec<String> {
    let text = world.telemetry.render();
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

#[track_caller]
fn check(world: &World, line: &str) {
    let name = line.split(['{', ' ']).next().unwrap();
    let lines = lines(world, name);
    assert!(lines.iter().any(|known| known == line), "{line} is not among {lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn attempts_and_their_ends_are_counted() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let mut answers = [500, 503, 200, 200].into_iter();
    world.subscribers.follow(move |_| Does::answer(answers.next().unwrap()).after(0.2));
    let (_life, life) = watch::channel(());
    let access = Access { process: "one".into(), life, road: Arc::clone(&world.road) };
    let keeper = world.telemetry.keep(Arc::new(access));
    let process = world.start_with("one", |settings| settings.max_in_flight = 8);
    world.accept("evt_1", &[&endpoint]).await;
    world.until(|seen| seen.settlements().count() == 1).await;
    world.accept("evt_2", &[&endpoint]).await;
    world.until(|seen| seen.requests.len() == 2).await;
    for line in [
        "posthaste_in_flight 1",
        "posthaste_in_flight_limit 8",
        "posthaste_partitions 1",
        "posthaste_open_breakers 0",
    ] {
        check(&world, line);
    }
    world.until(|seen| seen.delivered() == 2).await;
    process.drain().await;
    keeper.stop().await;
    for line in [
        "posthaste_attempts_total{outcome=\"success\",status_class=\"2xx\",error_class=\"none\"} 2",
        "posthaste_attempts_total{outcome=\"failure\",status_class=\"5xx\",error_class=\"none\"} 2",
        "posthaste_deliveries_ended_total{state=\"delivered\"} 2",
        "posthaste_deliveries_ended_total{state=\"exhausted\"} 0",
        "posthaste_queue_seconds_count 2",
        "posthaste_receiver_seconds_count 4",
        "posthaste_in_flight 0",
        "posthaste_partitions 0",
    ] {
        check(&world, line);
    }
    let store = &world.road.store;
    let of = Subject::Endpoint(endpoint.tenant.clone(), endpoint.id);
    let (first, now) = (world.events[0].accepted_at, world.clock.now());
    let since = first.checked_sub(Stretch::Hour.length()).unwrap();
    let mut sum = Counts::default();
    for bucket in store.stats(of, Stretch::Hour, since, now).await.unwrap() {
        sum.add(&bucket.counts);
    }
    let Counts { attempts, failed, retried, delivered, exhausted, queue, receiver, .. } = &sum;
    assert_eq!((*attempts, *failed, *retried, *delivered, *exhausted), (4, 2, 2, 2, 0));
    assert_eq!((queue.total(), receiver.total()), (2, 4));
    reckon(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_is_kept_that_failed_or_was_asked_for() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let wire = Wire {
        headers: [("X-Env".to_owned(), Some("prod".to_owned())), ("X-Key".to_owned(), None)].into(),
        auth: Some(Auth::Bearer),
        ..Wire::default()
    };
    let mut credentials = Credentials::default();
    credentials.auth = Some("token-1".into());
    credentials.headers.insert("X-Key".into(), "s3cret".into());
    world.dress(&endpoint, wire, credentials).await;
    let mut answers = [500, 200, 200].into_iter();
    world.subscribers.follow(move |_| Does::answer(answers.next().unwrap()));
    let process = world.start("one");
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.delivered() == 1).await;
    let (delivery, _) = world.delivery("evt", &endpoint).await;
    world.retry(&delivery, true).await.unwrap();
    world.until(|seen| seen.settlements().count() == 3).await;
    let (_, attempts) = world.delivery("evt", &endpoint).await;
    let kept: Vec<_> = attempts.iter().map(|attempt| attempt.request.as_deref()).collect();
    let [Some(failed), None, Some(manual)] = kept[..] else { panic!("{kept:?}") };
    for (number, SentRequest { method, url, headers }) in [("1", failed), ("3", manual)] {
        assert_eq!((method.as_str(), url), ("POST", &endpoint.url));
        let told =
            |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        assert_eq!(told("x-env"), Some("prod"));
        assert_eq!((told("x-key"), told("authorization")), (Some("***"), Some("***")));
        assert_eq!((told("webhook-id"), told("posthaste-attempt")), (Some("evt"), Some(number)));
        assert_eq!(told("content-type"), Some("application/json"));
        assert_eq!(told("user-agent"), Some(concat!("Posthaste/", env!("CARGO_PKG_VERSION"))));
        assert!(told("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")));
    }
    let shown = format!("{attempts:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("token-1"), "{shown}");
    process.drain().await;
    // It was delivered before: the manual attempt is one more, and its end is not.
    check(&world, r#"posthaste_attempts_total{outcome="success",status_class="2xx",error_class="none"} 2"#);
    check(&world, r#"posthaste_deliveries_ended_total{state="delivered"} 1"#);
}

#[tokio::test(start_paused = true)]
async fn who_has_the_first_partition_looks_at_the_backlog() {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    world.subscribers.follow(|_| Does::answer(200).after(20.0));
    let (_life, life) = watch::channel(());
    let access = Access { process: "one".into(), life, road: Arc::clone(&world.road) };
    let _keeper = world.telemetry.keep(Arc::new(access));
    let process = world.start("one");
    world.accept("evt", &[&endpoint]).await;
    world.pass(11).await;
    check(&world, "posthaste_open_deliveries 1");
    process.drain().await;
    check(&world, "posthaste_open_deliveries 0");
    reckon(&world).await;
}
