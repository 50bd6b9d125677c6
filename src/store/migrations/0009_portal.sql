-- Portal links, each with the session that it opened. Sessions of links made before end, as do the links.
CREATE TABLE portal_link (
    seq         INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE,
    hash        BLOB UNIQUE,                        -- SHA-256 of the token in the link; NULL once it was used
    tenant      TEXT NOT NULL,
    subject     TEXT,                               -- person of the tenant, as the application names them
    api_key_seq INTEGER NOT NULL REFERENCES api_key (seq),
    session_ms  INTEGER NOT NULL,                   -- duration of the session that it opens
    created_ms  INTEGER NOT NULL,
    opened_ms   INTEGER,
    ends_ms     INTEGER NOT NULL                    -- of the unused link, then of its session
) STRICT;

CREATE INDEX portal_link_tenant ON portal_link (tenant);
CREATE INDEX portal_link_end ON portal_link (ends_ms);

DELETE FROM session WHERE tenant IS NOT NULL;
ALTER TABLE session ADD COLUMN portal_link_seq INTEGER REFERENCES portal_link (seq) ON DELETE CASCADE;
-- Until then the user need not type the password again.
ALTER TABLE session ADD COLUMN confirmed_until_ms INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX session_portal_link ON session (portal_link_seq) WHERE portal_link_seq IS NOT NULL;

DELETE FROM one_time_link WHERE kind = 'portal';
ALTER TABLE one_time_link DROP COLUMN tenant;
DROP INDEX one_time_link_end;
