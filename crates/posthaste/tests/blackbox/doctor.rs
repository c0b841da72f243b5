//! `posthaste doctor`.

use std::{net::TcpListener, path::Path, process::Command};

use serde_json::Value;

use crate::service::{Service, folder, output, posthaste};

/// What the doctor finds, and its exit code.
fn examine(command: &mut Command) -> (Vec<Value>, i32) {
    let output = output(command.args(["doctor", "--json"]));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let code = output.status.code().unwrap();
    assert_eq!(report["status"], if code == 0 { "ok" } else { "dangerous" });
    (report["findings"].as_array().unwrap().clone(), code)
}

#[track_caller]
fn finding<'a>(findings: &'a [Value], check: &str, level: &str) -> &'a str {
    let found = findings.iter().find(|finding| finding["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no finding of {check}: {findings:?}"));
    assert_eq!(found["level"], level, "{found}");
    assert!(level == "fine" || found["remedy"].is_string(), "{found}");
    found["found"].as_str().unwrap()
}

fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn at(data_dir: &Path, listen: &str) -> Command {
    let mut command = posthaste(data_dir);
    command.env("POSTHASTE_LISTEN", listen);
    command
}

#[test]
fn where_nothing_is_nothing_is_made() {
    let folder = folder();
    let data = folder.path().join("data");
    let (findings, code) = examine(&mut at(&data, &free()));
    assert_eq!(code, 0, "{findings:?}");
    assert!(finding(&findings, "store", "fine").contains("is made at the first start"));
    assert!(finding(&findings, "data_dir", "fine").contains("is made at the first start"));
    assert!(finding(&findings, "listen", "fine").contains("is free"));
    assert!(finding(&findings, "settings", "fine").contains("no file"));
    finding(&findings, "encryption_key", "fine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_store_that_is_there_is_looked_at() {
    let folder = folder();
    Service::start(folder.path()).kill();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "").unwrap();
    let (findings, code) = examine(at(folder.path(), &free()).env("POSTHASTE_CONFIG", &file));
    assert_eq!(code, 0, "{findings:?}");
    assert!(finding(&findings, "store", "fine").contains("can be opened"));
    assert!(finding(&findings, "durability", "fine").starts_with("disk"));
    assert!(finding(&findings, "settings", "fine").contains("settings.toml"));
    assert!(finding(&findings, "encryption_key", "fine").contains("it is the store's"));
    assert!(finding(&findings, "admin_key", "fine").contains("is set"));
}

#[test]
fn findings_are_lines_for_people() {
    let folder = folder();
    Service::start(folder.path()).kill();
    let said = output(at(folder.path(), &free()).arg("doctor"));
    assert!(said.status.success());
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.lines().all(|line| line.starts_with("ok       ")), "{said}");
    assert!(said.contains("\nok       durability: disk"), "{said}");
}

#[test]
fn a_running_service_tells_what_its_store_stands_on() {
    let folder = folder();
    let service = Service::start(folder.path());
    let (findings, code) = examine(&mut at(folder.path(), &service.address.to_string()));
    assert_eq!(code, 0, "{findings:?}");
    assert!(finding(&findings, "listen", "fine").contains("is ready"));
    assert!(finding(&findings, "store", "fine").contains("in use by the posthaste"));
    assert!(finding(&findings, "durability", "fine").starts_with("disk"));

    let (findings, code) = examine(&mut at(folder.path(), &free()));
    assert_eq!(code, 0, "{findings:?}");
    assert!(finding(&findings, "store", "warning").contains("in use by another process"));
}

#[test]
fn what_is_dangerous_fails() {
    let folder = folder();
    Service::start(folder.path()).kill();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // Whoever has the port hangs up, and is no posthaste.
    std::thread::spawn(move || taken.incoming().for_each(drop));
    let (findings, code) = examine(&mut at(folder.path(), &address));
    assert_eq!(code, 1);
    assert!(finding(&findings, "listen", "danger").contains("taken by another program"));

    let other_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let (findings, code) = examine(at(folder.path(), &free()).env("POSTHASTE_ENCRYPTION_KEY", other_key));
    assert_eq!(code, 1);
    assert!(finding(&findings, "encryption_key", "danger").contains("another encryption key"));

    std::fs::remove_file(folder.path().join("encryption.key")).unwrap();
    let (findings, _) = examine(&mut at(folder.path(), &free()));
    assert!(finding(&findings, "encryption_key", "warning").contains("no key"));

    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (findings, code) = examine(&mut at(&file.join("data"), &free()));
    assert_eq!(code, 1);
    assert!(finding(&findings, "data_dir", "danger").contains("cannot be written"));

    let (findings, code) = examine(at(folder.path(), &free()).env("POSTHASTE_TIMEOUT", "1h"));
    assert_eq!((code, findings.len()), (1, 1));
    assert!(finding(&findings, "settings", "danger").contains("timeout"));

    std::fs::write(folder.path().join("posthaste.db"), "this is not a database, and long enough to tell")
        .unwrap();
    let (findings, code) = examine(&mut at(folder.path(), &free()));
    assert_eq!(code, 1);
    assert!(finding(&findings, "store", "danger").contains("not a database"));
}
