//! `posthaste verify`.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Map, Value};

use crate::service::{folder, output, posthaste};

const VECTORS: &str = include_str!("../../../../docs/verify/vectors.json");
const GUIDE: &str = include_str!("../../../../docs/verify/README.md");

/// A captured request, to be tampered with.
#[derive(Clone)]
struct Capture {
    method: String,
    url: String,
    headers: Map<String, Value>,
    body: String,
    secret: String,
    profile: String,
    /// A minute after it was signed.
    now: String,
}

impl Capture {
    /// A request as a receiver gets it, by the name of its vector.
    fn of(vector: &Value) -> Self {
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let credentials = if vector["public_keys"].is_array() { "public_keys" } else { "secrets" };
        Self {
            method: text("method"),
            url: text("url"),
            headers: vector["headers"].as_object().unwrap().clone(),
            body: text("body"),
            secret: vector[credentials][0].as_str().unwrap().to_owned(),
            profile: vector["profile"].to_string(),
            now: (vector["timestamp_ms"].as_i64().unwrap() / 1_000 + 60).to_string(),
        }
    }

    fn named(name: &str) -> Self {
        Self::of(vectors().iter().find(|vector| vector["name"] == name).unwrap())
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn header(self, name: &str, value: &str) -> Self {
        self.with(|capture| drop(capture.headers.insert(name.to_owned(), value.into())))
    }

    fn body(self, body: &str) -> Self {
        self.with(|capture| body.clone_into(&mut capture.body))
    }

    fn secret(self, secret: &str) -> Self {
        self.with(|capture| secret.clone_into(&mut capture.secret))
    }

    /// As it came over the wire.
    fn raw(&self, line_break: &str) -> String {
        let (host, path) = self.url.strip_prefix("https://").unwrap().split_once('/').unwrap();
        let mut lines = vec![format!("{} /{path} HTTP/1.1", self.method), format!("Host: {host}")];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {}", value.as_str().unwrap())));
        lines.extend(["Content-Type: application/json".to_owned(), String::new(), String::new()]);
        lines.join(line_break) + &self.body
    }

    /// As it is pasted from a console.
    fn curl(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let headers = self.headers.iter().map(|(name, value)| {
            format!(" \\\n  -H {}", quoted(&format!("{name}: {}", value.as_str().unwrap())))
        });
        let headers: String = headers.collect();
        let body = quoted(&self.body);
        format!("curl -X {} {}{headers} \\\n  --data-raw {body}\n", self.method, quoted(&self.url))
    }

    /// What is said of an input in the place of its own.
    fn verify(&self, input: &str, flags: &[&str]) -> Output {
        let mut command = verify(flags);
        command.env("POSTHASTE_VERIFY_SECRET", &self.secret).args(["--now", &self.now]);
        let output = told(&mut command, input.as_bytes());
        let said = [text(&output.stdout), text(&output.stderr)].concat();
        let hidden = self.secret.trim_start_matches("whsec_").trim_start_matches("whsk_");
        let is_public = self.secret.starts_with("whpk_");
        assert!(is_public || hidden.is_empty() || !said.contains(hidden), "the secret is printed: {said}");
        output
    }

    /// It is not valid, and these parts are suspected, with these words.
    #[track_caller]
    fn check(&self, flags: &[&str], suspects: &[&str], says: &str) {
        for input in [self.raw("\r\n"), self.curl()] {
            let output = self.verify(&input, &[&["--json"], flags].concat());
            let report: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| panic!("{}: {input}", text(&output.stderr)));
            assert_eq!(output.status.code(), Some(1), "{report}");
            assert_eq!(report["valid"], false);
            assert_eq!(report["diagnosis"]["suspects"], serde_json::json!(suspects), "{report}");
            let message = report["diagnosis"]["message"].as_str().unwrap();
            assert!(message.contains(says), "{message}");

            let output = self.verify(&input, flags);
            assert_eq!(output.status.code(), Some(1));
            let said = text(&output.stdout);
            assert!(said.starts_with("not valid: the "), "{said}");
            assert!(said.contains(&format!("\ndiagnosis: {message}\n")), "{said}");
        }
    }

