-- User who opened the portal as a tenant. Such a session has no portal link.
ALTER TABLE session ADD COLUMN opened_by_seq INTEGER REFERENCES user (seq) ON DELETE CASCADE;
