//! What is done with endpoints, events and deliveries by hand, and what receivers see of limits and order: the same on
//! every store.

/// Makes a test of each function for each store: a function takes the stage to play on.
macro_rules! on_every_store {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::engine::stage::Stage::sqlite().await).await;
                }
            )*
        }

        mod redis {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::engine::stage::Stage::redis().await).await;
                }
            )*
        }
    };
}

mod handshakes;
mod limits;
mod publishing;
mod repairs;
mod stage;
mod states;
mod trying_out;
