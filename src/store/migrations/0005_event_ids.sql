-- Ids of events are unique within a tenant, before over all tenants. The id comes first in the key: generated ids grow
-- with time, so the index grows at its end whatever the number of tenants, and an id alone is found too.
--
-- SQLite cannot change a UNIQUE constraint, so the table is copied. The indexes exist before the rows arrive, because
-- an index that is made afterwards is sorted in memory.
DROP INDEX event_topic;

CREATE TABLE event_of_tenant (
    seq           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL,
    tenant        TEXT NOT NULL,
    type          TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,                 -- when the event happened
    received_ms   INTEGER NOT NULL,
    test          INTEGER NOT NULL,
    checksum      INTEGER NOT NULL,                 -- CRC-32 of the delivered fields
    data          TEXT NOT NULL,                    -- JSON as received
    previous_data TEXT,
    topic_seq     INTEGER,                          -- NULL for tests, which lists leave out
    UNIQUE (id, tenant)
) STRICT;

CREATE INDEX event_topic ON event_of_tenant (topic_seq) WHERE topic_seq IS NOT NULL;

INSERT INTO event_of_tenant (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, previous_data, topic_seq)
SELECT seq, id, tenant, type, created_ms, received_ms, test, checksum, data, previous_data, topic_seq FROM event ORDER BY seq;

DROP TABLE event;

ALTER TABLE event_of_tenant RENAME TO event;
