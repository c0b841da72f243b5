//! The real binary over HTTP, with real receivers: what users see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]
#![allow(clippy::print_stdout, reason = "whoever repeats a run wants its seed, and what it showed")]

mod audit;
mod bad_input;
mod console;
mod crash;
mod delivery;
mod demo;
mod doctor;
mod endpoints;
mod engine;
mod filters;
mod health;
mod home;
mod http;
mod keys;
mod methods;
mod metrics;
mod mtls;
mod publishing;
mod redis;
mod replaying;
mod requests;
mod roles;
mod schemas;
mod service;
mod shutdown;
mod signatures;
mod startup;
mod subscriber;
mod verifiers;
mod verify;
