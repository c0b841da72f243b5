use posthaste_egress::{EgressPolicy, Guard, InvalidTarget, MAX_URL_BYTES, PortPolicy, TargetUrl};
use proptest::prelude::*;

use crate::setup::{guard, local};

#[track_caller]
fn check(guard: &Guard, text: &str, expect: Result<&str, &str>) {
    let found =
        TargetUrl::parse(text, guard).map(|target| target.to_string()).map_err(|error| error.to_string());
    assert_eq!(found, expect.map(str::to_owned).map_err(str::to_owned), "{text:?}");
}

const CHARACTER: &str = "the URL contains white space, a control character or a backslash";
const CREDENTIALS: &str = "the URL must not contain a user name or password";
const FORBIDDEN: &str = "the address is not publicly reachable";
const HOST: &str = "the URL's host is not a valid host name";
const SCHEME: &str = "the URL must begin with https://";

#[test]
fn public_https_is_accepted_and_normalised() {
    let public = guard(&[]);
    check(&public, "https://hooks.example.com/in?a=b", Ok("https://hooks.example.com/in?a=b"));
    check(&public, "HTTPS://Hooks.Example.COM:443", Ok("https://hooks.example.com/"));
    check(&public, "https://hooks.example.com:8443/in", Ok("https://hooks.example.com:8443/in"));
    check(&public, "https://bücher.example/ü", Ok("https://xn--bcher-kva.example/%C3%BC"));
    check(&public, "https://ex_ample.example.com./", Ok("https://ex_ample.example.com./"));
    check(&public, "https://8.8.8.8/", Ok("https://8.8.8.8/"));
    check(&public, "https://[2606:4700:4700::1111]/", Ok("https://[2606:4700:4700::1111]/"));
}

#[test]
fn control_characters_and_white_space_are_not_dropped_silently() {
    for text in [
        "https://example.com/\r\nhost: evil",
        "https://exam\tple.com/",
        "https://example.com/\n",
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/a b",
        "https://example.com/\u{0}",
        "https://example.com/\u{7f}",
        "https://example.com/\u{85}",
        "https://example.com/\u{a0}",
        "https://example.com/\u{2028}",
        "https://example.com\\@127.0.0.1/",
        "https:\\\\example.com",
    ] {
        check(&guard(&[]), text, Err(CHARACTER));
    }
}

#[test]
fn private_addresses_are_refused_in_every_spelling() {
    let hosts = "\
        127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 017700000001 127.0.0.1. 0 \
        0.0.0.0 %31%32%37.0.0.1 １２７.0.0.1 ①②⑦.⓪.⓪.① 127。0。0。1 10.0.0.1 169.254.169.254 0xa9fea9fe \
        2852039166 100.100.100.200 168.63.129.16 [::] [::1] [0:0:0:0:0:0:0:1] [::7f00:1] [::127.0.0.1] \
        [::ffff:127.0.0.1] [::ffff:8.8.8.8] [::ffff:7f00:1] [::ffff:a9fe:a9fe] [::ffff:0:7f00:1] [64:ff9b::7f00:1] \
        [64:ff9b:1::7f00:1] [2002:7f00:1::] [2001:0:7f00:1::] [fe80::1] [fd00:ec2::254] [ff02::1] \
        [2600::5efe:7f00:1] localhost LocalHost. a.localhost ｌocalhost";
    for host in hosts.split_whitespace() {
        check(&guard(&[]), &format!("https://{host}/"), Err(FORBIDDEN));
        check(&guard(&[]), &format!("https://{host}:8443/x"), Err(FORBIDDEN));
    }
}

#[test]
fn credentials_are_refused() {
    for text in [
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://:pass@example.com/",
        "https://example.com:443@127.0.0.1/",
        "https://example.com%2f@127.0.0.1/",
        "https://127.0.0.1@example.com/",
    ] {
        check(&guard(&[]), text, Err(CREDENTIALS));
    }
}

#[test]
fn other_schemes_are_refused() {
    for text in [
        "http://example.com/",
        "http://8.8.8.8/",
        "http://127.0.0.1/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "data:text/plain,x",
        "ws://example.com/",
        "unix:/run/x.sock",
    ] {
        check(&guard(&[]), text, Err(SCHEME));
    }
}

