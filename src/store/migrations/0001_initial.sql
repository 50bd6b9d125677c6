-- Sequence numbers give the order; ids are public. Times are milliseconds since 1970, UTC.

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
    success_count    INTEGER NOT NULL DEFAULT 0,    -- successful deliveries, without tests
    verified_url     TEXT,                          -- URL that passed the challenge of the profile
    sweep            TEXT CHECK (sweep IN ('resume', 'discard')),
    sweep_up_to_seq  INTEGER,                       -- the sweep ends at this delivery
    deleted_ms       INTEGER,                       -- the row stays for the log
    pending_count    INTEGER NOT NULL DEFAULT 0,    -- queued deliveries, updated in the transactions that change them,
    retrying_count   INTEGER NOT NULL DEFAULT 0,    -- without tests
    last_finished_ms INTEGER                        -- when a delivery last became delivered or failed, without tests
) STRICT;

CREATE TABLE event (
    seq           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    tenant        TEXT NOT NULL,
    type          TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,                 -- when the event happened
    received_ms   INTEGER NOT NULL,
    test          INTEGER NOT NULL,
    checksum      INTEGER NOT NULL,                 -- CRC-32 of the delivered fields
    data          TEXT NOT NULL,                    -- JSON as received
    previous_data TEXT,
    topic_seq     INTEGER                           -- NULL for tests, which lists leave out
) STRICT;

CREATE TABLE delivery (
    seq              INTEGER PRIMARY KEY,
    id               BLOB NOT NULL UNIQUE,          -- 16 bytes of a ULID
    event_seq        INTEGER NOT NULL REFERENCES event (seq) ON DELETE CASCADE,
    webhook_seq      INTEGER NOT NULL REFERENCES webhook (seq),
    status           TEXT NOT NULL CHECK (status IN ('pending', 'retrying', 'delivered', 'failed', 'discarded')),
    cause            TEXT NOT NULL CHECK (cause IN ('event', 'replay', 'test')),
    due_ms           INTEGER,                       -- NULL once finished, and for tests, which are never due
    next_trigger     TEXT NOT NULL CHECK (next_trigger IN ('initial', 'automatic', 'manual', 'test')),
    attempt_count    INTEGER NOT NULL DEFAULT 0,
    series_failures  INTEGER NOT NULL DEFAULT 0,    -- failed attempts of the current series
    success_mark     INTEGER,                       -- the webhook's success_count when the series first failed
    origin_ms        INTEGER,                       -- start of the delays from the first failure
    panics           INTEGER NOT NULL DEFAULT 0,
    created_ms       INTEGER NOT NULL,
    finished_ms      INTEGER,
    last_code        INTEGER,
    last_error       TEXT,
    last_duration_ms INTEGER,
    last_at_ms       INTEGER,
    topic_seq        INTEGER
) STRICT;

-- Next deliveries of a lane, without finished ones and tests.
CREATE INDEX delivery_due ON delivery (webhook_seq, due_ms, seq) WHERE due_ms IS NOT NULL;

