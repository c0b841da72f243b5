//! Small pieces of markup that are made here.

use std::fmt;

use askama::filters::HtmlSafe;
use posthaste_client::{Attempt, DeliveryState, EndpointState, Timestamp};

use crate::words;

/// A time, as far from now as it is; the script keeps it true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// The time itself.
    pub(crate) fn clock(&self) -> String {
        words::clock(self.at)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, now } = self;
        let (clock, far) = (words::clock(*at), words::from_now(*at, *now));
        write!(f, r#"<time datetime="{at}" title="{clock}" data-far>{far}</time>"#)
    }
}

impl HtmlSafe for When {}

/// A word with a colour, and with a sign for who does not see the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Badge {
    /// What it says.
    word: &'static str,
    /// Which way it points.
    mood: Mood,
}

/// What something means for who looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Busy,
    Waiting,
    Warning,
    Bad,
    Over,
}

impl Mood {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Waiting => "waiting",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Over => "over",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Busy => "▸",
            Self::Waiting => "◷",
            Self::Warning => "!",
            Self::Bad => "✕",
            Self::Over => "–",
        }
    }
}

impl Badge {
    pub(crate) fn new(word: &'static str, mood: Mood) -> Self {
        Self { word, mood }
    }

    /// Where a delivery stands.
    pub(crate) fn delivery(state: DeliveryState) -> Self {
        let mood = match state {
            DeliveryState::Scheduled => Mood::Waiting,
            DeliveryState::InFlight => Mood::Busy,
            DeliveryState::Delivered => Mood::Good,
            DeliveryState::Exhausted => Mood::Bad,
            DeliveryState::Held | DeliveryState::Skipped => Mood::Warning,
            DeliveryState::Cancelled => Mood::Over,
        };
        Self::new(named(state), mood)
    }

    /// What came of an attempt.
    pub(crate) fn attempt(attempt: &Attempt) -> Self {
        if arrived(attempt) { Self::new("succeeded", Mood::Good) } else { Self::new("failed", Mood::Bad) }
    }

    /// How an endpoint fares: what it is set to, whether it fails, and whether it has yet to give its handshake.
    pub(crate) fn endpoint(state: EndpointState, failing: bool, unverified: bool) -> Self {
        match state {
            EndpointState::Paused if unverified => Self::new("waits for handshake", Mood::Waiting),
            EndpointState::Enabled if failing => Self::new("failing", Mood::Bad),
            EndpointState::Enabled => Self::new("enabled", Mood::Good),
            EndpointState::Paused => Self::new("paused", Mood::Warning),
            EndpointState::Disabled => Self::new("disabled", Mood::Over),
        }
    }
}

/// Whether the receiver took the event.
pub(crate) fn arrived(attempt: &Attempt) -> bool {
    attempt.response.as_ref().is_some_and(|response| (200..300).contains(&response.status))
}

/// A state as it is read by people: its name in the API, without the underscore.
pub(crate) fn named(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::InFlight => "in flight",
        state => state.as_str(),
    }
}

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { word, mood } = self;
        let (class, sign) = (mood.class(), mood.sign());
        write!(f, r#"<span class="badge {class}"><span aria-hidden="true">{sign}</span> {word}</span>"#)
    }
}

impl HtmlSafe for Badge {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_says_when_it_is_and_how_far() {
        let [at, now] = ["2026-11-21T09:57:00Z", "2026-11-21T10:00:00Z"].map(|t| t.parse().unwrap());
        assert_eq!(
            When::new(at, now).to_string(),
            r#"<time datetime="2026-11-21T09:57:00Z" title="2026-11-21 09:57:00 UTC" data-far>3 min ago</time>"#
        );
    }

    #[test]
    fn every_state_has_a_word_and_a_sign() {
        for state in DeliveryState::ALL {
            let badge = Badge::delivery(state).to_string();
            assert!(badge.contains(&format!("> {}</span>", state.as_str().replace('_', " "))), "{badge}");
        }
        let endpoint = |state, failing, unverified| Badge::endpoint(state, failing, unverified).to_string();
        assert!(endpoint(EndpointState::Enabled, true, false).contains("failing"));
        assert!(endpoint(EndpointState::Paused, false, false).contains("paused"));
        assert!(endpoint(EndpointState::Paused, false, true).contains("waits for handshake"));
        assert!(endpoint(EndpointState::Disabled, false, true).contains("disabled"));
    }
}
