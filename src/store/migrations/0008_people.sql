-- People who use the pages. A password is an Argon2id hash in the PHC string format.
CREATE TABLE user (
    seq           INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE COLLATE NOCASE,
    role          TEXT NOT NULL,                    -- administrator or viewer
    password      TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    last_login_ms INTEGER
) STRICT;

-- Who is signed in: a user, or the people of one tenant who came by a portal link.
CREATE TABLE session (
    hash       BLOB PRIMARY KEY,                    -- SHA-256 of what the cookie holds
    user_seq   INTEGER REFERENCES user (seq) ON DELETE CASCADE,
    tenant     TEXT,
    created_ms INTEGER NOT NULL,
    seen_ms    INTEGER NOT NULL,                    -- to the minute
    ends_ms    INTEGER NOT NULL,
    CHECK ((user_seq IS NULL) <> (tenant IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX session_user ON session (user_seq) WHERE user_seq IS NOT NULL;
CREATE INDEX session_end ON session (ends_ms);

-- Links that open something once.
CREATE TABLE link (
    hash       BLOB PRIMARY KEY,                    -- SHA-256 of the token in the link
    kind       TEXT NOT NULL,                       -- setup, portal or demo
    tenant     TEXT,                                -- of a portal link
    ends_ms    INTEGER NOT NULL,
    session_ms INTEGER NOT NULL                     -- how long the session that it opens lasts
) STRICT, WITHOUT ROWID;

CREATE INDEX link_end ON link (ends_ms);

-- Who did what.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    tenant  TEXT,                                   -- whose things it was about; NULL where it is everybody's
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,                          -- an id or a name
    detail  TEXT NOT NULL
) STRICT;

-- Webhooks that somebody has to look at: the banner of every page counts them.
CREATE INDEX webhook_attention ON webhook (tenant, state) WHERE state IN ('disabled', 'unverified') AND deleted_ms IS NULL;
