-- Sequence numbers give the order; ids are what people see. Times are milliseconds since 1970, UTC.

CREATE TABLE webhook (
    seq              INTEGER PRIMARY KEY,
    id               BLOB NOT NULL UNIQUE,          -- 16 bytes of a ULID
    tenant           TEXT NOT NULL,
    url              TEXT NOT NULL,
    description      TEXT NOT NULL,
    events           TEXT NOT NULL,                 -- JSON: a list of patterns
    profile          TEXT NOT NULL,
    secret           TEXT NOT NULL,
    old_secret       TEXT,                          -- signs until overlap_ends_ms
    overlap_ends_ms  INTEGER,
    state            TEXT NOT NULL CHECK (state IN ('active', 'paused', 'disabled', 'unverified')),
    disabled_ms      INTEGER,
    disabled_reason  TEXT,
    headers          TEXT NOT NULL,                 -- JSON: a list of [name, value]
    timeout_s        INTEGER NOT NULL,
    max_in_flight    INTEGER NOT NULL,
    rate_limit_per_s INTEGER,
    ordered          INTEGER NOT NULL,
    retry            TEXT,                          -- JSON: a schedule in place of the profile's
    standard_headers INTEGER NOT NULL,
    created_ms       INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL,
    success_count    INTEGER NOT NULL DEFAULT 0,    -- deliveries that got through, tests left out
    verified_url     TEXT,                          -- the URL whose challenge was answered, where the profile has one
    sweep            TEXT CHECK (sweep IN ('resume', 'discard')),
    sweep_up_to_seq  INTEGER,                       -- deliveries up to here are still to be swept
    deleted_ms       INTEGER                        -- the row stays for the log
) STRICT;

CREATE TABLE event (
    seq           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    tenant        TEXT NOT NULL,
    type          TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,                 -- when it happened
    received_ms   INTEGER NOT NULL,
    test          INTEGER NOT NULL,
    checksum      INTEGER NOT NULL,                 -- CRC-32 over what is delivered
    data          TEXT NOT NULL,                    -- JSON as the application spelled it
    previous_data TEXT
) STRICT;

CREATE TABLE delivery (
    seq              INTEGER PRIMARY KEY,
    id               BLOB NOT NULL UNIQUE,          -- 16 bytes of a ULID
    event_seq        INTEGER NOT NULL REFERENCES event (seq) ON DELETE CASCADE,
    webhook_seq      INTEGER NOT NULL REFERENCES webhook (seq),
    status           TEXT NOT NULL CHECK (status IN ('pending', 'retrying', 'delivered', 'failed', 'discarded')),
    cause            TEXT NOT NULL CHECK (cause IN ('event', 'replay', 'test')),
    due_ms           INTEGER,                       -- NULL once finished, and for tests, which no lane sends
    next_trigger     TEXT NOT NULL CHECK (next_trigger IN ('initial', 'automatic', 'manual', 'test')),
    attempt_count    INTEGER NOT NULL DEFAULT 0,
    series_failures  INTEGER NOT NULL DEFAULT 0,    -- failed attempts of the series at hand
    success_mark     INTEGER,                       -- the webhook's success_count when the series first failed
    origin_ms        INTEGER,                       -- what delays from the first failure are counted from
    panics           INTEGER NOT NULL DEFAULT 0,
    created_ms       INTEGER NOT NULL,
    finished_ms      INTEGER,
    last_code        INTEGER,
    last_error       TEXT,
    last_duration_ms INTEGER,
    last_at_ms       INTEGER
) STRICT;

-- What a lane sends next; finished deliveries and tests are not in it.
CREATE INDEX delivery_due ON delivery (webhook_seq, due_ms, seq) WHERE due_ms IS NOT NULL;
-- A webhook's deliveries in order: lists, and the head of an ordered lane.
CREATE INDEX delivery_webhook ON delivery (webhook_seq, seq);
CREATE INDEX delivery_event ON delivery (event_seq);
CREATE INDEX delivery_failed ON delivery (seq) WHERE status = 'failed';

-- Ways to compose a body. A body is the event and the form, so it is stored nowhere.
CREATE TABLE form (
    seq        INTEGER PRIMARY KEY,
    definition TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE attempt (
    delivery_seq     INTEGER NOT NULL REFERENCES delivery (seq) ON DELETE CASCADE,
    number           INTEGER NOT NULL,              -- 1 for the first
    id               BLOB NOT NULL,
    trigger          TEXT NOT NULL,
    started_ms       INTEGER NOT NULL,
    duration_ms      INTEGER NOT NULL,
    resolve_us       INTEGER,
    connect_us       INTEGER,
    tls_us           INTEGER,
    first_byte_us    INTEGER,
    remote_address   TEXT,
    connections      INTEGER NOT NULL,
    url              TEXT NOT NULL,
    form_seq         INTEGER REFERENCES form (seq), -- NULL where no body was composed
    request_headers  TEXT NOT NULL,                 -- a line each, secrets masked
    code             INTEGER,
    response_headers TEXT,
    response_body    BLOB,
    body_truncated   INTEGER NOT NULL DEFAULT 0,
    error_code       TEXT,
    error_message    TEXT,
    PRIMARY KEY (delivery_seq, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    tenant      TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,                      -- SHA-256 of the request's body
    event_seq   INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_age ON idempotency (created_ms);

CREATE TABLE api_key (
    seq          INTEGER PRIMARY KEY,
    id           BLOB NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    scope        TEXT NOT NULL CHECK (scope IN ('publish', 'read', 'admin')),
    tenant       TEXT,                              -- NULL: all tenants
    profile      TEXT,                              -- the default of webhooks made with this key
    prefix       TEXT NOT NULL,                     -- the first characters, for people
    hash         BLOB NOT NULL UNIQUE,              -- SHA-256 of the whole key
    created_ms   INTEGER NOT NULL,
    last_used_ms INTEGER,
    revoked_ms   INTEGER
) STRICT;
