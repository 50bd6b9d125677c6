-- Certificates that endpoints have shown at a connection, of those that end soon.
CREATE TABLE endpoint_certificate (
    host       TEXT PRIMARY KEY,                    -- with the port
    ends_ms    INTEGER NOT NULL,
    overdue_ms INTEGER NOT NULL                     -- from when on somebody should renew it
) STRICT, WITHOUT ROWID;

-- Certificates of endpoints whose end was told, by webhook, and how many days before.
CREATE TABLE endpoint_certificate_notice (
    webhook_seq INTEGER PRIMARY KEY,
    ends_ms     INTEGER NOT NULL,
    days        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- End of the certificate that is the trouble of a webhook; NULL: attempts fail.
ALTER TABLE incident_webhook ADD COLUMN certificate_ends_ms INTEGER;
CREATE INDEX incident_webhook_certificate ON incident_webhook (webhook_seq)
    WHERE certificate_ends_ms IS NOT NULL AND ended_ms IS NULL;

-- Owner of the contact that a webhook belongs to; NULL: the operator.
ALTER TABLE webhook ADD COLUMN contact_tenant TEXT;
UPDATE webhook SET contact_tenant = (SELECT tenant FROM contact WHERE contact.seq = webhook.contact_seq)
WHERE contact_seq IS NOT NULL;
