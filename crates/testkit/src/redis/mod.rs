//! Real Redis servers, for tests and benchmarks: `redis-server` and `redis-cli` must be on the `PATH`.
//!
//! A server belongs to the process that started it and ends with it. Tests that need a database, and not a server that
//! they may kill, share one: [`shared_standalone`], [`shared_cluster`].
//!
//! Nothing here is async: a server starts within some hundredths of a second, a cluster within three seconds, whatever
//! the clock of the test's runtime says.

mod cluster;
mod process;
mod sentinel;
mod server;
mod shared;

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;
pub use server::{Persistence, RedisServer, ServerSetup};
pub use shared::{Shared, shared_cluster, shared_standalone, unique_prefix};

use std::hash::{BuildHasher as _, RandomState};

/// A number that nobody else has drawn. It keeps tests apart; it is no secret.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
