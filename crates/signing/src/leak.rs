//! No type that bears a secret may print it.

use std::fmt::{Debug, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::secret::decoded;
use crate::{Credential, EncryptionKey, Profile, Sealer, Secret, Signer, Verifier};

/// The ways in which bytes get printed by accident: list, hex (either case) and base64.
fn spellings(material: &[u8]) -> [String; 4] {
    let hex = material.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let list = format!("{material:?}");
    let inner = list.trim_matches(['[', ']']).to_owned();
    [inner, hex.to_uppercase(), hex, BASE64_STANDARD.encode(material)]
}

#[track_caller]
fn check(value: &impl Debug, material: &[u8]) {
    for printed in
        [format!("{value:?}"), format!("{value:#?}").split_whitespace().collect::<Vec<_>>().join(" ")]
    {
        // Six bytes: whole groups of base64, and too many for a coincidence.
        for spelling in material.windows(6).flat_map(spellings) {
            assert!(!printed.contains(&spelling), "{printed} contains {spelling}");
        }
    }
}

/// What is made from a secret for one profile.
#[track_caller]
fn check_profile(profile: &str, secret: &Secret) {
    let profile = Profile::named(profile).unwrap();
    let credential = Credential::from(secret.clone());
    for material in [decoded(&secret.expose()).unwrap().as_slice(), secret.expose().as_bytes()] {
        check(&Signer::new(&profile, [secret]), material);
        check(&Verifier::new(&profile, [&credential]), material);
        check(&credential, material);
    }
}

#[test]
fn debug_never_shows_the_material() {
    let mut rng = StdRng::seed_from_u64(1);
    let secret = Secret::generate(&mut rng);
    let key = decoded(&secret.expose()).unwrap();
    for material in [key.as_slice(), secret.expose().as_bytes()] {
        check(&secret, material);
        check(&secret.expose(), material);
    }
    check_profile("standard", &secret);
    check_profile("stripe", &secret);

    let private = Secret::generate_ed25519(&mut rng);
    check(&private, private.expose().as_bytes());
    check(&private, private.private_key().unwrap().as_bytes());

    let key = EncryptionKey::generate(&mut rng);
    check(&key, key.bytes());
    check(&key.expose(), key.bytes());

    let material = *key.bytes();
    let sealer = Sealer::new(key);
    check(&sealer, &material);
    let sealed = sealer.seal_secret(&secret, b"endpoint:ep_1", &mut rng).unwrap();
    check(&sealer.open(&sealed, b"endpoint:ep_1").unwrap(), secret.expose().as_bytes());
}

#[test]
#[should_panic(expected = "contains")]
fn the_check_finds_a_leak() {
    check(&[1_u8, 22, 3, 44, 5, 66, 7], &[22, 3, 44, 5, 66, 7]);
}
