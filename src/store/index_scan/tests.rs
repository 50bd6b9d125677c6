use crate::domain::delivery::DeliveryStatus;
use crate::store::bulk;
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::page::PageRequest;
use crate::store::{fixtures, migrate, webhook};

/// 30,000 deliveries, alternating between two webhooks of two tenants. The code is 500 for one tenant except in its
/// oldest delivery, and for the other only in its oldest: each condition is common, both together match one row.
const ROWS: &str = "
    INSERT INTO topic SELECT value, 't' || value, 'a.b' FROM generate;
    INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, topic_seq)
    SELECT value, 'e' || value, 't' || value, 'a.b', 0, 0, 0, 0, '{}', value FROM generate;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
    INSERT INTO delivery (seq, id, event_seq, webhook_seq, status, cause, next_trigger, attempt_count, created_ms,
        finished_ms, last_code, last_error, last_duration_ms, last_at_ms, topic_seq)
    SELECT i, CAST(printf('%016d', i) AS BLOB), 1 + i % 2, 1 + i % 2, 'failed', 'event', 'initial', 1, i, i,
        iif((i % 2 = 0) = (i > 2), 500, 404), 'status', 1, i, 1 + i % 2 FROM n;";

#[test]
fn filters_that_are_rare_only_together_are_found_by_going_on_past_short_pages() {
    let connection = migrate::in_memory();
    connection.execute_batch("CREATE TEMP TABLE generate (value); INSERT INTO generate VALUES (1), (2);").unwrap();
    for (number, tenant) in [(1, "t1"), (2, "t2")] {
        webhook::insert_row(&connection, &fixtures::webhook(number, tenant)).unwrap();
    }
    connection.execute_batch(ROWS).unwrap();
    let filter = DeliveryFilter {
        tenant: Some("t2".parse().unwrap()),
        codes: "500".parse().unwrap(),
        ..DeliveryFilter::default()
    };
    let mut request = PageRequest { limit: 50, cursor: None };
    let (mut seqs, mut pages) = (Vec::new(), 0);
    loop {
        let page = delivery::list(&connection, &filter, &request).unwrap();
        seqs.extend(page.rows.iter().map(|row| row.seq));
        pages += 1;
        match page.next {
            Some(next) => request.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seqs, [1]);
    assert!(pages > 1, "{pages}");

    let newest = DeliveryFilter { since: Some(29_999), ..DeliveryFilter::default() };
    for (filter, wanted) in [(&filter, vec![1]), (&newest, vec![29_999, 30_000])] {
        let (mut seqs, mut after) = (Vec::new(), Some(0));
        while let Some(from) = after {
            let states = [DeliveryStatus::Failed];
            let found = bulk::deliveries(&connection, filter, &states, from, 30_000).unwrap();
            seqs.extend(found.rows);
            after = found.next;
        }
        assert_eq!(seqs, wanted);
    }
}
