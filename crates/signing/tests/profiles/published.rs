//! Examples that others have published, or that another program computed.

use std::collections::BTreeMap;

use posthaste_signing::Profile;

use crate::request::Request;

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const WHSK: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const WHPK: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const V1: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const V1A: &str =
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

/// A request of the message that Standard Webhooks publishes.
pub(crate) fn standard(profile: &str, secrets: &[&str], headers: &[(&str, &str)]) -> Request {
    Request {
        name: profile.to_owned(),
        source: None,
        profile: Profile::parse(profile).unwrap(),
        secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
        public_keys: Vec::new(),
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
        topic: "test".to_owned(),
        timestamp_ms: 1_614_265_330_000,
        method: "POST".to_owned(),
        url: "https://example.com/hooks".to_owned(),
        body: r#"{"test": 2432232314}"#.to_owned(),
        headers: named(headers),
    }
}

fn named(headers: &[(&str, &str)]) -> BTreeMap<String, String> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn check(request: &Request) {
    assert_eq!(request.signed(), request.headers);
    request.check_verifies();
}

#[track_caller]
fn check_standard(profile: &str, secrets: &[&str], signature: &str) {
    let prefix = if profile.contains("svix") { "svix" } else { "webhook" };
    let request = standard(
        profile,
        secrets,
        &[
            (&format!("{prefix}-id"), "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            (&format!("{prefix}-timestamp"), "1614265330"),
            (&format!("{prefix}-signature"), signature),
        ],
    );
    check(&request);
    if secrets.contains(&WHSK) {
        assert_eq!(request.verify(&WHPK.parse().unwrap()), Ok(()));
    }
}

#[test]
fn standard_and_svix() {
    for profile in ["standard", "svix"] {
        // https://github.com/standard-webhooks/standard-webhooks, the libraries' tests.
        check_standard(&format!(r#"{{"profile": "{profile}"}}"#), &[WHSEC], V1);
        // https://github.com/svix/svix-webhooks, `test_asymmetric_key_signing`.
        let v1a = format!(r#"{{"profile": "{profile}", "versions": ["v1a"]}}"#);
        check_standard(&v1a, &[WHSK], V1A);
        let both = format!(r#"{{"profile": "{profile}", "versions": ["v1", "v1a"]}}"#);
        check_standard(&both, &[WHSEC, WHSK], &format!("{V1} {V1A}"));
        check_standard(&both, &[WHSK, WHSEC], &format!("{V1} {V1A}"));
        // The order of the versions is that of the profile.
        let swapped = format!(r#"{{"profile": "{profile}", "versions": ["v1a", "v1"]}}"#);
        check_standard(&swapped, &[WHSEC, WHSK], &format!("{V1A} {V1}"));
    }
}

#[test]
fn the_second_published_vector() {
    let mut request = standard(
        r#"{"profile": "standard"}"#,
        &["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
        &[
            ("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
            ("webhook-timestamp", "1649367553"),
            ("webhook-signature", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
        ],
    );
    "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".clone_into(&mut request.id);
    request.timestamp_ms = 1_649_367_553_000;
    r#"{"email":"test@example.com","username":"test_user"}"#.clone_into(&mut request.body);
    check(&request);
}

#[test]
fn a_rotation_signs_with_both_secrets_the_current_one_first() {
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let alone = standard(r#"{"profile": "standard"}"#, &[other], &[]).signed();
    let both = format!("{} {V1}", alone["webhook-signature"]);
    check_standard(r#"{"profile": "standard"}"#, &[other, WHSEC], &both);
    // A retiring secret that the profile cannot use is left out.
    check_standard_signed(&[WHSEC, "It's a Secret to Everybody", WHSK], V1);
}

#[track_caller]
fn check_standard_signed(secrets: &[&str], signature: &str) {
    let signed = standard(r#"{"profile": "standard"}"#, secrets, &[]).signed();
    assert_eq!(signed["webhook-signature"], signature);
}

#[test]
fn stripe() {
    let profile = r#"{"profile": "stripe"}"#;
    let header = "t=1614265330,v1=2e37df5d4a028c51a7f3133d64ae1e300d2c2c900f1b1d49d4369ad2530f8964";
    check(&standard(profile, &[WHSEC], &[("Stripe-Signature", header)]));
    let rotating = standard(profile, &["It's a Secret to Everybody", WHSEC], &[]).signed();
    let rotating = &rotating["Stripe-Signature"];
    assert!(rotating.ends_with(&header[header.find(",v1").unwrap()..]), "{rotating}");
    assert_eq!(rotating.matches(",v1=").count(), 2);
    assert!(!rotating.contains(' '));
}

#[test]
fn github() {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    let mut request = standard(
        r#"{"profile": "github"}"#,
        &["It's a Secret to Everybody"],
        &[
            ("X-GitHub-Delivery", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("X-GitHub-Event", "test"),
            (
                "X-Hub-Signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            ),
        ],
    );
    "Hello, World!".clone_into(&mut request.body);
    check(&request);
    // One signature: the new secret takes over at once.
    request.secrets.push(WHSEC.to_owned());
    check(&request);
}

#[test]
fn shopify() {
    let signature = ("X-Shopify-Hmac-Sha256", "gOyKic480iEzoQZsrstNBP6nRnZXyFFNcX7ELDilyUw=");
    let headers = |domain, version| {
        [
            signature,
            ("X-Shopify-Topic", "test"),
            ("X-Shopify-Shop-Domain", domain),
            ("X-Shopify-API-Version", version),
            ("X-Shopify-Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ]
    };
    let profile = r#"{"profile": "shopify", "shop_domain": "acme.myshopify.com", "api_version": "2026-10"}"#;
    check(&standard(profile, &[WHSEC], &headers("acme.myshopify.com", "2026-10")));
    check(&standard(r#"{"profile": "shopify"}"#, &[WHSEC], &headers("shop.invalid", "unstable")));
}

#[test]
fn slack() {
    // https://docs.slack.dev/authentication/verifying-requests-from-slack
    let mut request = standard(
        r#"{"profile": "slack"}"#,
        &["8f742231b10e8888abcd99yyyzzz85a5"],
        &[
            ("X-Slack-Request-Timestamp", "1531420618"),
            ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ],
    );
    request.timestamp_ms = 1_531_420_618_000;
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
     channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
     response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
     trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
        .clone_into(&mut request.body);
    check(&request);
}

#[test]
fn zendesk_as_it_once_was() {
    // https://developer.zendesk.com/documentation/event-connectors/webhooks/verifying/, when the timestamp came last.
    let mut request = standard(
        r#"{"profile": "custom", "signed": "{body}{ts_rfc3339}", "algorithm": "hmac-sha256", "encoding": "base64",
            "key": "raw", "headers": {"X-Zendesk-Webhook-Signature": "{signature}",
            "X-Zendesk-Webhook-Signature-Timestamp": "{ts_rfc3339}"}}"#,
        &["HRkRd4BeOAoUkfZr-mhauJT64rvBASlJRoIyPsd3zeA="],
        &[
            ("X-Zendesk-Webhook-Signature", "tRDSF7URY8BLCDlaBcQ7FHu051Zk+aAB0NKMP53teMw="),
            ("X-Zendesk-Webhook-Signature-Timestamp", "2021-07-25T10:00:00Z"),
        ],
    );
    request.timestamp_ms = 1_627_207_200_999;
    r#"{"say": "hello"}"#.clone_into(&mut request.body);
    check(&request);
}