-- Formats of bodies. A body is composed from its event and format, so it is not stored.
CREATE TABLE body_format (
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
    body_format_seq  INTEGER REFERENCES body_format (seq), -- NULL if no body was composed
    request_headers  TEXT NOT NULL,                 -- one per line, secrets masked
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
    batch       TEXT,                               -- JSON: the sequence numbers of a batch's events, in order
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_age ON idempotency (created_ms);

CREATE TABLE api_key (
    seq          INTEGER PRIMARY KEY,
    id           BLOB NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    scope        TEXT NOT NULL CHECK (scope IN ('publish', 'read', 'admin')),
    tenant       TEXT,                              -- NULL: all tenants
    profile      TEXT,                              -- default of webhooks created with this key
    prefix       TEXT NOT NULL,                     -- first characters, shown to identify the key
    hash         BLOB NOT NULL UNIQUE,              -- SHA-256 of the whole key
    created_ms   INTEGER NOT NULL,
    last_used_ms INTEGER,
    revoked_ms   INTEGER,
    rate_limit_per_s INTEGER                        -- requests per second; NULL: the server's default
) STRICT;

-- Indexes of lists and filters. With a million deliveries, an index entry of one small number takes about 11 bytes and
-- 1 to 2 microseconds of the writer's time.
--
-- Tenants and types are texts of any length, and either may be rare, so each existing pair of them has a number. One
-- index on that number serves filters by tenant, by type, and by both: a list follows the matching pairs in parallel,
-- newest first. Two indexes on each table, one for tenants and one for types, would cost twice as much.
CREATE TABLE topic (
    seq    INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    type   TEXT NOT NULL,
    UNIQUE (tenant, type)
) STRICT;

CREATE INDEX topic_type ON topic (type);

-- Deliveries of a webhook in order: lists, and the head of an ordered lane. Every index entry ends with the sequence
-- number, so the index needs no column for it.
CREATE INDEX delivery_webhook ON delivery (webhook_seq);
CREATE INDEX delivery_event ON delivery (event_seq);

CREATE INDEX event_topic ON event (topic_seq) WHERE topic_seq IS NOT NULL;
CREATE INDEX delivery_topic ON delivery (topic_seq);

-- Statuses other than delivered. A pending delivery has an entry, in a tree of few pages; a delivered one has none, and
-- the list of delivered ones follows the table.
CREATE INDEX delivery_status ON delivery (status) WHERE status <> 'delivered';
-- Statuses by webhook, to find the failures of one webhook or tenant. Pending deliveries are left out, so a healthy
-- delivery costs nothing here. (A condition status IN ('failed', …) would cost 4 microseconds per evaluation, because
-- SQLite builds a tree of the list.)
CREATE INDEX delivery_webhook_status ON delivery (webhook_seq, status)
    WHERE status <> 'delivered' AND status <> 'pending';
-- Codes other than 200, errors, tests. A healthy delivery has no entry.
CREATE INDEX delivery_code ON delivery (last_code) WHERE last_code IS NOT NULL AND last_code <> 200;
CREATE INDEX delivery_error ON delivery (last_error) WHERE last_error IS NOT NULL;
CREATE INDEX delivery_test ON delivery (cause) WHERE cause = 'test';

CREATE INDEX webhook_tenant ON webhook (tenant);
CREATE INDEX webhook_state ON webhook (state);

-- Sequence numbers grow with time, so a time is found by binary search. If the clock is set back, the search is off by
-- as much. The furthest set-back is stored here to widen the search, so that no row is missed.
CREATE TABLE clock (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    set_back_ms INTEGER NOT NULL
) STRICT;
INSERT INTO clock (one, set_back_ms) VALUES (1, 0);

-- Custom profiles. The built-in ones are part of the program.
CREATE TABLE profile (
    name       TEXT NOT NULL PRIMARY KEY,
    spec       TEXT NOT NULL,                       -- JSON
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;

-- Descriptions of event types. Events may have types that are not described.
CREATE TABLE event_type (
    seq         INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    example     TEXT,                               -- JSON as received
    schema      TEXT,                               -- JSON Schema as received
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL
) STRICT;

-- Statistics per span of time. Spans do not overlap within a series: rows of 5 minutes are merged into hours after two
-- hours, hours into days after eight days, and days are deleted after 32, so a series has at most about 260 rows.
CREATE TABLE stats (
    series         INTEGER NOT NULL,                -- a webhook's number; 0 for all webhooks together
    start_ms       INTEGER NOT NULL,
    span_ms        INTEGER NOT NULL,                -- 5 minutes, an hour or a day
    delivered      INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    retry_attempts INTEGER NOT NULL,                -- attempts after the first of their delivery
    answers        INTEGER NOT NULL,                -- attempts with a response of any status
    answer_ms      INTEGER NOT NULL,                -- sum of their response times
    histogram      BLOB NOT NULL,                   -- distribution of their response times
    PRIMARY KEY (series, start_ms, span_ms)
) STRICT, WITHOUT ROWID;

-- Rows old enough to merge.
CREATE INDEX stats_span ON stats (span_ms, start_ms);

-- Users of the pages. A password is an Argon2id hash in the PHC string format.
CREATE TABLE user (
    seq           INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE COLLATE NOCASE,
    role          TEXT NOT NULL,                    -- administrator or viewer
    password      TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    last_login_ms INTEGER
) STRICT;

-- Sessions of users, or of people of a tenant who followed a portal link.
CREATE TABLE session (
    hash       BLOB PRIMARY KEY,                    -- SHA-256 of the cookie
    user_seq   INTEGER REFERENCES user (seq) ON DELETE CASCADE,
    tenant     TEXT,
    created_ms INTEGER NOT NULL,
    seen_ms    INTEGER NOT NULL,                    -- to the minute
    ends_ms    INTEGER NOT NULL,
    CHECK ((user_seq IS NULL) <> (tenant IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX session_user ON session (user_seq) WHERE user_seq IS NOT NULL;
CREATE INDEX session_end ON session (ends_ms);

-- Links that can be used once.
CREATE TABLE one_time_link (
    hash       BLOB PRIMARY KEY,                    -- SHA-256 of the token in the link
    kind       TEXT NOT NULL,                       -- setup, portal or demo
    tenant     TEXT,                                -- of a portal link
    ends_ms    INTEGER NOT NULL,
    session_ms INTEGER NOT NULL                     -- duration of the session that it opens
) STRICT, WITHOUT ROWID;

CREATE INDEX one_time_link_end ON one_time_link (ends_ms);

-- Audit log.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    tenant  TEXT,                                   -- of the subject; NULL if all tenants share it
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,                          -- id or name
    detail  TEXT NOT NULL
) STRICT;

-- Webhooks that need attention, which the banner of every page counts.
CREATE INDEX webhook_attention ON webhook (tenant, state) WHERE state IN ('disabled', 'unverified') AND deleted_ms IS NULL;

-- Inbox of a tenant, which shows the requests sent to /in/{token}.
CREATE TABLE inbox (
    seq        INTEGER PRIMARY KEY,
    tenant     TEXT NOT NULL UNIQUE,
    token      TEXT NOT NULL UNIQUE,                -- part of the URL; allows sending, not reading
    created_ms INTEGER NOT NULL
) STRICT;

-- Received requests, the newest 200 of each inbox.
CREATE TABLE inbox_request (
    seq        INTEGER PRIMARY KEY,
    inbox_seq  INTEGER NOT NULL REFERENCES inbox (seq) ON DELETE CASCADE,
    at_ms      INTEGER NOT NULL,
    method     TEXT NOT NULL,
    query      TEXT NOT NULL,
    headers    TEXT NOT NULL,                       -- JSON: a list of [name, value]
    body       BLOB NOT NULL,                       -- the first 16 KiB
    body_bytes INTEGER NOT NULL,                    -- size of the whole body
    event_id   TEXT,                                -- header webhook-id
    verified   INTEGER NOT NULL,
    signature_check TEXT NOT NULL,                  -- result as a sentence
    webhook_id BLOB,                                -- webhook whose secret was used
    code       INTEGER NOT NULL                     -- status code of the response
) STRICT;

CREATE INDEX inbox_request_inbox ON inbox_request (inbox_seq, seq);
CREATE INDEX inbox_request_event ON inbox_request (inbox_seq, event_id) WHERE event_id IS NOT NULL;
