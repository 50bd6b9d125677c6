//! Time per page for every list and filter over a million deliveries. Run it with `cargo bench --bench lists --
//! [deliveries]`.
//!
//! Then searches for a text that no row contains, to the end. The time of a search by the rows tells the rows per second.
//!
//! Exits with an error if the median of a page is 10 ms or more, or a request of a search takes over 350 ms.

#[path = "../tests/it/support/fixtures.rs"]
mod fixtures;

use std::path::Path;
use std::time::{Duration, Instant};

use hookpost::clock::Clock;
use hookpost::domain::delivery::DeliveryStatus;
use hookpost::domain::id::WebhookId;
use hookpost::domain::pattern::EventPattern;
use hookpost::domain::webhook::{Webhook, WebhookState};
use hookpost::http::SEARCH_TIME;
use hookpost::metrics::Metrics;
use hookpost::store::delivery::{self, DeliveryFilter};
use hookpost::store::event::{self, EventFilter};
use hookpost::store::page::{Cursor, MAX_LIMIT, PageRequest};
use hookpost::store::search::TextSearch;
use hookpost::store::webhook::{self, WebhookFilter};
use hookpost::store::{Connection, KeySource, Store, StoreError};

/// Time limit for a page.
const BOUND: Duration = Duration::from_millis(10);
const RUNS: usize = 15;
/// Time by which a search may exceed its limit.
const SEARCH_SLACK: Duration = Duration::from_millis(50);
/// Creation time of the first row: 2026-01-15T10:00:00Z. Each further row is one second later.
const NOON: i64 = 1_768_471_200_000;

/// Inserts the rows. Of 1,000 tenants, the first has two thirds of the events and the last has one in 100,000; the 40
/// event types and 2,000 webhooks are distributed alike. A tenth of the deliveries failed at one webhook, the newest
/// tenth is pending for another, and every other status is rare.
const FILL: &str = "
    CREATE TEMP TABLE row (i INTEGER PRIMARY KEY, tenant INTEGER, type INTEGER, webhook INTEGER);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
    INSERT INTO row SELECT i,
        CASE WHEN i % 100000 = 7 THEN 999 WHEN i % 3 THEN 1 ELSE i / 3 % 998 END,
        CASE WHEN i % 100000 = 7 THEN 39 WHEN i % 4 THEN 1 ELSE i / 4 % 38 END, 0
    FROM n;
    UPDATE row SET webhook = CASE WHEN i > :rows - :rows / 10 THEN 1001 WHEN i % 10 = 0 THEN 1 ELSE tenant + 1000 END;
    INSERT INTO topic (tenant, type) SELECT DISTINCT 't' || tenant, 'type.' || type FROM row;
    INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, topic_seq)
    SELECT i, printf('evt_%026d', i), 't' || tenant, 'type.' || type, :noon + i * 1000, :noon + i * 1000, 0, 0,
        :data, (SELECT seq FROM topic WHERE tenant = 't' || row.tenant AND type = 'type.' || row.type)
    FROM row;
    INSERT INTO delivery (seq, id, event_seq, webhook_seq, status, cause, due_ms, next_trigger, attempt_count,
        created_ms, finished_ms, last_code, last_error, last_duration_ms, last_at_ms, topic_seq)
    SELECT i, CAST(printf('%016d', i) AS BLOB), i, webhook, status, iif(i % 50000 = 1, 'test', 'event'),
        iif(status IN ('pending', 'retrying'), 0, NULL), 'initial', 1, :noon + i * 1000, :noon + i * 1000,
        CASE WHEN status IN ('pending') OR i % 90000 = 10 THEN NULL WHEN status IN ('failed', 'retrying') THEN 500
             WHEN i % 60000 = 1 THEN 202 ELSE 200 END,
        CASE WHEN status NOT IN ('failed', 'retrying') THEN NULL WHEN i % 90000 = 10 THEN 'timeout' ELSE 'status' END,
        3, :noon + i * 1000, (SELECT topic_seq FROM event WHERE seq = i)
    FROM (SELECT *, CASE WHEN webhook = 1001 AND i > :rows - :rows / 10 THEN 'pending' WHEN webhook = 1 THEN 'failed'
             WHEN i % 30000 = 1 THEN 'retrying' WHEN i % 30000 = 2 THEN 'discarded' ELSE 'delivered' END AS status
          FROM row);
    DROP TABLE row;";

