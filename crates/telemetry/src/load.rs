/// What a dispatcher has under way, and what it holds back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Deliveries between lease and settlement.
    pub in_flight: usize,
    /// How many there may be.
    pub most_in_flight: usize,
    /// Partitions that it holds.
    pub partitions: usize,
    /// Whether it looks at the backlog of the whole store, which one process does for all.
    pub looks: bool,
    /// Endpoints that may have nothing for now: they have no room, or their time has not come.
    pub throttled: usize,
    /// Endpoints that are spared because they do not answer.
    pub open_breakers: usize,
}
