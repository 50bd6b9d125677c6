-- Contacts: people and systems that are told about incidents.
CREATE TABLE contact (
    seq                  INTEGER PRIMARY KEY AUTOINCREMENT,  -- messages outlive their contact
    id                   BLOB NOT NULL UNIQUE,               -- 16 bytes of a ULID
    tenant               TEXT,                               -- owner; NULL: the operator
    name                 TEXT NOT NULL,
    email                TEXT,
    confirmed_ms         INTEGER,                            -- of the address; NULL: nothing is sent to it
    confirmation_hash    BLOB,                               -- of the token in the link that confirms the address
    confirmation_ends_ms INTEGER,
    webhook_seq          INTEGER,                            -- row of webhook, whose contact_seq is this one
    scope_tenant         TEXT,                               -- NULL: all
    scope_webhooks       TEXT NOT NULL,                      -- JSON: patterns; none: all
    topics               TEXT NOT NULL,                      -- JSON: list
    quiet_hours          TEXT,                               -- JSON
    created_ms           INTEGER NOT NULL,
    updated_ms           INTEGER NOT NULL,
    told_ms              INTEGER,                            -- last message that was delivered
    failing_since_ms     INTEGER,                            -- first failed attempt since the last success
    has_lost             INTEGER NOT NULL DEFAULT 0,         -- whether a message was given up since then
    error                TEXT,                               -- why the last attempt failed
    is_failure_told      INTEGER NOT NULL DEFAULT 0,         -- whether others were told that it is failing
    CHECK ((email IS NULL) <> (webhook_seq IS NULL))
) STRICT;

CREATE INDEX contact_tenant ON contact (tenant);
CREATE INDEX contact_failing ON contact (failing_since_ms) WHERE failing_since_ms IS NOT NULL;
CREATE UNIQUE INDEX contact_confirmation ON contact (confirmation_hash) WHERE confirmation_hash IS NOT NULL;

-- Webhooks of contacts. They subscribe to nothing.
ALTER TABLE webhook ADD COLUMN contact_seq INTEGER;

-- E-mails of the last hour to addresses of tenants that a person asked for: confirmations and tests.
CREATE TABLE contact_mail (
    seq     INTEGER PRIMARY KEY,
    tenant  TEXT NOT NULL,
    email   TEXT NOT NULL,
    sent_ms INTEGER NOT NULL
) STRICT;

-- How often the incident was opened again within an hour of its end.
ALTER TABLE incident ADD COLUMN reopened INTEGER NOT NULL DEFAULT 0;
CREATE INDEX incident_host_closed ON incident (host, closed_ms) WHERE closed_ms IS NOT NULL;

-- Facts that contacts may have to be told, in their order. Deleted once every contact is past them.
CREATE TABLE edge (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,          -- contacts remember how far they were told
    at_ms        INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    incident_seq INTEGER,
    webhook_seq  INTEGER,
    contact_seq  INTEGER,
    text         TEXT NOT NULL
) STRICT;

-- How far each contact was told.
CREATE TABLE telling (
    contact_seq INTEGER PRIMARY KEY,
    edge_seq    INTEGER NOT NULL,                            -- last edge that it is past
    told_ms     INTEGER,                                     -- last message about incidents
    reminded_ms INTEGER,
    digest_ms   INTEGER                                      -- end of the time that the last digest is about
) STRICT, WITHOUT ROWID;

-- Messages to contacts. One to a webhook is an event with one delivery; an e-mail is sent from here.
CREATE TABLE message (
    seq          INTEGER PRIMARY KEY,
    contact_seq  INTEGER NOT NULL,
    tenant       TEXT,                                       -- owner of the contact; NULL: the operator
    contact_name TEXT NOT NULL,
    channel      TEXT NOT NULL,
    topic        TEXT NOT NULL,
    subject      TEXT NOT NULL,
    text         TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    due_ms       INTEGER,                                    -- NULL: not to be sent from here (any more)
    sent_ms      INTEGER,
    error        TEXT,                                       -- why it was not sent yet, or was given up
    delivery_seq INTEGER
) STRICT;

CREATE INDEX message_due ON message (due_ms, seq) WHERE due_ms IS NOT NULL;

-- Incidents that a message is about.
CREATE TABLE message_incident (
    incident_seq INTEGER NOT NULL,
    message_seq  INTEGER NOT NULL REFERENCES message (seq) ON DELETE CASCADE,
    PRIMARY KEY (incident_seq, message_seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX message_incident_message ON message_incident (message_seq);

-- Certificates of webhooks whose end was told, and how many days before.
CREATE TABLE certificate_notice (
    webhook_seq INTEGER PRIMARY KEY,
    ends_ms     INTEGER NOT NULL,
    days        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Faults of the machine that last: 'disk', 'clock'.
CREATE TABLE machine_fault (
    name     TEXT PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    size     INTEGER NOT NULL                                -- bytes that were free, or milliseconds that the clock was off
) STRICT, WITHOUT ROWID;

-- The tenant hookpost is Hookpost's own from here on. A tenant of this name can no longer act, and its webhooks wait for a
-- person to resume them: they would be sent events about all tenants.
UPDATE api_key SET revoked_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE tenant = 'hookpost' AND revoked_ms IS NULL;
DELETE FROM session WHERE tenant = 'hookpost';
DELETE FROM portal_link WHERE tenant = 'hookpost';
UPDATE webhook SET state = 'paused' WHERE tenant = 'hookpost' AND state = 'active' AND deleted_ms IS NULL;
