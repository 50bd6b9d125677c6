//! `DELETE /v1/tenants/{tenant}`: everything of one tenant goes, and nothing of another.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hookpost::domain::time::MINUTE;
use hookpost::store::api_key::Scope;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::error;
use crate::support::Hub;
use crate::support::receiver::{Receiver, Reply};

/// Real time within which a deletion of few rows ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for the end of a deletion. Contacts of others are told meanwhile.
#[track_caller]
fn wait_until_deleted(hub: &Hub, tenant: &str) {
    let deadline = Instant::now() + PATIENCE;
    while hub.get(&format!("/v1/tenants/{tenant}")).status != 404 {
        assert!(Instant::now() < deadline, "{}", hub.get(&format!("/v1/tenants/{tenant}")).text);
        hub.tell();
        std::thread::yield_now();
    }
}

fn delete(hub: &Hub, tenant: &str) -> Value {
    hub.delete(&format!("/v1/tenants/{tenant}?confirm={tenant}")).expect(202).json()
}

fn publish(hub: &Hub, tenant: &str, count: usize) {
    for number in 0..count {
        let event = json!({"type": format!("order.n{}", number % 3), "data": {"who": "jo"}, "tenant": tenant});
        hub.post("/v1/events", &event).expect(202);
    }
}

/// Gives a tenant something of everything. `failing` refuses deliveries and is shared by tenants.
fn furnish(hub: &Hub, tenant: &str, receiver: &Receiver, failing: &Receiver) {
    let body = |mut body: Value| {
        body["tenant"] = json!(tenant);
        body
    };
    let good = hub.add_webhook_with(receiver.url(), &body(json!({"external_id": "shop-1"})));
    let hasty = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}});
    hub.add_webhook_with(failing.url(), &body(hasty));
    let waiting = hub.add_webhook_with(receiver.url(), &body(json!({"active": false})));
    let gone = hub.add_webhook_with(receiver.url(), &body(json!({"events": ["order.*"]})));
    let webhook = json!({"url": receiver.url()});
    hub.post("/v1/contacts", &body(json!({"name": "On call", "webhook": webhook}))).expect(201);
    publish(hub, tenant, 4);
    let event = body(json!({"type": "order.paid", "data": {}, "id": format!("{tenant}-1")})).to_string();
    let bearer = format!("Bearer {}", hub.key);
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("idempotency-key", tenant)];
    hub.send("POST", "/v1/events", &headers, event.as_bytes()).expect(202);
    hub.post(&format!("/v1/webhooks/{good}/test"), &json!({"event_type": "order.paid"})).expect(200);
    hub.delete(&format!("/v1/webhooks/{gone}")).expect(204);
    hub.deliver_until_idle();
    for _ in 0..4 {
        hub.clock.advance(MINUTE);
        hub.tell();
        hub.deliver_until_idle();
    }
    hub.post(&format!("/v1/inbox?tenant={tenant}"), &json!({})).expect(200);
    let inbox = hub.get(&format!("/v1/inbox?tenant={tenant}")).expect(200).json();
    let url = inbox["url"].as_str().unwrap();
    hub.send("POST", &url[url.find("/in/").unwrap()..], &[], b"{}").expect(200);
    let key = hub.make_key(Scope::Admin, Some(tenant), None);
    let own = format!("Bearer {key}");
    let headers = [("authorization", own.as_str()), ("content-type", "application/json"), ("idempotency-key", "k1")];
    let paused = hub.create(receiver.url(), &body(json!({"active": false})));
    let path = format!("/v1/webhooks/{}/secret/rotate", paused["id"].as_str().unwrap());
    hub.send("POST", &path, &headers, b"{}").expect(200);
    hub.call_with(&key, "POST", "/v1/portal-links", Some(&json!({"tenant": tenant}).to_string())).expect(201);
    hub.visitor().into_portal(&hub.portal_path(tenant)).page("/webhooks");
    let incidents = hub.get(&format!("/v1/incidents?tenant={tenant}")).expect(200).json();
    let incident = incidents["data"][0]["id"].as_str().expect("an incident").to_owned();
    hub.call_with(&key, "POST", &format!("/v1/incidents/{incident}/mute"), None).expect(200);
    let queued = hub.get(&format!("/v1/deliveries?webhook_id={waiting}&status=pending")).json();
    assert!(!queued["data"].as_array().unwrap().is_empty());
}

