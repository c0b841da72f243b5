-- Where the time of an attempt went, and what was sent.
ALTER TABLE attempts ADD COLUMN dns_us INTEGER;
ALTER TABLE attempts ADD COLUMN connect_us INTEGER;
ALTER TABLE attempts ADD COLUMN tls_us INTEGER;
ALTER TABLE attempts ADD COLUMN request TEXT;        -- NULL: not kept

-- Deliveries that operators look for: an attempt has failed, or they ended without arriving. There are few of them, and
-- the others are in none of these indexes.
ALTER TABLE deliveries ADD COLUMN tenant_no INTEGER; -- the event's
UPDATE deliveries SET tenant_no = (SELECT tenant_no FROM events WHERE seq = event_seq);
ALTER TABLE deliveries ADD COLUMN troubled INTEGER AS (
    failures > 0 OR last_error IS NOT NULL OR ifnull(last_status NOT BETWEEN 200 AND 299, 0) OR state > 1
) VIRTUAL;
-- The place in the queue of an ordered endpoint, to which it goes back when it is opened again. NULL: the event's time.
ALTER TABLE deliveries ADD COLUMN place INTEGER;
CREATE INDEX deliveries_troubled ON deliveries (event_seq, n) WHERE troubled;
CREATE INDEX deliveries_troubled_by_tenant ON deliveries (tenant_no, event_seq, n) WHERE troubled;
CREATE INDEX deliveries_troubled_by_endpoint ON deliveries (endpoint_no, event_seq, n) WHERE troubled;

CREATE INDEX events_unmatched ON events (seq) WHERE deliveries = 0;
CREATE INDEX events_unmatched_by_tenant ON events (tenant_no) WHERE deliveries = 0;

-- With those that are deleted, whose last deliveries may be in flight.
CREATE INDEX endpoints_ever_by_tenant ON endpoints (tenant_no);

-- What happened, counted. The rows of one stretch lie side by side: what is counted now is written to few pages.
CREATE TABLE stats (
    stretch    INTEGER NOT NULL,    -- 0: a minute, 1: an hour
    begins_at  INTEGER NOT NULL,
    subject    INTEGER NOT NULL,    -- 0: all, 1: a topic, 2: a tenant, 3: a topic of a tenant, 4: an endpoint
    no         INTEGER NOT NULL,    -- of the tenant or the endpoint; 0: neither
    topic      TEXT NOT NULL,       -- empty: none
    events     INTEGER NOT NULL,
    unmatched  INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    retried    INTEGER NOT NULL,
    delivered  INTEGER NOT NULL,
    exhausted  INTEGER NOT NULL,
    queue      BLOB NOT NULL,       -- histograms: each class that has any, a byte, and how many, in LEB128
    receiver   BLOB NOT NULL,
    PRIMARY KEY (stretch, begins_at, subject, no, topic)
) STRICT, WITHOUT ROWID;

CREATE TABLE replays (
    no          INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE,
    tenant_no   INTEGER NOT NULL REFERENCES tenants (no),
    filter      TEXT NOT NULL,
    rate        INTEGER,
    state       INTEGER NOT NULL,
    found       INTEGER NOT NULL,
    found_more  INTEGER NOT NULL,
    reopened    INTEGER NOT NULL,
    passed_over INTEGER NOT NULL,
    cursor      TEXT,
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX replays_by_tenant ON replays (tenant_no);
CREATE INDEX replays_running ON replays (tenant_no) WHERE state = 0;

-- Keys of the API.
CREATE TABLE api_keys (
    no         INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    digest     BLOB NOT NULL UNIQUE, -- SHA-256 of its secret
    name       TEXT NOT NULL,
    role       INTEGER NOT NULL,
    tenant     TEXT,                 -- its id; NULL: all
    tenant_created_at INTEGER,       -- tells it from others under the same id
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;

-- Who changed what. It is told of tenants that are deleted, too: they are named by their ids. The order in which entries came
-- is that of their numbers, none of which is used twice.
CREATE TABLE audit (
    no        INTEGER PRIMARY KEY AUTOINCREMENT,
    id        BLOB NOT NULL UNIQUE,
    at        INTEGER NOT NULL,
    actor     TEXT NOT NULL,
    by_tenant INTEGER NOT NULL,      -- whether a tenant's own people did it
    address   TEXT,
    action    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    tenant    TEXT,
    fields    TEXT NOT NULL,
    detail    TEXT,
    outcome   INTEGER NOT NULL       -- 0: done, 1: unknown
) STRICT;
CREATE INDEX audit_by_tenant ON audit (tenant, id) WHERE tenant IS NOT NULL;
CREATE INDEX audit_by_whom ON audit (by_tenant);
