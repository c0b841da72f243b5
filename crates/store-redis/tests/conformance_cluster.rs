//! The Redis store passes what every backend must pass, on a cluster of three primaries.

mod fixture;

posthaste_store::conformance_suite!(fixture::cluster().await);
