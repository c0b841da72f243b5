//! Webhook signatures and secrets: profiles, signing, verification, diagnosis, key rotation, sealing at rest.
//!
//! A [`Profile`] says as data how requests are signed: by a preset such as `standard`, or by a format of one's own. The
//! sender parses or generates a [`Secret`] per endpoint, builds a [`Signer`] once and signs every attempt with it. The
//! subscriber builds a [`Verifier`] from the same profile and what it was given, its [`Credential`]; this crate is all
//! that it needs. Where a request does not verify, [`diagnose`] finds out which part of it is wrong. The service keeps
//! secrets at rest only as a [`Sealer`] wrote them.
//!
//! # Invariants
//!
//! - Secret material leaves a type of this crate only through a method named `expose…`, and is never part of an
//!   error, of a diagnosis or of `Debug` output. No type that holds it implements `Display` or any serialisation.
//! - [`Secret`], [`EncryptionKey`] and every revealed or opened value are wiped when they are dropped.
//! - What depends on a secret is compared in constant time.
//! - No IO, no clock and no random generator of its own: time and randomness are arguments.
//! - Knows no other crate of the service and no HTTP library: headers are text, times are integers.
//! - Knows no format by name: a preset is a file, and adding one takes a line.
//!
//! # Example
//!
//! ```
//! use posthaste_signing::{Credential, DEFAULT_TOLERANCE, Message, Profile, Received, Secret, Signer, Verifier};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let profile = Profile::parse(r#"{"profile": "standard"}"#)?;
//! let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
//! let body = br#"{"test": 2432232314}"#;
//!
//! let signer = Signer::new(&profile, [&secret])?;
//! let headers = signer.headers(&Message {
//!     id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
//!     topic: "order.paid",
//!     time_ms: 1_614_265_330_000,
//!     method: "POST",
//!     url: "https://example.com/hooks",
//!     body,
//! })?;
//! assert_eq!(headers[2], ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
//!
//! let verifier = Verifier::new(&profile, [&Credential::from(secret)])?;
//! let header = |name: &str| headers.iter().find(|(sent, _)| *sent == name).map(|(_, value)| value.as_str());
//! let received = Received { method: "POST", url: "https://example.com/hooks", body };
//! verifier.verify(header, &received, 1_614_265_400, DEFAULT_TOLERANCE)?;
//! # Ok(())
//! # }
//! ```

mod credential;
mod diagnose;
mod encryption_key;
mod format;
mod given;
mod header;
mod invalid;
mod key;
mod message;
mod placement;
mod preset;
mod profile;
mod proof;
mod public_key;
mod sample;
mod scheme;
mod seal;
mod secret;
mod signer;
mod template;
mod verify;
mod weakness;

#[cfg(test)]
mod leak;

pub use credential::{Credential, InvalidCredential};
pub use diagnose::{Diagnosis, Part, diagnose};
pub use encryption_key::{EncryptionKey, EncryptionKeyError, KeyId};
pub use invalid::InvalidProfile;
pub use key::KeyError;
pub use message::{Message, SignError};
pub use placement::{Place, Placement};
pub use profile::Profile;
pub use public_key::{InvalidPublicKey, PublicKey};
pub use sample::Sample;
pub use seal::{SealError, Sealer};
pub use secret::{Secret, SecretError, SecretKind};
pub use signer::Signer;
pub use verify::{DEFAULT_TOLERANCE, Received, Verifier, VerifyError};
/// The wrapper of revealed material: reads like what it holds, wipes it when dropped.
pub use zeroize::Zeroizing;
