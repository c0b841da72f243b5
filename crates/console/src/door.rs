//! The two ways in.

/// By which way somebody looks at the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Operators, with an API key.
    Console,
    /// A tenant's own people, with a portal link.
    Portal,
}

impl Door {
    /// What the paths of its pages begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Console => "/console",
            Self::Portal => "/portal",
        }
    }

    /// What its session's cookie is called.
    pub(crate) fn cookie(self) -> &'static str {
        match self {
            Self::Console => "posthaste_console",
            Self::Portal => "posthaste_portal",
        }
    }

    /// What its sessions are sealed as: one of the portal does not open in the console.
    pub(crate) fn record(self) -> &'static [u8] {
        match self {
            Self::Console => b"console-session",
            Self::Portal => b"portal-session",
        }
    }
}
