-- A tenant's request bin: what is sent to /in/{token} is shown to its people.
CREATE TABLE inbox (
    seq        INTEGER PRIMARY KEY,
    tenant     TEXT NOT NULL UNIQUE,
    token      TEXT NOT NULL UNIQUE,                -- part of its URL: whoever knows it may send, nobody may read by it
    created_ms INTEGER NOT NULL
) STRICT;

-- What arrived, the newest 200 of each inbox.
CREATE TABLE inbox_request (
    seq        INTEGER PRIMARY KEY,
    inbox_seq  INTEGER NOT NULL REFERENCES inbox (seq) ON DELETE CASCADE,
    at_ms      INTEGER NOT NULL,
    method     TEXT NOT NULL,
    query      TEXT NOT NULL,
    headers    TEXT NOT NULL,                       -- JSON: a list of [name, value]
    body       BLOB NOT NULL,                       -- the first 16 KiB
    body_bytes INTEGER NOT NULL,                    -- of the whole
    event_id   TEXT,                                -- what its webhook-id said
    verified   INTEGER NOT NULL,
    verdict    TEXT NOT NULL,                       -- why it is verified, or not, in words
    webhook_id BLOB,                                -- whose secret it was checked with
    code       INTEGER NOT NULL                     -- what it was answered with
) STRICT;

CREATE INDEX inbox_request_inbox ON inbox_request (inbox_seq, seq);
CREATE INDEX inbox_request_event ON inbox_request (inbox_seq, event_id) WHERE event_id IS NOT NULL;
