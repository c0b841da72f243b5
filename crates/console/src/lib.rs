//! The operators' console and the subscribers' portal: pages over the REST API.
//!
//! [`Console`] adds both to an HTTP server: `/console` for who has an API key, `/portal` for who has a portal link of a
//! tenant, or an API key that is bound to one. The same pages serve both; the portal has those that are a tenant's.
//!
//! Invariants:
//! - A page shows and does what the API does for the key of its session, and nothing else: the API alone authorizes.
//! - Everything works without the script. It only refreshes, copies, and remembers the theme.
//! - What comes from outside is text. Only `elements` and `charts`, which are made here, are markup.
//! - No session is kept here: the cookie holds it, sealed, so that any process can serve the next request.
//! - No request changes anything but a `POST` with the token of its session. A portal link begins a session, but takes
//!   the place of another tenant's only by such a `POST`.
//!
//! What is *not* here: no store, no dispatch, no route of the API. Nothing is loaded from elsewhere, at build or in the
//! browser.

mod assets;
mod body;
mod charts;
mod console;
mod curl;
mod door;
mod elements;
mod explain;
mod fault;
mod fields;
mod frame;
mod may;
mod names;
mod page;
mod pages;
mod paging;
mod posted;
mod search;
mod session;
mod visitor;
mod words;

pub use console::{Console, ConsoleSettings};
