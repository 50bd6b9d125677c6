//! Query plans of all statements.

mod lists;

use super::audit::{self, AuditFilter};
use super::bulk;
use super::delivery::ahead;
use super::delivery::due::due_sql;
use super::delivery::list::{COUNTED, SEARCHED, list_select};
use super::delivery::{self, DeliveryFilter, Order};
use super::event::{self, EventFilter};
use super::fixtures;
use super::migrate;
use super::page::Filter;
use super::search;
use super::sweep;
use super::webhook::{self, WebhookFilter};
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::event::Tenant;
use crate::domain::id::WebhookId;
use crate::domain::several::Several;
use crate::domain::webhook::{Waiting, WebhookState};
use crate::store::bounds::Bounds;
use crate::store::index_scan::{Direction, List, Source};
use lists::{BOUNDED, COMPOSED, HISTORY, PARTS, WHOLE};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

fn database() -> Connection {
    let connection = migrate::in_memory();
    webhook::insert_row(&connection, &fixtures::webhook(0, "acme")).unwrap();
    connection
        .execute_batch(
            "INSERT INTO topic VALUES (1, 'acme', 'a.b');
             INSERT INTO event (seq, id, tenant, type, created_ms, received_ms, test, checksum, data, topic_seq)
             VALUES (1, 'e', 'acme', 'a.b', 0, 0, 0, 0, '{}', 1);",
        )
        .unwrap();
    connection
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let rows = statement.raw_query();
    rows.mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap()
}

/// Asserts that a list follows these indexes, each in its own order and without reading rows of the table.
#[track_caller]
fn assert_ways(connection: &Connection, sources: &[Source], indexes: &[&str]) {
    let found: Vec<_> = sources.iter().map(|source| source.index.unwrap_or("the table")).collect();
    assert_eq!(found, indexes);
    for source in sources {
        assert!(!source.keys.is_empty());
        for direction in [Direction::NewestFirst, Direction::OldestFirst] {
            let plan = plan(connection, &source.sql(direction)).join("; ");
            let wanted = match source.index {
                Some(index) => format!("SEARCH {} USING COVERING INDEX {index} (", source.table),
                None => format!("SEARCH {} USING INTEGER PRIMARY KEY (", source.table),
            };
            assert!(plan.starts_with(&wanted), "{plan}");
            let number = if source.index == Some("delivery_waiting") { "seq" } else { "rowid" };
            assert!(plan.ends_with(&format!("{number}>? AND {number}<?)")), "{plan}");
        }
    }
}

/// Asserts that rows are read by number, without a scan or sort.
#[track_caller]
fn assert_fetched_by_number(connection: &Connection, select: &str, conditions: &Filter) {
    let list = List { select, conditions, bounds: Bounds { from: 0, below: 1 }, budget: 1 };
    let plan = plan(connection, &list.sql());
    assert!(plan[0].starts_with("SCAN wanted VIRTUAL TABLE"), "{plan:?}");
    for step in &plan[1..] {
        let is_lookup = step.ends_with("rowid=?)")
            || step.contains("USING COVERING INDEX sqlite_autoindex")
            || step.contains("USING INDEX delivery_event (event_seq=? AND rowid>?)")
            || step.starts_with("SCALAR SUBQUERY")
            || step.starts_with("CORRELATED SCALAR SUBQUERY")
            || step.starts_with("REUSE SUBQUERY")
            || step.starts_with("LIST SUBQUERY")
            || step == "CREATE BLOOM FILTER";
        assert!(is_lookup, "{plan:?}");
    }
}

