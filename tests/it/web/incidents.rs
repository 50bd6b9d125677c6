//! The pages of incidents, and the strip of days.

use hookpost::domain::time::{DAY, HOUR, MINUTE};
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::receiver::{Behaviour, Receiver, Reply};

fn only_incident(hub: &Hub) -> String {
    let all = hub.get("/v1/incidents").expect(200).json();
    let all = all["data"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{all:#?}");
    format!("/incidents/{}", all[0]["id"].as_str().unwrap())
}

#[test]
fn failing_since_yesterday_ends_on_the_page_of_the_incident_alone() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"description": "Shop", "retry": {"delays_s": [60]}}));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    receiver.behave(Behaviour::Answer(Reply::status(503).body("down for <b>maintenance</b>")));
    hub.advance(MINUTE);
    for _ in 0..3 {
        hub.publish("order.paid", json!({}));
    }
    hub.deliver_until_idle();
    hub.advance(2 * MINUTE);
    hub.deliver_until_idle();
    hub.publish("order.paid", json!({}));
    hub.advance(DAY);
    let visitor = hub.administrator();
    let path = only_incident(&hub);
    assert!(visitor.page("/").links_to(&path), "the overview leads to it");
    let page = visitor.page(&path);
    for text in [
        "Failing since 2026-01-15 10:01:00 UTC",
        "Last success before: 2026-01-15 10:00:00 UTC",
        "503 Service Unavailable",
        "Opened when Hookpost disabled the webhook",
        "down for <b>maintenance</b>",
        "First failed attempt.",
        "1 queued delivery will be sent",
        "Disabled since",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.source().contains("<b>maintenance"));

    // A test fails; the endpoint is repaired; a test succeeds.
    let fields = [("webhook", webhook.as_str())];
    let page = visitor.submit_and_follow(&format!("{path}/test"), &fields);
    assert!(page.contains("Test event failed."), "{page}");
    assert_eq!(page.get("#result").attribute("data-status"), Some("failed"));
    receiver.behave(Behaviour::Answer(Reply::status(200)));
    let page = visitor.submit_and_follow(&format!("{path}/test"), &fields);
    assert!(page.get("#result").text().contains("Test delivered: 200"), "{page}");

    // Resume: what was queued gets through.
    let form = page.form(&format!("/webhooks/{webhook}/resume")).expect("a form that resumes");
    let fields = form.fields();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = visitor.submit_and_follow(&format!("/webhooks/{webhook}/resume"), &fields[1..]);
    assert!(page.has_flash("Resumed."), "{page}");
    assert!(page.contains("Incident of"), "the same page");
    hub.deliver_until_idle();

    // Retry the three dead letters.
    let page = visitor.page(&path);
    assert!(page.contains("Deliveries succeed again."), "{page}");
    assert!(page.has_button("Retry 3"), "{page}");
    let form = page.form("/deliveries/retry").expect("a form that retries");
    let fields = form.fields();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let page = visitor.submit_and_follow("/deliveries/retry", &fields[1..]);
    assert!(page.has_flash("Queued for retry: 3 deliveries."), "{page}");
    assert!(page.contains("Incident of"), "the same page");
    hub.deliver_until_idle();
    let page = visitor.page(&path);
    assert!(page.contains("No dead letters."), "{page}");
    hub.advance(11 * MINUTE);
    hub.tend_until_idle();
    let page = visitor.page(&path);
    assert!(page.contains("Incident closed."), "{page}");
    assert!(visitor.page("/incidents?status=open").contains("No open incidents"));
    assert!(visitor.page("/incidents?status=closed").links_to(&path));
    assert!(visitor.page(&format!("/incidents?webhook={webhook}")).links_to(&path));
}

#[test]
fn people_leave_notes_and_mute_an_incident() {
    let hub = Hub::start();
    let lost = json!({"tenant": "acme", "retry": {"delays_s": [], "exhausted": "dead_letter"}});
    hub.add_webhook_with("http://127.0.0.1:9", &lost);
    hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": "acme"})).expect(202);
    hub.deliver_until_idle();
    let path = only_incident(&hub);
    let visitor = hub.administrator();
    visitor.page(&path);
    let page = visitor.submit_and_follow(&format!("{path}/notes"), &[("text", "asked Bob,\nback by <ten>")]);
    assert!(page.has_flash("Note added."), "{page}");
    assert!(page.contains("back by <ten>") && page.contains("anna"), "{page}");
    let again = visitor.submit(&format!("{path}/notes"), &[("text", &"x".repeat(2_001))]).expect(422).page();
    assert!(again.problem("text").is_some(), "{again}");
    assert_eq!(again.field("text").map(|text| text.len()), Some(2_001), "what was typed is kept");
    let page = visitor.submit_and_follow(&format!("{path}/mute"), &[("muted", "yes")]);
    assert!(page.contains("Muted: nobody is told about it.") && page.has_button("Unmute"), "{page}");

    // The tenant sees neither the operator's notes nor that the operator muted it, and has its own.
    let acme = hub.portal("acme");
    let page = acme.page(&path);
    assert!(!page.holds("Bob") && !page.holds("anna") && page.has_button("Mute"), "{page}");
    let page = acme.submit_and_follow(&format!("{path}/notes"), &[("text", "we are on it")]);
    assert!(page.contains("we are on it"), "{page}");
    assert!(visitor.page(&path).contains("we are on it"));
    let page = visitor.submit_and_follow(&format!("{path}/mute"), &[("muted", "no")]);
    assert!(page.has_button("Mute") && page.contains("Incident unmuted."), "{page}");
    assert!(hub.viewer().page(&path).forms().iter().all(|form| form.action() == "/logout"));
}

