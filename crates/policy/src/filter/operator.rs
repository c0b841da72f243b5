/// What a condition asks of the values that its path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Nin,
    StartsWith,
    EndsWith,
    Contains,
    Exists,
    Regex,
}

impl Operator {
    pub(super) const ALL: [Self; 13] = [
        Self::Eq,
        Self::Neq,
        Self::Gt,
        Self::Gte,
        Self::Lt,
        Self::Lte,
        Self::In,
        Self::Nin,
        Self::StartsWith,
        Self::EndsWith,
        Self::Contains,
        Self::Exists,
        Self::Regex,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Eq => "$eq",
            Self::Neq => "$neq",
            Self::Gt => "$gt",
            Self::Gte => "$gte",
            Self::Lt => "$lt",
            Self::Lte => "$lte",
            Self::In => "$in",
            Self::Nin => "$nin",
            Self::StartsWith => "$startsWith",
            Self::EndsWith => "$endsWith",
            Self::Contains => "$contains",
            Self::Exists => "$exists",
            Self::Regex => "$regex",
        }
    }
}

/// How parts of a filter are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// All parts hold.
    And,
    /// One of them does.
    Or,
    /// Not all of them do.
    Not,
}

impl Join {
    pub(super) const ALL: [Self; 3] = [Self::And, Self::Or, Self::Not];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|join| join.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::And => "$and",
            Self::Or => "$or",
            Self::Not => "$not",
        }
    }

    /// Asks the parts in their order for as long as it matters.
    pub(super) fn holds(self, mut parts: impl Iterator<Item = bool>) -> bool {
        match self {
            Self::And => parts.all(|held| held),
            Self::Or => parts.any(|held| held),
            Self::Not => !parts.all(|held| held),
        }
    }
}
