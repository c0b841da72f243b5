//! What happened to a delivery, in its order.

use posthaste_client::{Attempt, AttemptResponse, Timestamp};

use crate::{
    charts::{Drawing, Part, parts, timings},
    elements::{Badge, When, arrived},
    explain::{self, Meaning},
    words,
};

/// Attempts that a page shows: somebody who asks for one more, or replays, adds to them without end.
const SHOWN: usize = 100;

/// What happened.
pub(super) struct Story {
    /// How many attempts came before those that are shown.
    pub(super) earlier: usize,
    pub(super) happened: Vec<Happening>,
}

/// Something that happened.
pub(super) enum Happening {
    Attempt(Box<Step>),
    /// The delivery was over.
    Over(When),
}

/// An attempt.
pub(super) struct Step {
    pub(super) number: u32,
    pub(super) manual: bool,
    pub(super) when: When,
    pub(super) badge: Badge,
    pub(super) meaning: Meaning,
    /// What happened, where there was no answer.
    pub(super) detail: String,
    pub(super) total: String,
    pub(super) queued: String,
    pub(super) parts: Vec<Part>,
    pub(super) bar: Drawing,
    pub(super) request: Option<Sent>,
    pub(super) response: Option<Answer>,
    /// Whether it tells most: it is shown unfolded.
    pub(super) last: bool,
}

/// What was sent, but for the body.
pub(super) struct Sent {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// What stands before the body.
    pub(super) about: String,
}

impl Story {
    /// Tells of attempts in the order of their numbers, and of the end, if there was one, where it came among them.
    pub(super) fn of(mut attempts: Vec<Attempt>, completed: Option<Timestamp>, now: Timestamp) -> Self {
        let earlier = attempts.len().saturating_sub(SHOWN);
        attempts.drain(..earlier);
        // An attempt that somebody asked for after the end begins after it.
        let end =
            completed.map(|at| (at, attempts.iter().filter(|attempt| attempt.started_at <= at).count()));
        let count = attempts.len();
        let mut happened: Vec<_> = attempts
            .into_iter()
            .enumerate()
            .map(|(place, attempt)| Happening::Attempt(Box::new(step(attempt, place + 1 == count, now))))
            .collect();
        if let Some((at, place)) = end {
            happened.insert(place, Happening::Over(When::new(at, now)));
        }
        Self { earlier, happened }
    }
}

fn step(attempt: Attempt, last: bool, now: Timestamp) -> Step {
    let (badge, meaning) = (Badge::attempt(&attempt), explain::attempt(&attempt));
    let last = last && !arrived(&attempt);
    let Attempt { number, manual, started_at, timings: times, request, response, error, .. } = attempt;
    let parts = parts(&times);
    Step {
        number,
        manual,
        when: When::new(started_at, now),
        badge,
        meaning,
        detail: error.map(|error| error.detail).unwrap_or_default(),
        total: words::millis(times.total_ms),
        queued: words::millis(times.queued_ms),
        bar: timings(&parts),
        parts,
        request: request
            .map(|sent| Sent { line: format!("{} {}", sent.method, sent.url), headers: sent.headers }),
        response: response.map(answer),
        last,
    }
}

fn answer(response: AttemptResponse) -> Answer {
    let AttemptResponse { headers, body, body_base64, truncated, .. } = response;
    let cut = if truncated { ", of which the beginning is kept" } else { "" };
    let (about, body) = match (body, body_base64) {
        (Some(text), _) if text.is_empty() => ("Its body is empty".to_owned(), text),
        (Some(text), _) => (format!("Its body{cut}"), text),
        (None, Some(encoded)) => (format!("Its body, in base64, since it is not text{cut}"), encoded),
        (None, None) => ("It has no body".to_owned(), String::new()),
    };
    Answer { headers, body, about }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn time(second: u32) -> Timestamp {
        format!("2026-11-21T10:{:02}:{:02}Z", second / 60, second % 60).parse().unwrap()
    }

    /// An attempt that began in that second of the hour.
    fn attempt(number: u32, second: u32) -> Attempt {
        let json = json!({
            "id": "att_00000000000000000000000000000000", "number": number, "manual": false,
            "started_at": time(second), "timings": {"queued_ms": 1.0, "dns_ms": null, "connect_ms": null,
            "tls_ms": null, "first_byte_ms": null, "total_ms": 2.0}, "request": null, "response": null,
            "error": {"class": "timeout", "detail": "no answer in time"},
        });
        serde_json::from_value(json).unwrap()
    }

    fn told(story: &Story) -> Vec<String> {
        let word = |happening: &Happening| match happening {
            Happening::Attempt(step) => format!("{}{}", step.number, if step.last { "!" } else { "" }),
            Happening::Over(_) => "over".into(),
        };
        story.happened.iter().map(word).collect()
    }

    #[test]
    fn the_end_stands_where_it_came() {
        let tell = |completed: Option<u32>| {
            told(&Story::of(
                vec![attempt(1, 0), attempt(2, 60), attempt(3, 180)],
                completed.map(time),
                time(600),
            ))
        };
        assert_eq!(tell(None), ["1", "2", "3!"]);
        assert_eq!(tell(Some(61)), ["1", "2", "over", "3!"]);
        assert_eq!(tell(Some(300)), ["1", "2", "3!", "over"]);
        assert_eq!(told(&Story::of(Vec::new(), Some(time(0)), time(600))), ["over"]);
    }

    #[test]
    fn only_the_newest_attempts_are_shown() {
        let attempts: Vec<_> = (1..=130).map(|number| attempt(number, number)).collect();
        let story = Story::of(attempts, Some(time(10)), time(600));
        assert_eq!(story.earlier, 30);
        assert_eq!(story.happened.len(), SHOWN + 1);
        let told = told(&story);
        assert_eq!((told[0].as_str(), told[1].as_str(), told[SHOWN].as_str()), ("over", "31", "130!"));
    }
}