#[test]
fn a_tenant_sees_an_incident_of_a_shared_host_without_a_trace_of_the_others() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    for tenant in ["acme", "rival", "third"] {
        let fields = json!({"tenant": tenant, "description": format!("Shop of {tenant}"),
            "retry": {"delays_s": [], "exhausted": "dead_letter"}});
        let webhook = hub.add_webhook_with(receiver.url(), &fields);
        if tenant != "third" {
            hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": tenant})).expect(202);
            hub.deliver_until_idle();
            hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({})).expect(200);
        }
    }
    let path = only_incident(&hub);
    let page = hub.portal("acme").page(&path);
    assert!(page.contains("Shop of acme") && !page.holds("rival"), "{page}");
    assert!(page.contains("Test event failed."), "{page}");
    let list = hub.portal("acme").page("/incidents");
    assert!(list.links_to(&format!("/portal{path}")) && !list.holds("rival"), "{list}");
    assert_eq!(hub.portal("third").get(&path).status, 404);
    assert!(hub.portal("third").page("/incidents").contains("No incidents"));
    let page = hub.administrator().page(&path);
    assert!(page.contains("Shop of acme") && page.contains("Shop of rival") && !page.holds("Shop of third"), "{page}");
}

#[test]
fn a_strip_shows_the_last_thirty_days_and_opens_their_deliveries() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let lost = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}});
    let webhook = hub.add_webhook_with(receiver.url(), &lost);
    let send = |code: u16| {
        receiver.behave(Behaviour::Answer(Reply::status(code)));
        hub.publish("order.paid", json!({}));
        hub.deliver_until_idle();
    };
    send(200);
    hub.advance(DAY);
    send(200);
    send(500);
    hub.advance(DAY);
    send(500);
    hub.advance(HOUR);
    let page = hub.administrator().page(&format!("/webhooks/{webhook}"));
    let cells: Vec<(String, Option<String>)> = page
        .all(".strip a")
        .iter()
        .map(|cell| (cell.text(), cell.attribute("data-status").map(str::to_owned)))
        .collect();
    assert_eq!(cells.len(), 30 + 24);
    let status = |index: usize| cells[index].1.as_deref().unwrap();
    assert_eq!([26, 27, 28, 29].map(status), ["none", "ok", "warn", "failed"], "{cells:?}");
    assert!(cells[28].0.contains("16 Jan 2026: 1 delivered, 1 failed"), "{cells:?}");
    assert_eq!([30 + 21, 30 + 22, 30 + 23].map(status), ["none", "failed", "none"], "{cells:?}");
    let opened = page.all(".strip a")[28].attribute("href").unwrap().replace("&amp;", "&");
    let list = hub.operator().page(&opened);
    assert_eq!(list.rows().len(), 2, "{list}");
}

#[test]
fn ten_thousand_webhooks_of_one_host_are_one_incident_that_every_page_shows() {
    let hub = Hub::start();
    let lost = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}, "events": ["a.b"]});
    hub.add_webhook_with("http://127.0.0.1:9/hook", &lost);
    // Copies of the first, as they are in the database, all in the same incident as if each had failed.
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    let connection = rusqlite::Connection::open(hub.database()).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO incident_webhook
             SELECT incident_seq, i, 'tenant' || (i % 100), reason, since_ms, last_success_ms, opened_ms, error_code, code,
                 cause, cause_ms, failures, deliveries, dead_letters, recovered_ms, ended_ms, certificate_ends_ms
             FROM incident_webhook, n;",
        )
        .unwrap();
    drop(connection);
    let path = only_incident(&hub);
    let visitor = hub.administrator();
    let begin = std::time::Instant::now();
    let page = visitor.page(&path);
    assert!(page.contains("1,000+"), "{page}");
    visitor.page("/incidents");
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    let shown = hub.get(&format!("/v1{path}")).expect(200).json();
    assert_eq!(shown["is_partial"], true);
    assert_eq!(shown["webhooks"].as_array().map(Vec::len), Some(100));
    assert_ne!(shown["timeline"], Value::Null);
}
