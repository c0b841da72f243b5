//! The store past one process: Redis 7 or Valkey, standalone, behind Sentinel, or a cluster.
//!
//! Every operation of the contract is one call of one script (`lua/`), which runs in one step on the server that has the
//! tenant's partition: nothing is locked, and nothing is half-written. What this crate adds around the scripts:
//!
//! | file | what |
//! |---|---|
//! | `layout` | the keys, and what each holds |
//! | `url`, `link`, `outage` | connections, made anew when they break, and said once |
//! | `script`, `reply`, `fault` | calling a script, reading its answer, telling what went wrong |
//! | `gather`, `accepting`, `settling` | many callers' jobs in one call |
//! | `leasing`, `recovery`, `retention`, `pressure` | the rest of a delivery's life |
//! | `queries`, `search`, `merge`, `place`, `shown`, `backlog` | what operators read, of one tenant and of all |
//! | `repairs`, `replays`, `notices` | what operators do by hand, and what they are told |
//! | `api_keys`, `audit` | keys of the API, and who changed what |
//! | `statistics` | what happened, counted |
//! | `envelope`, `record`, `endpoints`, `topics` | how things are packed |
//! | `views`, `recent` | what is kept at hand |
//! | `waking` | hearing of other processes' work |
//! | `inbox` | the stream that producers may write to themselves |
//! | `examine` | how durable, how full, how old the servers are |
//!
//! Invariants: a call that is made twice, because its answer was lost, is done once. What a script needs that drains the
//! store is allowed when memory is full; what fills it is not, but for the audit, which is bounded. What is kept at hand is
//! checked by the server whenever something is decided by it.
//!
//! What is *not* here: no decision about a delivery (that is `policy`), no time that decides about one but what is passed
//! in (the server's clock numbers versions, this machine's paces connections), and no key that is not in `layout`.

mod accepting;
mod api_keys;
mod audit;
mod backlog;
mod catalogue;
mod deliveries;
mod endpoints;
mod envelope;
mod examine;
mod fault;
mod gather;
mod inbox;
mod intake;
mod layout;
mod leasing;
mod link;
mod merge;
mod notices;
mod outage;
mod page;
mod place;
mod pressure;
mod queries;
mod recent;
mod record;
mod recovery;
mod repairs;
mod replays;
mod reply;
mod retention;
mod script;
mod search;
mod settling;
mod shared;
mod shown;
mod statistics;
mod store;
mod topics;
mod url;
mod views;
mod waking;

pub use store::{RedisSettings, RedisStore};
pub use url::{InvalidRedisUrl, RedisUrl};
