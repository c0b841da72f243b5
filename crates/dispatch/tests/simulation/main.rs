//! The dispatcher on paused time: between the reference store, which may fail, and subscribers that do as a script says.

// Not every function here is marked as a test, but all of it is one.
#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod chaos;
mod delivering;
mod draining;
mod endpoints;
mod failing;
mod fairness;
mod flow;
mod handover;
mod handshakes;
mod health;
mod later;
mod limits;
mod load;
mod manual;
mod ordered;
mod outage;
mod ownership;
mod process;
mod reckoning;
mod replaying;
mod retrying;
mod rotation;
mod seen;
mod sharing;
mod subscribers;
mod telling;
mod token;
mod two_drivers;
mod upkeep;
mod wire;
mod world;
