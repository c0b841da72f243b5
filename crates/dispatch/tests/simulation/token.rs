//! Tokens that an endpoint's receiver wants to be shown.

use std::time::Duration;

use posthaste_model::{Auth, Credentials, Endpoint, ErrorClass, Outcome, Wire};

use crate::{process::Process, seen::Sent, subscribers::Does, world::World};

const TOKEN_URL: &str = "https://login.example/token";

/// An endpoint whose receiver wants tokens of an hour's life.
async fn world() -> (World, Endpoint) {
    let mut world = World::new().await;
    let endpoint = world.endpoint().await;
    let auth = Auth::OAuth2 {
        token_url: TOKEN_URL.into(),
        client_id: "us:them".into(),
        scope: Some("hooks write".into()),
        audience: None,
    };
    let wire = Wire { auth: Some(auth), ..Wire::default() };
    let mut credentials = Credentials::default();
    credentials.auth = Some("p&ss".into());
    world.dress(&endpoint, wire, credentials).await;
    (world, endpoint)
}

fn token(number: usize, life: &str) -> Does {
    let body = format!(r#"{{"access_token": "token-{number}", "token_type": "Bearer"{life}}}"#);
    Does::answer(200).body(body)
}

fn is_for_a_token(sent: &Sent) -> bool {
    sent.url == TOKEN_URL
}

/// Gives a new token each time, and takes what the number of the last token lets through.
fn give_tokens(world: &World, life: &'static str, takes: fn(&str) -> bool) {
    let mut given = 0;
    world.subscribers.follow(move |sent| {
        if is_for_a_token(sent) {
            given += 1;
            return token(given, life);
        }
        let shown = sent.header("authorization").unwrap();
        Does::answer(if takes(shown.strip_prefix("Bearer ").unwrap()) { 200 } else { 401 })
    });
}

/// How often tokens were asked for, and what was shown to the receiver.
fn shown(world: &World) -> (usize, Vec<String>) {
    let seen = world.seen();
    let asked = seen.requests.iter().filter(|sent| is_for_a_token(sent)).count();
    let others = seen.requests.iter().filter(|sent| !is_for_a_token(sent));
    (asked, others.map(|sent| sent.header("authorization").unwrap().to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_once_and_kept_until_shortly_before_it_expires() {
    let (mut world, endpoint) = world().await;
    give_tokens(&world, r#", "expires_in": 100"#, |_| true);
    let _process = world.start("one");
    let mut delivered = 0;
    // Once the time has come, one of them fetches the next.
    for (round, (events, wait)) in [(5, 60), (5, 20), (1, 0), (5, 0)].into_iter().enumerate() {
        for number in 0..events {
            world.accept(&format!("evt_{round}_{number}"), &[&endpoint]).await;
        }
        delivered += events;
        world.until(|seen| seen.delivered() == delivered).await;
        world.pass(wait).await;
    }
    let (asked, shown) = shown(&world);
    assert_eq!(asked, 2);
    assert_eq!(shown[..10], ["Bearer token-1"; 10]);
    assert_eq!(shown[10..], ["Bearer token-2"; 6]);
    let seen = world.seen();
    let request = seen.requests.iter().find(|sent| is_for_a_token(sent)).unwrap();
    assert_eq!(request.body, "grant_type=client_credentials&scope=hooks+write");
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    // us%3Athem:p%26ss
    assert_eq!(request.header("authorization"), Some("Basic dXMlM0F0aGVtOnAlMjZzcw=="));
}

/// A world in which a token of 100 seconds has been shown once, and is now to be fetched anew.
async fn world_with_an_old_token() -> (World, Endpoint, Process) {
    let (mut world, endpoint) = world().await;
    give_tokens(&world, r#", "expires_in": 100"#, |_| true);
    let process = world.start("one");
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.delivered() == 1).await;
    world.pass(80).await;
    (world, endpoint, process)
}

#[tokio::test(start_paused = true)]
async fn a_token_is_shown_until_it_expires_where_no_other_is_to_be_had() {
    let (mut world, endpoint, _process) = world_with_an_old_token().await;
    world.subscribers.follow(|sent| if is_for_a_token(sent) { Does::answer(503) } else { Does::answer(200) });
    flow(&mut world, &endpoint, 10).await;
    world.until(|seen| seen.delivered() == 11).await;
    // One at once, and another when the pause is over.
    assert_eq!(shown(&world), (3, vec!["Bearer token-1".to_owned(); 11]));
    world.pass(20).await;
    world.accept("late", &[&endpoint]).await;
    world.until(|seen| seen.settlements().count() == 12).await;
    let (_, attempts) = world.delivery("late", &endpoint).await;
    let detail = "the token endpoint answered 503".to_owned();
    assert_eq!(attempts[0].outcome, Outcome::Failed { class: ErrorClass::Auth, detail });
    assert_eq!(shown(&world).1.len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_anew_once_that_is_possible_again() {
    let (mut world, endpoint, _process) = world_with_an_old_token().await;
    let mut asked = 0;
    world.subscribers.follow(move |sent| {
        asked += usize::from(is_for_a_token(sent));
        match (is_for_a_token(sent), asked) {
            (true, 1) => Does::fail(ErrorClass::Connect),
            (true, _) => token(2, ""),
            (false, _) => Does::answer(200),
        }
    });
    for event in ["held", "mended"] {
        world.accept(event, &[&endpoint]).await;
        world.pass(1).await;
    }
    world.until(|seen| seen.delivered() == 3).await;
    assert_eq!(shown(&world), (3, ["1", "1", "2"].map(|number| format!("Bearer token-{number}")).to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_server_of_tokens_that_hangs_holds_back_one_attempt_for_half_of_its_time() {
    let (mut world, endpoint, _process) = world_with_an_old_token().await;
    world.subscribers.follow(|sent| if is_for_a_token(sent) { Does::hang() } else { Does::answer(200) });
    flow(&mut world, &endpoint, 10).await;
    world.until(|seen| seen.delivered() == 10).await;
    assert_eq!(shown(&world), (2, vec!["Bearer token-1".to_owned(); 10]));
    world.until(|seen| seen.delivered() == 11).await;
    let seen = world.seen();
    let deadlines: Vec<u128> = seen.requests.iter().map(|sent| sent.deadline.as_millis()).collect();
    assert_eq!(
        deadlines[2..],
        [7_500, 15_000, 15_000, 15_000, 15_000, 15_000, 15_000, 15_000, 15_000, 15_000, 7_500]
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_is_not_shown_again_where_no_other_is_to_be_had() {
    let (mut world, endpoint, _process) = world_with_an_old_token().await;
    world.subscribers.follow(|sent| Does::answer(if is_for_a_token(sent) { 503 } else { 401 }));
    for (number, expect) in [None, Some(ErrorClass::Auth)].into_iter().enumerate() {
        let event = format!("evt_{number}");
        world.accept(&event, &[&endpoint]).await;
        world.until(|seen| seen.settlements().count() == 2 + number).await;
        let (_, attempts) = world.delivery(&event, &endpoint).await;
        assert_eq!(attempts[0].outcome.error(), expect);
    }
    assert_eq!(shown(&world).1, ["Bearer token-1"; 2]);
}

/// Servers write the life of a token in their own ways, and some make it short.
#[tokio::test(start_paused = true)]
async fn a_short_life_is_not_spent_on_a_request_for_each_attempt() {
    for life in [r#", "expires_in": 20"#, r#", "expires_in": "20""#, r#", "expires_in": 20.0"#] {
        let (mut world, endpoint) = world().await;
        give_tokens(&world, life, |_| true);
        let _process = world.start("one");
        for number in 0..5 {
            world.accept(&format!("evt_{number}"), &[&endpoint]).await;
            world.pass(3).await;
        }
        world.until(|seen| seen.delivered() == 5).await;
        assert_eq!(shown(&world).0, 2, "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_is_not_shown_again() {
    let (mut world, endpoint) = world().await;
    give_tokens(&world, "", |token| token != "token-1");
    world.accept("evt", &[&endpoint]).await;
    let _process = world.start("one");
    world.until(|seen| seen.delivered() == 1).await;
    assert_eq!(shown(&world), (2, vec!["Bearer token-1".into(), "Bearer token-2".into()]));
    let (delivery, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!((delivery.failures, attempts.len()), (1, 2));
}

/// Without a token no request is made: the attempt says so, and is charged.
async fn check_no_token(does: Does, detail: &str) {
    let (mut world, endpoint) = world().await;
    world.subscribers.follow(move |sent| if is_for_a_token(sent) { does.clone() } else { Does::answer(200) });
    world.accept("evt", &[&endpoint]).await;
    let _process = world.start("one");
    world.until(|seen| seen.settlements().count() == 1).await;
    assert_eq!(shown(&world), (1, vec![]));
    let (delivery, attempts) = world.delivery("evt", &endpoint).await;
    assert_eq!((delivery.failures, attempts[0].outcome.error()), (1, Some(ErrorClass::Auth)));
    let said = format!("{:?}", attempts[0].outcome);
    assert!(said.contains(detail) && !said.contains("hush"), "{said}");
    // It is asked for again, with the next attempt.
    give_tokens(&world, "", |_| true);
    world.until(|seen| seen.delivered() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_a_token_fails() {
    check_no_token(Does::answer(401).body("hush"), "the token endpoint answered 401").await;
    check_no_token(Does::fail(ErrorClass::Connect), "cannot be used (connect)").await;
    check_no_token(Does::hang(), "cannot be used (timeout)").await;
    check_no_token(Does::answer(200).body("hush"), "something that is no token").await;
    let mac = r#"{"access_token": "hush", "token_type": "mac"}"#;
    check_no_token(Does::answer(200).body(mac), "no bearer token").await;
    for token in ["", "   ", " hush ", "hush hush", r"hush\thush", r"hush\nhush", "hush-ž"] {
        let body = format!(r#"{{"access_token": "{token}", "token_type": "bearer"}}"#);
        check_no_token(Does::answer(200).body(body), "no header can hold").await;
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_at_the_same_time_share_what_comes_of_one_fetch() {
    for (fetch, delivered) in [(token(1, ""), 8), (Does::answer(503), 0)] {
        let (mut world, endpoint) = world().await;
        world.subscribers.follow(move |sent| match is_for_a_token(sent) {
            true => fetch.clone().after(0.5),
            false => Does::answer(200),
        });
        for number in 0..8 {
            world.accept(&format!("evt_{number}"), &[&endpoint]).await;
        }
        let _process = world.start("one");
        world.until(|seen| seen.settlements().count() == 8).await;
        assert_eq!((shown(&world).0, world.seen().delivered()), (1, delivered));
    }
}

/// Lets deliveries come ten times a second.
async fn flow(world: &mut World, endpoint: &Endpoint, deliveries: usize) {
    for number in 0..deliveries {
        world.accept(&format!("evt_{number}"), &[endpoint]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_no_token_is_asked_for_at_once() {
    let (mut world, endpoint) = world().await;
    world.subscribers.follow(|_| Does::answer(500));
    let _process = world.start("one");
    // One more, and the breaker would open.
    flow(&mut world, &endpoint, 4).await;
    assert_eq!(shown(&world), (1, vec![]));
    for (number, held) in ["", "no token is asked for again yet: "].into_iter().enumerate() {
        let (_, attempts) = world.delivery(&format!("evt_{number}"), &endpoint).await;
        let detail = format!("{held}the token endpoint answered 500");
        assert_eq!(attempts[0].outcome, Outcome::Failed { class: ErrorClass::Auth, detail });
    }
    give_tokens(&world, "", |_| true);
    world.pass(1).await;
    world.accept("evt", &[&endpoint]).await;
    world.until(|seen| seen.delivered() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_is_not_replaced_at_once() {
    let (mut world, endpoint) = world().await;
    give_tokens(&world, "", |_| false);
    let _process = world.start("one");
    flow(&mut world, &endpoint, 20).await;
    let (asked, shown) = shown(&world);
    assert_eq!((asked, shown.len()), (4, 20));
    assert_eq!(shown[..6], ["1", "1", "1", "1", "1", "2"].map(|number| format!("Bearer token-{number}")));
}

#[tokio::test(start_paused = true)]
async fn a_token_has_its_part_of_the_time() {
    let (mut world, endpoint) = world().await;
    world
        .subscribers
        .follow(|sent| if is_for_a_token(sent) { token(1, "").after(10.0) } else { Does::hang() });
    world.accept("evt", &[&endpoint]).await;
    let _process = world.start("one");
    world.until(|seen| seen.settlements().count() == 1).await;
    let seen = world.seen();
    let deadlines: Vec<u64> = seen.requests.iter().map(|sent| sent.deadline.as_secs()).collect();
    assert_eq!(deadlines, [15, 5]);
}
