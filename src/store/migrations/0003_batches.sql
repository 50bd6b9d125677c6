-- An Idempotency-Key may stand for a whole batch: the sequence numbers of its events, as a JSON list in their order.
ALTER TABLE idempotency ADD COLUMN batch TEXT;
