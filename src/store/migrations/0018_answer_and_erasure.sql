-- Answers of calls with an Idempotency-Key, repeated to the same API key for 24 hours.
CREATE TABLE answer (
    seq         INTEGER PRIMARY KEY,
    api_key_seq INTEGER NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,                      -- SHA-256 of the path, the query and the JSON
    created_ms  INTEGER NOT NULL,
    status      INTEGER,                            -- NULL: the call has not ended
    headers     TEXT,                               -- JSON: a list of [name, value]
    body        BLOB,                               -- sealed, since it may have a secret; NULL: too long to keep
    UNIQUE (api_key_seq, key)
) STRICT;

CREATE INDEX answer_api_key ON answer (api_key_seq);
CREATE INDEX answer_age ON answer (created_ms);

-- When the payload of an event was erased. Only the head of a row with NULL is read, however long its data.
ALTER TABLE event ADD COLUMN erased_ms INTEGER;
