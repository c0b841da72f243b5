//! When a failed delivery is tried again, as data. The arithmetic lives in `policy`.

use serde::{Deserialize, Serialize};

use crate::Period;

/// How often, and after which delays, a failed delivery is tried again.
///
/// As JSON either `{"schedule": ["5s", "5m"]}` or the fields of [`ExponentialRetry`]. Reading one validates it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RetryFields", into = "RetryFields")]
pub enum RetryPolicy {
    /// The delay before each retry, in order. The first attempt is immediate and not part of the list.
    Schedule(Vec<Period>),
    /// Delays that grow by a factor.
    Exponential(ExponentialRetry),
}

/// Delays that grow by a factor, with the parameters that the `backoff` crate made customary.
#[derive(Debug, Clone, PartialEq)]
pub struct ExponentialRetry {
    /// The delay before the first retry.
    pub initial_interval: Period,
    /// By what the delay grows from one retry to the next; at least 1.
    pub multiplier: f64,
    /// Share of each delay by which jitter may move it either way, 0 to 1.
    pub randomization_factor: f64,
    /// No delay grows beyond this.
    pub max_interval: Period,
    /// How long the delays may be in all, before jitter; none: no such bound. Time for which a delivery is held, waits for
    /// room or for what its receiver asked for does not count.
    pub max_elapsed_time: Option<Period>,
    /// Attempts in all, the first one included, at least 1.
    pub max_attempts: u32,
}

/// A retry policy that makes no sense, with the field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidRetry {
    /// The field, as the API names it.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl RetryPolicy {
    /// How long a policy's delays may be in all, before jitter: their sum, or `max_elapsed_time` where there is one.
    pub const MAX_LENGTH: Period = Period::from_secs(30 * 24 * 3600);
    /// The most attempts that a policy may allow.
    pub const MAX_ATTEMPTS: u32 = 100;

    /// A list of delays, one for each retry.
    ///
    /// # Errors
    /// When the list is empty, has more than [`Self::MAX_ATTEMPTS`] delays or lasts longer than [`Self::MAX_LENGTH`].
    pub fn schedule(delays: Vec<Period>) -> Result<Self, InvalidRetry> {
        let policy = Self::Schedule(delays);
        policy.validate()?;
        Ok(policy)
    }

    /// Checks the bounds; names the first field that is out of its own.
    fn validate(&self) -> Result<(), InvalidRetry> {
        let wrong = |field, reason: String| Err(InvalidRetry { field, reason });
        match self {
            Self::Schedule(delays) => {
                let length = delays.iter().fold(0_u64, |sum, delay| sum.saturating_add(delay.as_millis()));
                if delays.is_empty() {
                    wrong("schedule", "must name at least one delay".into())
                } else if delays.len() >= Self::MAX_ATTEMPTS as usize {
                    wrong("schedule", format!("must name fewer than {} delays", Self::MAX_ATTEMPTS))
                } else if length > Self::MAX_LENGTH.as_millis() {
                    wrong("schedule", format!("must not last longer than {} in all", Self::MAX_LENGTH))
                } else {
                    Ok(())
                }
            }
            Self::Exponential(retry) => {
                if retry.initial_interval.0.is_zero() {
                    wrong("initial_interval", "must be longer than zero".into())
                } else if !(1.0..=100.0).contains(&retry.multiplier) {
                    wrong("multiplier", "must lie between 1 and 100".into())
                } else if !(0.0..=1.0).contains(&retry.randomization_factor) {
                    wrong("randomization_factor", "must lie between 0 and 1".into())
                } else if retry.max_interval < retry.initial_interval {
                    wrong("max_interval", "must not be shorter than initial_interval".into())
                } else if retry.max_interval > Self::MAX_LENGTH {
                    wrong("max_interval", format!("must not be longer than {}", Self::MAX_LENGTH))
                } else if retry.max_elapsed_time.is_some_and(|t| t > Self::MAX_LENGTH) {
                    wrong("max_elapsed_time", format!("must not be longer than {}", Self::MAX_LENGTH))
                } else if !(1..=Self::MAX_ATTEMPTS).contains(&retry.max_attempts) {
                    wrong("max_attempts", format!("must lie between 1 and {}", Self::MAX_ATTEMPTS))
                } else if retry.max_elapsed_time.is_none()
                    && retry.length() > Self::MAX_LENGTH.0.as_secs_f64()
                {
                    let longest = Self::MAX_LENGTH;
                    wrong("max_attempts", format!("must not make delays of more than {longest} in all"))
                } else {
                    Ok(())
                }
            }
        }
    }
}

impl ExponentialRetry {
    /// The sum of all delays before jitter, in seconds. The parameters lie within their bounds.
    fn length(&self) -> f64 {
        let longest = self.max_interval.0.as_secs_f64();
        let grown = std::iter::successors(Some(self.initial_interval.0.as_secs_f64()), |delay| {
            Some((delay * self.multiplier).min(longest))
        });
        grown.zip(1..self.max_attempts).map(|(delay, _)| delay).sum()
    }
}

/// A retry policy as JSON has it: the fields of both forms, to be told apart by name.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetryFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<Vec<Period>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_interval: Option<Period>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multiplier: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    randomization_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_interval: Option<Period>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_elapsed_time: Option<Period>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
}

impl TryFrom<RetryFields> for RetryPolicy {
    type Error = InvalidRetry;