    /// It is valid, and these words are said of it.
    #[track_caller]
    fn passes(&self, flags: &[&str], says: &str) {
        for input in [self.raw("\r\n"), self.raw("\n"), self.curl()] {
            let output = self.verify(&input, flags);
            let said = text(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{input}\n{said}{}", text(&output.stderr));
            assert!(said.starts_with("valid\n") && said.contains(says), "{said}");
        }
    }
}

fn vectors() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    vectors["vectors"].as_array().unwrap().clone()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn verify(flags: &[&str]) -> Command {
    let mut command = posthaste(&std::env::temp_dir());
    command.arg("verify").args(flags);
    command
}

/// What a command says of its standard input.
fn told(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // One that fails before it reads has hung up.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn standard() -> Capture {
    Capture::named("standard")
}

#[test]
fn every_vector_is_valid() {
    for vector in vectors() {
        let capture = Capture::of(&vector);
        capture.passes(&["--profile", &capture.profile, "--strict"], "made one of the signatures");
    }
}

#[test]
fn presets_are_recognised() {
    for (name, preset, header) in [
        ("standard", "standard", "webhook-signature"),
        ("standard, rotation", "standard", "webhook-signature"),
        ("standard v1a", "standard", "webhook-signature"),
        ("svix", "svix", "svix-signature"),
        ("stripe, rotation", "stripe", "Stripe-Signature"),
        ("github", "github", "X-Hub-Signature-256"),
        ("shopify", "shopify", "X-Shopify-Hmac-Sha256"),
        ("slack", "slack", "X-Slack-Signature"),
    ] {
        let expect = format!("  profile     {preset}, recognised by the header {header}\n");
        Capture::named(name).passes(&["--strict"], &expect);
        Capture::named(name).passes(&["--strict", "--profile", preset], &format!("{preset}, as given\n"));
    }
    // Another sender's signature beside the one that fits.
    standard().header("X-Hub-Signature-256", "sha256=00").passes(&[], "webhook-signature");
    Capture::named("github").header("webhook-signature", "v1,AAAA").passes(&[], "X-Hub-Signature-256");
}

#[test]
fn every_part_is_told() {
    let said = text(&standard().verify(&standard().raw("\r\n"), &[]).stdout);
    let expect = "valid
  profile     standard, recognised by the header webhook-signature
  id          msg_p5jXN8AQM9LWM0D4loKWxJek (webhook-id)
  timestamp   1614265330 (webhook-timestamp): 2021-02-25T15:02:10Z, 60 s ago
  body        20 bytes
  signatures  v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= (webhook-signature)
  key         secret made one of the signatures
";
    assert_eq!(said, expect);
    Capture::named("github").passes(&[], "msg_p5jXN8AQM9LWM0D4loKWxJek (X-GitHub-Delivery), not signed\n");
    Capture::named("custom")
        .passes(&["--profile", &Capture::named("custom").profile], "url         https://example.com/hooks\n");
}

#[test]
fn each_part_that_is_wrong_is_named() {
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let any = ["key", "body", "id", "timestamp"];
    standard().body("{\"test\": 2432232315}").check(
        &[],
        &any,
        "its body (or id, timestamp) is not what was signed",
    );
    standard().header("webhook-id", "msg_1").check(&[], &any, "no signature matches");
    standard().header("webhook-timestamp", "1614265331").check(&[], &any, "no signature matches");
    standard().secret(other).check(&[], &any, "another secret signed the request");
    standard().body("{\"test\": 243223").check(&[], &["body"], "cut off or changed");
    standard().body("{\"test\":2432232314}").check(&[], &["body"], "with a space after commas");
    standard().body("{\"test\": 2432232314}\n").check(&[], &["body"], "without the line break at its end");
    standard().header("webhook-signature", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=").check(
        &[],
        &["format"],
        "not written as the format has it: 'v1,<base64>'",
    );
    standard().with(|capture| drop(capture.headers.remove("webhook-id"))).check(
        &[],
        &["id"],
        "webhook-id is missing",
    );
    let no_time = standard().with(|capture| drop(capture.headers.remove("webhook-timestamp")));
    no_time.check(&[], &["timestamp"], "webhook-timestamp is missing");
    let unsigned = standard().with(|capture| drop(capture.headers.remove("webhook-signature")));
    unsigned.check(&[], &["format"], "webhook-signature is missing");
    standard().check(&["--profile", "stripe"], &["format"], "it verifies as the profile 'standard'");
    // A public key where a secret signed.
    let public = Capture::named("standard v1a").secret;
    standard().secret(&public).check(&[], &["format"], "no signature of the form 'v1a,<base64>'");
    // The key is read from the secret in another way: decoded where the profile takes the text.
    let custom = Capture::named("custom");
    let as_text = custom.profile.replace(r#""key":"base64""#, r#""key":"raw""#);
    assert_ne!(as_text, custom.profile);
    custom.check(
        &["--profile", &as_text],
        &["key"],
        "with what its base64 stands for, where the format takes its text",
    );
    let nothing = standard().with(|capture| capture.headers.clear());
    nothing.check(&[], &["id"], "the header webhook-id is missing");
}

#[test]
fn age_is_told_and_fails_where_that_is_asked() {
    let at = |now: &str| standard().with(|capture| now.clone_into(&mut capture.now));
    let old = at("2021-02-25T17:02:10Z");
    old.passes(&[], "2021-02-25T15:02:10Z, 2 h ago, too old for a receiver to take it now\n");
    old.passes(&["--strict", "--tolerance", "3h"], "2 h ago\n");
    old.check(&["--strict"], &["timestamp"], "the signature fits, but the message was signed 7200 s ago");
    let future = at("2021-02-25T14:02:10Z");
    future.check(&[], &["timestamp"], "3600 s in the future");
    future.passes(&["--tolerance", "1h"], "60 min from now\n");
    // Old and wrong: what is wrong counts.
    old.header("webhook-id", "msg_1").check(&[], &["key", "body", "id", "timestamp"], "no signature matches");
}

#[test]
fn a_line_break_that_an_editor_made_is_pointed_at() {
    let saved = standard().header("Content-Length", "20").body("{\"test\": 2432232314}\n");
    saved.check(&[], &["body"], "without the line break at its end");
    let said = text(&saved.verify(&saved.raw("\n"), &[]).stdout);
    assert!(
        said.contains("\nhint: the input ends in a line break that Content-Length does not count"),
        "{said}"
    );
}

#[test]
fn what_a_profile_signs_beside_can_be_given() {
    let hubspot = Capture::named("hubspot-v3");
    let raw = hubspot.raw("\r\n");
    let profile = ["--profile", hubspot.profile.as_str()];
    let behind_proxy = raw.replace("Host: example.com", "Host: 10.0.0.1:8080").replace("POST ", "PUT ");
    let output = hubspot.verify(&behind_proxy, &profile);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(
        said.contains("hint: the URL is signed") && said.contains("https://10.0.0.1:8080/hooks"),
        "{said}"
    );
    let given = ["--url", hubspot.url.as_str(), "--method", "POST"];
    let output = hubspot.verify(&behind_proxy, &[&profile[..], &given].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

/// Posthaste takes no such secret, other senders do.
#[test]
fn a_weak_secret_is_good_enough_to_verify_with() {
    let hint = |length: usize| {
        format!("\nhint: secret can be guessed: the webhook secret has {length} characters after its prefix")
    };
    // By openssl dgst -sha256 -hmac 'hunter2!', where the profile takes it as it is, and where it is the key's base64.
    let signed = "sha256=14df2b9bb7c1996f99fc7004a087569efa954734971dc9d8765777ec96e2a42c";
    let github = Capture::named("github").header("X-Hub-Signature-256", signed).secret("hunter2!");
    github.passes(&[], &hint(8));
    let signed = "v1,lnhsSautp70UeaVvBghU/3FYsPmZ5792+T7nnvXR0og=";
    let standard = standard().header("webhook-signature", signed).secret("whsec_aHVudGVyMiE=");
    standard.passes(&[], &hint(12));
    standard.body("{}").check(&[], &["key", "body", "id", "timestamp"], "no signature matches");
}

#[test]
fn everything_can_come_from_files() {
    let folder = folder();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let capture = Capture::named("custom");
    let request = file("request.http", &capture.raw("\r\n"));
    let secret = file("secret", &format!("{}\n", capture.secret));
    let wrong = file("wrong", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let profile = format!("@{}", file("profile.json", &capture.profile));
    let flags = ["--secret-file", &wrong, "--secret-file", &secret, "--profile", &profile, &request];
    let output = output(&mut verify(&flags));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(
        said.contains(&format!("key         secret 1 in {wrong} made none of the signatures\n")),
        "{said}"
    );
    assert!(
        said.contains(&format!("key         secret 2 in {secret} made one of the signatures\n")),
        "{said}"
    );

    // A body that curl reads from a file.
    let body = file("body.json", "{\"test\": 2432232314}");
    let curl = standard().body("").curl().replace("--data-raw ''", &format!("--data-binary @{body}"));
    assert_eq!(standard().verify(&curl, &[]).status.code(), Some(0));
}

#[test]
fn programs_get_json() {
    let capture = Capture::named("standard, rotation");
    let output = capture.verify(&capture.raw("\r\n"), &["--json", "--strict"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expect = serde_json::json!({
        "valid": true,
        "profile": {"profile": "standard", "versions": ["v1"]},
        "recognised_by": "webhook-signature",
        "id": {"header": "webhook-id", "value": "msg_p5jXN8AQM9LWM0D4loKWxJek", "signed": true},
        "timestamp": {
            "header": "webhook-timestamp", "value": "1614265330", "signed": true,
            "time": "2021-02-25T15:02:10Z", "age": 60, "within_tolerance": true
        },
        "signatures": {"header": "webhook-signature", "value": capture.headers["webhook-signature"]},
        "url": null,
        "body": {"bytes": 20},
        "keys": [{"name": "secret", "matches": true}],
        "diagnosis": null,
        "hints": []
    });
    assert_eq!(report, expect);
}

/// Nothing is told of the request: one line says why, and the exit code is its own.
#[track_caller]
fn refused(command: &mut Command, input: &str, says: &str) {
    let output = told(command, input.as_bytes());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty());
    assert!(said.contains(says), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn bad_input_is_named() {
    let secret = standard().secret;
    let raw = standard().raw("\n");
    let with = |flags: &[&str]| {
        let mut command = verify(flags);
        command.env("POSTHASTE_VERIFY_SECRET", &secret);
        command
    };
    refused(&mut verify(&[]), &raw, "no secret to verify with");
    refused(&mut verify(&["--secret", ""]), &raw, "secret: the webhook secret is empty");
    refused(&mut verify(&["--secret", " hush"]), &raw, "begins or ends with white space");
    refused(&mut verify(&["--secret", "whpk_hush"]), &raw, "secret: not a public key");
    refused(&mut verify(&["--secret", &secret, "--secret", "hush "]), &raw, "secret 2: the webhook secret");
    refused(&mut verify(&["--secret-file", "/none"]), &raw, "--secret-file /none cannot be read");
    refused(&mut with(&["/none"]), "", "/none cannot be read");
    refused(&mut with(&[]), "", "the input is empty");
    refused(&mut with(&[]), "webhook-id: 1\n\n{}", "line 1: expected a request line");
    refused(&mut with(&[]), "POST / HTTP/1.1\nHost: h\n{}", "line 3: expected a header");
    refused(&mut with(&[]), "curl a.example -F a=b", "word 3 of the curl command line, '-F'");
    refused(&mut with(&[]), "curl a.example \\\n -H 'a: b", "line 2: a quote is opened and never closed");
    refused(
        &mut with(&["--profile", "standart"]),
        &raw,
        "--profile: /profile: must be one of standard, svix",
    );
    refused(&mut with(&["--profile", r#"{"profile": "custom"}"#]), &raw, "--profile: /signed");
    refused(&mut with(&["--profile", "@/none"]), &raw, "--profile: /none cannot be read");
    refused(&mut with(&["--now", "yesterday"]), &raw, "expected a time such as");
    refused(&mut with(&["--tolerance", "soon"]), &raw, "--tolerance");
}

/// What the guide shows is what happens.
#[test]
fn the_examples_of_the_guide_work_as_pasted() {
    let folder = folder();
    let binary = env!("CARGO_BIN_EXE_posthaste");
    let examples: Vec<&str> =
        GUIDE.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let (commands, expect) = example.split_once("# says:\n").unwrap();
        let expect: String = expect.lines().map(|line| format!("{}\n", &line[2..])).collect();
        let script = commands.replace("posthaste verify", &format!("'{binary}' verify"));
        let mut shell = Command::new("sh");
        let output = output(shell.args(["-c", &script]).current_dir(folder.path()));
        assert_eq!(text(&output.stdout), expect, "{script}{}", text(&output.stderr));
    }
}

/// It stays in the environment of other commands, too.
#[test]
fn the_variable_of_its_secret_is_no_setting() {
    let folder = folder();
    let mut command = posthaste(folder.path());
    let printed =
        output(command.arg("settings").env("POSTHASTE_VERIFY_SECRET", "a secret that is not shown"));
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    assert!(!String::from_utf8(printed.stdout).unwrap().contains("a secret"));
}
