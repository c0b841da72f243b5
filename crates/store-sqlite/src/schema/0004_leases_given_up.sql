-- Leases that ended while their requests were under way: what comes of these is recorded, and changes nothing. After a crash
-- they say which requests that may have been. There are few of them.
CREATE TABLE leases_given_up (
    number     INTEGER PRIMARY KEY,
    epoch      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    event_seq  INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    FOREIGN KEY (event_seq, n) REFERENCES deliveries (event_seq, n)
) STRICT;
CREATE INDEX leases_given_up_by_delivery ON leases_given_up (event_seq, n);
