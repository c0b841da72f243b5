//! The SQLite store passes what every backend must pass.

mod fixture;

use fixture::Sqlite;
use posthaste_store::{Durability, conformance::Fixture as _};

posthaste_store::conformance_suite!(Sqlite::new());

#[test]
fn what_it_acknowledges_is_on_disk() {
    assert_eq!(Sqlite::new().store().durability(), Durability::Disk);
}
