//! Tokens that an endpoint's receiver wants to be shown.

use posthaste_model::{Auth, Credentials, Endpoint, ErrorClass, Wire};

use crate::{seen::Sent, subscribers::Does, world::World};

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
    for (number, wait) in [60, 20, 0].into_iter().enumerate() {
        for copy in 0..5 {
            world.accept(&format!("evt_{number}_{copy}"), &[&endpoint]).await;
        }
        world.until(|seen| seen.delivered() == 5 * (number + 1)).await;
        world.pass(wait).await;
    }
    let (asked, shown) = shown(&world);
    assert_eq!(asked, 2);
    assert_eq!(shown[..10], ["Bearer token-1"; 10]);
    assert_eq!(shown[10..], ["Bearer token-2"; 5]);
    let seen = world.seen();
    let request = seen.requests.iter().find(|sent| is_for_a_token(sent)).unwrap();
    assert_eq!(request.body, "grant_type=client_credentials&scope=hooks+write");
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    // us%3Athem:p%26ss
    assert_eq!(request.header("authorization"), Some("Basic dXMlM0F0aGVtOnAlMjZzcw=="));
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
    let line = r#"{"access_token": "hush\nhush", "token_type": "bearer"}"#;
    check_no_token(Does::answer(200).body(line), "no header can hold").await;
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
