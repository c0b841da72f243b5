//! Drives deliveries: lease, sign, send, decide, settle.
//!
//! | file | step |
//! |---|---|
//! | `dispatcher` | what is running, and how it is drained |
//! | `membership` | says that this process is there, hears who else is |
//! | `share` | how many partitions that leaves it, and which first |
//! | `ownership` | takes what is missing of the share, gives up what is too much |
//! | `hold` | one partition, from its claim to its handover |
//! | `leasing` | leases what is due, and sets attempts going |
//! | `gates` | what is under way to whom, and the room that their limits leave |
//! | `attempt` | one lease: sends its request, has `policy` decide |
//! | `request` | makes the request of an attempt, and signs it |
//! | `body` | the bytes that a subscriber receives |
//! | `handshake` | what an endpoint is asked before it is sent anything else |
//! | `sent` | what was sent, as it is told to people |
//! | `echo` | takes what was shown in confidence out of the answer |
//! | `target` | what an endpoint's attempts have in common, made once |
//! | `token` | fetches what an endpoint's receiver wants to be shown, and keeps it |
//! | `settler` | writes what came of a hold's attempts, many at a time |
//! | `announcing` | publishes what operators are to be told |
//! | `replaying` | opens again what replays ask for |
//! | `upkeep` | gives back lost leases, forgets what is over |
//! | `patience` | waits out a store that is away, and says so once |
//! | `alarm` | tells of a task that died |
//! | `stage` | running, draining, drained |
//!
//! A permit goes with a delivery from its lease to its settlement, so that the permits bound everything that is in
//! memory. What waits for its time, or for room, waits in the store.
//!
//! What is *not* here: no decision (that is `policy`), no socket (`egress`), no key (`signing`), no knowledge of a
//! backend, and nothing of our own API.

mod alarm;
mod announcing;
mod attempt;
mod body;
mod dispatcher;
mod echo;
mod gates;
mod handshake;
mod hold;
mod leasing;
mod membership;
mod ownership;
mod patience;
mod replaying;
mod request;
mod sent;
mod settings;
mod settler;
mod share;
mod shared;
mod stage;
mod target;
mod token;
mod upkeep;

pub use body::Body;
pub use dispatcher::{Dispatcher, Parts};
pub use settings::{DispatchSettings, WireSettings};
