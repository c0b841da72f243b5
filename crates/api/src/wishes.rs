//! What a publisher asks for beside its event, and how much of that can be had.

use std::{ops::RangeInclusive, time::Duration};

use posthaste_model::{EndpointId, Period, Timestamp};

use crate::metadata::{self, Metadata};

/// How far ahead the delivery of an event can be put.
const MAX_AHEAD: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long an event can be kept.
const RETENTION: RangeInclusive<Period> = Period::from_secs(60)..=Period::from_secs(365 * 24 * 3600);

/// What a publisher asks for, as it was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    pub(crate) metadata: Metadata,
    /// Nothing is sent before then.
    pub(crate) deliver_at: Option<Timestamp>,
    /// The same, counted from when the event is accepted.
    pub(crate) delay: Option<Period>,
    pub(crate) retention: Option<Period>,
    /// The one endpoint that gets it, whatever it wants; none: those that want it.
    pub(crate) endpoint: Option<EndpointId>,
    /// Whether they may have waited to be read. A time that has passed meanwhile is no mistake of the publisher's.
    pub(crate) waited: bool,
}

/// A wish that cannot be granted, by the name of its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) field: &'static str,
    pub(crate) detail: String,
}

impl Wrong {
    fn new(field: &'static str, detail: impl Into<String>) -> Self {
        Self { field, detail: detail.into() }
    }
}

impl Wishes {
    /// Checks what is wrong at any time.
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        if let Some(excess) = metadata::excess(&self.metadata) {
            return Err(Wrong::new("metadata", excess));
        }
        if self.deliver_at.is_some() && self.delay.is_some() {
            return Err(Wrong::new("delay", "cannot stand beside 'deliver_at'"));
        }
        match self.retention {
            Some(retention) if !RETENTION.contains(&retention) => {
                Err(Wrong::new("retention", "must lie between 1m and 365d"))
            }
            _ => Ok(()),
        }
    }

    /// When the event is due if it is accepted now; none: at once. `kept` is how long it is kept where its publisher does
    /// not say: nothing is put off for longer than that.
    pub(crate) fn due(&self, now: Timestamp, kept: Duration) -> Result<Option<Timestamp>, Wrong> {
        let (field, ahead) = match (self.deliver_at, self.delay) {
            (None, None) => return Ok(None),
            (None, Some(delay)) => ("delay", delay.0),
            (Some(at), _) => match Duration::try_from(at.duration_since(now)) {
                Ok(ahead) => ("deliver_at", ahead),
                Err(_) if self.waited => return Ok(None),
                Err(_) => return Err(Wrong::new("deliver_at", "lies in the past")),
            },
        };
        let kept = self.retention.map_or(kept, |own| own.0);
        if ahead > MAX_AHEAD {
            return Err(Wrong::new(field, "must not be more than 30d ahead"));
        }
        if ahead > kept {
            let kept = Period(kept);
            let detail = format!("must not be more than {kept} ahead: the event is not kept for longer");
            return Err(Wrong::new(field, detail));
        }
        Ok((!ahead.is_zero()).then(|| whole_millis(now + ahead)))
    }
}

