//! Any store against the reference: the same operations, drawn at random, must be answered in the same way, and leave
//! behind what looks the same.
//!
//! ```ignore
//! proptest! {
//!     #![proptest_config(model::config())]
//!     #[test]
//!     fn it_does_what_the_reference_does(ops in model::ops()) {
//!         runtime.block_on(model::check(SqliteFixture::new(), &ops));
//!     }
//! }
//! ```

// A test that is compiled as a library.
#![allow(clippy::expect_used)]

mod draw;
mod op;
mod side;
mod sight;

pub use draw::ops;
pub use op::Op;

use posthaste_store::conformance::Fixture;
use proptest::test_runner::Config;

use crate::MemoryStore;
use side::Side;
use sight::Sight;

/// How many operations pass between two looks at everything.
const LOOK_EVERY: usize = 5;

/// So many cases as take some seconds, unless `PROPTEST_CASES` wants others.
pub fn config() -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Config::default();
    Config { cases: if asked { config.cases } else { 128 }, ..config }
}

/// Does everything to `subject`, an empty store, and to a [`MemoryStore`], and fails where they differ, or where an
/// invariant does not hold.
pub async fn check(subject: impl Fixture, ops: &[Op]) {
    let mut subject = Side::new(subject).await;
    let mut reference = Side::new(MemoryStore::default()).await;
    for (n, op) in ops.iter().enumerate() {
        let expected = reference.perform(op).await;
        let answer = subject.perform(op).await;
        assert_eq!(answer.text, expected.text, "the answer to operation {n}, {op:?}");
        assert!(answer.comes_in_time(&expected), "operation {n}, {op:?}: {answer:?}, expected {expected:?}");
        if n % LOOK_EVERY == 0 || matches!(op, Op::Crash { .. }) {
            look(&subject, &reference, &format!("after operation {n}, {op:?}")).await;
        }
    }
    look(&subject, &reference, "in the end").await;
    subject.check_filters().await;
}

async fn look(subject: &Side, reference: &Side, when: &str) {
    let (seen, expected) = (Sight::of(subject).await, Sight::of(reference).await);
    assert_eq!(seen.neutral(), expected.neutral(), "what is shown {when}");
    for (name, side, sight) in [("the subject", subject, &seen), ("the reference", reference, &expected)] {
        let broken = side.broken(sight);
        assert!(broken.is_empty(), "{name} {when}: {broken:?}");
    }
}
