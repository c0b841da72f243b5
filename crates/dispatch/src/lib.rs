//! Drives deliveries: lease, sign, send, decide, settle.
//!
//! | file | step |
//! |---|---|
//! | `dispatcher` | what is running, and how it is drained |
//! | `partition` | holds a partition and leases what is due |
//! | `attempt` | one lease: signs, sends, has `policy` decide |
//! | `envelope` | the bytes that a subscriber receives |
//! | `target` | what an endpoint's attempts have in common, made once |
//! | `settler` | writes what came of the attempts, many at a time |
//! | `patience` | waits out a store that is away |
//! | `upkeep` | gives back lost leases, forgets what is over |
//!
//! A permit goes with a delivery from its lease to its settlement, so that the permits bound everything that is in
//! memory. What waits for its time waits in the store.
//!
//! What is *not* here: no decision (that is `policy`), no socket (`egress`), no key (`signing`), no knowledge of a
//! backend, and nothing of our own API.

mod attempt;
mod dispatcher;
mod envelope;
mod partition;
mod patience;
mod settings;
mod settler;
mod shared;
mod target;
mod upkeep;

pub use dispatcher::{Dispatcher, Parts};
pub use envelope::{ENVELOPE_TYPE, envelope};
pub use settings::DispatchSettings;
