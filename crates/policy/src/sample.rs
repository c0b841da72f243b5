//! Outcomes for the tests of this crate.

use posthaste_model::{ErrorClass, Outcome, Reply};

pub(crate) fn reply(status: u16, headers: &[(&str, &str)]) -> Reply {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Reply { status, headers, body: Default::default(), truncated: false }
}

pub(crate) fn replied(status: u16, headers: &[(&str, &str)]) -> Outcome {
    Outcome::Replied(reply(status, headers))
}

pub(crate) fn failed(class: ErrorClass) -> Outcome {
    Outcome::Failed { class, detail: "it failed".into() }
}