#[test]
fn malformed_urls_are_refused() {
    let fragment = "the URL must not contain a fragment (#)";
    check(&guard(&[]), "https://example.com/#", Err(fragment));
    check(&guard(&[]), "https://example.com/#a@b", Err(fragment));
    check(&guard(&[]), "", Err("the URL is malformed: relative URL without a base"));
    check(&guard(&[]), "//example.com/", Err("the URL is malformed: relative URL without a base"));
    check(&guard(&[]), "https://", Err("the URL is malformed: empty host"));
    check(&guard(&[]), "https://256.0.0.1/", Err("the URL is malformed: invalid IPv4 address"));
    check(&guard(&[]), "https://[fe80::1%25eth0]/", Err("the URL is malformed: invalid IPv6 address"));
    check(&guard(&[]), "https://example.com:65536/", Err("the URL is malformed: invalid port number"));
    for host in ["{{host}}", "a..b", ".a", "a'b", "a*b", "a!b", "$a", &"a".repeat(64), &["a"; 128].join(".")]
    {
        check(&guard(&[]), &format!("https://{host}/"), Err(HOST));
    }
}

#[test]
fn absurd_lengths_are_refused_as_written_and_as_normalised() {
    let base = "https://example.com/";
    let fits = format!("{base}{}", "a".repeat(MAX_URL_BYTES - base.len()));
    assert!(TargetUrl::parse(&fits, &guard(&[])).is_ok());
    assert_eq!(TargetUrl::parse(&format!("{fits}a"), &guard(&[])), Err(InvalidTarget::TooLong));
    // Each of these letters grows from two bytes to six.
    let grows = format!("{base}{}", "ü".repeat(500));
    assert_eq!(TargetUrl::parse(&grows, &guard(&[])), Err(InvalidTarget::TooLong));
}

#[test]
fn ports_of_other_protocols_are_refused() {
    for port in [0, 22, 25, 53, 110, 389, 587, 6000, 6667, 10080] {
        check(
            &guard(&[]),
            &format!("https://example.com:{port}/"),
            Err(&format!("port {port} is not allowed")),
        );
    }
    for port in [1024, 3000, 8080, 8443, 65535] {
        let url = format!("https://example.com:{port}/");
        check(&guard(&[]), &url, Ok(&url));
    }
    let strict = Guard::new(EgressPolicy { ports: PortPolicy::Only(vec![443]), ..EgressPolicy::default() });
    check(&strict, "https://example.com/", Ok("https://example.com/"));
    check(&strict, "https://example.com:8443/", Err("port 8443 is not allowed"));
}

#[test]
fn allowed_networks_may_be_reached_over_http() {
    for url in [
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "http://receiver:9000/",
        "http://[::1]:9000/",
        "http://[::ffff:7f00:1]:9000/",
        "https://127.0.0.1/",
        "https://localhost/",
    ] {
        check(&local(), url, Ok(url));
    }
    check(&local(), "http://127.1:9000", Ok("http://127.0.0.1:9000/"));
    check(&local(), "http://8.8.8.8/", Err(SCHEME));
    check(&local(), "http://10.0.0.1/", Err(SCHEME));
    check(&local(), "https://10.0.0.1/", Err(FORBIDDEN));
    check(&local(), "https://[64:ff9b::7f00:1]/", Err(FORBIDDEN));
}

#[test]
fn the_service_itself_is_refused() {
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let own = vec!["127.0.0.1:8080".parse().unwrap()];
    let guard = Guard::new(EgressPolicy { allow, own, ..EgressPolicy::default() });
    check(&guard, "http://127.0.0.1:8080/", Err(FORBIDDEN));
    check(&guard, "http://[::ffff:127.0.0.1]:8080/", Err(FORBIDDEN));
    check(&guard, "http://127.0.0.1:8081/", Ok("http://127.0.0.1:8081/"));
}

#[test]
fn a_target_is_judged_anew_when_the_policy_changes() {
    let target = TargetUrl::parse("http://127.0.0.1:9000/", &local()).unwrap();
    assert_eq!(target.judge(&local()), Ok(()));
    assert_eq!(target.judge(&guard(&[])), Err(InvalidTarget::Scheme));
    let target = TargetUrl::parse("https://127.0.0.1:9000/", &local()).unwrap();
    assert!(matches!(target.judge(&guard(&[])), Err(InvalidTarget::Forbidden(_))));
}

proptest! {
    #[test]
    fn parsing_is_idempotent_and_safe_for_the_wire(text in "https?://[!-~üß1ａ。]{1,40}(:[0-9]{1,5})?(/[ -~ü]{0,20})?") {
        if let Ok(target) = TargetUrl::parse(&text, &local()) {
            prop_assert!(target.as_str().bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(TargetUrl::parse(target.as_str(), &local()).unwrap(), target.clone());
            let uri: http::Uri = target.as_str().parse().unwrap();
            prop_assert_eq!(uri.host(), Some(target.host()));
            prop_assert_eq!(uri.port_u16().unwrap_or(target.port()), target.port());
        }
    }
}
