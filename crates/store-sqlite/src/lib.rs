//! The embedded store: one SQLite file, for one process.
//!
//! - One thread writes (`writer`): it groups whatever is waiting into one transaction and one `fsync`.
//! - Readers have connections of their own (`readers`) and never wait for the writer.
//! - Beside the tables the writer keeps memory (`state`): whose turn it is (`schedule`), which leases are live
//!   (`leases`), the catalogue that is in use. It is loaded from the tables, never the other way round; only who
//!   drives the deliveries, and what it throttles, is known to memory alone.
//! - A second process is refused at the door (`lock`).
//!
//! This is the only crate that knows SQL.

mod api_keys;
mod audit;
mod backlog;
mod catalogue;
mod deliveries;
mod delivery_search;
mod endpoints;
mod event_search;
mod fault;
mod given_up;
mod health;
mod intake;
mod key;
mod leases;
mod leasing;
mod line;
mod lock;
mod manual;
mod meta;
mod notices;
mod order;
mod queries;
mod queue;
mod readers;
mod recovery;
mod reopening;
mod repairs;
mod replays;
mod retention;
mod rows;
mod schedule;
mod schema;
mod search;
mod settling;
mod shared;
mod state;
mod stats;
mod store;
mod throttles;
mod turns;
mod writer;

pub use store::SqliteStore;
