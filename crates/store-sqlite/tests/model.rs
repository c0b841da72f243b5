//! The SQLite store does what the reference does, whatever is done to it.

mod fixture;

use fixture::Sqlite;
use posthaste_testkit::model;
use proptest::proptest;

proptest! {
    #![proptest_config(model::config())]

    #[test]
    fn it_does_what_the_reference_does(ops in model::ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(model::check(Sqlite::new(), &ops));
    }
}
