//! The scripts: one file for each operation, put together with what they have in common.

use std::sync::LazyLock;

use redis::{Cmd, Script};

/// One operation, as the server runs it.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    repeated: Repeated,
    script: LazyLock<(String, String)>,
}

/// What an operation says that is done again at once, because its answer was lost. None is done twice by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeated {
    /// What it had said.
    TheSame,
    /// That there was nothing to do.
    Nothing,
}

impl Operation {
    /// Whether it answers the same when it is done again at once.
    pub(crate) fn answers_again(&self) -> bool {
        self.repeated == Repeated::TheSame
    }

    /// A call for a server that knows the script. `base` is what the names of the partition's keys begin with.
    pub(crate) fn by_hash(&self, base: &str, fill: impl Fn(&mut Cmd)) -> Cmd {
        call("EVALSHA", &self.script.0, base, fill)
    }

    /// The same for any server.
    pub(crate) fn whole(&self, base: &str, fill: impl Fn(&mut Cmd)) -> Cmd {
        call("EVAL", &self.script.1, base, fill)
    }
}

fn call(how: &str, script: &str, base: &str, fill: impl Fn(&mut Cmd)) -> Cmd {
    let mut call = redis::cmd(how);
    // The second key, which never exists, keeps scripts away from a slot that a cluster is just moving, when some of the
    // partition is here and some there: a call that names several keys is only served where all of them are.
    call.arg(script).arg(2).arg(base).arg(format!("{base}:"));
    fill(&mut call);
    call
}

fn load(source: &str) -> (String, String) {
    (Script::new(source).get_hash().to_owned(), source.to_owned())
}

/// An operation: its file, and what it says when it is repeated. Operations that make room, now or later, and the one that
/// tells who asked for them are allowed when the server has no memory left (`allow-oom`). One that is long has parts in a
/// folder of its name.
macro_rules! operation {
    ($name:ident, $file:literal, $repeated:ident $(, $flags:literal)? $(; $($part:literal),+)?) => {
        pub(crate) static $name: Operation = Operation {
            name: $file,
            repeated: Repeated::$repeated,
            script: LazyLock::new(|| {
                load(concat!(
                    "#!lua", $(" flags=", $flags,)? "\n",
                    include_str!("lua/common/keys.lua"),
                    include_str!("lua/common/aside.lua"),
                    include_str!("lua/common/turns.lua"),
                    include_str!("lua/common/trouble.lua"),
                    include_str!("lua/common/record.lua"),
                    include_str!("lua/common/leases.lua"),
                    include_str!("lua/common/order.lua"),
                    include_str!("lua/common/endpoints.lua"),
                    include_str!("lua/common/shown.lua"),
                    $($(include_str!(concat!("lua/", $file, "/", $part, ".lua")),)+)?
                    include_str!(concat!("lua/", $file, ".lua")),
                ))
            }),
        };
    };
}

operation!(ACCEPT, "accept", TheSame);
operation!(API_KEYS, "api_keys", TheSame, "no-writes");
operation!(ATTEND, "attend", TheSame, "allow-oom");
operation!(AUDIT, "audit", TheSame, "no-writes");
operation!(BACKLOG, "backlog", TheSame, "no-writes");
operation!(CANCEL, "cancel", Nothing, "allow-oom");
operation!(CLAIM, "claim", TheSame, "allow-oom");
operation!(COUNT, "count", Nothing);
operation!(CREATE_API_KEY, "create_api_key", TheSame);
operation!(CREATE_ENDPOINT, "create_endpoint", TheSame);
operation!(CREATE_REPLAY, "create_replay", TheSame);
operation!(DELETE_API_KEY, "delete_api_key", Nothing, "allow-oom");
operation!(DELETE_ENDPOINT, "delete_endpoint", Nothing, "allow-oom");
operation!(DELETE_TENANT, "delete_tenant", Nothing, "allow-oom");
operation!(DELETE_TOPIC, "delete_topic", Nothing, "allow-oom");
operation!(ENDPOINT, "endpoint", TheSame, "no-writes");
operation!(ENDPOINTS, "endpoints", TheSame, "no-writes");
operation!(EVENTS, "events", TheSame, "no-writes");
operation!(INDEX, "index", TheSame, "allow-oom");
operation!(LEASE, "lease", TheSame, "allow-oom"; "call", "again", "asked", "turn", "line");
operation!(NOTICES, "notices", TheSame, "allow-oom");
operation!(PARK, "park", TheSame, "allow-oom");
operation!(PRUNE, "prune", Nothing, "allow-oom");
operation!(PUT_TENANT, "put_tenant", Nothing);
operation!(PUT_TOPIC, "put_topic", Nothing);
operation!(READERS, "readers", TheSame, "allow-oom");
operation!(RECORD_AUDIT, "record_audit", TheSame, "allow-oom");
operation!(RECOVER, "recover", Nothing, "allow-oom");
operation!(REJECT, "reject", Nothing);
operation!(RELEASE, "release", TheSame, "allow-oom");
operation!(RENEW, "renew", TheSame, "allow-oom");
operation!(RENEW_TOPICS, "renew_topics", TheSame, "allow-oom");
operation!(REOPEN, "reopen", Nothing);
operation!(REPLAY, "replay", TheSame, "no-writes");
operation!(REPLAYS, "replays", TheSame, "no-writes");
operation!(RETRY, "retry", TheSame);
operation!(SEARCH, "search", TheSame, "no-writes");
operation!(SEND, "send", Nothing);
operation!(SETTLE, "settle", Nothing, "allow-oom");
operation!(STATS, "stats", TheSame, "no-writes");
operation!(SWEEP, "sweep", TheSame, "allow-oom");
operation!(TENANT, "tenant", TheSame, "no-writes");
operation!(TENANTS, "tenants", TheSame, "no-writes");
operation!(TOPICS, "topics", TheSame, "no-writes");
operation!(TOPICS_CHANGED, "topics_changed", TheSame, "allow-oom");
operation!(UPDATE_ENDPOINT, "update_endpoint", TheSame, "allow-oom");
operation!(UPDATE_REPLAY, "update_replay", Nothing, "allow-oom");
operation!(VIEW, "view", TheSame, "no-writes");

#[cfg(test)]
mod tests {
    use posthaste_store::{CLOCK_SLACK, Replay, StoreError};

    #[test]
    fn scripts_know_by_how_much_clocks_may_differ() {
        let said = format!("local SLACK = {} ", CLOCK_SLACK.as_millis());
        assert!(include_str!("lua/common/turns.lua").contains(&said), "{said}");
    }

    #[test]
    fn scripts_know_to_how_many_endpoints_an_event_goes() {
        let said = format!("local MOST = {}\n", StoreError::MOST_DELIVERIES);
        assert!(include_str!("lua/send.lua").contains(&said), "{said}");
    }

    #[test]
    fn scripts_know_how_many_replays_are_kept() {
        let said = format!("local REMEMBERED = {} ", Replay::MOST_OVER);
        assert!(include_str!("lua/update_replay.lua").contains(&said), "{said}");
    }
}
