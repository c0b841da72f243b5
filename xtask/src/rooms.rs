//! Who may know whom: the table behind "Who may know whom" in docs/ARCHITECTURE.md, and its check.

use std::collections::BTreeSet;

use crate::violation::Violation;
use crate::workspace::{Dependency, Package, Workspace};

/// A crate of the workspace and the crates of the workspace that it may depend on.
struct Room {
    name: &'static str,
    knows: &'static [&'static str],
}

/// Every crate of the workspace has exactly one row.
const ROOMS: &[Room] = &[
    Room { name: "posthaste-model", knows: &[] },
    Room { name: "posthaste-policy", knows: &["posthaste-model"] },
    Room { name: "posthaste-signing", knows: &["posthaste-model"] },
    Room { name: "posthaste-store", knows: &["posthaste-model"] },
    Room { name: "posthaste-store-redis", knows: &["posthaste-model", "posthaste-store"] },
    Room { name: "posthaste-store-sqlite", knows: &["posthaste-model", "posthaste-store"] },
    Room { name: "posthaste-telemetry", knows: &["posthaste-model", "posthaste-store"] },
    Room { name: "posthaste-egress", knows: &["posthaste-model"] },
    Room {
        name: "posthaste-dispatch",
        knows: &[
            "posthaste-egress",
            "posthaste-model",
            "posthaste-policy",
            "posthaste-signing",
            "posthaste-store",
            "posthaste-telemetry",
        ],
    },
    Room {
        name: "posthaste-api",
        knows: &[
            "posthaste-egress",
            "posthaste-model",
            "posthaste-policy",
            "posthaste-signing",
            "posthaste-store",
            "posthaste-telemetry",
        ],
    },
    Room { name: "posthaste-client", knows: &["posthaste-model"] },
    Room { name: "posthaste-console", knows: &["posthaste-client", "posthaste-model", "posthaste-signing"] },
    Room {
        name: "posthaste",
        knows: &[
            "posthaste-api",
            "posthaste-client",
            "posthaste-console",
            "posthaste-dispatch",
            "posthaste-egress",
            "posthaste-model",
            "posthaste-policy",
            "posthaste-signing",
            "posthaste-store",
            "posthaste-store-redis",
            "posthaste-store-sqlite",
            "posthaste-telemetry",
        ],
    },
    Room { name: TESTKIT, knows: &["posthaste-model", "posthaste-store"] },
    Room { name: BENCHES, knows: &[] },
    Room { name: "xtask", knows: &[] },
];

/// What tests share: any crate's tests may use it, no shipped code may.
const TESTKIT: &str = "posthaste-testkit";

/// Measures every part, and has nothing but benchmarks: all that it depends on is for development.
const BENCHES: &str = "posthaste-benches";

/// Crates whose tests or benchmarks may know every other crate: they prove that the parts fit, or measure them.
const TESTS_KNOW_ALL: &[&str] = &["posthaste-store-redis", "posthaste-store-sqlite", TESTKIT, BENCHES];

/// External crates that belong to a few rooms.
struct Reservation {
    crates: &'static [&'static str],
    /// The crates that may depend on them.
    rooms: &'static [&'static str],
    /// The crates whose tests may, too.
    tests: &'static [&'static str],
    rule: &'static str,
}

const RESERVED: &[Reservation] = &[
    Reservation {
        crates: &["reqwest"],
        rooms: &["posthaste-egress", "posthaste-client"],
        tests: &["posthaste"],
        rule: "only egress speaks HTTP to customers, only client to our own API",
    },
    Reservation {
        crates: &["rusqlite"],
        rooms: &["posthaste-store-sqlite"],
        tests: &[],
        rule: "only store-sqlite knows SQL",
    },
    Reservation {
        crates: &["redis"],
        rooms: &["posthaste-store-redis"],
        tests: &[],
        rule: "only store-redis knows Redis",
    },
    Reservation {
        crates: &["prometheus-client"],
        rooms: &["posthaste-telemetry"],
        tests: &[],
        rule: "only telemetry has metrics, so that their names and labels are in one place",
    },
    Reservation {
        crates: &["actix-web", "utoipa", "utoipa-actix-web"],
        rooms: &["posthaste-api", "posthaste-console", "posthaste"],
        tests: &[],
        rule: "only api, console and the composition root serve HTTP",
    },
    Reservation {
        crates: &["hmac", "sha1", "ed25519-dalek", "chacha20poly1305"],
        rooms: &["posthaste-signing"],
        tests: &[],
        rule: "only signing signs and seals",
    },
    Reservation {
        crates: &["sha2"],
        rooms: &["posthaste-signing", "posthaste-api"],
        tests: &[],
        rule: "only signing hashes, and api for key digests and cursor fingerprints",
    },
    Reservation {
        crates: &["backoff"],
        rooms: &["posthaste-policy", "posthaste-dispatch", "posthaste-store-redis"],
        tests: &[],
        rule: "unmaintained, so kept replaceable: one file in policy, one for each loop that waits for a store",
    },
];

