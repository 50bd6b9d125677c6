-- Event that a person edited and sent again as a new one.
ALTER TABLE event ADD COLUMN resent_from_seq INTEGER;  -- seq of the event, which may be deleted by now

CREATE INDEX event_resent ON event (resent_from_seq) WHERE resent_from_seq IS NOT NULL;
