//! What happens, counted twice over: as instruments that Prometheus reads, and as figures for operators and subscribers,
//! which the store keeps by minutes and hours.
//!
//! | file | what |
//! |---|---|
//! | `telemetry` | what the API and the dispatcher tell |
//! | `instruments` | the metrics by name; `docs/metrics.md` explains them |
//! | `operation` | the calls to the store whose time is taken |
//! | `load` | what a dispatcher has under way |
//! | `memory` | how much memory the process has, and may have |
//! | `tallies` | what happened since it was last asked, by whom it concerns |
//! | `waiting` | what waits to be brought to the store |
//! | `keeper` | brings it there, and looks at the backlog |
//!
//! Whatever is kept here is bounded: no label names a tenant, an endpoint, a topic or a URL, and of the figures what there
//! is no room for is dropped, and counted. What a process counted that crashes is lost; nothing but figures depends on it.
//!
//! What is *not* here: no HTTP, no decision, no knowledge of a backend.

mod instruments;
mod keeper;
mod load;
mod memory;
mod operation;
mod tallies;
mod telemetry;
mod waiting;

pub use keeper::Keeper;
pub use load::Load;
pub use operation::Operation;
pub use telemetry::Telemetry;

use std::time::Duration;

/// How far back it is told what happened in which minute.
pub const MINUTES_TOLD: Duration = Duration::from_secs(3 * 3_600);
/// How far back it is told what happened in which hour.
pub const HOURS_TOLD: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long figures are kept by minutes: for longer than they are told, so that the first row is whole. It is up to 15
/// minutes long, and what it begins with that much older.
pub const MINUTES_KEPT: Duration = Duration::from_secs(MINUTES_TOLD.as_secs() + 16 * 60);
/// How long figures are kept by hours. Their rows are up to a day long.
pub const HOURS_KEPT: Duration = Duration::from_secs(HOURS_TOLD.as_secs() + 24 * 3_600);
