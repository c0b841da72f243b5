//! The Redis store passes what every backend must pass, on one server.

mod fixture;

posthaste_store::conformance_suite!(fixture::standalone().await);
