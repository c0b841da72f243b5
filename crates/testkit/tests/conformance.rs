//! The reference store passes what every backend must pass.

use posthaste_store::{Durability, Store as _};
use posthaste_testkit::MemoryStore;

posthaste_store::conformance_suite!(MemoryStore::default());

mod partitioned {
    use super::*;

    posthaste_store::conformance_suite!(MemoryStore::with_partitions(5));
}

#[test]
fn what_it_acknowledges_is_not_durable() {
    assert_eq!(MemoryStore::default().durability(), Durability::Volatile);
}
