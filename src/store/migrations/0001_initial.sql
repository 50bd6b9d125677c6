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
    deleted_ms       INTEGER,                       -- the row stays for the log
    pending_count    INTEGER NOT NULL DEFAULT 0,    -- deliveries that wait, counted in the transactions that change them;
    retrying_count   INTEGER NOT NULL DEFAULT 0,    -- tests left out
    last_finished_ms INTEGER                        -- when a delivery last became delivered or failed; tests left out
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
    previous_data TEXT,
    topic_seq     INTEGER                           -- NULL for tests, which lists of events leave out
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
    last_at_ms       INTEGER,
    topic_seq        INTEGER
) STRICT;

-- What a lane sends next; finished deliveries and tests are not in it.
CREATE INDEX delivery_due ON delivery (webhook_seq, due_ms, seq) WHERE due_ms IS NOT NULL;

-- Ways to compose a body. A body is made of the event and its format, so it is stored nowhere.
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
    body_format_seq  INTEGER REFERENCES body_format (seq), -- NULL where no body was composed
    request_headers  TEXT NOT NULL,                 -- a line each, secrets masked
    code             INTEGER,
    response_headers TEXT,
    response_body    BLOB,
    body_truncated   INTEGER NOT NULL DEFAULT 0,
    error_code       TEXT,
    error_message    TEXT,
    error_cause      TEXT,                          -- JSON, the facts of the failure
    PRIMARY KEY (delivery_seq, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    tenant      TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,                      -- SHA-256 of the request's body
    event_seq   INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    batch       TEXT,                               -- the sequence numbers of a batch's events, as a JSON list in their order
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
    revoked_ms   INTEGER,
    rate_limit_per_s INTEGER                        -- requests a second; NULL: as the server is set up
) STRICT;

-- What serves each list and filter. Figures are of this schema with a million deliveries: an entry of an index on
-- one small number takes about 11 bytes, and 1 to 2 microseconds of the writer's time.
--
-- Tenants and types are texts of any length, and either may be rare, so each pair of them that occurs is numbered
-- once. One index on that number serves a tenant, a type, and both: a list follows the pairs that match side by
-- side, newest first. Two indexes on each table, one for tenants and one for types, would cost twice as much.
CREATE TABLE topic (
    seq    INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    type   TEXT NOT NULL,
    UNIQUE (tenant, type)
) STRICT;
CREATE INDEX topic_type ON topic (type);



-- A webhook's deliveries in order: lists, and the head of an ordered lane. Every entry of an index ends with the
-- sequence number, so it need not be a column too.
CREATE INDEX delivery_webhook ON delivery (webhook_seq);
CREATE INDEX delivery_event ON delivery (event_seq);

CREATE INDEX event_topic ON event (topic_seq) WHERE topic_seq IS NOT NULL;
CREATE INDEX delivery_topic ON delivery (topic_seq);

-- States that are not what becomes of a healthy delivery. While it waits it has one entry, in a tree of few pages;
-- once it is delivered it has none, and the list of those delivered follows the table.
CREATE INDEX delivery_status ON delivery (status) WHERE status <> 'delivered';
-- The same by webhook, for what people look for: what failed at one webhook, or in one tenant. Those that wait for
-- their first attempt are left out, so that a healthy delivery costs nothing here. (A list, status IN ('failed', …),
-- would cost 4 microseconds each time it is looked at: SQLite builds a tree of it.)
CREATE INDEX delivery_webhook_status ON delivery (webhook_seq, status)
    WHERE status <> 'delivered' AND status <> 'pending';
-- Answers other than the usual one, errors, tests: nothing for a healthy delivery.
CREATE INDEX delivery_code ON delivery (last_code) WHERE last_code IS NOT NULL AND last_code <> 200;
CREATE INDEX delivery_error ON delivery (last_error) WHERE last_error IS NOT NULL;
CREATE INDEX delivery_test ON delivery (cause) WHERE cause = 'test';

