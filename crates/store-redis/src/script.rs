//! The scripts: one file for each operation, put together with what they have in common.

use std::sync::LazyLock;

use redis::{Cmd, Script};

/// One operation, as the server runs it.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    script: LazyLock<(String, String)>,
}

impl Operation {
    /// Whether it answers the same when it is done again at once. The others are done once, however often they are asked
    /// for, and say then that there was nothing to do.
    pub(crate) fn answers_again(&self) -> bool {
        !matches!(
            self.name,
            "cancel"
                | "delete_endpoint"
                | "delete_tenant"
                | "delete_topic"
                | "prune"
                | "put_tenant"
                | "put_topic"
                | "recover"
                | "reject"
                | "send"
                | "settle"
        )
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

/// Operations that make room, now or later, are allowed when the server has no memory left (`allow-oom`).
macro_rules! operation {
    ($name:ident, $file:literal $(, $flags:literal)?) => {
        pub(crate) static $name: Operation = Operation {
            name: $file,
            script: LazyLock::new(|| {
                load(concat!(
                    "#!lua", $(" flags=", $flags,)? "\n",
                    include_str!("lua/common/keys.lua"),
                    include_str!("lua/common/turns.lua"),
                    include_str!("lua/common/record.lua"),
                    include_str!("lua/common/leases.lua"),
                    include_str!("lua/common/endpoints.lua"),
                    include_str!(concat!("lua/", $file, ".lua")),
                ))
            }),
        };
    };
}

operation!(ACCEPT, "accept");
operation!(ATTEND, "attend", "allow-oom");
operation!(CANCEL, "cancel", "allow-oom");
operation!(CLAIM, "claim", "allow-oom");
operation!(CREATE_ENDPOINT, "create_endpoint");
operation!(DELETE_ENDPOINT, "delete_endpoint", "allow-oom");
operation!(DELETE_TENANT, "delete_tenant", "allow-oom");
operation!(DELETE_TOPIC, "delete_topic", "allow-oom");
operation!(ENDPOINT, "endpoint", "no-writes");
operation!(ENDPOINTS, "endpoints", "no-writes");
operation!(EVENTS, "events", "no-writes");
operation!(LEASE, "lease", "allow-oom");
operation!(NOTICES, "notices", "allow-oom");
operation!(PARK, "park", "allow-oom");
operation!(PRUNE, "prune", "allow-oom");
operation!(PUT_TENANT, "put_tenant");
operation!(PUT_TOPIC, "put_topic");
operation!(READERS, "readers", "allow-oom");
operation!(RECOVER, "recover", "allow-oom");
operation!(REJECT, "reject");
operation!(RELEASE, "release", "allow-oom");
operation!(RENEW, "renew", "allow-oom");
operation!(RENEW_TOPICS, "renew_topics", "allow-oom");
operation!(RETRY, "retry");
operation!(SEND, "send");
operation!(SETTLE, "settle", "allow-oom");
operation!(SWEEP, "sweep", "allow-oom");
operation!(TENANT, "tenant", "no-writes");
operation!(TENANTS, "tenants", "no-writes");
operation!(TOPICS, "topics", "no-writes");
operation!(TOPICS_CHANGED, "topics_changed", "allow-oom");
operation!(UPDATE_ENDPOINT, "update_endpoint", "allow-oom");
operation!(VIEW, "view", "no-writes");

#[cfg(test)]
mod tests {
    use posthaste_store::CLOCK_SLACK;

    #[test]
    fn scripts_know_by_how_much_clocks_may_differ() {
        let said = format!("local SLACK = {} ", CLOCK_SLACK.as_millis());
        assert!(include_str!("lua/common/turns.lua").contains(&said), "{said}");
    }
}
