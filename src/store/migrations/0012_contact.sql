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

-- The tenant hookpost is Hookpost's own from here on. A tenant of this name can no longer act, and its webhooks wait for a
-- person to resume them: they would be sent events about all tenants.
UPDATE api_key SET revoked_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE tenant = 'hookpost' AND revoked_ms IS NULL;
DELETE FROM session WHERE tenant = 'hookpost';
DELETE FROM portal_link WHERE tenant = 'hookpost';
UPDATE webhook SET state = 'paused' WHERE tenant = 'hookpost' AND state = 'active' AND deleted_ms IS NULL;
