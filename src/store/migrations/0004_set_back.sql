-- Newest rows when the clock was last set back. Once they are deleted, the others are in the order of their times again.
ALTER TABLE clock ADD COLUMN delivery_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clock ADD COLUMN event_seq INTEGER NOT NULL DEFAULT 0;
