use std::fmt;

use serde::Deserialize;

/// A setting that is never printed.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Concealed(String);

impl Concealed {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set, not shown)")
    }
}
