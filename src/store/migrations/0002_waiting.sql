-- Deliveries that wait for an attempt, by webhook and number: the head of an ordered lane, and sweeps. Finished
-- deliveries have no entry, so the cost of a read does not grow with the history.
CREATE INDEX delivery_waiting ON delivery (webhook_seq, seq, due_ms) WHERE due_ms IS NOT NULL;

-- Webhooks with an unfinished sweep.
CREATE INDEX webhook_sweep ON webhook (seq) WHERE sweep IS NOT NULL;

-- Webhooks that a person deleted, which retention examines.
CREATE INDEX webhook_deleted ON webhook (seq) WHERE deleted_ms IS NOT NULL;
