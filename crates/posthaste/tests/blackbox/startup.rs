use std::{net::TcpListener, os::unix::fs::PermissionsExt as _};

use crate::service::{Service, complaint, folder, posthaste};

fn serve(data_dir: &std::path::Path) -> std::process::Command {
    let mut command = posthaste(data_dir);
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command
}

#[test]
fn a_second_process_on_the_same_store_is_refused() {
    let folder = folder();
    let _first = Service::start(folder.path());
    let said = complaint(&mut serve(folder.path()));
    assert!(said.contains("posthaste.db is in use by another process"), "{said}");
}

#[test]
fn a_port_in_use_is_named() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = complaint(posthaste(folder.path()).args(["serve", "--listen", &address]));
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = complaint(&mut serve(&file.join("data")));
    assert!(said.contains(&file.join("data").display().to_string()), "{said}");
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let folder = folder();
    std::fs::write(folder.path().join("posthaste.db"), "this is not a database, and long enough to tell")
        .unwrap();
    let said = complaint(&mut serve(folder.path()));
    assert!(said.contains("posthaste.db") && said.contains("not a database"), "{said}");
}

#[test]
fn a_wrong_encryption_key_is_refused() {
    let folder = folder();
    Service::start(folder.path()).kill();
    std::fs::remove_file(folder.path().join("encryption.key")).unwrap();
    let said = complaint(&mut serve(folder.path()));
    assert!(said.contains("sealed with another encryption key"), "{said}");
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.retain(|name| !name.to_string_lossy().starts_with("posthaste.db"));
    assert!(left.is_empty(), "no key is made that fits nothing: {left:?}");
}

/// A process that died between binding the store to a new key and keeping that key.
#[test]
fn a_new_key_survives_a_crash_before_it_is_kept() {
    let folder = folder();
    Service::start(folder.path()).kill();
    let (kept, draft) = (folder.path().join("encryption.key"), folder.path().join("encryption.key.new"));
    std::fs::rename(&kept, &draft).unwrap();
    let key = std::fs::read_to_string(&draft).unwrap();
    Service::start(folder.path()).kill();
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), key);
    assert!(!draft.exists());
}

/// What a store's URL holds is for the store alone.
#[test]
fn the_password_of_a_store_is_never_printed() {
    let folder = folder();
    // Nothing is asked of the network: what stands behind the port is no number.
    let url = "redis://worker:hush-hush@127.0.0.1:6379/none";
    let with_password = || {
        let mut command = posthaste(folder.path());
        command.env("POSTHASTE_STORE", url).env("POSTHASTE_LOG_LEVEL", "trace");
        command.env("POSTHASTE_LISTEN", "127.0.0.1:0");
        command
    };
    let settings = crate::service::output(with_password().arg("settings"));
    assert!(settings.status.success());
    let settings = String::from_utf8([settings.stdout, settings.stderr].concat()).unwrap();
    assert!(settings.contains("store = \"redis://worker@127.0.0.1:6379/none\""), "{settings}");
    assert!(settings.contains("# store is shown without its password"), "{settings}");
    let doctor = crate::service::output(with_password().arg("doctor"));
    assert_eq!(doctor.status.code(), Some(1));
    let doctor = String::from_utf8([doctor.stdout, doctor.stderr].concat()).unwrap();
    assert!(doctor.contains("danger   store: "), "{doctor}");
    let serve = complaint(with_password().arg("serve"));
    assert!(serve.contains("store"), "{serve}");
    for said in [settings, doctor, serve] {
        assert!(!said.contains("hush"), "{said}");
    }
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let folder = folder();
    for (setting, named) in [
        ("listen=nowhere", "listen"),
        ("store=mysql://x", "store"),
        ("egress.allow=10.0.0.0/99", "egress.allow"),
        ("limits.payload=-1", "limits.payload"),
        ("log.level=inf=o=", "log.level"),
        ("egress.ca_file=/nowhere/ca.pem", "egress.ca_file"),
        ("egress.proxy=::", "egress.proxy"),
        ("retry.schedule=5s,soon", "retry"),
        ("admin_key=short", "admin_key"),
        ("encryption_key=AAAA", "encryption_key"),
        ("colour=blue", "colour"),
        ("store=sqlite::memory:", "store"),
        ("log.level=nonsense", "log.level"),
        ("limits.in_flight=9223372036854775807", "limits.in_flight"),
        ("egress.ca_file=/etc/hostname", "egress"),
        ("redis.partitions=0", "redis.partitions"),
        ("redis.prefix={x}", "redis.prefix"),
        ("roles=cook", "roles"),
    ] {
        let said = complaint(posthaste(folder.path()).env_remove("POSTHASTE_ADMIN_KEY").args([
            "serve",
            "--set",
            "listen=127.0.0.1:0",
            "--set",
            setting,
        ]));
        assert!(said.contains(named), "{setting}: {said}");
    }
}

#[test]
fn keys_are_kept_for_their_owner_alone() {
    let folder = folder();
    let data = folder.path().join("data");
    let service = Service::start_with(serve(&data).env_remove("POSTHASTE_ADMIN_KEY"));
    for (path, mode) in [("", 0o700), ("encryption.key", 0o600), ("admin.key", 0o600)] {
        let found = std::fs::metadata(data.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
    let key = std::fs::read_to_string(data.join("admin.key")).unwrap();
    let bearer = format!("Bearer {}", key.trim());
    let answer = crate::http::send(service.address, "GET", "/v1/tenants", &[("Authorization", &bearer)], b"");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_store_is_locked_by_whatever_path_it_is_reached() {
    let folder = folder();
    let _first = Service::start(folder.path());
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.path().join("posthaste.db"), &link).unwrap();
    let said = complaint(serve(folder.path()).arg("--store").arg(format!("sqlite:{}", link.display())));
    assert!(said.contains("in use by another process"), "{said}");
}

#[test]
fn payloads_are_kept_for_their_owner_alone() {
    let folder = folder();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let _service = Service::start(folder.path());
    for file in ["posthaste.db", "posthaste.db-wal"] {
        let found = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, 0o600, "{file}: {found:o}");
    }
}

#[test]
fn readiness_ends_when_the_store_is_taken_away() {
    let folder = folder();
    let service = Service::start(folder.path());
    let ready = || crate::http::send(service.address, "GET", "/readyz", &[], b"");
    assert_eq!(ready().status, 200);
    std::fs::remove_file(folder.path().join("posthaste.db")).unwrap();
    // What was found before is good for a second.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let answer = loop {
        let answer = ready();
        if answer.status == 503 {
            break answer;
        }
        assert!(std::time::Instant::now() < deadline, "it stays ready: {answer:?}");
    };
    assert!(answer.body["reason"].as_str().unwrap().contains("removed or replaced"), "{answer:?}");
}