#[test]
fn each_filter_of_deliveries_is_served_by_an_index_in_its_order() {
    let connection = database();
    let none = DeliveryFilter::default;
    let webhooks: Several<WebhookId> = WebhookId::from_bytes([0; 16]).into();
    let tenant: Option<Tenant> = Some("acme".parse().unwrap());
    let statuses = |text: &str| DeliveryFilter { statuses: text.parse().unwrap(), ..none() };
    let status = |status: DeliveryStatus| DeliveryFilter { statuses: status.into(), ..none() };
    let of_types = |text: &str| DeliveryFilter { types: text.parse().unwrap(), ..none() };
    let codes = |text: &str| DeliveryFilter { codes: text.parse().unwrap(), ..none() };
    let cases: Vec<(DeliveryFilter, &[&str])> = vec![
        (none(), &["the table"]),
        (DeliveryFilter { webhooks: webhooks.clone(), ..none() }, &["delivery_webhook"]),
        (DeliveryFilter { event: Some("e".parse().unwrap()), ..none() }, &["delivery_event"]),
        (status(DeliveryStatus::Pending), &["delivery_status"]),
        (status(DeliveryStatus::Retrying), &["delivery_status"]),
        (status(DeliveryStatus::Failed), &["delivery_status"]),
        (status(DeliveryStatus::Discarded), &["delivery_status"]),
        (status(DeliveryStatus::Delivered), &["the table"]),
        (of_types("a.b"), &["delivery_topic"]),
        (of_types("a.*,x"), &["delivery_topic"]),
        (of_types("*"), &["the table"]),
        (DeliveryFilter { tenant: tenant.clone(), ..none() }, &["delivery_topic"]),
        (codes("500"), &["delivery_code"]),
        (codes("5xx,429"), &["delivery_code"]),
        (codes("3xx,4xx,5xx"), &["the table", "delivery_code"]),
        (codes("2xx"), &["the table"]),
        (codes("200"), &["the table"]),
        (DeliveryFilter { errors: ErrorCode::Timeout.into(), ..none() }, &["delivery_error"]),
        (statuses("failed,retrying"), &["delivery_status"]),
        (statuses("failed,delivered"), &["the table"]),
        (
            DeliveryFilter { webhooks: webhooks.clone(), test: Some(false), ..statuses("pending,retrying") },
            &["delivery_waiting", "delivery_status"],
        ),
        (
            DeliveryFilter { webhooks: webhooks.clone(), ..statuses("pending,retrying") },
            &["delivery_status", "delivery_webhook"],
        ),
        (DeliveryFilter { finished_since: Some(1), finished_until: Some(2), ..none() }, &["the table"]),
        (
            DeliveryFilter { finished_since: Some(1), webhooks: webhooks.clone(), ..statuses("delivered,failed") },
            &["delivery_webhook"],
        ),
        (DeliveryFilter { test: Some(true), ..none() }, &["delivery_test"]),
        (DeliveryFilter { test: Some(false), ..none() }, &["the table"]),
        (DeliveryFilter { since: Some(1), until: Some(2), ..none() }, &["the table"]),
        (
            DeliveryFilter { webhooks: webhooks.clone(), ..status(DeliveryStatus::Failed) },
            &["delivery_webhook_status", "delivery_status"],
        ),
        (
            DeliveryFilter { tenant: tenant.clone(), ..status(DeliveryStatus::Retrying) },
            &["delivery_webhook_status", "delivery_status"],
        ),
        (DeliveryFilter { tenant, webhooks, ..none() }, &["delivery_webhook", "delivery_topic"]),
    ];
    for (filter, ways) in cases {
        let sources = delivery::sources(&connection, &filter).unwrap();
        assert_ways(&connection, &sources, ways);
        assert_fetched_by_number(&connection, &list_select(), &delivery::conditions(&filter));
        assert_fetched_by_number(&connection, SEARCHED, &delivery::conditions(&filter));
        assert_fetched_by_number(&connection, COUNTED, &delivery::conditions(&filter));
    }
}

