-- User who opened the portal as a tenant. Such a session has no portal link.
ALTER TABLE session ADD COLUMN opened_by_seq INTEGER REFERENCES user (seq) ON DELETE CASCADE;
CREATE INDEX session_opened_by ON session (opened_by_seq) WHERE opened_by_seq IS NOT NULL;