fn main() {
    let count = std::env::args().filter_map(|text| text.parse().ok()).next();
    let rows: i64 = count.unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("webhooks.db");
    let (store, _lock) =
        Store::open(&path, &KeySource::Beside, &Clock::machine(), &Metrics::new()).expect("a new database");
    fill(&store, &path, rows);
    let mut slow = 0;
    for limit in [50, MAX_LIMIT] {
        slow += deliveries(&store, rows, limit) + others(&store, rows, limit);
    }
    slow += searches(&store);
    store.close();
    if slow > 0 {
        eprintln!("{slow} pages took {BOUND:?} or more");
        std::process::exit(1);
    }
}

fn fill(store: &Store, path: &Path, rows: i64) {
    let begin = Instant::now();
    let inserted = store.write(|tx| {
        for number in 1..=2000 {
            let id = webhook_id(number);
            let state = if number % 500 == 0 { WebhookState::Disabled } else { WebhookState::Active };
            let events = vec![EventPattern::Below("type.39".parse().expect("a type"))];
            let tenant = format!("t{}", number % 1000);
            webhook::insert_row(tx.connection(), &Webhook { id, state, events, ..fixtures::webhook(0, &tenant) })?;
        }
        Ok::<_, StoreError>(())
    });
    inserted.wait().expect("the webhooks go in");
    let connection = Store::open_for_command(path).expect("the database");
    let data = format!("{{\"pad\":\"{}\"}}", "x".repeat(260));
    let sql = FILL
        .replace(":rows", &rows.to_string())
        .replace(":noon", &NOON.to_string())
        .replace(":data", &format!("'{data}'"));
    connection.execute_batch(&format!("PRAGMA synchronous = OFF; BEGIN; {sql} COMMIT;")).expect("the rows go in");
    println!("{rows} deliveries in {:?}", begin.elapsed());
}

fn webhook_id(seq: i64) -> WebhookId {
    WebhookId::from_bytes(format!("{seq:016}").into_bytes().try_into().expect("16 bytes"))
}