/// Columns that follow the time of use, or what others do.
const CHANGING: [&str; 4] = ["last_used_ms", "seen_ms", "edge_seq", "told_ms"];
/// Tables of which rows about a deleted tenant stay, or which are not about tenants.
const OTHERS: [&str; 5] = ["audit", "used_seq", "edge", "clock", "body_format"];

/// Returns the rows of every table, as text.
fn dump(hub: &Hub) -> BTreeMap<String, Vec<String>> {
    let database = Connection::open(hub.database()).unwrap();
    let mut tables = BTreeMap::new();
    for table in texts(&database, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'") {
        let columns = texts(&database, &format!("SELECT name FROM pragma_table_info('{table}')"));
        let shown: Vec<String> = columns
            .iter()
            .filter(|name| !CHANGING.contains(&name.as_str()))
            .map(|name| format!("'{name}=' || quote({name})"))
            .collect();
        // The sums of all webhooks keep what was delivered for a tenant.
        let condition = if table == "stats" { "series <> 0" } else { "true" };
        let query = format!("SELECT {} FROM {table} WHERE {condition} ORDER BY 1", shown.join(" || ' ' || "));
        tables.insert(table.clone(), texts(&database, &query));
    }
    tables
}

fn texts(database: &Connection, query: &str) -> Vec<String> {
    let mut statement = database.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn nothing_of_a_deleted_tenant_is_left_in_any_table_and_nothing_of_another_is_gone() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let failing = Receiver::with(|_| Reply::status(500).body("refused"));
    furnish(&hub, "globex", &receiver, &failing);
    let before = dump(&hub);
    furnish(&hub, "acme", &receiver, &failing);
    let counted = hub.delete("/v1/tenants/acme?dry_run=true").expect(200).json();
    assert_eq!(
        counted,
        json!({"webhooks": 4, "deliveries": 21, "events": 5, "contacts": 1, "api_keys": 1, "portal_links": 2})
    );
    assert_eq!(delete(&hub, "acme"), counted);
    wait_until_deleted(&hub, "acme");
    let after = dump(&hub);
    for (table, rows) in &before {
        if !OTHERS.contains(&table.as_str()) {
            assert_eq!(&after[table], rows, "table {table}");
        }
        assert!(rows.len() + usize::from(is_empty_here(table)) > 0, "the test looks at no row of {table}");
    }
    let left: Vec<&String> = after.values().flatten().filter(|row| row.contains("='acme'")).collect();
    assert!(left.iter().all(|row| row.contains("action=")), "{left:#?}");
    let database = Connection::open(hub.database()).unwrap();
    assert_eq!(texts(&database, "SELECT \"table\" FROM pragma_foreign_key_check"), [""; 0]);
    let audit = hub.get("/v1/audit?tenant=acme&limit=2").json();
    let entry = |index: usize| (audit["data"][index]["action"].clone(), audit["data"][index]["detail"].clone());
    assert_eq!(entry(0), (json!("tenant.deleted"), json!("5 webhooks, 21 deliveries, 5 events")));
    assert_eq!(entry(1), (json!("tenant.deletion_begun"), json!("4 webhooks, 21 deliveries, 5 events")));
}

/// Whether the world of this file has nothing in a table, with or without tenants.
fn is_empty_here(table: &str) -> bool {
    [
        "allowed_target",
        "certificate_notice",
        "contact_mail",
        "device",
        "edge",
        "endpoint_certificate",
        "endpoint_certificate_notice",
        "event_type",
        "machine_fault",
        "one_time_link",
        "pause",
        "profile",
        "recovery_code",
        "tenant_deletion",
        "used_seq",
        "user",
    ]
    .contains(&table)
}

