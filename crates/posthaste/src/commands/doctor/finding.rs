use std::fmt;

use posthaste_client as client;
use posthaste_store::{self as store, Level};
use serde::{Serialize, Serializer};

/// One thing that was looked at, and what was found.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    check: String,
    #[serde(serialize_with = "name")]
    level: Level,
    found: String,
    remedy: Option<String>,
    /// Whether the service starts although this is a danger.
    tolerated: bool,
}

fn name<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.as_str())
}

impl Finding {
    pub(super) fn fine(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Fine, found: found.into(), remedy: None, tolerated: false }
    }

    pub(super) fn warning(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warning, remedy: Some(remedy.into()), ..Self::fine(check, found) }
    }

    pub(super) fn danger(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Danger, remedy: Some(remedy.into()), ..Self::fine(check, found) }
    }

    /// The same, if a danger of its check is tolerated.
    pub(super) fn with_tolerance(self, tolerate: &[String]) -> Self {
        let tolerated = self.level == Level::Danger && tolerate.contains(&self.check);
        Self { tolerated, ..self }
    }

    /// Whether the service refuses to start on it.
    pub(super) fn is_refused(&self) -> bool {
        self.level == Level::Danger && !self.tolerated
    }
}

impl From<store::Finding> for Finding {
    fn from(store::Finding { check, level, found, remedy }: store::Finding) -> Self {
        Self { check: check.into(), level, found, remedy, tolerated: false }
    }
}

impl From<client::Finding> for Finding {
    fn from(client::Finding { check, level, found, remedy }: client::Finding) -> Self {
        let level = match level {
            client::Level::Fine => Level::Fine,
            client::Level::Danger => Level::Danger,
            // One that is not known here is worth a look.
            _ => Level::Warning,
        };
        Self { check, level, found, remedy, tolerated: false }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, level, found, remedy, tolerated } = self;
        let mark = match level {
            Level::Fine => "ok",
            Level::Warning => "warning",
            Level::Danger => "danger",
        };
        let line = format!("{mark:<8} {check}: {found}");
        f.write_str(&line.replace('\n', " "))?;
        if *tolerated {
            f.write_str(" (tolerated)")?;
        }
        remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "; {}", remedy.replace('\n', " ")))
    }
}
