-- Tenants that are being deleted. Nothing is sent for them, and none of their keys and sessions works. The row is deleted with
-- the last of the tenant's rows, so a deletion goes on after a restart.
CREATE TABLE tenant_deletion (
    tenant             TEXT PRIMARY KEY,
    actor              TEXT NOT NULL,
    begun_ms           INTEGER NOT NULL,
    deliveries         INTEGER NOT NULL,            -- as counted before
    events             INTEGER NOT NULL,
    deleted_webhooks   INTEGER NOT NULL DEFAULT 0,
    deleted_deliveries INTEGER NOT NULL DEFAULT 0,
    deleted_events     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Largest sequence numbers of rows that were the newest of their table when they were deleted. No number is used twice.
CREATE TABLE used_seq (
    name TEXT PRIMARY KEY,                          -- of the table
    seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Rows of a tenant.
CREATE INDEX event_test ON event (tenant) WHERE topic_seq IS NULL;
CREATE INDEX api_key_tenant ON api_key (tenant, revoked_ms) WHERE tenant IS NOT NULL;
CREATE INDEX session_tenant ON session (tenant) WHERE tenant IS NOT NULL;
CREATE INDEX message_tenant ON message (tenant) WHERE tenant IS NOT NULL;
CREATE INDEX webhook_contact_tenant ON webhook (contact_tenant) WHERE contact_tenant IS NOT NULL;

-- Rows that refer to a deleted one.
CREATE INDEX portal_link_api_key ON portal_link (api_key_seq);
CREATE INDEX edge_webhook ON edge (webhook_seq) WHERE webhook_seq IS NOT NULL;
CREATE INDEX edge_contact ON edge (contact_seq) WHERE contact_seq IS NOT NULL;