#[test]
fn each_filter_of_events_and_of_webhooks_is_served_by_an_index_in_its_order() {
    let connection = database();
    for (tenant, event_type, ways) in [
        (None, None, "the table"),
        (Some("acme"), None, "event_topic"),
        (None, Some("a.b"), "event_topic"),
        (Some("acme"), Some("a.b"), "event_topic"),
        (None, Some("a.*"), "event_topic"),
        (Some("acme"), Some("*"), "event_topic"),
    ] {
        let filter = EventFilter {
            tenant: tenant.map(|text| text.parse().unwrap()),
            types: event_type.map_or_else(Several::default, |text| text.parse().unwrap()),
            ..EventFilter::default()
        };
        let sources = event::sources(&connection, &filter).unwrap();
        assert_ways(&connection, &sources, &[ways]);
    }
    assert_fetched_by_number(&connection, event::list::LIST, &Filter::default());
    assert_fetched_by_number(&connection, event::list::PREVIEWS, &Filter::default());
    assert_fetched_by_number(&connection, event::list::SEARCHED, &event::conditions(&EventFilter::default()));
    assert_fetched_by_number(&connection, event::list::COUNTED, &event::conditions(&EventFilter::default()));
    assert_fetched_by_number(&connection, webhook::COUNTED, &Filter::default());
    assert_fetched_by_number(&connection, webhook::SEARCHED, &Filter::default());
    for (tenant, state, ways) in [
        (None, None, "the table"),
        (Some("acme"), None, "webhook_tenant"),
        (None, Some(WebhookState::Disabled), "webhook_state"),
    ] {
        let filter = WebhookFilter {
            tenant: tenant.map(|text| text.parse().unwrap()),
            states: state.into_iter().collect(),
            ..WebhookFilter::default()
        };
        assert_ways(&connection, &[webhook::source(&filter)], &[ways]);
    }
    assert_fetched_by_number(&connection, &webhook::list_select(), &Filter::default());
    assert_ways(&connection, &[Source::table("audit")], &["the table"]);
    assert_fetched_by_number(&connection, audit::LIST, &audit::conditions(&AuditFilter::default()));
}

#[test]
fn a_search_of_a_table_reads_its_rows_in_their_order() {
    let connection = database();
    for (select, table, conditions) in [
        (event::list::SEARCHED, "event", event::conditions(&EventFilter::default())),
        (SEARCHED, "delivery", delivery::conditions(&DeliveryFilter { test: Some(false), ..Default::default() })),
        (webhook::SEARCHED, "webhook", Filter::default()),
    ] {
        let list = List { select, conditions: &conditions, bounds: Bounds { from: 0, below: 1 }, budget: 1 };
        let plan = plan(&connection, &search::span_sql(&list, table));
        assert_eq!(plan[0], format!("SEARCH {table} USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"));
        assert!(plan[1..].iter().all(|step| step.ends_with("USING INTEGER PRIMARY KEY (rowid=?)")), "{plan:?}");
    }
}

#[test]
fn what_meets_many_rows_follows_an_index_too() {
    let connection = database();
    let waiting = [DeliveryStatus::Pending, DeliveryStatus::Retrying];
    let delivered = [DeliveryStatus::Delivered];
    let none = DeliveryFilter::default;
    let tenant = DeliveryFilter { tenant: Some("acme".parse().unwrap()), ..none() };
    let webhook = DeliveryFilter { webhooks: WebhookId::from_bytes([0; 16]).into(), ..none() };
    let failed = DeliveryFilter { statuses: DeliveryStatus::Failed.into(), ..webhook.clone() };
    for (filter, states, way) in [
        (none(), &waiting[..], "delivery_status"),
        (none(), &delivered[..], "the table"),
        (tenant, &waiting[..], "delivery_status"),
        (webhook, &waiting[..], "delivery_waiting"),
        (failed, &[DeliveryStatus::Failed], "delivery_webhook_status"),
    ] {
        let source = bulk::source(&connection, &filter, states).unwrap();
        assert_ways(&connection, &[source], &[way]);
        assert_fetched_by_number(&connection, bulk::DELIVERIES, &delivery::conditions(&filter));
    }
    assert_ways(&connection, &[ahead::source()], &["delivery_status"]);
    assert_fetched_by_number(&connection, ahead::SELECT, &ahead::conditions(0));
    let events = event::conditions(&EventFilter::default());
    assert_fetched_by_number(&connection, bulk::EVENTS, &events);
    let failed = bulk::failed_conditions(bulk::Span { since: 0, until: 1 });
    assert_fetched_by_number(&connection, bulk::FAILED, &failed);
}

