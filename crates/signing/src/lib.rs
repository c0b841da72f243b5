//! Webhook signatures and secrets: Standard Webhooks signing and verification, key rotation, sealing at rest.
//!
//! The sender parses or generates a [`Secret`] per endpoint, builds [`SigningKeys`] once and signs every attempt
//! with them. The subscriber builds the same [`SigningKeys`] and verifies; this crate is all that it needs. The
//! service keeps secrets at rest only as a [`Sealer`] wrote them.
//!
//! # Invariants
//!
//! - Secret material leaves a type of this crate only through a method named `expose…`, and is never part of an
//!   error or of `Debug` output. No type that holds it implements `Display` or any serialisation.
//! - [`Secret`], [`EncryptionKey`] and every revealed or opened value are wiped when they are dropped.
//! - What depends on a secret is compared in constant time.
//! - No IO, no clock and no random generator of its own: time and randomness are arguments.
//! - Knows no other crate of the service and no HTTP library: headers are text, times are integers.
//!
//! # Example
//!
//! ```
//! use posthaste_signing::{DEFAULT_TOLERANCE, HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secret, SigningKeys};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
//! let keys = SigningKeys::new(&secret, []);
//! let body = br#"{"test": 2432232314}"#;
//!
//! let signature = keys.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
//!
//! let received = |name: &str| match name {
//!     HEADER_ID => Some("msg_p5jXN8AQM9LWM0D4loKWxJek"),
//!     HEADER_TIMESTAMP => Some("1614265330"),
//!     HEADER_SIGNATURE => Some(signature.as_str()),
//!     _ => None,
//! };
//! keys.verify(received, body, 1_614_265_400, DEFAULT_TOLERANCE)?;
//! # Ok(())
//! # }
//! ```

mod encryption_key;
mod seal;
mod secret;
mod standard;
mod verify;

#[cfg(test)]
mod leak;

pub use encryption_key::{EncryptionKey, EncryptionKeyError, KeyId};
pub use seal::{SealError, Sealer};
pub use secret::{Secret, SecretError};
pub use standard::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, SigningKeys};
pub use verify::{DEFAULT_TOLERANCE, VerifyError};
/// The wrapper of revealed material: reads like what it holds, wipes it when dropped.
pub use zeroize::Zeroizing;
