-- When a delivery last succeeded, without tests; NULL if none has since this column.
ALTER TABLE webhook ADD COLUMN last_success_ms INTEGER;

-- Failed attempts of a webhook since its last success. A healthy webhook has no row.
CREATE TABLE streak (
    webhook_seq INTEGER PRIMARY KEY,
    since_ms    INTEGER NOT NULL,                   -- first failed attempt
    failures    INTEGER NOT NULL,                   -- attempts
    deliveries  INTEGER NOT NULL                    -- deliveries whose first attempt is among them
) STRICT;

-- Incidents: the trouble of an endpoint until deliveries succeed again. Webhooks with one host share an incident.
CREATE TABLE incident (
    seq       INTEGER PRIMARY KEY,
    id        BLOB NOT NULL UNIQUE,                 -- 16 bytes of a ULID
    host      TEXT NOT NULL,                        -- with the port
    opened_ms INTEGER NOT NULL,
    closed_ms INTEGER
) STRICT;

CREATE UNIQUE INDEX incident_host ON incident (host) WHERE closed_ms IS NULL;
CREATE INDEX incident_open ON incident (seq) WHERE closed_ms IS NULL;
CREATE INDEX incident_closed ON incident (closed_ms) WHERE closed_ms IS NOT NULL;

CREATE TABLE incident_webhook (
    incident_seq    INTEGER NOT NULL REFERENCES incident (seq) ON DELETE CASCADE,
    webhook_seq     INTEGER NOT NULL,               -- its row may be deleted earlier
    tenant          TEXT NOT NULL,
    reason          TEXT NOT NULL,
    since_ms        INTEGER NOT NULL,               -- first failed attempt
    last_success_ms INTEGER,                        -- before that
    opened_ms       INTEGER NOT NULL,
    error_code      TEXT,
    code            INTEGER,
    cause           TEXT NOT NULL,                  -- sentence
    cause_ms        INTEGER NOT NULL,               -- since when this is the cause
    failures        INTEGER NOT NULL,               -- without those of a row in streak
    deliveries      INTEGER NOT NULL,
    dead_letters    INTEGER NOT NULL,
    recovered_ms    INTEGER,                        -- first success afterwards
    ended_ms        INTEGER,
    PRIMARY KEY (incident_seq, webhook_seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX incident_webhook_webhook ON incident_webhook (webhook_seq, incident_seq);
CREATE INDEX incident_webhook_tenant ON incident_webhook (tenant, incident_seq);
CREATE INDEX incident_webhook_open ON incident_webhook (incident_seq) WHERE ended_ms IS NULL;
-- A webhook is in one open incident at most.
CREATE UNIQUE INDEX incident_webhook_current ON incident_webhook (webhook_seq) WHERE ended_ms IS NULL;

-- Time line. Tenants see the rows of their own.
CREATE TABLE incident_entry (
    seq          INTEGER PRIMARY KEY,
    incident_seq INTEGER NOT NULL REFERENCES incident (seq) ON DELETE CASCADE,
    tenant       TEXT NOT NULL,                     -- '': of the operator
    at_ms        INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    webhook_seq  INTEGER,
    count        INTEGER NOT NULL,                  -- webhooks, if it happened to several in a row
    actor        TEXT NOT NULL,                     -- '': Hookpost itself
    by_operator  INTEGER NOT NULL,                  -- tenants do not see the name
    text         TEXT NOT NULL
) STRICT;

CREATE INDEX incident_entry_incident ON incident_entry (incident_seq);
CREATE INDEX incident_entry_tenant ON incident_entry (incident_seq, tenant);

-- Incidents about which the operator ('') or a tenant wants no more messages.
CREATE TABLE incident_mute (
    incident_seq INTEGER NOT NULL REFERENCES incident (seq) ON DELETE CASCADE,
    tenant       TEXT NOT NULL,
    PRIMARY KEY (incident_seq, tenant)
) STRICT, WITHOUT ROWID;
