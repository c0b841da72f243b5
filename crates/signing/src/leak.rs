//! No type that bears a secret may print it.

use std::fmt::{Debug, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{EncryptionKey, Sealer, Secret, SigningKeys};

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

#[test]
fn debug_never_shows_the_material() {
    let mut rng = StdRng::seed_from_u64(1);
    let secret = Secret::generate(&mut rng);
    check(&secret, secret.expose_key());
    check(&secret.expose(), secret.expose_key());
    check(&secret.expose(), secret.expose().as_bytes());
    check(&SigningKeys::new(&secret, [&secret]), secret.expose_key());

    let key = EncryptionKey::generate(&mut rng);
    check(&key, key.bytes());
    check(&key.expose(), key.bytes());

    let material = *key.bytes();
    let sealer = Sealer::new(key);
    check(&sealer, &material);
    let sealed = sealer.seal(secret.expose_key(), b"endpoint:ep_1", &mut rng).unwrap();
    check(&sealer.open(&sealed, b"endpoint:ep_1").unwrap(), secret.expose_key());
}

#[test]
#[should_panic(expected = "contains")]
fn the_check_finds_a_leak() {
    check(&[1_u8, 22, 3, 44, 5, 66, 7], &[22, 3, 44, 5, 66, 7]);
}