fn deliveries(store: &Store, rows: i64, limit: u32) -> usize {
    let none = DeliveryFilter::default;
    let tenant = |name: &str| DeliveryFilter { tenant: Some(name.parse().expect("a tenant")), ..none() };
    let of_type = |name: &str| DeliveryFilter { types: name.parse().expect("a type"), ..none() };
    let webhook = |seq: i64| DeliveryFilter { webhooks: webhook_id(seq).into(), ..none() };
    let status = |text: &str| DeliveryFilter { statuses: text.parse().expect("a status"), ..none() };
    let code = |code: &str| DeliveryFilter { codes: code.parse().expect("a code"), ..none() };
    let error = |text: &str| DeliveryFilter { errors: text.parse().expect("an error code"), ..none() };
    let test = |test| DeliveryFilter { test: Some(test), ..none() };
    let failed = |filter| DeliveryFilter { statuses: DeliveryStatus::Failed.into(), ..filter };
    let middle = NOON + rows / 2 * 1000;
    let cases: Vec<(&str, DeliveryFilter)> = vec![
        ("all", none()),
        ("webhook, common", webhook(1001)),
        ("webhook, rare", webhook(1999)),
        ("event", DeliveryFilter { event: Some(format!("evt_{:026}", rows / 2).parse().expect("an id")), ..none() }),
        ("status pending", status("pending")),
        ("status retrying", status("retrying")),
        ("status delivered", status("delivered")),
        ("status failed", status("failed")),
        ("status discarded", status("discarded")),
        ("type, common", of_type("type.1")),
        ("type, middling", of_type("type.20")),
        ("type, rare", of_type("type.39")),
        ("type, unknown", of_type("type.unknown")),
        ("tenant, common", tenant("t1")),
        ("tenant, middling", tenant("t500")),
        ("tenant, rare", tenant("t999")),
        ("code 200", code("200")),
        ("code 202", code("202")),
        ("code 500", code("500")),
        ("code 418", code("418")),
        ("error status", error("status")),
        ("error timeout", error("timeout")),
        ("test", test(true)),
        ("no test", test(false)),
        ("types, pattern", of_type("type.*")),
        ("codes, class", code("5xx")),
        ("statuses failed and retrying", status("failed,retrying")),
        ("finished since the middle", DeliveryFilter { finished_since: Some(middle), ..none() }),
        ("since the middle", DeliveryFilter { since: Some(middle), ..none() }),
        ("until the middle", DeliveryFilter { until: Some(middle), ..none() }),
        ("failed, webhook with none", failed(webhook(1999))),
        ("failed, webhook with many", failed(webhook(1))),
        ("failed, tenant", failed(tenant("t500"))),
        ("failed, type", failed(of_type("type.20"))),
        ("failed, since, rare tenant", failed(DeliveryFilter { since: Some(middle), ..tenant("t999") })),
        ("code 200, rare type", DeliveryFilter { codes: "200".parse().expect("a code"), ..of_type("type.39") }),
        (
            "delivered, webhook that waits",
            DeliveryFilter { statuses: DeliveryStatus::Delivered.into(), ..webhook(1001) },
        ),
    ];
    let measured = cases.iter().map(|(name, filter)| {
        measure(store, "deliveries", name, rows, limit, |connection, page| {
            let page = delivery::list(connection, filter, page)?;
            Ok((page.rows.len(), page.next))
        }) && measure(store, "count", name, rows, limit, |connection, _| {
            let total = delivery::count(connection, filter)?;
            Ok((total.count as usize, None))
        })
    });
    measured.filter(|is_fast| !is_fast).count()
}

fn others(store: &Store, rows: i64, limit: u32) -> usize {
    let middle = NOON + rows / 2 * 1000;
    let mut slow = 0;
    for (name, tenant, event_type, since) in [
        ("all", None, None, None),
        ("tenant, common", Some("t1"), None, None),
        ("tenant, rare", Some("t999"), None, None),
        ("type, common", None, Some("type.1"), None),
        ("type, middling", None, Some("type.20"), None),
        ("type, rare", None, Some("type.39"), None),
        ("tenant and type", Some("t500"), Some("type.20"), None),
        ("since the middle", None, None, Some(middle)),
    ] {
        for until in [None, Some(middle)] {
            let filter = EventFilter {
                tenant: tenant.map(|text: &str| text.parse().expect("a tenant")),
                types: event_type.map_or_else(Default::default, |text: &str| text.parse().expect("a type")),
                since,
                until,
            };
            let name = format!("{name}{}", until.map_or("", |_| ", until the middle"));
            let is_fast = measure(store, "events", &name, rows, limit, |connection, page| {
                let page = event::list(connection, &filter, page)?;
                Ok((page.rows.len(), page.next))
            });
            slow += usize::from(!is_fast);
        }
    }
    for (name, tenant, state, event) in [
        ("all", None, None, None),
        ("tenant", Some("t999"), None, None),
        ("state", None, Some("disabled"), None),
        ("subscribed", None, None, Some("type.39.x")),
        ("subscribed, none", None, None, Some("type.1")),
    ] {
        let filter = WebhookFilter {
            tenant: tenant.map(|text: &str| text.parse().expect("a tenant")),
            states: state.map_or_else(Default::default, |text: &str| text.parse().expect("a state")),
            events: event.map_or_else(Default::default, |text: &str| text.parse().expect("a type")),
        };
        let is_fast = measure(store, "webhooks", name, 2_000, limit, |connection, page| {
            let page = webhook::list(connection, &filter, page)?;
            Ok((page.rows.len(), page.next))
        });
        slow += usize::from(!is_fast);
    }
    slow
}

