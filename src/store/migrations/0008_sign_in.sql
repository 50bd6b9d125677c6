-- Client of a session, shown to its user.
ALTER TABLE session ADD COLUMN browser TEXT NOT NULL DEFAULT '';     -- browser and system, in words
ALTER TABLE session ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN by_proxy INTEGER NOT NULL DEFAULT 0;  -- whether a proxy's header signed the user in

-- Browsers that a user has signed in with. Their sign-ins do not wait for the failures of others.
CREATE TABLE device (
    hash     BLOB PRIMARY KEY,                      -- SHA-256 of the cookie
    user_seq INTEGER NOT NULL REFERENCES user (seq) ON DELETE CASCADE,
    ends_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX device_user ON device (user_seq, ends_ms);

-- Two-factor authentication (RFC 6238).
ALTER TABLE user ADD COLUMN totp_secret BLOB;                        -- NULL: off
ALTER TABLE user ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0;    -- time step of the last code used

CREATE TABLE recovery_code (
    user_seq INTEGER NOT NULL REFERENCES user (seq) ON DELETE CASCADE,
    hash     BLOB NOT NULL,                         -- SHA-256 of the code
    PRIMARY KEY (user_seq, hash)
) STRICT, WITHOUT ROWID;
