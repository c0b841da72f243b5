//! A secret that only its sealer can open.

use std::fmt;

use bytes::Bytes;

/// The sealed bytes of a secret, as kept at rest. They can be copied and stored, not read.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Bytes);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}