CREATE INDEX webhook_tenant ON webhook (tenant);
CREATE INDEX webhook_state ON webhook (state);

-- Sequence numbers grow with time, so a time is found among them by halves. A clock that was set back breaks that
-- by as much as it was set back at most, which stands here: nothing in between is missed.
CREATE TABLE clock (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    set_back_ms INTEGER NOT NULL
) STRICT;
INSERT INTO clock (one, set_back_ms) VALUES (1, 0);

-- Profiles that people made; the built-in ones are files of the program.
CREATE TABLE profile (
    name       TEXT NOT NULL PRIMARY KEY,
    spec       TEXT NOT NULL,                       -- JSON
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;

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

-- What happened in a span of time. A moment stands in one row of a series: rows of 5 minutes are merged into hours
-- after two hours, hours into days after eight days, and days go after 32, so a series has some 260 rows at most.
CREATE TABLE stats (
    series         INTEGER NOT NULL,                -- a webhook's number; 0 for all webhooks together
    start_ms       INTEGER NOT NULL,
    span_ms        INTEGER NOT NULL,                -- 5 minutes, an hour or a day
    delivered      INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    retry_attempts INTEGER NOT NULL,                -- attempts that were not the first of their delivery
    answers        INTEGER NOT NULL,                -- attempts that got an answer, whatever it said
    answer_ms      INTEGER NOT NULL,                -- how long those took, together
    histogram      BLOB NOT NULL,                   -- and how that is distributed
    PRIMARY KEY (series, start_ms, span_ms)
) STRICT, WITHOUT ROWID;

-- What is old enough to be merged.
CREATE INDEX stats_span ON stats (span_ms, start_ms);

-- People who use the pages. A password is an Argon2id hash in the PHC string format.
CREATE TABLE user (
    seq           INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE COLLATE NOCASE,
    role          TEXT NOT NULL,                    -- administrator or viewer
    password      TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    last_login_ms INTEGER
) STRICT;

-- Who is signed in: a user, or the people of one tenant who came by a portal link.
CREATE TABLE session (
    hash       BLOB PRIMARY KEY,                    -- SHA-256 of what the cookie holds
    user_seq   INTEGER REFERENCES user (seq) ON DELETE CASCADE,
    tenant     TEXT,
    created_ms INTEGER NOT NULL,
    seen_ms    INTEGER NOT NULL,                    -- to the minute
    ends_ms    INTEGER NOT NULL,
    CHECK ((user_seq IS NULL) <> (tenant IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX session_user ON session (user_seq) WHERE user_seq IS NOT NULL;
CREATE INDEX session_end ON session (ends_ms);

-- Links that open something once.
CREATE TABLE one_time_link (
    hash       BLOB PRIMARY KEY,                    -- SHA-256 of the token in the link
    kind       TEXT NOT NULL,                       -- setup, portal or demo
    tenant     TEXT,                                -- of a portal link
    ends_ms    INTEGER NOT NULL,
    session_ms INTEGER NOT NULL                     -- how long the session that it opens lasts
) STRICT, WITHOUT ROWID;

CREATE INDEX one_time_link_end ON one_time_link (ends_ms);

-- Who did what.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    tenant  TEXT,                                   -- whose things it was about; NULL where it is everybody's
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,                          -- an id or a name
    detail  TEXT NOT NULL
) STRICT;

-- Webhooks that somebody has to look at: the banner of every page counts them.
CREATE INDEX webhook_attention ON webhook (tenant, state) WHERE state IN ('disabled', 'unverified') AND deleted_ms IS NULL;

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
    signature_check TEXT NOT NULL,                  -- why it is verified, or not, in words
    webhook_id BLOB,                                -- whose secret it was checked with
    code       INTEGER NOT NULL                     -- what it was answered with
) STRICT;

CREATE INDEX inbox_request_inbox ON inbox_request (inbox_seq, seq);
CREATE INDEX inbox_request_event ON inbox_request (inbox_seq, event_id) WHERE event_id IS NOT NULL;
