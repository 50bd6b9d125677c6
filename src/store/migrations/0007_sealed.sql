-- The master key that secrets are encrypted under; src/store/seal.rs has the form of the values. Without a row, nothing is
-- encrypted yet: the next start does it.
CREATE TABLE master_key (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    proof      TEXT NOT NULL,                       -- fixed text, encrypted under the key
    next_proof TEXT,                                -- under the new key, while it replaces the old one
    is_clean   INTEGER NOT NULL                     -- 0: rows, or unused parts of the file, may hold earlier forms of values
) STRICT;

-- SHA-256 of the token, which is encrypted itself, to find the inbox of a request.
ALTER TABLE inbox ADD COLUMN token_hash BLOB;
CREATE UNIQUE INDEX inbox_token ON inbox (token_hash);

-- Audited URLs end at the host, because what follows is often a secret itself.
UPDATE audit SET detail = substr(detail, 1, instr(detail, '://') + 2 + instr(substr(detail, instr(detail, '://') + 3), '/')) || '…'
WHERE action IN ('webhook.created', 'webhook.verified', 'webhook.deleted')
    AND length(detail) > instr(detail, '://') + 2 + instr(substr(detail, instr(detail, '://') + 3), '/');
