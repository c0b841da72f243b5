//! The real binary over HTTP, with real receivers: what users see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]

mod bad_input;
mod crash;
mod delivery;
mod demo;
mod endpoints;
mod http;
mod service;
mod shutdown;
mod startup;
mod subscriber;
