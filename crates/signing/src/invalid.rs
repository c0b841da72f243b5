//! What is wrong with a profile.

use std::fmt;

/// A profile that cannot be used, with the place that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidProfile {
    /// Where: the JSON pointer (RFC 6901) of a field of the profile; empty for the profile as a whole.
    pub pointer: String,
    /// What is wrong there, and what would be right.
    pub reason: String,
}

impl InvalidProfile {
    pub(crate) fn new(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), reason: reason.into() }
    }
}

impl fmt::Display for InvalidProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            return f.write_str(&self.reason);
        }
        write!(f, "{}: {}", self.pointer, self.reason)
    }
}

impl std::error::Error for InvalidProfile {}
