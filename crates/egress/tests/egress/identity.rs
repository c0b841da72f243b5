//! What customers give for certificates and keys.

use std::hash::{BuildHasher, RandomState};

use posthaste_egress::{ClientIdentity, MAX_CERTIFICATES, MAX_PEM_BYTES, TlsIdentity, TrustedRoots};
use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, date_time_ymd};

use crate::tls_setup::{Authority, Certified};

/// A certificate of X.509 version 1, as `openssl x509 -req` makes it if it is told nothing more.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFjCBvQIUBnwJCqpIN/7UoP0sFABqR67QOEYwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwIBcNMjYxMTIxMTMxMDU5WhgPMjEyNjEwMjgxMzEwNTlaMA0xCzAJ
BgNVBAMMAnYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESWrnNDMW8yMTYmG2
L9OQ+UDtqxZQHbo9j+2P4hquotI21qkwIJIbxwzlncZcRMRnG5q4Pqz+YfnNdDBh
gM9lMzAKBggqhkjOPQQDAgNIADBFAiEAhlLJsccJkK4R2tmn0QfTLyt2ZEe3cDDk
jHfa/OOra4ICIDsmI1QZ/A42MLWpcjg/NNWeQHu7OJbX5aoOeYpbvJVg
-----END CERTIFICATE-----
";

/// A key of a kind that cannot be used here: ECDSA with P-521.
const P521: &str = "\
-----BEGIN PRIVATE KEY-----
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBy385PgMHOcn0uuVd
I+9tfqr7DEj8uW2Sm3skufAixtjWkexNhWQgNqpfB6zBgnB93+GRDexrysSReOnD
qGpjtKyhgYkDgYYABABL2jCaRg3jrBRf4MGwIr1c+lXnZlh+9xqkOUkiDgVaAo+7
4XPGUHGIUrsgaWargRLnBuVdZYgWDxf01rMZxH12ugGjEuBCAgAbdiE4epZOpMKW
rCSRHkI48y6urecO4poe7gHNn/c5hfruhbUjdrOL7vLyIp1stWpkgj7rkQVlmfcv
Ag==
-----END PRIVATE KEY-----
";

const EMPTY: &str = "the PEM text holds no certificate";
const KEY_AMONG_CERTIFICATES: &str = "the PEM text holds a private key, which does not belong there";
const SEVERAL_KEYS: &str = "the PEM text holds several private keys";
const NO_KEY: &str = "the PEM text holds no private key";
const ENCRYPTED: &str = "the private key is encrypted";
const DAMAGED_KEY: &str = "the PEM text of the private key is damaged";
const UNSUPPORTED: &str = "the private key is damaged or of a kind that is not supported; \
     supported are RSA of 2048 to 4096 bits, ECDSA with P-256 or P-384, and Ed25519";
const MISMATCH: &str = "the private key does not belong to the first certificate";

fn too_long() -> String {
    format!("the PEM text is longer than {MAX_PEM_BYTES} bytes")
}

fn not_x509(number: usize) -> String {
    format!("certificate {number} is not a valid X.509 certificate of version 3")
}

fn damaged(number: usize) -> String {
    format!("the PEM text is damaged at certificate {number}")
}

/// A certificate and its key, as texts.
fn texts() -> (String, String) {
    let certified = Authority::new("ours").certify("client");
    (certified.certificate.pem(), certified.key.serialize_pem())
}

fn section(label: &str, content: &str) -> String {
    format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n")
}

#[track_caller]
fn check_identity(certificates: &str, key: &str, expect: Result<(), &str>) {
    let found = ClientIdentity::from_pem(certificates, key).map(drop).map_err(|error| error.to_string());
    assert_eq!(found, expect.map_err(str::to_owned));
}

#[track_caller]
fn check_roots(bundle: &str, expect: Result<(), &str>) {
    let found = TrustedRoots::from_pem(bundle).map(drop).map_err(|error| error.to_string());
    assert_eq!(found, expect.map_err(str::to_owned));
}

#[test]
fn a_certificate_and_its_key_are_an_identity() {
    let (certificate, key) = texts();
    check_identity(&certificate, &key, Ok(()));
    check_identity(&certificate.replace('\n', "\r\n"), &key.replace('\n', "\r\n"), Ok(()));
    let chain = format!("subject: client\n{certificate}\nissuer:\n{}", Authority::new("ours").pem());
    check_identity(&chain, &key, Ok(()));
    // As `openssl ecparam -genkey` begins its files.
    check_identity(&certificate, &format!("{}{key}", section("EC PARAMETERS", "BggqhkjOPQMBBw==")), Ok(()));
}

#[test]
fn keys_of_every_supported_kind_are_taken() {
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        check_identity(&certificate.pem(), &key.serialize_pem(), Ok(()));
    }
}

#[test]
fn what_is_wrong_with_certificates_is_named() {
    let (certificate, key) = texts();
    let check = |certificates: &str, expect: &str| {
        check_identity(certificates, &key, Err(expect));
        check_roots(certificates, Err(expect));
    };
    check("", EMPTY);
    check("certificate", EMPTY);
    check(&section("CERTIFICATE REQUEST", "AAAA"), EMPTY);
    check(&certificate.replace("-----BEGIN", " -----BEGIN"), EMPTY);
    check(&certificate.replace("MII", "!!!"), &damaged(1));
    check(&certificate.replace("-----END", "-----BEGIN"), &damaged(1));
    check(&format!("{certificate}{}", section("CERTIFICATE", "A")), &damaged(2));
    check(&section("CERTIFICATE", ""), &not_x509(1));
    check(&format!("{certificate}{}", section("CERTIFICATE", "AAAA")), &not_x509(2));
    check(&certificate.repeat(MAX_CERTIFICATES + 1), "the PEM text holds more than 16 certificates");
    check(&" ".repeat(MAX_PEM_BYTES + 1), &too_long());
    for key in [
        key.clone(),
        key.replace('\n', "\r"),
        section("ENCRYPTED PRIVATE KEY", ""),
        section("RSA PRIVATE KEY", ""),
    ] {
        check(&format!("{certificate}{key}"), KEY_AMONG_CERTIFICATES);
    }
}