/// Crates that neither wait nor reach out, tests included: a table drives them.
const GROUND_FLOOR: &[&str] =
    &["posthaste-model", "posthaste-policy", "posthaste-signing", "posthaste-store"];

/// Runtimes and network clients, as far as [`RESERVED`] does not bar them already.
const NOT_ON_GROUND_FLOOR: &[&str] = &["hyper", "tokio", "tokio-rustls", "tokio-util"];

const GROUND_FLOOR_RULE: &str = "model, policy, signing and store are pure: no runtime, no network";

/// Compares every dependency of every member with the tables above.
pub(crate) fn check(workspace: &Workspace) -> Vec<Violation> {
    let members: BTreeSet<_> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let mut violations: Vec<_> = ROOMS
        .iter()
        .filter(|room| !members.contains(room.name))
        .map(|room| Violation::EmptyRoom { who: room.name })
        .collect();
    for package in &workspace.packages {
        let Some(room) = ROOMS.iter().find(|room| room.name == package.name) else {
            violations.push(Violation::UnknownRoom { who: package.name.clone() });
            continue;
        };
        for dependency in &package.dependencies {
            violations.extend(if members.contains(dependency.name.as_str()) {
                check_acquaintance(room, dependency)
            } else {
                check_reservation(package, dependency)
            });
        }
    }
    violations
}

fn check_acquaintance(room: &Room, dependency: &Dependency) -> Option<Violation> {
    let whom = dependency.name.as_str();
    let tests_may = dependency.is_dev() && (whom == TESTKIT || TESTS_KNOW_ALL.contains(&room.name));
    (!tests_may && !room.knows.contains(&whom)).then(|| Violation::Stranger {
        who: room.name.to_owned(),
        whom: whom.to_owned(),
        knows: room.knows,
    })
}

