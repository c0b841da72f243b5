-- So long after this delivery is over retention looks at its event, to see whether that is over, too. NULL: it does not for
-- the sake of this one.
ALTER TABLE deliveries ADD COLUMN look_after_ms INTEGER;
UPDATE deliveries SET look_after_ms = (SELECT retention_ms FROM events WHERE seq = event_seq)
WHERE event_seq IN (SELECT seq FROM events WHERE retention_ms IS NOT NULL);
CREATE INDEX deliveries_to_look_at ON deliveries (completed_at + look_after_ms)
    WHERE completed_at IS NOT NULL AND look_after_ms IS NOT NULL;

-- Those that have nobody else to say when they are over.
DROP INDEX events_by_retention;
CREATE INDEX events_to_look_at ON events (accepted_at + retention_ms) WHERE retention_ms IS NOT NULL AND deliveries = 0;
CREATE INDEX events_to_look_at_by_age ON events (accepted_at) WHERE retention_ms IS NULL AND deliveries = 0;
