//! `X-Request-Id`: in every response, in the log, and in the body of an internal error.

use std::path::Path;
use std::time::Duration;

use hookpost::store::Connection;
use serde_json::json;

use super::{CALLS, error};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::process::Site;
use crate::support::visitor::PASSWORD;

fn id_of(answer: &Answer) -> &str {
    answer.header("x-request-id").unwrap()
}

#[test]
fn every_answer_carries_an_id_of_its_own() {
    let hub = Hub::start();
    let mut seen = Vec::new();
    let mut note = |answer: &Answer| {
        let id = id_of(answer);
        assert_eq!(id.len(), 16, "{id}");
        assert!(!seen.contains(&id.to_owned()), "{id} came twice");
        seen.push(id.to_owned());
    };
    // With and without a key, for each status: 200, 202, 401, 404, 405, 415, 422.
    for (method, path, _) in CALLS {
        note(&hub.send(method, path, &[], b""));
        note(&hub.call_with(&hub.key, method, path, Some("{}")));
        note(&hub.send("TRACE", path, &[], b""));
    }
    for path in ["/healthz", "/readyz", "/", "/nothing", "/v1/events?limit=x"] {
        note(&hub.get(path));
    }
}

#[test]
fn a_well_formed_id_of_the_caller_comes_back_and_another_does_not() {
    let hub = Hub::start();
    let longest = "x".repeat(64);
    for id in ["a", "0a_-Z", "5f1c2d3e-0000-4000-8000-1234567890ab", &longest] {
        let answer = hub.send("GET", "/healthz", &[("x-request-id", id)], b"");
        assert_eq!(id_of(&answer), id);
    }
    let too_long = "x".repeat(65);
    for id in ["", " ", "a b", "a.b", "a\"b", "<b>", "a;b", &too_long] {
        let answer = hub.send("GET", "/healthz", &[("x-request-id", id)], b"");
        assert_ne!(id_of(&answer), id);
        assert_eq!(id_of(&answer).len(), 16);
    }
}

/// Makes every webhook unreadable.
fn damage(database: &Path) {
    let connection = Connection::open(database).unwrap();
    connection.execute("UPDATE webhook SET events = 'no list'", []).unwrap();
}

#[test]
fn an_internal_error_shows_the_id_of_its_request() {
    let hub = Hub::start();
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    damage(&hub.database());
    let headers = [("x-api-key", hub.key.as_str()), ("x-request-id", "mine-1")];
    let answer = hub.send("GET", &format!("/v1/webhooks/{webhook}"), &headers, b"");
    let error = error(&answer, 500, "internal_error");
    assert_eq!(id_of(&answer), "mine-1");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("mine-1"), "{message}");
}

/// Damages the database with a statement.
fn execute(hub: &Hub, sql: &str) {
    Connection::open(hub.database()).unwrap().execute(sql, []).unwrap();
}

/// Asserts that a response is an internal error that names the id of its own header.
#[track_caller]
fn assert_names_its_id(answer: &Answer) {
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert!(answer.text.contains(id_of(answer)), "{} in {}", id_of(answer), answer.text);
}

#[test]
fn an_internal_error_on_a_page_names_the_id_of_its_header() {
    let hub = Hub::start();
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    let visitor = hub.administrator();
    visitor.page("/account");
    damage(&hub.database());
    assert_names_its_id(&visitor.get(&format!("/webhooks/{webhook}")));
    assert_names_its_id(&visitor.submit(&format!("/webhooks/{webhook}/pause"), &[]));
}

#[test]
fn a_list_of_webhooks_that_cannot_be_read_names_its_id_and_no_column() {
    let hub = Hub::start();
    hub.add_webhook("http://127.0.0.1:9/");
    let visitor = hub.administrator();
    execute(&hub, "DROP INDEX webhook_state");
    let answer = visitor.get("/webhooks?state=disabled").expect(200);
    assert!(answer.page().contains("The list could not be loaded"), "{}", answer.text);
    assert!(answer.text.contains(id_of(&answer)), "{} in {}", id_of(&answer), answer.text);
    assert!(!answer.text.contains("column"), "{}", answer.text);
}

#[test]
fn an_internal_error_before_anybody_is_signed_in_names_the_id_of_its_header() {
    let hub = Hub::start();
    let link = hub.running.setup_link().unwrap().unwrap();
    let visitor = hub.visitor();
    visitor.page(link.strip_prefix(&hub.at("")).unwrap());
    let fields = [("token", link.split('=').nth(1).unwrap()), ("name", "anna"), ("password", PASSWORD)];
    for table in ["one_time_link", "portal_link"] {
        execute(&hub, &format!("ALTER TABLE {table} RENAME TO no_{table}"));
    }
    assert_names_its_id(&visitor.submit("/setup", &fields));
    for path in ["/setup?token=x", "/portal?token=x", "/demo?token=x"] {
        assert_names_its_id(&visitor.get(path));
    }

    let hub = Hub::start();
    let visitor = hub.administrator();
    execute(&hub, "UPDATE user SET role = 'none'");
    let other = hub.visitor();
    other.page("/login");
    assert_names_its_id(&other.submit("/login", &[("name", "anna"), ("password", PASSWORD)]));
    assert_names_its_id(&visitor.get("/webhooks"));
}

#[test]
fn an_internal_error_of_an_inbox_names_the_id_of_its_header() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/inbox");
    let page = visitor.submit_and_follow("/inbox", &[]);
    let url = page.find("#inbox-url").unwrap().text();
    let path = url.strip_prefix(&hub.at("")).unwrap();
    execute(&hub, "UPDATE inbox SET tenant = 'no tenant'");
    assert_names_its_id(&hub.get(path));
}

#[test]
fn the_log_tells_the_cause_of_an_internal_error_under_its_id() {
    let (site, key) = Site::with_key();
    let process = site.serve();
    let client = process.client(&key);
    let webhook = client.add_webhook("http://127.0.0.1:9/", &json!({}));
    damage(&site.database());
    let answer = client.call("GET", &format!("/v1/webhooks/{webhook}"), None);
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], "internal_error", "{}", answer.text);
    let message = error["message"].as_str().unwrap();
    let (_, id) = message.trim_end_matches('.').rsplit_once(' ').unwrap();
    process.signal("TERM");
    let (_, log) = process.ended(Duration::from_secs(10));
    let line = log.lines().find(|line| line.contains("internal error: ")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.ends_with(&format!(" request_id={id}")) && line.contains("column events"), "{line}");
}
