//! The work of one step of each job that loops, which must not grow with the history.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::delivery::{self, LeftOut, Order, ahead};
use super::directory::Directory;
use super::error::Result;
use super::tenant::deletion;
use super::{
    WriteTx, answer, body_format, fixtures, idempotency, incident, message, migrate, retention, stats, sweep, telling,
    webhook,
};
use crate::domain::event::Tenant;
use crate::domain::retention::Retention;
use crate::domain::time::{DAY, Millis};

const NOW: Millis = 500 * DAY;
/// Operations of SQLite's virtual machine that one step may take, about a microsecond each in a release build.
const MOST_OPERATIONS: u64 = 60_000;
/// Rows that one step may change.
const MOST_ROWS: u64 = 1_500;

type Job = fn(&mut WriteTx<'_>) -> Result<()>;

const JOBS: &[(&str, Job)] = &[
    ("resume", |tx| sweep::step(tx, 1, 0).map(drop)),
    ("discard", |tx| sweep::step(tx, 2, 0).map(drop)),
    ("discard of a deleted webhook", |tx| {
        webhook::delete(tx, 1)?;
        sweep::step(tx, 1, 0).map(drop)
    }),
    ("idempotency keys", |tx| idempotency::delete_expired(tx, NOW).map(drop)),
    ("answers", |tx| answer::delete_expired(tx, NOW).map(drop)),
    ("statistics", |tx| stats::merge_old(tx, NOW).map(drop)),
    ("due times that lie ahead", |tx| ahead::bring_back(tx, &(1..=500).collect::<Vec<_>>()).map(drop)),
    ("interrupted tests", |tx| delivery::end_interrupted_tests(tx).map(drop)),
    ("retention of deliveries", |tx| {
        let part: Vec<i64> = (1..=500).collect();
        retention::delete_deliveries(tx, &part, Retention::default().cutoffs(NOW)).map(drop)
    }),
    ("retention of logs", |tx| retention::delete_log_rows(tx, Retention::default().cutoffs(NOW)).map(drop)),
    ("retention of incidents", |tx| retention::delete_incidents(tx, Retention::default().cutoffs(NOW)).map(drop)),
    ("retention of messages", |tx| retention::delete_messages(tx, Retention::default().cutoffs(NOW)).map(drop)),
    ("new contacts", |tx| telling::begin(tx).map(drop)),
    ("contacts that are past an edge", |tx| telling::pass(tx, &(1..=500).collect::<Vec<_>>(), 1)),
    ("edges", |tx| telling::clean(tx).map(drop)),
    ("certificates", |tx| telling::certificates(tx, NOW).map(drop)),
    ("failing contacts", |tx| telling::failing_contacts(tx, NOW)),
    ("e-mails that are put off", |tx| message::put_off(tx, "")),
    ("incidents", |tx| incident::tend(tx, NOW).map(drop)),
    ("retention of topics", |tx| retention::delete_topics(tx, 0).map(drop)),
    ("retention of templates", |tx| body_format::empty_unused(tx, 0).map(drop)),
    ("retention of webhooks", |tx| retention::delete_webhooks(tx, Retention::default().cutoffs(NOW), 0).map(drop)),
    ("the begin of the deletion of a tenant", |tx| deletion::begin(tx, &tenant("acme"), "", (0, 0)).map(drop)),
    ("deletion of a tenant's deliveries", |tx| deletion::history(tx, &tenant("acme"))),
    ("deletion of a tenant's webhooks", |tx| deletion::history(tx, &tenant("gone"))),
    ("the next deliveries of a lane", |tx| read_lane(tx, Order::Due)),
    ("the next deliveries of an ordered lane", |tx| read_lane(tx, Order::Sequence)),
];

fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

fn read_lane(tx: &mut WriteTx<'_>, order: Order) -> Result<()> {
    delivery::due(tx.connection(), 1, order, NOW, 64, usize::MAX, &LeftOut::default()).map(drop)
}

/// Creates a database with this many finished deliveries and other rows of the past in front of 2,000 waiting deliveries
/// to each of two webhooks, and some more behind them.
fn database(history: i64) -> Connection {
    let connection = migrate::in_memory();
    for number in 0..2 {
        webhook::insert_row(&connection, &fixtures::webhook(number, "acme")).unwrap();
    }
    let numbers =
        |count: i64| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
    let deliveries = |count: i64, prefix: &str, status: &str, due: &str, cause: &str, at: Millis| {
        format!(
            "{} INSERT INTO delivery (id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, created_ms, finished_ms)
             SELECT CAST(printf('{prefix}%015d', i) AS BLOB), 1, i % 2 + 1, '{status}', '{cause}', {due}, 'initial', {at}, {at} FROM n;",
            numbers(count)
        )
    };
    let crc = crate::domain::event::Event {
        id: "e".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        event_type: "a.b".parse().unwrap(),
        created_ms: 0,
        received_ms: 0,
        data: "{}".into(),
        previous_data: None,
        test: false,
    }
    .checksum();
    let others = numbers(2_000.max(history));
    let script = [
        format!(
            "INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, topic_seq)
             VALUES (1, 'e', 'acme', 'a.b', 0, 0, 0, {crc}, '{{}}', 1);"
        ),
        deliveries(1_000.max(history), "a", "delivered", "NULL", "event", 0),
        deliveries(history, "b", "failed", "NULL", "test", 0),
        deliveries(2_000, "c", "pending", "1", "event", NOW),
        deliveries(2_000, "d", "retrying", "1", "event", NOW),
        deliveries(history, "e", "delivered", "NULL", "event", NOW),
        format!("{others} INSERT INTO topic (tenant, type) SELECT 'acme', 'type' || i FROM n;"),
        format!("{others} INSERT INTO idempotency SELECT 'acme', 'k' || i, x'00', 1, i, NULL FROM n;"),
        format!("{others} INSERT INTO answer (api_key_seq, key, fingerprint, created_ms) SELECT 1, 'k' || i, x'00', i FROM n;"),
        format!("{others} INSERT INTO audit (at_ms, actor, action, subject, detail) SELECT i, '', '', '', '' FROM n;"),
        format!(
            "{others} INSERT INTO webhook (id, tenant, url, description, events, profile, secret, state, headers, timeout_s,
                 max_in_flight, ordered, standard_headers, created_ms, updated_ms, deleted_ms)
             SELECT CAST(printf('w%015d', i) AS BLOB), 'gone', '', '', '[]', 'generic', '', 'active', '[]', 10, 1, 0, 0, 0, 0, 1
             FROM n;"
        ),
        // One closed incident with many webhooks and entries, and many small ones.
        format!("{others} INSERT INTO incident (id, host, opened_ms, closed_ms) SELECT CAST(printf('i%015d', i) AS BLOB), 'h', 1, i FROM n;"),
        format!(
            "{others} INSERT INTO incident_webhook SELECT iif(i % 2, 1, i), i, 'acme', 'exhausted', 1, NULL, 1, NULL, NULL, '', 1,
                 1, 1, 0, 1, 1, NULL FROM n;"
        ),
        format!(
            "{others} INSERT INTO incident_entry (incident_seq, tenant, at_ms, kind, count, actor, by_operator, text)
             SELECT iif(i % 2, 1, i), 'acme', 1, 'opened', 1, '', 0, '' FROM n;"
        ),
        // Messages of the past, some with many incidents, some that wait; edges that most contacts are past.
        format!(
            "{others} INSERT INTO message (contact_seq, contact_name, channel, topic, subject, text, created_ms, due_ms)
             SELECT i, '', 'email', 'opened', '', '', i, iif(i > 1000, i, NULL) FROM n;"
        ),
        format!("{others} INSERT INTO message_incident SELECT i, iif(i <= 500, 1, i) FROM n;"),
        format!("{others} INSERT INTO edge (at_ms, kind, text) SELECT {NOW}, 'began', '' FROM n;"),
        format!("{others} INSERT INTO telling (contact_seq, edge_seq) SELECT i, 1000000 FROM n WHERE i <= 5000;"),
        "UPDATE webhook SET sweep = 'resume', sweep_up_to_seq = 1000000000 WHERE seq = 1;
         UPDATE webhook SET sweep = 'discard', sweep_up_to_seq = 1000000000 WHERE seq = 2;"
            .to_owned(),
    ];
    connection.execute_batch(&script.concat()).unwrap();
    connection
}