#[test]
fn a_lane_finds_what_is_due_by_its_index_without_sorting() {
    let connection = database();
    for (order, step) in [
        (Order::Due, "SEARCH d USING COVERING INDEX delivery_due (webhook_seq=? AND due_ms>?)"),
        (Order::Sequence, "SEARCH d USING COVERING INDEX delivery_waiting (webhook_seq=?)"),
    ] {
        assert_eq!(plan(&connection, &due_sql(order)), [step]);
    }
}

#[test]
fn a_sweep_follows_an_index_that_leaves_out_finished_deliveries() {
    let connection = database();
    for (waiting, step) in [
        (Waiting::Discard, "SEARCH delivery USING COVERING INDEX delivery_waiting (webhook_seq=? AND seq>? AND seq<?)"),
        (
            Waiting::Resume,
            "SEARCH delivery USING COVERING INDEX delivery_webhook_status (webhook_seq=? AND status=? AND rowid>? AND rowid<?)",
        ),
    ] {
        assert_eq!(plan(&connection, &sweep::step_sql(waiting)), [step]);
    }
}

#[test]
fn no_statement_reads_more_of_the_history_than_it_needs() {
    let connection = database();
    let mut composed = Vec::new();
    let mut unknown = Vec::new();
    let mut checked = 0;
    for statement in statements() {
        if statement.contains('{') {
            composed.push(statement);
            continue;
        }
        checked += 1;
        for step in plan(&connection, &statement) {
            let step = step.replace("COVERING ", "");
            let (verb, way) = step.split_once(' ').unwrap_or((&step, ""));
            let table = way.split(' ').next().unwrap_or_default();
            if !HISTORY.contains(&table) || !matches!(verb, "SEARCH" | "SCAN") {
                continue;
            }
            let is_one_row =
                ["(rowid=?)", "(id=?)", "(id=? AND tenant=?)", "(hash=?)", "(tenant=? AND key=?)", "span_ms=?)"]
                    .iter()
                    .any(|end| way.trim_end_matches(" LEFT-JOIN").ends_with(end));
            // SQLite takes the smallest or largest number from the end of the table.
            let is_end = verb == "SEARCH" && way == table;
            let is_known = is_one_row
                || is_end
                || BOUNDED.iter().any(|(known, _)| *known == way)
                || WHOLE.iter().any(|(known, _)| statement.starts_with(known));
            if !is_known {
                unknown.push(format!("{step}: {statement}"));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new(), "steps that no list explains");
    assert!(checked > 100, "only {checked} statements were found in the sources");
    composed.retain(|start| !COMPOSED.iter().any(|known| start.starts_with(known)));
    assert_eq!(composed, Vec::<String>::new(), "composed statements that no test looks at");
}

/// Files of this folder with tests only.
const TESTS: &[&str] =
    &["plans.rs", "plans/lists.rs", "job_costs.rs", "directory/tests.rs", "index_scan/tests.rs", "search/tests.rs"];

/// Returns all SQL of this folder's sources, with the constants that it names.
fn statements() -> Vec<String> {
    fn read(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { read(&path, found) } else { found.push(path) }
        }
    }
    let mut files = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store"), &mut files);
    files.sort();
    let mut statements = Vec::new();
    for file in files.iter().filter(|file| {
        file.extension().is_some_and(|end| end == "rs") && !TESTS.iter().any(|name| file.ends_with(name))
    }) {
        let source = std::fs::read_to_string(file).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code: String = source
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        // Every second part is a literal; no literal of this folder contains a quotation mark.
        for literal in code.split('"').skip(1).step_by(2) {
            let is_sql =
                ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|verb| literal.starts_with(verb));
            if is_sql {
                statements.push(literal.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    for (part, values) in PARTS {
        let each =
            |statement: String| values.iter().map(move |value| statement.replace(part, value)).collect::<Vec<_>>();
        statements = statements.into_iter().flat_map(each).collect();
        statements.dedup();
    }
    statements
}
