//! The Redis store does what the reference does, whatever is done to it, on one server.

mod fixture;

use posthaste_testkit::model;
use proptest::proptest;

proptest! {
    #![proptest_config(model::config())]

    #[test]
    fn it_does_what_the_reference_does(ops in model::ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { model::check(fixture::standalone().await, &ops).await });
    }
}
