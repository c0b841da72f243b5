//! The reference store keeps the invariants, whatever is done to it.

use posthaste_testkit::{MemoryStore, model};
use proptest::proptest;

proptest! {
    #![proptest_config(model::config())]

    #[test]
    fn it_keeps_the_invariants(ops in model::ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(model::check(MemoryStore::default(), &ops));
    }
}
