//! Pages about events.

use serde_json::{Value, json};

use hookpost::domain::time::{DAY, HOUR};

use crate::support::Hub;
use crate::support::receiver::Receiver;
use crate::support::visitor::{PASSWORD, Visitor};

const MARKUP: &str = "<script>alert(1)</script>{{7*7}}\u{202e}😀";

fn id_of(receipt: &serde_json::Value) -> String {
    receipt["id"].as_str().unwrap().to_owned()
}

#[test]
fn events_are_listed_by_type_tenant_and_time() {
    let hub = Hub::start();
    let first = id_of(&hub.publish("a.first", json!({"text": MARKUP})));
    hub.advance(HOUR);
    let second = id_of(&hub.publish("a.second", json!({})));
    let body = json!({"type": "a.third", "data": {}, "tenant": "acme"});
    let third = id_of(&hub.post("/v1/events", &body).json());
    let visitor = hub.administrator();
    for (query, expected) in [
        ("", vec![&first, &second, &third]),
        ("?type=a.first", vec![&first]),
        ("?tenant=acme", vec![&third]),
        ("?since=2026-01-15T11:00:00Z", vec![&second, &third]),
        ("?until=2026-01-15T11:00:00Z", vec![&first]),
        ("?type=a.none", vec![]),
    ] {
        let page = visitor.page(&format!("/events{query}"));
        for id in [&first, &second, &third] {
            let tenant = if *id == third { "acme" } else { "default" };
            let is_shown = page.links_to(&format!("/events/{id}?tenant={tenant}"));
            assert_eq!(is_shown, expected.contains(&id), "{query}");
        }
        assert!(!page.source().contains("<script>alert"));
    }
    assert!(visitor.page("/events?type=a.none").contains("No matching events."));
    assert!(visitor.page("/events?since=soon").has(".problem-state"));
}

#[test]
fn an_event_says_where_it_went_and_why_not_elsewhere() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"events": ["a.b"], "description": "Shop"}));
    hub.add_webhook_with(receiver.url_at("/other"), &json!({"events": ["c.d"]}));
    let body = json!({"type": "a.b", "data": {"text": MARKUP}, "previous_data": {"n": 1},
        "created_at": "2026-01-15T09:00:00Z"});
    let id = id_of(&hub.post("/v1/events", &body).json());
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    let page = visitor.page(&format!("/events/{id}"));
    for text in [
        "Occurred",
        "2026-01-15 09:00:00 UTC",
        "previous_data",
        "Shop",
        "It subscribes to c.d, and not to a.b.",
        MARKUP,
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.source().contains("<script>alert"));
    let file = visitor.get(&format!("/events/{id}/data")).expect(200);
    assert_eq!(file.text, body["data"].to_string());
    assert_eq!(file.header("content-type"), Some("application/octet-stream"));
    visitor.get(&format!("/events/{id}/secret")).expect(404);
    visitor.get("/events/nobody").expect(404);
}

#[test]
fn an_event_is_replayed_to_all_once_confirmed_or_to_one_webhook() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"events": ["a.b"]}));
    let other = hub.add_webhook_with(receiver.url(), &json!({"events": ["c.d"]}));
    let id = id_of(&hub.publish("a.b", json!({})));
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    let path = format!("/events/{id}/replay");
    visitor.page(&format!("/events/{id}"));
    let asked = visitor.submit(&path, &[]).expect(200);
    assert!(asked.page().contains("Replay this event?"));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
    let page = visitor.submit_and_follow(&path, &[("confirmed", "yes")]);
    assert!(page.has_flash("Queued: 1 delivery."));
    let page = visitor.submit_and_follow(&path, &[("webhook", &other)]);
    assert!(page.has_flash("Queued: 1 delivery"));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 3);
    visitor.submit(&path, &[("webhook", "wh_x")]).expect(404);
    let lonely = id_of(&hub.publish("x.y", json!({})));
    let page = visitor.submit_and_follow(&format!("/events/{lonely}/replay"), &[("confirmed", "yes")]);
    assert!(page.has_flash("Nothing was queued"));
}

