//! Webhooks that the application knows: by its own id, by facts of its own, and by their URL.

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error_in, ids};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;

const PATH: &str = "/v1/webhooks/by-external-id/shop-42";

fn put(hub: &Hub, key: &str, path: &str, body: &Value) -> Answer {
    hub.call_with(key, "PUT", path, Some(&body.to_string()))
}

fn body() -> Value {
    json!({"url": "http://127.0.0.1:9/", "events": ["order.*"]})
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

#[test]
fn a_webhook_is_created_by_the_applications_own_id_and_updated_by_it_afterwards() {
    let hub = Hub::start();
    let mut wanted = body();
    wanted["headers"] = json!({"X-Api-Key": "s3cret"});
    let made = put(&hub, &hub.key, PATH, &wanted).expect(201);
    let location = made.header("location").unwrap().to_owned();
    let made = made.json();
    assert_eq!(made["external_id"], "shop-42");
    assert_eq!(location, format!("/v1/webhooks/{}", id(&made)));
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let read = hub.webhook(id(&made));
    // The same again changes nothing, and shows no secret.
    hub.advance(60_000);
    let again = put(&hub, &hub.key, PATH, &wanted).expect(200).json();
    assert_eq!(again, read);
    assert!(again.get("secret").is_none() && again.get("similar").is_none());
    // What is left out stays, since a person may have set it.
    hub.patch(&location, &json!({"description": "Orders", "timeout_s": 9})).expect(200);
    let moved = json!({"url": "http://127.0.0.1:8/", "events": ["user.made"], "headers": {}, "external_id": "shop-42"});
    let moved = put(&hub, &hub.key, PATH, &moved).expect(200).json();
    assert_eq!(id(&moved), id(&made));
    assert_eq!((&moved["url"], &moved["events"]), (&json!("http://127.0.0.1:8/"), &json!(["user.made"])));
    assert_eq!((&moved["description"], &moved["timeout_s"]), (&json!("Orders"), &json!(9)));
    assert_eq!(ids(&hub.get("/v1/webhooks")), [id(&made)]);
    // A deleted webhook gives its id free.
    hub.delete(&location).expect(204);
    let next = put(&hub, &hub.key, PATH, &wanted).expect(201).json();
    assert_ne!(id(&next), id(&made));
}

#[test]
fn requests_at_a_time_with_one_external_id_make_one_webhook() {
    let hub = Hub::start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| put(&hub, &hub.key, PATH, &body()).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 7, "{statuses:?}");
    assert_eq!(ids(&hub.get("/v1/webhooks")).len(), 1);
}

#[test]
fn an_external_id_is_unique_in_its_tenant() {
    let hub = Hub::start();
    let mut known = body();
    known["external_id"] = json!("shop-42");
    let first = hub.post("/v1/webhooks", &known).expect(201).json();
    error_in(&hub.post("/v1/webhooks", &known), 409, "external_id_taken", "external_id");
    let other = hub.post("/v1/webhooks", &body()).expect(201).json();
    let path = format!("/v1/webhooks/{}", id(&other));
    error_in(&hub.patch(&path, &json!({"external_id": "shop-42"})), 409, "external_id_taken", "external_id");
    // Another tenant has its own ids, and its keys see nothing of these.
    let acme = hub.make_key(Scope::Admin, Some("acme"), None);
    let theirs = put(&hub, &acme, PATH, &body()).expect(201).json();
    assert_eq!(theirs["tenant"], "acme");
    let mut named = body();
    named["tenant"] = json!("acme");
    assert_eq!(id(&put(&hub, &hub.key, PATH, &named).expect(200).json()), id(&theirs));
    // Null gives it free.
    hub.patch(&format!("/v1/webhooks/{}", id(&first)), &json!({"external_id": null})).expect(200);
    hub.patch(&path, &json!({"external_id": "shop-42"})).expect(200);
    let mut differs = body();
    differs["external_id"] = json!("shop-43");
    error_in(&put(&hub, &hub.key, PATH, &differs), 422, "name_differs", "external_id");
    error_in(&put(&hub, &hub.key, PATH, &json!({"url": "http://127.0.0.1:9/"})), 422, "missing_field", "events");
    for wrong in ["", " ", "a b", "é", ".x", "a/b", &"x".repeat(129)] {
        let mut wanted = body();
        wanted["external_id"] = json!(wrong);
        error_in(&hub.post("/v1/webhooks", &wanted), 422, "invalid_external_id", "external_id");
    }
}

#[test]
fn a_put_with_a_condition_creates_or_changes_only_what_the_client_knows() {
    let hub = Hub::start();
    let key = format!("Bearer {}", hub.key);
    let conditional = |header: (&str, &str)| {
        let headers = [("Authorization", key.as_str()), ("Content-Type", "application/json"), header];
        hub.send("PUT", PATH, &headers, body().to_string().as_bytes())
    };
    conditional(("If-Match", "*")).expect(412);
    let made = conditional(("If-None-Match", "*")).expect(201);
    conditional(("If-None-Match", "*")).expect(412);
    let tag = made.header("etag").unwrap().to_owned();
    conditional(("If-Match", &tag)).expect(200);
    conditional(("If-Match", "\"other\"")).expect(412);
}

