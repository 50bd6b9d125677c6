//! `GET /v1/tenants`: tenants by name, with counts.

use hookpost::store::StoreError;
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::error;
use crate::support::Hub;
use crate::support::receiver::Receiver;

fn names(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|tenant| tenant["name"].as_str().unwrap()).collect()
}

/// A server with tenants that have one thing each.
fn world() -> (Hub, Receiver) {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let failing = json!({"tenant": "acme", "url": "http://127.0.0.1:9/", "events": ["*"], "active": true,
        "retry": {"delays_s": [], "exhausted": "dead_letter"}});
    hub.post("/v1/webhooks", &failing).expect(201);
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme", "active": false}));
    for _ in 0..3 {
        hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": "acme"})).expect(202);
    }
    hub.deliver_until_idle();
    hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": "Published"})).expect(202);
    hub.post("/v1/inbox?tenant=received", &json!({})).expect(200);
    hub.make_key(Scope::Publish, Some("keyed"), None);
    hub.post("/v1/portal-links", &json!({"tenant": "linked"})).expect(201);
    let contact = json!({"name": "x", "tenant": "told", "webhook": {"url": receiver.url()}});
    hub.post("/v1/contacts", &contact).expect(201);
    (hub, receiver)
}

#[test]
fn each_tenant_has_its_counts_and_a_version() {
    let (hub, _receiver) = world();
    let shown = hub.get("/v1/tenants/acme").expect(200);
    assert_eq!(
        shown.json(),
        json!({
            "name": "acme", "webhooks": {"active": 1, "paused": 1, "disabled": 0, "unverified": 0},
            "queued_deliveries": 3, "dead_letters": 3, "last_event_at": "2026-01-15T10:00:00.000Z", "deletion": null,
        })
    );
    let tag = shown.header("etag").unwrap().to_owned();
    let bearer = format!("Bearer {}", hub.key);
    let again = |tag: &str| {
        hub.send("GET", "/v1/tenants/acme", &[("authorization", &bearer), ("if-none-match", tag)], b"").status
    };
    assert_eq!(again(&tag), 304);
    hub.post("/v1/events", &json!({"type": "a.b", "data": {}, "tenant": "acme"})).expect(202);
    assert_eq!(again(&tag), 200);
    error(&hub.get("/v1/tenants/globex"), 404, "not_found");
    error(&hub.get("/v1/tenants/a.b"), 404, "not_found");
}

#[test]
fn the_list_has_every_tenant_once_by_name_page_by_page() {
    let (hub, _receiver) = world();
    // Messages to contacts belong to Hookpost's own tenant.
    let all = ["Published", "acme", "hookpost", "keyed", "linked", "received", "told"];
    assert_eq!(names(&hub.get("/v1/tenants").expect(200).json()), all);
    let (mut found, mut path) = (Vec::new(), "/v1/tenants?limit=2".to_owned());
    loop {
        let page = hub.get(&path).expect(200).json();
        assert!(names(&page).len() <= 2);
        found.extend(names(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/tenants?limit=2&cursor={cursor}");
        let other = format!("/v1/tenants?q=e&cursor={cursor}");
        error(&hub.get(&other), 422, "invalid_cursor");
    }
    assert_eq!(found, all);
    assert_eq!(names(&hub.get("/v1/tenants?q=PUB").json()), ["Published"]);
    assert_eq!(names(&hub.get("/v1/tenants?q=nothing").json()), [""; 0]);
    for bad in ["cursor=x", "cursor=AAAAAAAAAAEfSw5Y", "limit=0", "limit=251", "q="] {
        hub.get(&format!("/v1/tenants?{bad}")).expect(422);
    }
}

#[test]
fn a_search_among_many_names_goes_on_over_pages_that_may_be_empty() {
    let hub = Hub::start();
    let store = &hub.running.app.actions.store;
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
                  INSERT INTO topic (tenant, type) SELECT printf('t%05d', i), 'a.b' FROM n";
    store.write(move |tx| tx.connection().execute(insert, []).map_err(StoreError::from)).wait().unwrap();
    let first = hub.get("/v1/tenants?q=t12000").expect(200).json();
    assert_eq!(names(&first), [""; 0]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = hub.get(&format!("/v1/tenants?q=t12000&cursor={cursor}")).expect(200).json();
    assert_eq!((names(&next), &next["next_cursor"]), (vec!["t12000"], &Value::Null));
}

#[test]
fn a_key_of_one_tenant_sees_its_own_alone() {
    let (hub, _receiver) = world();
    let key = hub.make_key(Scope::Read, Some("acme"), None);
    let get = |path: &str| hub.call_with(&key, "GET", path, None);
    assert_eq!(names(&get("/v1/tenants").expect(200).json()), ["acme"]);
    assert_eq!(names(&get("/v1/tenants?q=acm").json()), ["acme"]);
    assert_eq!(names(&get("/v1/tenants?q=glo").json()), [""; 0]);
    get("/v1/tenants/acme").expect(200);
    error(&get("/v1/tenants/keyed"), 404, "not_found");
    let key = hub.make_key(Scope::Publish, None, None);
    error(&hub.call_with(&key, "GET", "/v1/tenants", None), 403, "forbidden");
}