/// Searches for a text that no row contains, to the end. Returns the number of requests that took too long.
fn searches(store: &Store) -> usize {
    let tenant = |name: &str| Some(name.parse().expect("a tenant"));
    let events = |filter: EventFilter| {
        move |db: &Connection, text: &TextSearch, request: &PageRequest| {
            event::search_previews(db, &filter, text, request).map(|hits| hits.page.next)
        }
    };
    let deliveries = |filter: DeliveryFilter| {
        move |db: &Connection, text: &TextSearch, request: &PageRequest| {
            delivery::search(db, &filter, text, request).map(|hits| hits.page.next)
        }
    };
    let failed = DeliveryFilter { statuses: DeliveryStatus::Failed.into(), ..DeliveryFilter::default() };
    let webhooks = |db: &Connection, text: &TextSearch, request: &PageRequest| {
        webhook::search(db, &WebhookFilter::default(), text, request).map(|page| page.next)
    };
    let mut slow = 0;
    for text in ["order 1001", "ORD-1001", "\"id\": 1001", "café"] {
        slow += search(store, "events, all", text, events(EventFilter::default()));
    }
    let text = "ORD-1001";
    slow += search(
        store,
        "events, tenant, common",
        text,
        events(EventFilter { tenant: tenant("t1"), ..Default::default() }),
    );
    slow += search(
        store,
        "events, tenant, middling",
        text,
        events(EventFilter { tenant: tenant("t500"), ..Default::default() }),
    );
    slow += search(store, "deliveries, all", text, deliveries(DeliveryFilter::default()));
    slow += search(store, "deliveries, failed", text, deliveries(failed));
    slow + search(store, "webhooks", text, webhooks)
}

/// Measures a search to its end, by the longest request and the rows per second. Returns how many requests were too slow.
fn search(
    store: &Store,
    list: &str,
    text: &str,
    show: impl Fn(&Connection, &TextSearch, &PageRequest) -> Result<Option<Cursor>, StoreError>,
) -> usize {
    let clock = Clock::machine();
    let (mut cursor, mut times) = (None, Vec::new());
    loop {
        let search = TextSearch { needle: text.parse().expect("a text"), timer: clock.timer(SEARCH_TIME) };
        let begin = Instant::now();
        let next = store.read(|db| show(db, &search, &PageRequest { limit: 50, cursor })).expect("a search");
        times.push(begin.elapsed());
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let whole: Duration = times.iter().sum();
    let longest = times.iter().max().copied().unwrap_or_default();
    let is_slow = |time: &&Duration| **time > SEARCH_TIME + SEARCH_SLACK;
    println!(
        "search     {list:25} {text:14}: {:9.1} ms in all, {:4} requests, the longest {:6.1} ms",
        whole.as_secs_f64() * 1e3,
        times.len(),
        longest.as_secs_f64() * 1e3
    );
    times.iter().filter(is_slow).count()
}

/// Measures the first page, the second, and one in the middle of the list. Returns whether all are fast enough.
fn measure(
    store: &Store,
    list: &str,
    name: &str,
    rows: i64,
    limit: u32,
    show: impl Fn(&Connection, &PageRequest) -> Result<(usize, Option<Cursor>), StoreError>,
) -> bool {
    let run = |cursor| {
        let request = PageRequest { limit, cursor };
        let begin = Instant::now();
        let shown = store.read(|connection| show(connection, &request));
        (begin.elapsed(), shown.expect("a page"))
    };
    let (_, (_, second)) = run(None);
    let mut is_fast = true;
    let mut line = format!("{list:10} {name:40} {limit:3}:");
    for cursor in [None, second, Some(Cursor::below(rows / 2))] {
        let mut times: Vec<Duration> = (0..RUNS).map(|_| run(cursor).0).collect();
        times.sort();
        let (count, next) = run(cursor).1;
        let more = next.map_or("", |_| "+");
        let median = times[RUNS / 2];
        line += &format!(
            "  {:6.2} ms (max {:6.2}, {count}{more} rows)",
            median.as_secs_f64() * 1e3,
            times[RUNS - 1].as_secs_f64() * 1e3
        );
        is_fast &= median < BOUND;
    }
    println!("{line}{}", if is_fast { "" } else { "  SLOW" });
    is_fast
}
