//! Migrations of files with data.

use rusqlite::Connection;

use super::large::{assert_sound, number, of_first_schema};

const ROWS: &str = "
    INSERT INTO webhook (seq, id, tenant, url, description, events, profile, secret, state, headers, timeout_s,
        max_in_flight, ordered, standard_headers, created_ms, updated_ms)
    VALUES (1, x'00112233445566778899aabbccddeeff', 'acme', 'https://hooks.example/', '', '[\"*\"]', 'generic', 's',
        'active', '[]', 5, 1, 0, 1, 0, 0);
    INSERT INTO topic VALUES (1, 'acme', 'a.b');
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
    INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, topic_seq)
    SELECT i * 3, 'e' || i, 'acme', 'a.b', i, i, i % 2, i, hex(randomblob(1000)), iif(i % 2, NULL, 1) FROM n;
    INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, next_trigger, created_ms, finished_ms)
    SELECT CAST(printf('%016d', seq) AS BLOB), seq, 1, 'delivered', 'event', 'initial', 0, 0 FROM event;";

#[test]
fn events_of_an_old_file_keep_their_numbers_deliveries_and_bytes() {
    let site = of_first_schema(1);
    let database = site.database();
    Connection::open(&database).unwrap().execute_batch(ROWS).unwrap();
    let sums = ["sum(seq * checksum)", "sum(length(data) * created_ms)", "total(topic_seq)", "count(DISTINCT data)"];
    let all = || sums.map(|sum| number(&database, &format!("SELECT CAST({sum} AS INTEGER) FROM event")));
    let before = all();
    site.serve().kill();
    assert_sound(&database);
    assert_eq!(all(), before);
    let joined = "SELECT count(*) FROM delivery d JOIN event e ON e.seq = d.event_seq";
    assert_eq!(number(&database, joined), 2_000);
    assert_eq!(
        number(&database, "SELECT count(*) FROM pragma_foreign_key_list('delivery') WHERE \"table\" = 'event'"),
        1
    );
    let connection = Connection::open(&database).unwrap();
    let same_id = |tenant: &str| {
        let insert = "INSERT INTO event (id, tenant, type, created_ms, received_ms, test, checksum, data)
                      VALUES ('e1', ?1, 'a.b', 0, 0, 0, 0, '{}')";
        connection.execute(insert, [tenant])
    };
    assert_eq!(same_id("globex"), Ok(1));
    assert!(same_id("acme").is_err());
    // Deleting an event still deletes its deliveries.
    connection.execute_batch("PRAGMA foreign_keys = ON; DELETE FROM event WHERE seq = 3").unwrap();
    assert_eq!(number(&database, joined), 1_999);
}