#[test]
fn from_the_call_on_nothing_is_sent_or_stored_for_the_tenant_and_nobody_gets_in() {
    let hub = Hub::start();
    let (receiver, failing) = (Receiver::start(), Receiver::answering(500));
    let key = hub.make_key(Scope::Admin, Some("acme"), None);
    let visitor = hub.visitor().into_portal(&hub.portal_path("acme"));
    let unused = hub.portal_path("acme");
    let retried = hub.add_webhook_with(failing.url(), &json!({"tenant": "acme"}));
    // An incident about which somebody is still to be told keeps the deletion from ending.
    hub.post("/v1/contacts", &json!({"name": "On call", "webhook": {"url": receiver.url()}})).expect(201);
    let hasty = json!({"tenant": "acme", "retry": {"delays_s": [], "exhausted": "dead_letter"}});
    hub.add_webhook_with(failing.url(), &hasty);
    publish(&hub, "acme", 3);
    hub.deliver_until_idle();
    let hits = failing.hits();
    delete(&hub, "acme");
    hub.get(&format!("/v1/webhooks/{retried}")).expect(404);
    let shown = hub.get("/v1/tenants/acme").expect(200).json();
    assert_eq!(shown["deletion"]["begun_at"], "2026-01-15T10:00:00.000Z");
    assert_eq!(shown["webhooks"], json!({"active": 0, "paused": 0, "disabled": 0, "unverified": 0}));
    hub.call_with(&key, "GET", "/v1/webhooks", None).expect(401);
    visitor.get("/webhooks").expect(303);
    hub.visitor().get(&unused).expect(410);
    let refused = |path: &str, body: Value| error(&hub.post(path, &body), 409, "tenant_being_deleted");
    let event = json!({"type": "a.b", "data": {}, "tenant": "acme"});
    refused("/v1/events", event.clone());
    refused("/v1/events/batch", json!([event]));
    refused("/v1/webhooks", json!({"url": receiver.url(), "events": ["*"], "tenant": "acme"}));
    refused("/v1/contacts", json!({"name": "x", "tenant": "acme", "webhook": {"url": receiver.url()}}));
    refused("/v1/portal-links", json!({"tenant": "acme"}));
    refused("/v1/inbox?tenant=acme", json!({}));
    refused("/v1/api-keys", json!({"name": "x", "scope": "read", "tenant": "acme"}));
    let begun = hub.get("/v1/audit?action=tenant.deletion_begun").json()["data"].clone();
    // Once more changes nothing.
    delete(&hub, "acme");
    assert_eq!(hub.get("/v1/audit?action=tenant.deletion_begun").json()["data"], begun);
    hub.advance(5 * MINUTE);
    hub.deliver_until_idle();
    assert_eq!(failing.hits(), hits, "an attempt after the call");
    wait_until_deleted(&hub, "acme");
    assert_eq!(hub.get("/v1/incidents").json()["data"], json!([]));
    // The name begins anew.
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    let told = receiver.hits();
    publish(&hub, "acme", 1);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), told + 1);
    assert_eq!(hub.get("/v1/tenants/acme").json()["deletion"], Value::Null);
}

#[test]
fn contacts_of_others_hear_that_the_incident_is_over() {
    let hub = Hub::start();
    let (pager, failing) = (Receiver::start(), Receiver::answering(500));
    hub.post("/v1/contacts", &json!({"name": "Pager", "webhook": {"url": pager.url()}})).expect(201);
    let hasty = json!({"tenant": "acme", "retry": {"delays_s": [], "exhausted": "dead_letter"}});
    hub.add_webhook_with(failing.url(), &hasty);
    publish(&hub, "acme", 1);
    hub.deliver_until_idle();
    for _ in 0..4 {
        hub.clock.advance(MINUTE);
        hub.tell();
    }
    assert_eq!(pager.hits(), 1, "it opened");
    delete(&hub, "acme");
    let deadline = Instant::now() + PATIENCE;
    while pager.hits() < 2 {
        assert!(Instant::now() < deadline, "nobody said that it is over");
        hub.clock.advance(MINUTE);
        hub.tell();
    }
    assert!(pager.requests()[1].text().contains("closed"), "{}", pager.requests()[1].text());
    wait_until_deleted(&hub, "acme");
}

