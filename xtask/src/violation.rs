//! What a check found, in one line: who, whom, which rule, and where to read about it.

use std::fmt;

/// The page that the checks keep true, relative to the workspace root.
pub(crate) const PAGE: &str = "docs/ARCHITECTURE.md";

/// One broken rule.
#[derive(Debug)]
pub(crate) enum Violation {
    /// A crate of the workspace has no row in the table of rooms.
    UnknownRoom { who: String },
    /// A row of the table has no crate.
    EmptyRoom { who: &'static str },
    /// A crate depends on a crate of the workspace that its row does not list.
    Stranger { who: String, whom: String, knows: &'static [&'static str] },
    /// A crate depends on an external crate that the rules keep for others.
    OutOfBounds { who: String, whom: String, rule: &'static str },
    /// The page lacks the section that names the crates.
    NoCodeMap,
    /// The code map does not name a crate's folder.
    NotOnTheMap { who: String, folder: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRoom { who } => {
                write!(f, "{who}: give it a row in xtask/src/rooms.rs that says whom it may know")?;
            }
            Self::EmptyRoom { who } => {
                write!(f, "{who}: has a row in xtask/src/rooms.rs, but the workspace has no such crate")?;
            }
            Self::Stranger { who, whom, knows: [] } => {
                write!(f, "{who} -> {whom}: {who} may know no crate of the workspace")?;
            }
            Self::Stranger { who, whom, knows } => {
                write!(f, "{who} -> {whom}: {who} may know only {}", knows.join(", "))?;
            }
            Self::OutOfBounds { who, whom, rule } => write!(f, "{who} -> {whom}: {rule}")?,
            Self::NoCodeMap => {
                return write!(
                    f,
                    "{PAGE}: needs a section \"Code map\" that names the folder of every crate"
                );
            }
            Self::NotOnTheMap { who, folder } => write!(f, "{who}: the code map does not name `{folder}`")?,
        }
        write!(f, " (see {PAGE})")
    }
}
