//! How endpoints fare, as settlements tell it.

use posthaste_model::{Health, HealthEffect};
use posthaste_store::Told;

use crate::{fault::Outcome, key::millis, notices, rows, writer::Work};

/// Notes what an attempt says of its endpoint, unless that is deleted. Of a well endpoint that stays well nothing is
/// written.
pub(crate) fn note(work: &mut Work<'_>, endpoint_no: i64, effect: HealthEffect, now: i64) -> Outcome<()> {
    let Some(endpoint) = work.state.endpoint(work.conn, endpoint_no)? else { return Ok(()) };
    let before = endpoint.health;
    // Held no longer than it is read, or it would be copied when it changes.
    drop(endpoint);
    let (health, told) = follow(before, effect, now)?;
    if health != before
        && write(work, endpoint_no, health)?
        && let Some(told) = told
    {
        notices::leave(work.conn, endpoint_no, now, &told)?;
    }
    Ok(())
}

/// What becomes of the health, and what is to be told of that.
fn follow(before: Health, effect: HealthEffect, now: i64) -> Outcome<(Health, Option<Told>)> {
    match effect {
        HealthEffect::Well => {
            let failing_since = before.failing_since.filter(|_| before.warned > 0);
            Ok((Health::default(), failing_since.map(|failing_since| Told::Recovered { failing_since })))
        }
        HealthEffect::Failed { exhausted, warning } => {
            let since = before.failing_since.map_or_else(|| rows::time(now), Ok)?;
            let higher = warning.filter(|percent| *percent > before.warned);
            let health = Health {
                failing_since: Some(since),
                failures: before.failures.saturating_add(1),
                exhausted: before.exhausted.saturating_add(exhausted.into()),
                warned: higher.unwrap_or(before.warned),
            };
            Ok((health, higher.map(|percent| Told::Failing { since, percent })))
        }
    }
}

/// Writes the health of an endpoint; says whether there is one. It is no part of what a tenant's events are matched
/// against.
pub(crate) fn write(work: &mut Work<'_>, endpoint_no: i64, health: Health) -> Outcome<bool> {
    let Health { failing_since, failures, exhausted, warned } = health;
    let written = work
        .conn
        .prepare_cached(
            "UPDATE endpoints SET failing_since = ?, failures = ?, exhausted = ?, warned = ?
             WHERE no = ? AND deleted_at IS NULL",
        )?
        .execute((failing_since.map(millis), failures, exhausted, warned, endpoint_no))?;
    if written > 0 {
        work.state.show_health(endpoint_no, health);
    }
    Ok(written > 0)
}
