-- What the application knows of a webhook: its own id, and facts of its own.
ALTER TABLE webhook ADD COLUMN external_id TEXT;
ALTER TABLE webhook ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';  -- JSON object of texts
-- Created at the path of a compatible system, which knows one webhook by its URL and updates it.
ALTER TABLE webhook ADD COLUMN by_settings INTEGER NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX webhook_external_id ON webhook (tenant, external_id)
    WHERE external_id IS NOT NULL AND deleted_ms IS NULL;
CREATE INDEX webhook_by_settings ON webhook (tenant, url) WHERE by_settings = 1 AND deleted_ms IS NULL;