    fn try_from(fields: RetryFields) -> Result<Self, InvalidRetry> {
        let missing = |field| InvalidRetry { field, reason: "is missing".into() };
        let policy = match fields {
            RetryFields {
                schedule: Some(delays),
                initial_interval: None,
                multiplier: None,
                randomization_factor: None,
                max_interval: None,
                max_elapsed_time: None,
                max_attempts: None,
            } => Self::Schedule(delays),
            RetryFields { schedule: Some(_), .. } => {
                return Err(InvalidRetry {
                    field: "schedule",
                    reason: "cannot stand beside the fields of the exponential form".into(),
                });
            }
            fields => Self::Exponential(ExponentialRetry {
                initial_interval: fields.initial_interval.ok_or(missing("initial_interval"))?,
                multiplier: fields.multiplier.unwrap_or(2.0),
                randomization_factor: fields.randomization_factor.unwrap_or(0.1),
                max_interval: fields.max_interval.ok_or(missing("max_interval"))?,
                max_elapsed_time: fields.max_elapsed_time,
                max_attempts: fields.max_attempts.ok_or(missing("max_attempts"))?,
            }),
        };
        policy.validate()?;
        Ok(policy)
    }
}

impl From<RetryPolicy> for RetryFields {
    fn from(policy: RetryPolicy) -> Self {
        match policy {
            RetryPolicy::Schedule(delays) => Self { schedule: Some(delays), ..Self::default() },
            RetryPolicy::Exponential(retry) => Self {
                schedule: None,
                initial_interval: Some(retry.initial_interval),
                multiplier: Some(retry.multiplier),
                randomization_factor: Some(retry.randomization_factor),
                max_interval: Some(retry.max_interval),
                max_elapsed_time: retry.max_elapsed_time,
                max_attempts: Some(retry.max_attempts),
            },
        }
    }
}

impl Default for RetryPolicy {
    /// Ten attempts over some three days: at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
    fn default() -> Self {
        let delays = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        Self::Schedule(delays.map(Period::from_secs).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, wrong: Option<&str>) {
        match (serde_json::from_str::<RetryPolicy>(json), wrong) {
            (Ok(policy), None) => {
                let written = serde_json::to_string(&policy).unwrap();
                assert_eq!(serde_json::from_str::<RetryPolicy>(&written).unwrap(), policy, "{json}");
            }
            (Err(error), Some(wrong)) => assert!(error.to_string().contains(wrong), "{json}: {error}"),
            (result, _) => panic!("{json}: {result:?}"),
        }
    }

    #[test]
    fn bounds_of_a_list() {
        check(r#"{"schedule": ["5s", "5m"]}"#, None);
        check(r#"{"schedule": []}"#, Some("schedule: must name at least one"));
        check(r#"{"schedule": ["-5s"]}"#, Some("not a length of time"));
        check(r#"{"schedule": ["15d", "16d"]}"#, Some("schedule: must not last longer"));
        check(r#"{"schedule": ["5s"], "multiplier": 2}"#, Some("schedule: cannot stand beside"));
        check(r#"{"schedule": ["5s"], "extra": 1}"#, Some("unknown field `extra`"));
    }

    #[test]
    fn bounds_of_the_exponential_form() {
        let with = |field: &str, value: &str| {
            let mut fields = serde_json::json!({
                "initial_interval": "5s", "multiplier": 2.0, "randomization_factor": 0.1,
                "max_interval": "1h", "max_elapsed_time": "3d", "max_attempts": 10
            });
            fields[field] = serde_json::from_str(value).unwrap();
            fields.to_string()
        };
        check(&with("max_attempts", "1"), None);
        check(&with("max_elapsed_time", "null"), None);
        check(&with("initial_interval", "null"), Some("initial_interval: is missing"));
        check(&with("initial_interval", r#""0s""#), Some("initial_interval: must be longer"));
        check(&with("multiplier", "0.5"), Some("multiplier:"));
        check(&with("randomization_factor", "1.1"), Some("randomization_factor:"));
        check(&with("max_interval", r#""1s""#), Some("max_interval: must not be shorter"));
        check(&with("max_interval", r#""31d""#), Some("max_interval: must not be longer"));
        check(&with("max_elapsed_time", r#""31d""#), Some("max_elapsed_time:"));
        check(&with("max_attempts", "0"), Some("max_attempts:"));
        check("{}", Some("initial_interval: is missing"));
    }

    /// The first and the longest delay, the factor, the attempts, and until when they are made.
    #[test]
    fn the_exponential_form_ends_within_the_longest_time() {
        let policy = |(initial, max, multiplier, attempts, elapsed): (&str, &str, f64, u32, Option<&str>)| {
            let fields = serde_json::json!({
                "initial_interval": initial, "multiplier": multiplier, "max_interval": max,
                "max_elapsed_time": elapsed, "max_attempts": attempts
            });
            fields.to_string()
        };
        let too_long = Some("max_attempts: must not make delays of more than 720h in all");
        check(&policy(("30d", "30d", 1.0, 1, None)), None);
        check(&policy(("30d", "30d", 1.0, 2, None)), None);
        check(&policy(("30d", "30d", 1.0, 3, None)), too_long);
        check(&policy(("1d", "1d", 1.0, 31, None)), None);
        check(&policy(("1d", "1d", 1.0, 32, None)), too_long);
        // 1, 2, 4, 8 and 15 days; then one of 16.
        check(&policy(("1d", "15d", 2.0, 6, None)), None);
        check(&policy(("1d", "16d", 2.0, 6, None)), too_long);
        check(&policy(("1ms", "30d", 100.0, 100, None)), too_long);
        check(&policy(("1s", "1h", 2.0, 100, None)), None);
        // What would be longer ends when it is told to.
        check(&policy(("1d", "1d", 1.0, 100, Some("30d"))), None);
        check(&policy(("1d", "1d", 1.0, 2, Some("30d 1s"))), Some("max_elapsed_time: must not be longer"));
    }

    #[test]
    fn the_default_is_valid() {
        assert_eq!(RetryPolicy::default().validate(), Ok(()));
    }
}
