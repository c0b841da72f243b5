-- What an endpoint can bear, and how it has fared since its last success.
ALTER TABLE endpoints ADD COLUMN max_in_flight INTEGER;
ALTER TABLE endpoints ADD COLUMN rate_limit TEXT;
ALTER TABLE endpoints ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN failing_since INTEGER;
ALTER TABLE endpoints ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN exhausted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;

-- What a publisher asked for beside.
ALTER TABLE events ADD COLUMN metadata TEXT;         -- NULL: none
ALTER TABLE events ADD COLUMN deliver_at INTEGER;
ALTER TABLE events ADD COLUMN retention_ms INTEGER;
ALTER TABLE events ADD COLUMN test INTEGER NOT NULL DEFAULT 0;
-- How many of its deliveries were made after it was accepted.
ALTER TABLE events ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;
-- Those that can be over before older ones are, by when they can be so first.
CREATE INDEX events_by_retention ON events (accepted_at + retention_ms, seq) WHERE retention_ms IS NOT NULL;

-- When the next attempt is due, where that is not `due_at`: at an ordered endpoint `due_at` is the place in the queue,
-- which a delivery keeps when it is to be tried again.
ALTER TABLE deliveries ADD COLUMN attempt_at INTEGER;

ALTER TABLE attempts ADD COLUMN manual INTEGER NOT NULL DEFAULT 0;

-- Attempts that somebody asked for and that are not over, in the order in which they were asked for.
CREATE TABLE manual_attempts (
    no         INTEGER PRIMARY KEY,
    event_seq  INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    forced     INTEGER NOT NULL,
    asked_at   INTEGER NOT NULL,
    lease      INTEGER,             -- its number; NULL: not leased
    epoch      INTEGER,
    expires_at INTEGER,
    FOREIGN KEY (event_seq, n) REFERENCES deliveries (event_seq, n)
) STRICT;
CREATE INDEX manual_attempts_by_delivery ON manual_attempts (event_seq, n);
CREATE UNIQUE INDEX manual_attempts_by_lease ON manual_attempts (lease) WHERE lease IS NOT NULL;

-- What operators are to be told. A number is never given twice.
CREATE TABLE notices (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint_no INTEGER NOT NULL REFERENCES endpoints (no),
    at          INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    since       INTEGER,            -- of a failing or recovered endpoint
    percent     INTEGER,            -- of a failing one
    reason      TEXT,               -- of a disabled one
    delivery    BLOB                -- that is exhausted
) STRICT;
