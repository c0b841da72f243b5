//! Formats seen in the wild, each a custom profile in a file, with headers that another program computed.

use std::fs;
use std::path::Path;

use posthaste_signing::Credential;

use crate::request::Request;

const FORMATS: [&str; 9] =
    ["discord", "hubspot-v3", "linear", "paddle", "square", "twilio", "twitch", "zendesk", "zoom"];

/// All of them, by name.
pub(crate) fn all() -> Vec<Request> {
    FORMATS.map(|name| read(&folder().join(name).with_extension("json"))).into()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats")
}

fn read(path: &Path) -> Request {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_file_is_looked_at() {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, FORMATS.map(|name| format!("{name}.json")));
}

#[test]
fn each_is_signed_as_its_owner_does() {
    for format in all() {
        assert_eq!(format.signed(), format.headers, "{}", format.name);
        format.profile.dry_run().unwrap();
    }
}

#[test]
fn each_is_verified_and_none_with_another_secret() {
    for format in all() {
        format.check_verifies();
        let other: Credential = match format.secrets[0].starts_with("whsk_") {
            true => "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
            false => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        }
        .parse()
        .unwrap();
        assert!(format.verify(&other).is_err(), "{}", format.name);
    }
}