fn check_reservation(package: &Package, dependency: &Dependency) -> Option<Violation> {
    let (who, whom) = (package.name.as_str(), dependency.name.as_str());
    let reserved = RESERVED.iter().find(|reserved| {
        reserved.crates.contains(&whom)
            && !reserved.rooms.contains(&who)
            && !(dependency.is_dev() && reserved.tests.contains(&who))
    });
    let impure = GROUND_FLOOR.contains(&who) && NOT_ON_GROUND_FLOOR.contains(&whom);
    let rule = reserved.map(|reserved| reserved.rule).or(impure.then_some(GROUND_FLOOR_RULE))?;
    Some(Violation::OutOfBounds { who: who.to_owned(), whom: whom.to_owned(), rule })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NORMAL: Value = Value::Null;

    fn dev() -> Value {
        json!("dev")
    }

    fn package(name: &str, dependencies: Value) -> Value {
        json!({ "name": name, "manifest_path": format!("/repo/{name}/Cargo.toml"), "dependencies": dependencies })
    }

    #[track_caller]
    fn check_packages(packages: Vec<Value>, expect: &[&str]) {
        let workspace =
            serde_json::from_value(json!({ "workspace_root": "/repo", "packages": packages })).unwrap();
        let found: Vec<_> = check(&workspace).iter().map(ToString::to_string).collect();
        assert_eq!(found, expect);
    }

    /// A workspace that has every room, where `who` depends on `whom` and nobody else on anybody.
    #[track_caller]
    fn check_edge(who: &str, whom: &str, kind: Value, expect: Option<&str>) {
        let packages = ROOMS
            .iter()
            .map(|room| {
                let edges =
                    if room.name == who { json!([{ "name": whom, "kind": kind }]) } else { json!([]) };
                package(room.name, edges)
            })
            .collect();
        let line = expect.map(|rule| format!("{who} -> {whom}: {rule} (see docs/ARCHITECTURE.md)"));
        check_packages(packages, &line.as_deref().into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn rooms_know_what_their_row_lists() {
        check_edge("posthaste-policy", "posthaste-model", NORMAL, None);
        check_edge("posthaste-api", "posthaste-store", NORMAL, None);
        check_edge("posthaste", "posthaste-store-sqlite", NORMAL, None);
        check_edge("posthaste-api", "serde", NORMAL, None);
    }

    #[test]
    fn rooms_know_nobody_else() {
        let both = "may know only posthaste-egress, posthaste-model, posthaste-policy, posthaste-signing, \
                    posthaste-store, posthaste-telemetry";
        let api = format!("posthaste-api {both}");
        let dispatch = format!("posthaste-dispatch {both}");
        check_edge("posthaste-api", "posthaste-dispatch", NORMAL, Some(&api));
        check_edge("posthaste-api", "posthaste-dispatch", dev(), Some(&api));
        check_edge("posthaste-api", "posthaste-dispatch", json!("build"), Some(&api));
        check_edge("posthaste-dispatch", "posthaste-api", NORMAL, Some(&dispatch));
        check_edge("posthaste-dispatch", "posthaste-store-sqlite", NORMAL, Some(&dispatch));
        check_edge(
            "posthaste-model",
            "posthaste-store",
            NORMAL,
            Some("posthaste-model may know no crate of the workspace"),
        );
    }

    #[test]
    fn tests_may_use_the_testkit_and_shipped_code_may_not() {
        check_edge("posthaste-egress", "posthaste-testkit", dev(), None);
        check_edge(
            "posthaste-egress",
            "posthaste-testkit",
            NORMAL,
            Some("posthaste-egress may know only posthaste-model"),
        );
        check_edge("posthaste-testkit", "posthaste-store-sqlite", dev(), None);
        check_edge(
            "posthaste-testkit",
            "posthaste-store-sqlite",
            NORMAL,
            Some("posthaste-testkit may know only posthaste-model, posthaste-store"),
        );
    }

    #[test]
    fn benchmarks_may_know_anything_and_are_not_shipped() {
        for room in ROOMS {
            check_edge(BENCHES, room.name, dev(), None);
        }
        let stranger = "posthaste-benches may know no crate of the workspace";
        check_edge(BENCHES, "posthaste-store-sqlite", NORMAL, Some(stranger));
        check_edge(BENCHES, "rusqlite", dev(), Some("only store-sqlite knows SQL"));
    }

    #[test]
    fn reserved_crates_stay_in_their_rooms() {
        for reserved in RESERVED {
            for whom in reserved.crates {
                check_edge("xtask", whom, NORMAL, Some(reserved.rule));
                check_edge("xtask", whom, dev(), Some(reserved.rule));
                for who in reserved.rooms.iter().filter(|who| ROOMS.iter().any(|room| room.name == **who)) {
                    check_edge(who, whom, NORMAL, None);
                }
                for who in reserved.tests {
                    check_edge(who, whom, dev(), None);
                    check_edge(who, whom, NORMAL, Some(reserved.rule));
                }
            }
        }
    }

    #[test]
    fn the_ground_floor_is_pure() {
        for who in GROUND_FLOOR {
            check_edge(who, "tokio", NORMAL, Some(GROUND_FLOOR_RULE));
            check_edge(who, "tokio", dev(), Some(GROUND_FLOOR_RULE));
            check_edge(
                who,
                "reqwest",
                NORMAL,
                Some("only egress speaks HTTP to customers, only client to our own API"),
            );
        }
        check_edge("posthaste-dispatch", "tokio", NORMAL, None);
    }

    #[test]
    fn table_and_workspace_have_the_same_crates() {
        let mut packages: Vec<_> = ROOMS.iter().map(|room| package(room.name, json!([]))).collect();
        packages.push(package("posthaste-newcomer", json!([])));
        packages.retain(|package| package["name"] != "posthaste-client");
        check_packages(
            packages,
            &[
                "posthaste-client: has a row in xtask/src/rooms.rs, but the workspace has no such crate \
                 (see docs/ARCHITECTURE.md)",
                "posthaste-newcomer: give it a row in xtask/src/rooms.rs that says whom it may know \
                 (see docs/ARCHITECTURE.md)",
            ],
        );
    }

    /// The sentences of docs/ARCHITECTURE.md that a careless edit of the table would break.
    #[test]
    fn the_table_keeps_the_invariants_of_absence() {
        for room in ROOMS {
            for whom in room.knows {
                assert!(
                    !whom.starts_with("posthaste-store-") || room.name == "posthaste",
                    "{} names the backend {whom}",
                    room.name
                );
                assert!(
                    !["posthaste", "xtask", TESTKIT, BENCHES].contains(whom),
                    "{} ships what nobody may depend on: {whom}",
                    room.name
                );
                assert!(
                    !GROUND_FLOOR.contains(&room.name) || *whom == "posthaste-model",
                    "{} stands on the ground floor, but knows {whom}",
                    room.name
                );
                assert!(
                    !["posthaste-api", "posthaste-dispatch"].contains(whom) || room.name == "posthaste",
                    "{} knows {whom}: api and dispatch meet in the store",
                    room.name
                );
            }
        }
    }
}
