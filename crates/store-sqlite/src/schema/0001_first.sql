-- Times are Unix milliseconds. `no` and `seq` are internal numbers that never leave the store.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    no         INTEGER PRIMARY KEY,
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
-- A deleted tenant's id is free again; its events stay until retention takes them.
CREATE UNIQUE INDEX tenants_by_id ON tenants (id) WHERE deleted_at IS NULL;

CREATE TABLE topics (
    name        TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    example     TEXT,
    archived    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoints (
    no           INTEGER PRIMARY KEY,
    id           BLOB NOT NULL UNIQUE,
    tenant_no    INTEGER NOT NULL REFERENCES tenants (no),
    url          TEXT NOT NULL,
    topics       TEXT NOT NULL,
    description  TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    timeout_ms   INTEGER,
    retry        TEXT,
    state        INTEGER NOT NULL,
    state_reason TEXT,
    parked_until INTEGER,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER
) STRICT;
CREATE INDEX endpoints_by_tenant ON endpoints (tenant_no) WHERE deleted_at IS NULL;

-- Newest first: rank 0 is the current secret.
CREATE TABLE endpoint_secrets (
    endpoint_no INTEGER NOT NULL REFERENCES endpoints (no),
    rank        INTEGER NOT NULL,
    sealed      BLOB NOT NULL,
    expires_at  INTEGER,
    PRIMARY KEY (endpoint_no, rank)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq          INTEGER PRIMARY KEY,
    tenant_no    INTEGER NOT NULL REFERENCES tenants (no),
    id           TEXT NOT NULL,
    topic        TEXT NOT NULL,
    content_type TEXT,              -- NULL: a JSON value that is sent in the standard envelope
    payload      BLOB NOT NULL,     -- the bytes as they were published
    deliveries   INTEGER NOT NULL,
    accepted_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_id ON events (tenant_no, id);
CREATE INDEX events_by_tenant ON events (tenant_no);

-- The n-th delivery of an event. `due_at` is set exactly while `state` is 0 (scheduled). Held and in flight are not
-- written here: held is scheduled on a paused endpoint, in flight is scheduled with a live lease.
CREATE TABLE deliveries (
    event_seq    INTEGER NOT NULL REFERENCES events (seq),
    n            INTEGER NOT NULL,
    endpoint_no  INTEGER NOT NULL REFERENCES endpoints (no),
    state        INTEGER NOT NULL,
    leases       INTEGER NOT NULL,  -- that are over
    attempts     INTEGER NOT NULL,
    failures     INTEGER NOT NULL,
    due_at       INTEGER,
    last_status  INTEGER,
    last_error   INTEGER,
    completed_at INTEGER,
    PRIMARY KEY (event_seq, n)
) STRICT, WITHOUT ROWID;
-- The queue of each endpoint.
CREATE INDEX deliveries_due ON deliveries (endpoint_no, due_at, event_seq, n) WHERE due_at IS NOT NULL;

CREATE TABLE attempts (
    event_seq     INTEGER NOT NULL,
    n             INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    id            BLOB NOT NULL,
    started_at    INTEGER NOT NULL,
    queued_us     INTEGER NOT NULL,
    first_byte_us INTEGER,
    total_us      INTEGER NOT NULL,
    status        INTEGER,          -- NULL: no reply, see error and detail
    headers       TEXT,
    body          BLOB,
    truncated     INTEGER,
    error         INTEGER,
    detail        TEXT,
    PRIMARY KEY (event_seq, n, number),
    FOREIGN KEY (event_seq, n) REFERENCES deliveries (event_seq, n)
) STRICT, WITHOUT ROWID;

-- What was leased and not yet settled, a row for each lease call: after a crash it says which requests may have
-- been under way. While the process lives, its memory knows.
CREATE TABLE lease_journal (
    batch      INTEGER PRIMARY KEY, -- the number of the first lease; the others follow
    epoch      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    entries    BLOB NOT NULL        -- each a delivery, and how many of its leases were over: one more, and this one is
) STRICT;