#[test]
fn an_event_is_published_by_hand() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let visitor = hub.administrator();
    assert!(visitor.page("/events").contains("No events yet."));
    visitor.page("/events/new");
    let data = "{\"n\": 12345678901234567890123,\r\n \"n\": 1}";
    let fields = [("type", " a.b "), ("data", data), ("id", "mine"), ("tenant", "")];
    let answer = visitor.submit("/events/new", &fields).expect(303);
    assert_eq!(answer.header("location"), Some("/events/mine?tenant=default"));
    assert!(visitor.page("/events/mine").contains("Published. 1 delivery is queued."));
    hub.deliver_until_idle();
    assert!(receiver.last().text().contains("12345678901234567890123"));
    let again = visitor.submit_and_follow("/events/new", &fields);
    assert!(again.contains("This event was published before"));
}

#[test]
fn what_is_wrong_stands_at_its_field_and_nothing_is_lost() {
    let hub = Hub::start();
    let schema = json!({"description": "", "example": {"id": "x"},
        "schema": {"type": "object", "required": ["id"]}});
    let path = "/v1/event-types/order.paid";
    hub.call_with(&hub.key, "PUT", path, Some(&schema.to_string())).expect(201);
    let visitor = hub.administrator();
    let filled = visitor.page("/events/new?type=order.paid");
    assert_eq!(filled.field("data").as_deref(), Some("{\"id\":\"x\"}"));
    let deep = "[".repeat(200);
    for (fields, at) in [
        ([("type", "a..b"), ("data", "{}"), ("id", "")], "type"),
        ([("type", "a.b"), ("data", "{\"a\": "), ("id", "")], "data"),
        ([("type", "a.b"), ("data", deep.as_str()), ("id", "")], "data"),
        ([("type", "a.b"), ("data", "{\"a\": \"\\ud800\"}"), ("id", "")], "data"),
        ([("type", "a.b"), ("data", ""), ("id", "")], "data"),
        ([("type", "a.b"), ("data", "{}"), ("id", "a.b")], "id"),
        ([("type", "order.paid"), ("data", "{}"), ("id", "")], "data"),
    ] {
        let page = visitor.submit("/events/new", &fields).expect(422).page();
        assert!(page.problem(at).is_some(), "{at}: {page}");
        assert_eq!(page.form("/events/new").unwrap().field("type").as_deref(), Some(fields[0].1));
    }
    let fields = [("type", MARKUP), ("tenant", MARKUP), ("data", MARKUP)];
    let answer = visitor.submit("/events/new", &fields).expect(422);
    assert!(!answer.page().source().contains("<script>alert"));
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    visitor.submit("/events/new", &[("type", "a.b"), ("data", &large)]).expect(422);
    assert!(visitor.page("/events").contains("No events yet."));
}

#[test]
fn viewers_publish_and_replay_nothing() {
    let hub = Hub::start();
    let id = id_of(&hub.publish("a.b", json!({})));
    let viewer = hub.viewer();
    assert!(!viewer.page("/events").holds("/events/new"));
    assert!(!viewer.page(&format!("/events/{id}")).holds("/replay"));
    viewer.get("/events/new").expect(403);
    let fields = [("type", "a.b"), ("data", "{}"), ("confirmed", "yes")];
    viewer.submit("/events/new", &fields).expect(403);
    viewer.submit(&format!("/events/{id}/replay"), &fields).expect(403);
}

#[test]
fn the_pages_of_two_events_with_one_id_are_told_apart_by_their_tenants() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    for tenant in ["acme", "globex"] {
        let fields = json!({"tenant": tenant, "description": format!("Shop of {tenant}")});
        hub.add_webhook_with(receiver.url(), &fields);
        let body = json!({"type": "a.b", "id": "mine", "data": {"of": tenant}, "tenant": tenant});
        hub.post("/v1/events", &body).expect(202);
    }
    hub.deliver_until_idle();
    let visitor = hub.administrator();
    for (tenant, other) in [("acme", "globex"), ("globex", "acme")] {
        let path = format!("/events/mine?tenant={tenant}");
        assert!(visitor.page("/events").links_to(&path));
        let page = visitor.page(&path);
        assert!(page.contains(&format!("Shop of {tenant}")) && !page.contains(&format!("Shop of {other}")));
        assert!(page.holds(&format!("/v1/events/mine?tenant={tenant}")));
        let file = visitor.get(&format!("/events/mine/data?tenant={tenant}")).expect(200);
        assert_eq!(file.text, json!({"of": tenant}).to_string());
        let delivery = page.row_ids().remove(0);
        let delivery = visitor.page(&format!("/deliveries/{delivery}"));
        assert!(delivery.links_to(&path));
        let page = visitor.submit_and_follow(&format!("/events/mine/replay?tenant={tenant}"), &[("confirmed", "yes")]);
        assert!(page.has_flash("Queued: 1 delivery."));
        hub.deliver_until_idle();
        let received: serde_json::Value = serde_json::from_str(receiver.last().text()).unwrap();
        assert_eq!(received["data"]["of"], tenant);
        let portal = hub.portal(tenant);
        assert!(portal.page("/events").links_to("/portal/events/mine"));
        let page = portal.page("/events/mine");
        assert!(page.contains(&format!("Shop of {tenant}")) && !page.contains(other));
    }
    let unclear = visitor.get("/events/mine").expect(409).page();
    assert!(unclear.contains("acme, globex"), "{unclear}");
    let found = visitor.get("/deliveries?q=mine").expect(303);
    assert_eq!(found.header("location"), Some("/deliveries?event=mine"));
}

