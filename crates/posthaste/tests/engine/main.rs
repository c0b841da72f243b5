//! The engine on real stores: dispatchers that come and go as processes do, and subscribers that do as they are told.
//!
//! Time is real here, and short. What takes long is in the simulation of `dispatch`, on paused time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]
#![allow(clippy::print_stdout, reason = "whoever repeats a run wants its seed, and what it showed")]

/// Makes a test of each function for each store: a function takes the store to run on.
macro_rules! on_every_store {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::backend::Backend::sqlite()).await;
                }
            )*
        }

        mod redis {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::backend::Backend::redis()).await;
                }
            )*
        }
    };
}

mod backend;
mod history;
mod invariants;
mod leases;
mod limits;
mod membership;
mod notices;
mod process;
mod reckoning;
mod restart;
mod seen;
mod subscribers;
mod watched;
mod world;
