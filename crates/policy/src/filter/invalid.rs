/// A filter that makes no sense, with the place that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", if pointer.is_empty() { String::new() } else { format!("{pointer}: ") })]
pub struct InvalidFilter {
    pointer: String,
    problem: String,
}

impl InvalidFilter {
    /// Where: a JSON pointer into the filter (RFC 6901). Empty for the filter as a whole.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What is wrong, and what would be right.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// A place in a filter that is being read.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pointer: String,
    depth: usize,
}

impl Place {
    pub(super) fn member(&self, key: &str) -> Self {
        // RFC 6901, section 3.
        let token = key.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{token}", self.pointer), depth: self.depth + 1 }
    }

    pub(super) fn element(&self, index: usize) -> Self {
        Self { pointer: format!("{}/{index}", self.pointer), depth: self.depth + 1 }
    }

    /// How many objects and lists it lies in.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn pointer(&self) -> &str {
        &self.pointer
    }

    pub(super) fn refuse(&self, problem: impl Into<String>) -> InvalidFilter {
        InvalidFilter { pointer: self.pointer.clone(), problem: problem.into() }
    }
}
