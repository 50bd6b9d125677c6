//! Event types: described, seen, subscribed to.

use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;

const HOSTILE: &str = "<script>alert(1)</script>{{ 7 * 7 }}\u{202e}\u{1f600}%00";
const SHOWN: &str = "&#60;script&#62;alert(1)&#60;/script&#62;{{ 7 * 7 }}\u{202e}\u{1f600}%00";

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
    for text in [SHOWN, "{&#34;total&#34;:  1.50}", "order.paid was saved", "No webhook subscribes"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(!page.contains("<script>alert"));
    let again = visitor.submit("/new-event-type", &fields).expect(422);
    assert!(again.text.contains("order.paid already has a description"));
    let page = visitor.page("/event-types/order.paid/edit");
    assert!(page.contains("1.50") && page.contains("Delete event type"));
    let fields = [("description", "Somebody paid."), ("example", "{}"), ("schema", "")];
    let page = visitor.submit_and_follow("/event-types/order.paid/edit", &fields);
    assert!(page.contains("Somebody paid.") && !page.contains("JSON Schema"));
    let path = "/event-types/order.paid/delete";
    let asked = visitor.submit(path, &[]).expect(200);
    assert!(asked.text.contains("Delete the description of order.paid?"));
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
        ("a b", "{}", "", "name-problem"),
        ("a.b", "{\"open\": ", "", "example-problem"),
        ("a.b", "{}", "[1", "schema-problem"),
        ("a.b", "{}", "{\"type\": 7}", "schema-problem"),
        ("a.b", "\"text\"", "{\"type\": \"object\"}", "example-problem"),
        ("a.b", "\"\\ud800\"", "", "example-problem"),
    ] {
        let fields = [("name", name), ("description", "typed by hand"), ("example", example), ("schema", schema)];
        let answer = visitor.submit("/new-event-type", &fields).expect(422);
        assert!(answer.text.contains(&format!("id=\"{field}\"")), "{field}: {}", answer.text);
        assert!(answer.text.contains("typed by hand"));
    }
    let long = "x".repeat(5_000);
    let fields = [("name", "a.b"), ("description", long.as_str())];
    let answer = visitor.submit("/new-event-type", &fields).expect(422);
    assert!(answer.text.contains("id=\"description-problem\""));
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
    for text in ["Not described", "/event-types/order.paid\"", "class=\"num\">3<", "/event-types/zebra\""] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert!(page.find("order.paid").unwrap() < page.find("zebra").unwrap());
    assert!(!page.contains("new-event-type"));
    let page = visitor.page("/event-types/order.paid");
    for text in [&format!("/webhooks/{webhook}"), "Shop &#38; co", "order.*", "/events?type=order.paid", "<dd>3</dd>"] {
        assert!(page.contains(text), "{text} in {page}");
    }
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
    assert!(page.contains("type.n49\"") && !page.contains("type.n50\""));
    assert!(page.contains("/event-types?after=type.n49"));
    let page = visitor.page("/event-types?after=type.n49");
    assert!(page.contains("type.n50\"") && page.contains("type.n59\"") && !page.contains("type.n49\""));
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
    assert!(!page.contains("globex"), "{page}");
    let page = acme.page("/event-types/order.paid");
    assert!(page.contains("Webhook of acme") && page.contains("n&#34;:1"), "{page}");
    assert!(!page.contains("globex"), "{page}");
    acme.get("/event-types/only.globex").expect(404);
    acme.get("/event-types/order.paid/edit").expect(404);
    acme.get("/new-event-type").expect(404);
    acme.submit("/event-types/order.paid/edit", &[("description", "x")]).expect(404);
    acme.submit("/event-types/order.paid/delete", &[("confirmed", "yes")]).expect(404);
}