/// Tables whose numbers are not used twice.
const NUMBERED: [&str; 3] = ["event", "delivery", "webhook"];

/// Largest number of a table; 0 if it is empty.
fn newest(hub: &Hub, table: &str) -> i64 {
    let database = Connection::open(hub.database()).unwrap();
    database.query_row(&format!("SELECT coalesce(max(seq), 0) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_tenant_with_older_rows_that_is_deleted_later_frees_no_number() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let furnish = |tenant: &str| {
        hub.add_webhook_with(receiver.url(), &json!({"tenant": tenant}));
        publish(&hub, tenant, 1);
    };
    furnish("older");
    furnish("newer");
    hub.deliver_until_idle();
    let before = NUMBERED.map(|table| newest(&hub, table));
    for tenant in ["newer", "older"] {
        delete(&hub, tenant);
        wait_until_deleted(&hub, tenant);
    }
    furnish("next");
    assert_eq!(NUMBERED.map(|table| newest(&hub, table)), before.map(|seq| seq + 1));
}

#[test]
fn a_deletion_goes_on_after_a_restart_and_numbers_are_not_used_twice() {
    let mut hub = Hub::start();
    let failing = Receiver::answering(500);
    hub.add_webhook_with(failing.url(), &json!({"tenant": "acme"}));
    publish(&hub, "acme", 300);
    hub.deliver_until_idle();
    let before = NUMBERED.map(|table| newest(&hub, table));
    let hits = failing.hits();
    delete(&hub, "acme");
    hub.abandon();
    hub.advance(10 * MINUTE);
    hub.restart();
    wait_until_deleted(&hub, "acme");
    assert_eq!(failing.hits(), hits, "an attempt after the restart");
    assert_eq!(NUMBERED.map(|table| newest(&hub, table)), [0; 3]);
    hub.restart();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    publish(&hub, "acme", 2);
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 2);
    for (index, (table, more)) in NUMBERED.into_iter().zip([2, 2, 1]).enumerate() {
        assert_eq!(newest(&hub, table), before[index] + more, "{table}");
    }
}

#[test]
fn the_next_tenant_of_the_name_has_the_whole_queue() {
    let hub = Hub::with(|options| options.tenant_limits.queued = 3);
    for _ in 0..2 {
        let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme"}));
        hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": false})).expect(200);
        publish(&hub, "acme", 3);
        delete(&hub, "acme");
        wait_until_deleted(&hub, "acme");
    }
}

#[test]
fn a_tenant_is_deleted_by_its_name_only_and_with_a_key_for_all_tenants() {
    let hub = Hub::start();
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme"}));
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "hookpost"}));
    for query in ["", "?confirm=ACME", "?confirm=globex", "?dry_run=false"] {
        error(&hub.delete(&format!("/v1/tenants/acme{query}")), 422, "not_confirmed");
    }
    error(&hub.delete("/v1/tenants/acme?dry_run=1"), 422, "invalid_value");
    error(&hub.delete("/v1/tenants/acme?force=true"), 422, "unknown_parameter");
    error(&hub.delete("/v1/tenants/globex?confirm=globex"), 404, "not_found");
    error(&hub.delete("/v1/tenants/a%20b?confirm=a"), 404, "not_found");
    error(&hub.delete("/v1/tenants/hookpost?confirm=hookpost"), 422, "reserved_tenant");
    let own = hub.make_key(Scope::Admin, Some("acme"), None);
    error(&hub.call_with(&own, "DELETE", "/v1/tenants/acme?confirm=acme", None), 403, "forbidden");
    error(&hub.call_with(&own, "DELETE", "/v1/tenants/globex?confirm=globex", None), 404, "not_found");
    for scope in [Scope::Read, Scope::Publish] {
        let key = hub.make_key(scope, None, None);
        error(&hub.call_with(&key, "DELETE", "/v1/tenants/acme?confirm=acme", None), 403, "forbidden");
    }
    assert_eq!(hub.get("/v1/tenants/acme").json()["webhooks"]["active"], 1);
    assert_eq!(hub.get("/v1/audit?action=tenant.deletion_begun").json()["data"], json!([]));
}