#[test]
fn metadata_is_kept_merged_and_bounded() {
    let hub = Hub::start();
    let path = format!(
        "/v1/webhooks/{}",
        hub.add_webhook_with(
            "http://127.0.0.1:9/",
            &json!({"metadata": {"team": "orders", "Team": "x", "plan": "pro"}})
        )
    );
    assert_eq!(hub.get(&path).json()["metadata"], json!({"Team": "x", "plan": "pro", "team": "orders"}));
    let changed = hub.patch(&path, &json!({"metadata": {"team": null, "plan": "free"}})).expect(200).json();
    assert_eq!(changed["metadata"], json!({"Team": "x", "plan": "free"}));
    let changed = hub.patch(&path, &json!({"metadata": null})).expect(200).json();
    assert_eq!(changed["metadata"], json!({}));
    let many: Value = (0..51).map(|number| (format!("n{number}"), json!("v"))).collect();
    for (metadata, field) in [
        (many, "metadata"),
        (json!({"a b": "v"}), "metadata.a b"),
        (json!({"x": 5}), "metadata.x"),
        (json!({"x": "v".repeat(501)}), "metadata.x"),
        (json!({"x": "a\u{0}b"}), "metadata.x"),
    ] {
        error_in(&hub.patch(&path, &json!({"metadata": metadata})), 422, "invalid_metadata", field);
    }
}

#[test]
fn the_creation_of_a_second_webhook_of_one_url_and_types_names_the_first() {
    let hub = Hub::start();
    let create = |fields: Value| hub.create("http://127.0.0.1:9/", &fields);
    let first = create(json!({"events": ["a.b", "c.*"]}));
    assert_eq!(first["similar"], json!([]));
    let second = create(json!({"events": ["c.*", "a.b"], "description": "Again"}));
    assert_eq!(second["similar"], json!([id(&first)]));
    assert_eq!(create(json!({"events": ["a.b"]}))["similar"], json!([]));
    assert_eq!(create(json!({"events": ["a.b", "c.*"], "tenant": "acme"}))["similar"], json!([]));
    assert_eq!(hub.create("http://127.0.0.1:8/", &json!({"events": ["a.b", "c.*"]}))["similar"], json!([]));
    let third = create(json!({"events": ["a.b", "c.*"]}));
    assert_eq!(third["similar"], json!([id(&second), id(&first)]));
    assert!(hub.webhook(id(&third)).get("similar").is_none());
}

#[test]
fn the_documents_path_of_settings_updates_what_it_created_for_a_url() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let own = hub.add_webhook_with(receiver.url(), &json!({"events": ["own.made"]}));
    let wanted = json!({"url": receiver.url(), "events": ["post.published", "post.failed"]});
    let made = hub.post("/v1/webhooks/settings", &wanted).expect(201).json();
    assert_ne!(id(&made), own);
    let changed = json!({"url": receiver.url(), "events": ["account.connected"]});
    for path in ["/v1/webhooks/settings", "/api/webhooks/settings"] {
        let again = hub.post(path, &changed).expect(200).json();
        assert_eq!(id(&again), id(&made));
        assert_eq!(again["events"], json!(["account.connected"]));
        assert!(again.get("secret").is_none());
    }
    assert_eq!(hub.webhook(&own)["events"], json!(["own.made"]));
    let other = json!({"url": receiver.url_at("/other"), "events": ["post.failed"]});
    assert_ne!(id(&hub.post("/v1/webhooks/settings", &other).expect(201).json()), id(&made));
    let acme = hub.make_key(Scope::Admin, Some("acme"), None);
    hub.call_with(&acme, "POST", "/v1/webhooks/settings", Some(&wanted.to_string())).expect(201);
    // The secret that receivers verify with stays.
    hub.publish_one("account.connected", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_search_finds_a_webhook_by_its_external_id_and_its_page_shows_it() {
    let hub = Hub::start();
    hub.add_webhook("http://127.0.0.1:9/");
    let fields = json!({"external_id": "shop-4711", "metadata": {"team": "blue orders"}});
    let wanted = hub.add_webhook_with("http://127.0.0.1:9/", &fields);
    assert_eq!(ids(&hub.get("/v1/webhooks?q=SHOP-47")), [wanted.as_str()]);
    let found = hub.get("/v1/search?q=shop-4711").expect(200).json();
    assert_eq!(found["webhooks"][0]["id"], wanted, "{found}");
    let page = hub.administrator().page(&format!("/webhooks/{wanted}/settings"));
    assert!(page.holds("shop-4711") && page.holds("blue orders"), "{page}");
}
