-- What serves each list and filter. Figures are of this schema with a million deliveries: an entry of an index on
-- one small number takes about 11 bytes, and 1 to 2 microseconds of the writer's time.
--
-- Tenants and types are texts of any length, and either may be rare, so each pair of them that occurs is numbered
-- once. One index on that number serves a tenant, a type, and both: a list follows the pairs that match side by
-- side, newest first. Two indexes on each table, one for tenants and one for types, would cost twice as much.
CREATE TABLE topic (
    seq    INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    type   TEXT NOT NULL,
    UNIQUE (tenant, type)
) STRICT;
CREATE INDEX topic_type ON topic (type);

ALTER TABLE event ADD COLUMN topic_seq INTEGER;
ALTER TABLE delivery ADD COLUMN topic_seq INTEGER;

INSERT INTO topic (tenant, type) SELECT DISTINCT tenant, type FROM event;
-- Lists of events leave tests out, so those have none.
UPDATE event SET topic_seq = (SELECT seq FROM topic t WHERE t.tenant = event.tenant AND t.type = event.type)
    WHERE test = 0;
UPDATE delivery SET topic_seq = (SELECT t.seq FROM event e JOIN topic t ON t.tenant = e.tenant AND t.type = e.type
    WHERE e.seq = delivery.event_seq);

-- In the order of sequence numbers as before: every entry ends with that number, so it need not be a column too.
DROP INDEX delivery_webhook;
CREATE INDEX delivery_webhook ON delivery (webhook_seq);

CREATE INDEX event_topic ON event (topic_seq) WHERE topic_seq IS NOT NULL;
CREATE INDEX delivery_topic ON delivery (topic_seq);

-- States that are not what becomes of a healthy delivery. While it waits it has one entry, in a tree of few pages;
-- once it is delivered it has none, and the list of those delivered follows the table.
DROP INDEX delivery_failed;
CREATE INDEX delivery_status ON delivery (status) WHERE status <> 'delivered';
-- The same by webhook, for what people look for: what failed at one webhook, or in one tenant. Those that wait for
-- their first attempt are left out, so that a healthy delivery costs nothing here. (A list, status IN ('failed', …),
-- would cost 4 microseconds each time it is looked at: SQLite builds a tree of it.)
CREATE INDEX delivery_webhook_status ON delivery (webhook_seq, status)
    WHERE status <> 'delivered' AND status <> 'pending';
-- Answers other than the usual one, errors, tests: nothing for a healthy delivery.
CREATE INDEX delivery_code ON delivery (last_code) WHERE last_code IS NOT NULL AND last_code <> 200;
CREATE INDEX delivery_error ON delivery (last_error) WHERE last_error IS NOT NULL;
CREATE INDEX delivery_test ON delivery (cause) WHERE cause = 'test';

CREATE INDEX webhook_tenant ON webhook (tenant);
CREATE INDEX webhook_state ON webhook (state);

-- Sequence numbers grow with time, so a time is found among them by halves. A clock that was set back breaks that
-- by as much as it was set back at most, which stands here: nothing in between is missed.
CREATE TABLE clock (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    set_back_ms INTEGER NOT NULL
) STRICT;
INSERT INTO clock (one, set_back_ms)
    SELECT 1, max(
        (SELECT coalesce(max(latest - created_ms), 0)
         FROM (SELECT created_ms, max(created_ms) OVER (ORDER BY seq) AS latest FROM delivery)),
        (SELECT coalesce(max(latest - received_ms), 0)
         FROM (SELECT received_ms, max(received_ms) OVER (ORDER BY seq) AS latest FROM event)));
