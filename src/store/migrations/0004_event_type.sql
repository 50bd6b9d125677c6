-- What people said about event types. An event may have a type that stands nowhere here.
CREATE TABLE event_type (
    seq         INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    example     TEXT,                               -- JSON as it was spelled
    schema      TEXT,                               -- JSON Schema as it was spelled
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL
) STRICT;
