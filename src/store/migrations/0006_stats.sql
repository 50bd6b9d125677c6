-- What waits, counted in the transactions that change it; tests left out.
ALTER TABLE webhook ADD COLUMN pending_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook ADD COLUMN retrying_count INTEGER NOT NULL DEFAULT 0;
-- When a delivery last became delivered or failed; tests left out.
ALTER TABLE webhook ADD COLUMN last_finished_ms INTEGER;

UPDATE webhook SET
    pending_count = (SELECT count(*) FROM delivery d
                     WHERE d.webhook_seq = webhook.seq AND d.due_ms IS NOT NULL AND d.status = 'pending'),
    retrying_count = (SELECT count(*) FROM delivery d
                      WHERE d.webhook_seq = webhook.seq AND d.due_ms IS NOT NULL AND d.status = 'retrying'),
    last_finished_ms = (SELECT max(d.finished_ms) FROM delivery d
                        WHERE d.webhook_seq = webhook.seq AND d.cause <> 'test' AND d.status IN ('delivered', 'failed'));

-- What happened in a span of time. A moment stands in one row of a series: rows of 5 minutes are merged into hours
-- after two hours, hours into days after eight days, and days go after 32, so a series has some 260 rows at most.
CREATE TABLE stats (
    series         INTEGER NOT NULL,                -- a webhook's number; 0 for all webhooks together
    start_ms       INTEGER NOT NULL,
    span_ms        INTEGER NOT NULL,                -- 5 minutes, an hour or a day
    delivered      INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    retry_attempts INTEGER NOT NULL,                -- attempts that were not the first of their delivery
    answers        INTEGER NOT NULL,                -- attempts that got an answer, whatever it said
    answer_ms      INTEGER NOT NULL,                -- how long those took, together
    histogram      BLOB NOT NULL,                   -- and how that is distributed
    PRIMARY KEY (series, start_ms, span_ms)
) STRICT, WITHOUT ROWID;

-- What is old enough to be merged.
CREATE INDEX stats_span ON stats (span_ms, start_ms);

-- Requests a second; NULL: as the server is set up.
ALTER TABLE api_key ADD COLUMN rate_limit_per_s INTEGER;
