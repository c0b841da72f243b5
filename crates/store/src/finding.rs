use std::fmt;

/// Something that is to be known about a store's surroundings, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word: `durability`, `eviction`, `memory`.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found, for people.
    pub found: String,
    /// What to do about it; none: nothing.
    pub remedy: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Fine,
    /// It works, and will hurt one day.
    Warning,
    /// Acknowledged events are at risk: the service does not start on it, unless it is told to tolerate this check.
    Danger,
}

impl Level {
    /// The level's name, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Danger => "danger",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.found)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}
