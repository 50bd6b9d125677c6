-- End and creator of an API key.
ALTER TABLE api_key ADD COLUMN ends_ms INTEGER;     -- NULL: no end
ALTER TABLE api_key ADD COLUMN created_by TEXT;     -- display name, as in the audit log; NULL before this column
ALTER TABLE api_key ADD COLUMN created_by_user INTEGER REFERENCES user (seq) ON DELETE SET NULL;

-- Client address of an entry; NULL for commands and entries before this column. Failed sign-ins of one address within a
-- minute are one entry with a count.
ALTER TABLE audit ADD COLUMN address TEXT;
ALTER TABLE audit ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
