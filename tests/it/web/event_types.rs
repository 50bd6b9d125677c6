//! Event types: descriptions, seen types, subscriptions.

use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;

const HOSTILE: &str = "<script>alert(1)</script>{{ 7 * 7 }}\u{202e}\u{1f600}%00";

#[test]
fn a_type_is_described_shown_changed_and_deleted() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    assert!(visitor.page("/event-types").contains("No event types yet"));
    assert!(visitor.page("/new-event-type").contains("Create event type"));
    let fields = [
        ("name", "order.paid"),
        ("description", HOSTILE),
        ("example", "{\"total\":  1.50}"),
        ("schema", "{\"type\": \"object\"}"),
    ];
    let page = visitor.submit_and_follow("/new-event-type", &fields);
    for text in [HOSTILE, "{\"total\":  1.50}", "order.paid was saved", "No webhook subscribes"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.source().contains("<script>alert"));
    let again = visitor.submit("/new-event-type", &fields).expect(422);
    assert!(again.page().contains("order.paid already has a description"));
    let page = visitor.page("/event-types/order.paid/edit");
    assert!(page.field("example").unwrap().contains("1.50") && page.has_button("Delete event type"));
    let fields = [("description", "Somebody paid."), ("example", "{}"), ("schema", "")];
    let page = visitor.submit_and_follow("/event-types/order.paid/edit", &fields);
    assert!(page.contains("Somebody paid.") && !page.holds("JSON Schema"));
    let path = "/event-types/order.paid/delete";
    let asked = visitor.submit(path, &[]).expect(200);
    assert!(asked.page().contains("Delete the description of order.paid?"));
    let page = visitor.submit_and_follow(path, &[("confirmed", "yes")]);
    assert!(page.contains("No event types yet"), "{page}");
    visitor.submit(path, &[("confirmed", "yes")]).expect(404);
}

#[test]
fn a_wrong_form_keeps_what_was_typed_and_says_what_is_wrong_where() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/new-event-type");
    for (name, example, schema, field) in [
        ("a b", "{}", "", "name"),
        ("a.b", "{\"open\": ", "", "example"),
        ("a.b", "{}", "[1", "schema"),
        ("a.b", "{}", "{\"type\": 7}", "schema"),
        ("a.b", "\"text\"", "{\"type\": \"object\"}", "example"),
        ("a.b", "\"\\ud800\"", "", "example"),
    ] {
        let fields = [("name", name), ("description", "typed by hand"), ("example", example), ("schema", schema)];
        let page = visitor.submit("/new-event-type", &fields).expect(422).page();
        assert!(page.problem(field).is_some(), "{field}: {page}");
        assert_eq!(page.field("description").as_deref(), Some("typed by hand"));
    }
    let long = "x".repeat(5_000);
    let fields = [("name", "a.b"), ("description", long.as_str())];
    let page = visitor.submit("/new-event-type", &fields).expect(422).page();
    assert!(page.problem("description").is_some());
    assert!(visitor.page("/event-types").contains("No event types yet"));
}

#[test]
fn what_was_seen_is_listed_with_its_volume_and_subscribers() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    let fields = json!({"events": ["order.*"], "description": "Shop & co"});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    for _ in 0..3 {
        hub.publish("order.paid", json!({}));
    }
    hub.publish("zebra", json!({}));
    let visitor = hub.viewer();
    let page = visitor.page("/event-types");
    assert!(page.contains("Not described"), "{page}");
    assert_eq!(page.rows(), ["/event-types/order.paid", "/event-types/zebra"]);
    assert!(page.all("td.num").iter().any(|cell| cell.text() == "3"), "{page}");
    assert!(!page.holds("new-event-type"));
    let page = visitor.page("/event-types/order.paid");
    assert!(page.contains("Shop & co") && page.contains("order.*"), "{page}");
    assert!(page.links_to(&format!("/webhooks/{webhook}")) && page.links_to("/events?type=order.paid"), "{page}");
    assert!(page.all("dd").iter().any(|fact| fact.text() == "3"), "{page}");
    visitor.get("/event-types/order.paid/edit").expect(403);
    visitor.submit("/event-types/order.paid/edit", &[]).expect(403);
    visitor.submit("/new-event-type", &[("name", "a.b")]).expect(403);
    visitor.submit("/event-types/order.paid/delete", &[]).expect(403);
    visitor.get("/event-types/never.seen").expect(404);
    visitor.get("/event-types/a%20b").expect(404);
}

#[test]
fn a_long_list_goes_on_where_it_ended() {
    let hub = Hub::start();
    for number in 0..60 {
        hub.publish(&format!("type.n{number:02}"), json!({}));
    }
    let visitor = hub.viewer();
    let page = visitor.page("/event-types");
    let paths = |from: usize, to: usize| (from..to).map(|n| format!("/event-types/type.n{n:02}")).collect::<Vec<_>>();
    assert_eq!(page.rows(), paths(0, 50));
    assert!(page.links_to("/event-types?after=type.n49"));
    assert_eq!(visitor.page("/event-types?after=type.n49").rows(), paths(50, 60));
    assert!(visitor.page("/event-types?after=zzz").contains("No more event types"));
}

#[test]
fn the_people_of_a_tenant_see_descriptions_and_their_own_webhooks() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    for tenant in ["acme", "globex"] {
        let fields = json!({"tenant": tenant, "description": format!("Webhook of {tenant}")});
        hub.add_webhook_with(receiver.url(), &fields);
        let event = json!({"type": format!("only.{tenant}"), "data": {}, "tenant": tenant});
        hub.post("/v1/events", &event).expect(202);
    }
    let described = json!({"description": "For everybody", "example": {"n": 1}}).to_string();
    hub.call_with(&hub.key, "PUT", "/v1/event-types/order.paid", Some(&described)).expect(201);
    let acme = hub.portal("acme");
    let page = acme.page("/event-types");
    assert!(page.contains("For everybody") && page.contains("only.acme"));
    assert!(!page.holds("globex"), "{page}");
    let page = acme.page("/event-types/order.paid");
    assert!(page.contains("Webhook of acme") && page.contains("n\":1"), "{page}");
    assert!(!page.holds("globex"), "{page}");
    acme.get("/event-types/only.globex").expect(404);
    acme.get("/event-types/order.paid/edit").expect(404);
    acme.get("/new-event-type").expect(404);
    acme.submit("/event-types/order.paid/edit", &[("description", "x")]).expect(404);
    acme.submit("/event-types/order.paid/delete", &[("confirmed", "yes")]).expect(404);
}
