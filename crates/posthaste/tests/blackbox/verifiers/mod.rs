//! What subscribers verify with: the packages that they have, and the code that our pages show them.

use std::{net::TcpListener, path::Path, process::Command};

use serde_json::json;

use crate::service::folder;

mod page;
mod receiver;
mod subscriber;

// The code of the page for Rust.
#[expect(clippy::disallowed_methods, reason = "a subscriber reads the clock where it likes")]
#[path = "rust/any_profile.rs"]
mod any_profile;
#[expect(clippy::print_stderr, reason = "a program of its own")]
#[path = "rust/main.rs"]
mod receiver_in_rust;
#[path = "rust/svix.rs"]
mod svix;

use receiver::Language;
use subscriber::{Keys, Subscriber, check};

/// Runs the receivers of a page with the packages that it names.
async fn check_page(language: Language, profiles: &[&str]) {
    let (folder, keys) = (folder(), Keys::new());
    let (subscribers, _processes): (Vec<Subscriber>, Vec<_>) =
        receiver::start(&language, &folder, &keys.shared()).into_iter().unzip();
    let names: Vec<&str> = subscribers.iter().map(|subscriber| subscriber.name.as_str()).collect();
    assert_eq!(names, profiles, "what the page has code for");
    check(&subscribers, &keys).await;
}

#[tokio::test]
async fn what_the_page_for_node_shows_verifies() {
    let node = Language {
        page: include_str!("../../../../../docs/verify/node.md"),
        extension: "mjs",
        run: |_| Command::new("node"),
    };
    check_page(node, &["standard", "svix", "stripe", "github", "shopify", "slack"]).await;
}

#[tokio::test]
async fn what_the_page_for_python_shows_verifies() {
    let python = Language {
        page: include_str!("../../../../../docs/verify/python.md"),
        extension: "py",
        run: |packages: &Path| Command::new(packages.join("venv/bin/python")),
    };
    check_page(python, &["standard", "svix", "stripe", "github", "shopify", "slack"]).await;
}

#[tokio::test]
async fn what_the_page_for_rust_shows_verifies() {
    let keys = Keys::new();
    let public_key = keys.ours.iter().find_map(|secret| secret.public_key()).unwrap().to_string();
    let serve = |verify, secret| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(receiver_in_rust::serve(listener, verify, secret).unwrap());
        address
    };
    let subscribers = [
        Subscriber::with_package("standard", serve(receiver_in_rust::verify, keys.shared())),
        Subscriber::with_package("svix", serve(svix::verify, keys.shared())),
        Subscriber {
            name: "posthaste-signing".to_owned(),
            address: serve(any_profile::verify, public_key),
            profiles: vec![json!({ "profile": "standard", "versions": ["v1a"] })],
        },
    ];
    check(&subscribers, &keys).await;
}

#[test]
fn the_page_for_rust_shows_what_is_compiled_here() {
    let files = [
        ("receiver", include_str!("rust/main.rs")),
        ("svix", include_str!("rust/svix.rs")),
        ("any_profile", include_str!("rust/any_profile.rs")),
    ];
    let blocks = page::blocks(include_str!("../../../../../docs/verify/rust.md"));
    let shown: Vec<(&str, &str)> = blocks.iter().map(|(name, text)| (*name, text.as_str())).collect();
    assert_eq!(shown, files);
}
