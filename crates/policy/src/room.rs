use jiff::Timestamp;

/// When and how many more attempts may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Not before then; none: now.
    pub from: Option<Timestamp>,
    /// So many at once from then on; 0: none before one that is under way ends.
    pub at_most: u32,
}

impl Room {
    /// As many as there are, now.
    pub(crate) const BOUNDLESS: Self = Self { from: None, at_most: u32::MAX };
}