#[test]
fn what_is_wrong_with_a_key_is_named() {
    let (certificate, key) = texts();
    let check = |key: &str, expect: &str| check_identity(&certificate, key, Err(expect));
    check("", NO_KEY);
    check(&certificate, NO_KEY);
    check(&section("PUBLIC KEY", "AAAA"), NO_KEY);
    check(&key.repeat(2), SEVERAL_KEYS);
    check(&format!("{key}{}", section("EC PRIVATE KEY", "AAAA")), SEVERAL_KEYS);
    check(&key.replace("PRIVATE", "ENCRYPTED PRIVATE"), ENCRYPTED);
    let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA";
    check(&section("RSA PRIVATE KEY", headers), ENCRYPTED);
    check(&key.replace("MI", "!!"), DAMAGED_KEY);
    check(&key.replace("-----END", "-----"), DAMAGED_KEY);
    check(&section("PRIVATE KEY", "AAAA"), UNSUPPORTED);
    check(&section("DSA PRIVATE KEY", "AAAA"), UNSUPPORTED);
    check(&section("OPENSSH PRIVATE KEY", "AAAA"), UNSUPPORTED);
    check(P521, UNSUPPORTED);
    check(&" ".repeat(MAX_PEM_BYTES + 1), &too_long());
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let ((certificate, key), (other, other_key)) = (texts(), texts());
    check_identity(&certificate, &other_key, Err(MISMATCH));
    check_identity(&format!("{other}{certificate}"), &key, Err(MISMATCH));
}

/// A receiver would not take it, and an authority need not be of a later version: it is trusted for what it is.
#[test]
fn a_certificate_of_version_1_is_an_authority_but_no_identity() {
    check_identity(VERSION_1, &texts().1, Err(&not_x509(1)));
    check_roots(VERSION_1, Ok(()));
}

#[test]
fn a_bundle_of_many_roots_is_taken() {
    let bundle: String = (0..MAX_CERTIFICATES).map(|i| Authority::new(&i.to_string()).pem()).collect();
    check_roots(&bundle, Ok(()));
}

#[test]
fn an_identity_tells_when_it_expires() {
    let expiring = |year| {
        let certified =
            Certified::by_itself("client", |params| params.not_after = date_time_ymd(year, 12, 31));
        certified.client().not_after().to_string()
    };
    assert_eq!(expiring(2021), "2021-12-31T00:00:00Z");
    assert_eq!(expiring(2049), "2049-12-31T00:00:00Z");
    // Written in another way from then on (RFC 5280 section 4.1.2.5).
    assert_eq!(expiring(2050), "2050-12-31T00:00:00Z");
    // The end of time is as far as a timestamp reaches.
    assert_eq!(expiring(9999), "9999-12-30T22:00:00.999999999Z");
}

#[test]
fn nothing_of_a_key_is_shown() {
    let (certificate, key) = texts();
    let client = ClientIdentity::from_pem(&certificate, &key).unwrap();
    let roots = TrustedRoots::from_pem(&certificate).unwrap();
    let identity = TlsIdentity::new(Some(client.clone()), Some(roots)).unwrap();
    let expect = format!("ClientIdentity {{ not_after: {}, .. }}", client.not_after());
    assert_eq!(format!("{client:?}"), expect);
    let shown = format!("{identity:?}");
    assert!(shown.contains(&expect) && shown.contains("TrustedRoots(1)") && shown.len() < 200, "{shown}");
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        let error =
            ClientIdentity::from_pem(&certificate, &key.replace(line, &format!("!{line}"))).unwrap_err();
        assert!(!format!("{error:?} {error}").contains(line), "{error:?}");
    }
}

#[test]
fn identities_are_equal_if_their_content_is() {
    let ((certificate, key), (other, other_key)) = (texts(), texts());
    let client = |certificate: &str, key: &str| Some(ClientIdentity::from_pem(certificate, key).unwrap());
    let roots = |bundle: &str| Some(TrustedRoots::from_pem(bundle).unwrap());
    let chain = format!("{certificate}{other}");
    let all = || {
        [
            TlsIdentity::new(client(&certificate, &key), None).unwrap(),
            TlsIdentity::new(client(&other, &other_key), None).unwrap(),
            TlsIdentity::new(client(&chain, &key), None).unwrap(),
            TlsIdentity::new(None, roots(&certificate)).unwrap(),
            TlsIdentity::new(None, roots(&other)).unwrap(),
            TlsIdentity::new(None, roots(&chain)).unwrap(),
            TlsIdentity::new(client(&certificate, &key), roots(&certificate)).unwrap(),
            TlsIdentity::new(client(&certificate, &key), roots(&other)).unwrap(),
        ]
    };
    let hashing = RandomState::new();
    for (i, one) in all().iter().enumerate() {
        for (j, another) in all().iter().enumerate() {
            assert_eq!(one == another, i == j, "{i} {j}");
            assert_eq!(hashing.hash_one(one) == hashing.hash_one(another), i == j, "{i} {j}");
        }
    }
    assert_eq!(TlsIdentity::new(None, None), None);
}
