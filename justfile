# Short names for what people do often; the checks themselves live in scripts/test.

# Lists the recipes.
default:
    @just --list

# Checks everything, or the named steps: `just test clippy tests`.
test *steps:
    ./scripts/test {{ steps }}

# Checks format and lints.
lint:
    ./scripts/test fmt clippy

# Checks who may know whom.
rooms:
    ./scripts/test rooms

# Checks the dependency tree: bans, licenses, sources, advisories.
deny:
    ./scripts/test deny advisories

# Formats the code.
fmt:
    cargo fmt --all

# Shows signed deliveries as they happen, on the embedded store.
demo *flags:
    cargo run --release --locked -- demo {{ flags }}

# Measures throughput and latency end to end.
bench *flags:
    cargo run --release --locked -- bench {{ flags }}
