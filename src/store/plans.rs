//! Query plans of lists and lanes.

use super::bulk;
use super::delivery::due::due_sql;
use super::delivery::list::list_select;
use super::delivery::{self, DeliveryFilter, Order};
use super::event::{self, EventFilter};
use super::fixtures;
use super::migrate;
use super::page::Filter;
use super::webhook::{self, WebhookFilter};
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::event::Tenant;
use crate::domain::id::WebhookId;
use crate::domain::webhook::WebhookState;
use crate::store::index_scan::{Bounds, Direction, List, Source};
use rusqlite::Connection;

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
            assert!(plan.ends_with("rowid>? AND rowid<?)"), "{plan}");
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
            || step.starts_with("REUSE SUBQUERY");
        assert!(is_lookup, "{plan:?}");
    }
}

#[test]
fn each_filter_of_deliveries_is_served_by_an_index_in_its_order() {
    let connection = database();
    let none = DeliveryFilter::default;
    let webhook = Some(WebhookId::from_bytes([0; 16]));
    let tenant: Option<Tenant> = Some("acme".parse().unwrap());
    let status = |status| DeliveryFilter { status: Some(status), ..none() };
    let cases: Vec<(DeliveryFilter, &[&str])> = vec![
        (none(), &["the table"]),
        (DeliveryFilter { webhook, ..none() }, &["delivery_webhook"]),
        (DeliveryFilter { event: Some("e".parse().unwrap()), ..none() }, &["delivery_event"]),
        (status(DeliveryStatus::Pending), &["delivery_status"]),
        (status(DeliveryStatus::Retrying), &["delivery_status"]),
        (status(DeliveryStatus::Failed), &["delivery_status"]),
        (status(DeliveryStatus::Discarded), &["delivery_status"]),
        (status(DeliveryStatus::Delivered), &["the table"]),
        (DeliveryFilter { event_type: Some("a.b".parse().unwrap()), ..none() }, &["delivery_topic"]),
        (DeliveryFilter { tenant: tenant.clone(), ..none() }, &["delivery_topic"]),
        (DeliveryFilter { response_code: Some(500), ..none() }, &["delivery_code"]),
        (DeliveryFilter { response_code: Some(200), ..none() }, &["the table"]),
        (DeliveryFilter { error_code: Some(ErrorCode::Timeout), ..none() }, &["delivery_error"]),
        (DeliveryFilter { test: Some(true), ..none() }, &["delivery_test"]),
        (DeliveryFilter { test: Some(false), ..none() }, &["the table"]),
        (DeliveryFilter { since: Some(1), until: Some(2), ..none() }, &["the table"]),
        (DeliveryFilter { webhook, ..status(DeliveryStatus::Failed) }, &["delivery_webhook_status", "delivery_status"]),
        (
            DeliveryFilter { tenant: tenant.clone(), ..status(DeliveryStatus::Retrying) },
            &["delivery_webhook_status", "delivery_status"],
        ),
        (DeliveryFilter { tenant, webhook, ..none() }, &["delivery_webhook", "delivery_topic"]),
    ];
    for (filter, ways) in cases {
        let sources = delivery::sources(&connection, &filter).unwrap();
        assert_ways(&connection, &sources, ways);
        assert_fetched_by_number(&connection, &list_select(), &delivery::conditions(&filter));
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
    ] {
        let filter = EventFilter {
            tenant: tenant.map(|text| text.parse().unwrap()),
            event_type: event_type.map(|text| text.parse().unwrap()),
            ..EventFilter::default()
        };
        let sources = event::sources(&connection, &filter).unwrap();
        assert_ways(&connection, &sources, &[ways]);
    }
    assert_fetched_by_number(&connection, event::LIST, &Filter::default());
    for (tenant, state, ways) in [
        (None, None, "the table"),
        (Some("acme"), None, "webhook_tenant"),
        (None, Some(WebhookState::Disabled), "webhook_state"),
    ] {
        let filter = WebhookFilter { tenant: tenant.map(|text| text.parse().unwrap()), state, event: None, text: None };
        assert_ways(&connection, &[webhook::source(&filter)], &[ways]);
    }
    assert_fetched_by_number(&connection, webhook::LIST, &Filter::default());
}

#[test]
fn what_meets_many_rows_follows_an_index_too() {
    let connection = database();
    let waiting = [DeliveryStatus::Pending, DeliveryStatus::Retrying];
    let delivered = [DeliveryStatus::Delivered];
    let none = DeliveryFilter::default;
    let tenant = DeliveryFilter { tenant: Some("acme".parse().unwrap()), ..none() };
    let webhook = DeliveryFilter { webhook: Some(WebhookId::from_bytes([0; 16])), ..none() };
    let failed = DeliveryFilter { status: Some(DeliveryStatus::Failed), ..webhook.clone() };
    for (filter, states, way) in [
        (none(), &waiting[..], "delivery_status"),
        (none(), &delivered[..], "the table"),
        (tenant, &waiting[..], "delivery_status"),
        (webhook, &waiting[..], "delivery_webhook"),
        (failed, &[DeliveryStatus::Failed], "delivery_webhook_status"),
    ] {
        let source = bulk::source(&connection, &filter, states).unwrap();
        assert_ways(&connection, &[source], &[way]);
        assert_fetched_by_number(&connection, bulk::DELIVERIES, &delivery::conditions(&filter));
    }
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
        (Order::Sequence { from_seq: 1 }, "SEARCH d USING INDEX delivery_webhook (webhook_seq=? AND rowid>?)"),
    ] {
        assert_eq!(plan(&connection, &due_sql(order)), [step]);
    }
}