#[test]
fn an_event_is_edited_and_sent_again_as_a_new_one_and_both_pages_link_to_each_other() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    let body = json!({"id": "order-1001", "tenant": "acme", "type": "order.paid", "data": {"sum": 1}, "previous_data": {"sum": 0}});
    hub.post("/v1/events", &body).expect(202);
    hub.deliver_until_idle();
    let anna = hub.administrator();
    let page = anna.page("/events/order-1001?tenant=acme");
    let path = page.link("Edit and resend").unwrap().to_owned();
    let page = anna.page(&path);
    assert_eq!(page.heading(), "Edit and resend");
    for (field, value) in [
        ("type", "order.paid"),
        ("tenant", "acme"),
        ("id", ""),
        ("data", "{\"sum\":1}"),
        ("previous_data", "{\"sum\":0}"),
    ] {
        assert_eq!(page.field(field).as_deref(), Some(value), "{field}");
    }
    let submit = |visitor: &Visitor<'_>, changes: &[(&str, &str)]| {
        let mut fields = visitor.page(&path).form("/events/new").unwrap().fields();
        fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let kept = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        visitor.submit("/events/new", &kept.chain(changes.iter().copied()).collect::<Vec<_>>())
    };
    // It stays in its tenant, and stays one in the making when something is wrong.
    let refused = submit(&anna, &[("tenant", "globex")]).expect(422).page();
    assert!(refused.problem("tenant").unwrap().contains("acme"), "{refused}");
    let refused = submit(&anna, &[("data", "{")]).expect(422).page();
    assert_eq!(refused.field("resend").as_deref(), Some("order-1001"));

    let sent = submit(&anna, &[("data", "{\"sum\": 2}"), ("id", "order-1001-again")]).expect(303);
    let new = anna.follow(&sent).page();
    assert_eq!(new.fact("Resent from").as_deref(), Some("order-1001"));
    assert!(new.links_to("/events/order-1001?tenant=acme"), "{new}");
    let old = anna.page("/events/order-1001?tenant=acme");
    assert_eq!(old.fact("Resent as").as_deref(), Some("order-1001-again"));
    hub.deliver_until_idle();
    assert_eq!(serde_json::from_str::<Value>(receiver.last().text()).unwrap()["data"], json!({"sum": 2}));
    let event = |id: &str| hub.get(&format!("/v1/events/{id}?tenant=acme")).expect(200).json();
    assert_eq!(event("order-1001-again")["resent_from"], "order-1001");
    assert_eq!(event("order-1001")["resent_from"], Value::Null);
    // People of the tenant see the mark and send nothing by hand.
    let theirs = hub.portal("acme").page("/events/order-1001-again");
    assert!(theirs.contains("order-1001") && theirs.link("Edit and resend").is_none(), "{theirs}");
    // When retention has deleted the old one, the new one no longer names it.
    hub.advance(31 * DAY);
    let anna = hub.visitor();
    anna.sign_in("anna", PASSWORD).expect(303);
    submit(&anna, &[("id", "order-1001-late")]).expect(303);
    assert_eq!(event("order-1001-late")["resent_from"], "order-1001");
    hub.deliver_until_idle();
    hub.prune_until_idle();
    hub.get("/v1/events/order-1001?tenant=acme").expect(404);
    assert_eq!(event("order-1001-late")["resent_from"], Value::Null);
    assert!(anna.page("/events/order-1001-late?tenant=acme").fact("Resent from").is_none());
}