/// Runs a job, then rolls it back. Returns its operations, to the ten, and the rows it changed.
fn cost(connection: &Connection, job: Job) -> (u64, u64) {
    let mut directory = Directory::load(connection).unwrap();
    let operations = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&operations);
    let count = move || {
        counted.fetch_add(10, Ordering::Relaxed);
        false
    };
    connection.execute_batch("BEGIN").unwrap();
    let rows = connection.total_changes();
    connection.progress_handler(10, Some(count)).unwrap();
    job(&mut WriteTx::of_test(connection, &mut directory, NOW)).unwrap();
    connection.progress_handler(0, None::<fn() -> bool>).unwrap();
    let rows = connection.total_changes() - rows;
    connection.execute_batch("ROLLBACK").unwrap();
    (operations.load(Ordering::Relaxed), rows)
}

#[test]
fn a_step_of_a_job_that_loops_costs_the_same_after_a_long_history() {
    let (short, long) = (database(0), database(20_000));
    for (name, job) in JOBS {
        let ((before, _), (after, rows)) = (cost(&short, *job), cost(&long, *job));
        assert!(after <= MOST_OPERATIONS, "{name}: {after} operations");
        assert!(rows <= MOST_ROWS, "{name}: {rows} rows");
        let grows = before > 1_000 && after > before * 2;
        assert!(!grows, "{name}: {before} operations without a history, {after} with one");
    }
}
