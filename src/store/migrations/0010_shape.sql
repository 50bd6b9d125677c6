-- What is sent to a webhook, and how the sender proves itself.
ALTER TABLE webhook ADD COLUMN filter TEXT;             -- JSON: the condition on events
ALTER TABLE webhook ADD COLUMN template TEXT;           -- body in place of the profile's
ALTER TABLE webhook ADD COLUMN signing TEXT NOT NULL DEFAULT 'hmac';
ALTER TABLE webhook ADD COLUMN ed25519_key TEXT;        -- encrypted
ALTER TABLE webhook ADD COLUMN old_ed25519_key TEXT;    -- encrypted; signs until overlap_ends_ms
ALTER TABLE webhook ADD COLUMN auth TEXT;               -- JSON, encrypted
ALTER TABLE webhook ADD COLUMN tls TEXT;                -- JSON, encrypted
ALTER TABLE attempt ADD COLUMN token_us INTEGER;        -- NULL if no access token was requested
ALTER TABLE attempt ADD COLUMN token_renewed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN tls_ends_ms INTEGER;     -- earliest end of its certificates
CREATE INDEX webhook_tls_end ON webhook (tls_ends_ms) WHERE tls_ends_ms IS NOT NULL;
