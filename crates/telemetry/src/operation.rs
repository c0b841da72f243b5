/// A call to the store whose time is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Accepting events.
    Accept,
    /// Leasing deliveries.
    Lease,
    /// Settling attempts.
    Settle,
    /// Opening deliveries again.
    Reopen,
    /// Bringing figures.
    AddStats,
    /// Counting what is open.
    Backlog,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 6] =
        [Self::Accept, Self::Lease, Self::Settle, Self::Reopen, Self::AddStats, Self::Backlog];

    /// The operation's name, as metrics have it: that of the call.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Lease => "lease",
            Self::Settle => "settle",
            Self::Reopen => "reopen",
            Self::AddStats => "add_stats",
            Self::Backlog => "backlog",
        }
    }
}
