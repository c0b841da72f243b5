//! What befalls a Redis store in the real world: servers that die, hang, fill up, refuse, lose answers or move. Each test
//! has servers of its own, and does to them what it wants.

// A test fails when its scene does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod proxy;
mod scene;
mod witness;

mod access;
mod cluster;
mod cut_back;
mod durability;
mod full;
mod inbox;
mod lost_reply;
mod newer;
mod outage;
mod refusals;
mod schema;
mod sentinel;
mod sharing;
mod stalled;
mod statistics;
