-- Targets that administrators allow webhooks to use, beside those of --allow-target.
CREATE TABLE allowed_target (
    entry      TEXT PRIMARY KEY,   -- such as localhost:3000
    actor      TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