/// The first whole millisecond that is not before a time. Stores keep no more: cut, it would be too early.
fn whole_millis(time: Timestamp) -> Timestamp {
    const MILLI: i32 = 1_000_000;
    let beyond = time.subsec_nanosecond().rem_euclid(MILLI);
    let missing = (MILLI - beyond) % MILLI;
    time + Duration::from_nanos(u64::from(missing.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const DAY: u64 = 24 * 3600;
    const KEPT: Duration = Duration::from_secs(20 * DAY);

    fn at(millis: i64) -> Wishes {
        let deliver_at = Some(Timestamp::from_millisecond(millis).unwrap());
        Wishes { deliver_at, ..Wishes::default() }
    }

    fn after(delay: Period) -> Wishes {
        Wishes { delay: Some(delay), ..Wishes::default() }
    }

    fn kept(secs: u64, wishes: Wishes) -> Wishes {
        Wishes { retention: Some(Period::from_secs(secs)), ..wishes }
    }

    #[track_caller]
    fn due(wishes: Wishes, expect: Result<Option<i64>, &str>) {
        let due = wishes.check().and_then(|()| wishes.due(NOW, KEPT));
        let due = due.map(|due| due.map(Timestamp::as_millisecond));
        assert_eq!(
            due.map_err(|Wrong { field, detail }| format!("{field}: {detail}")),
            expect.map_err(str::to_owned)
        );
    }

    #[test]
    fn times() {
        let days = |days: i64| days * 86_400_000;
        due(Wishes::default(), Ok(None));
        due(at(1), Ok(Some(1)));
        due(at(0), Ok(None));
        due(at(-1), Err("deliver_at: lies in the past"));
        due(Wishes { waited: true, ..at(-1) }, Ok(None));
        due(at(days(20)), Ok(Some(days(20))));
        let too_late = "must not be more than 480h ahead: the event is not kept for longer";
        due(at(days(20) + 1), Err(&format!("deliver_at: {too_late}")));
        due(at(days(31)), Err("deliver_at: must not be more than 30d ahead"));
        due(after(Period::from_secs(0)), Ok(None));
        due(after(Period::from_secs(5)), Ok(Some(5_000)));
        due(after(Period(Duration::from_nanos(1))), Ok(Some(1)));
        due(after(Period::from_secs(20 * DAY + 1)), Err(&format!("delay: {too_late}")));
        due(after(Period(Duration::MAX)), Err("delay: must not be more than 30d ahead"));
        due(
            Wishes { delay: Some(Period::from_secs(1)), ..at(1) },
            Err("delay: cannot stand beside 'deliver_at'"),
        );
    }

    /// What is due, in microseconds, at a time in microseconds.
    #[track_caller]
    fn due_after(now: i64, wishes: Wishes, expect: Option<i64>) {
        let now = Timestamp::from_microsecond(now).unwrap();
        let due = wishes.due(now, KEPT).unwrap();
        assert_eq!(due.map(Timestamp::as_microsecond), expect);
    }

    #[test]
    fn nothing_is_due_early_for_being_kept_in_whole_milliseconds() {
        let micros = |micros| Wishes {
            deliver_at: Some(Timestamp::from_microsecond(micros).unwrap()),
            ..Wishes::default()
        };
        due_after(7_000_400, after(Period::from_secs(5)), Some(12_001_000));
        due_after(7_000_400, after(Period::from_millis(1)), Some(7_002_000));
        due_after(7_000_000, after(Period::from_millis(1)), Some(7_001_000));
        due_after(7_000_400, after(Period::from_secs(0)), None);
        due_after(7_000_400, micros(9_000_000), Some(9_000_000));
        due_after(7_000_400, micros(9_000_001), Some(9_001_000));
        due_after(7_000_400, micros(7_000_401), Some(7_001_000));
        due_after(7_000_400, micros(7_000_400), None);
        due_after(-1_500, after(Period::from_millis(1)), Some(0));
    }

    #[test]
    fn an_event_that_says_how_long_it_is_kept_is_put_off_for_no_longer() {
        due(kept(30 * DAY, after(Period::from_secs(30 * DAY))), Ok(Some(30 * 86_400_000)));
        due(
            kept(60, after(Period::from_secs(61))),
            Err("delay: must not be more than 1m ahead: the event is not kept for longer"),
        );
        due(
            kept(365 * DAY, after(Period::from_secs(31 * DAY))),
            Err("delay: must not be more than 30d ahead"),
        );
    }

    #[test]
    fn retention() {
        let wrong = "retention: must lie between 1m and 365d";
        for (secs, expect) in [
            (0, Err(wrong)),
            (59, Err(wrong)),
            (60, Ok(None)),
            (365 * DAY, Ok(None)),
            (365 * DAY + 1, Err(wrong)),
        ] {
            due(kept(secs, Wishes::default()), expect);
        }
    }

    #[test]
    fn metadata_has_bounds() {
        let metadata = Metadata::from([("n".repeat(101), String::new())]);
        let expect = "metadata: must not have names longer than 100 bytes, or values longer than 500";
        due(Wishes { metadata, ..Wishes::default() }, Err(expect));
    }
}
