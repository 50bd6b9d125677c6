//! Portal links and their sessions: created, listed, ended.

use hookpost::domain::time::{HOUR, MINUTE, SECOND};
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, ids};
use crate::support::Hub;
use crate::support::hub::Answer;

fn create(hub: &Hub, key: &str, body: &Value) -> Answer {
    hub.call_with(key, "POST", "/v1/portal-links", Some(&body.to_string()))
}

#[test]
fn links_are_made_by_admin_keys_for_their_own_tenant() {
    let hub = Hub::start();
    let made = create(&hub, &hub.key, &json!({"tenant": "acme", "expires_s": 60})).expect(201).json();
    assert_eq!(made["expires_at"], "2026-01-15T10:01:00.000Z");
    assert!(made["url"].as_str().unwrap().starts_with(&hub.at("/portal?token=")));
    let own = hub.make_key(Scope::Admin, Some("acme"), None);
    create(&hub, &own, &json!({"tenant": "acme"})).expect(201);
    create(&hub, &own, &json!({"tenant": "globex"})).expect(403);
    for scope in [Scope::Read, Scope::Publish] {
        let key = hub.make_key(scope, None, None);
        create(&hub, &key, &json!({"tenant": "acme"})).expect(403);
    }
    for (body, field) in [
        (json!({}), "tenant"),
        (json!({"tenant": "a b"}), "tenant"),
        (json!({"tenant": "acme", "expires_s": 59}), "expires_s"),
        (json!({"tenant": "acme", "expires_s": 86401}), "expires_s"),
        (json!({"tenant": "acme", "expires_s": "60"}), "expires_s"),
        (json!({"tenant": "acme", "session_s": 59}), "session_s"),
        (json!({"tenant": "acme", "session_s": 86401}), "session_s"),
        (json!({"tenant": "acme", "subject": " "}), "subject"),
        (json!({"tenant": "acme", "subject": "a\nb"}), "subject"),
        (json!({"tenant": "acme", "subject": "x".repeat(129)}), "subject"),
        (json!({"tenant": "acme", "for": 1}), "for"),
    ] {
        let refused = create(&hub, &hub.key, &body).expect(422);
        assert_eq!(refused.json()["error"]["field"], field, "{body}");
    }
}

#[test]
fn a_session_lasts_as_long_as_its_link_says() {
    let hub = Hub::start();
    let path = hub.portal_path_with(&json!({"tenant": "acme", "session_s": 3600}));
    hub.advance(5 * MINUTE);
    let visitor = hub.visitor().into_portal(&path);
    hub.advance(HOUR - SECOND);
    visitor.page("/webhooks");
    hub.advance(SECOND);
    visitor.get("/webhooks").expect(303);
    assert_eq!(ids(&hub.get("/v1/portal-links")), [""; 0]);
}

#[test]
fn unused_links_and_open_sessions_are_listed_without_their_tokens() {
    let hub = Hub::start();
    let made = json!({"tenant": "acme", "subject": "jo", "session_s": 600});
    let made = create(&hub, &hub.key, &made).expect(201).json();
    let path = hub.portal_path("globex");
    hub.advance(MINUTE);
    hub.visitor().into_portal(&path);
    let list = hub.get("/v1/portal-links").expect(200);
    let rows = list.json()["data"].clone();
    assert_eq!(rows[0]["tenant"], "globex");
    assert_eq!(rows[0]["session"]["started_at"], "2026-01-15T10:01:00.000Z");
    assert_eq!(rows[0]["expires_at"], "2026-01-16T10:01:00.000Z");
    let key = hub.get("/v1/api-keys").json()["data"][0]["id"].clone();
    let unused = json!({
        "id": made["id"], "tenant": "acme", "subject": "jo", "api_key_id": key,
        "created_at": "2026-01-15T10:00:00.000Z", "expires_at": "2026-01-15T10:10:00.000Z", "session_s": 600,
        "session": null,
    });
    assert_eq!(rows[1], unused);
    let token = path.split('=').nth(1).unwrap();
    assert!(!list.text.contains(token) && !list.text.contains("token"), "{}", list.text);
    assert_eq!(ids(&hub.get("/v1/portal-links?tenant=acme")).len(), 1);
    let first = hub.get("/v1/portal-links?limit=1").json();
    let next = first["next_cursor"].as_str().unwrap();
    assert_eq!(hub.get(&format!("/v1/portal-links?limit=1&cursor={next}")).json()["data"][0], unused);
    // A tenant's key sees its own, and a link that expired is gone.
    let own = hub.make_key(Scope::Read, Some("acme"), None);
    let list = |key: &str| hub.call_with(key, "GET", "/v1/portal-links", None);
    assert_eq!(list(&own).json()["data"], json!([unused]));
    hub.call_with(&own, "GET", "/v1/portal-links?tenant=globex", None).expect(403);
    hub.advance(9 * MINUTE);
    assert_eq!(list(&own).json()["data"], json!([]));
    // After twelve hours without use, the session has ended.
    hub.advance(12 * HOUR);
    assert_eq!(ids(&hub.get("/v1/portal-links")), [""; 0]);
}

#[test]
fn links_and_sessions_end_one_by_one_or_all_of_a_tenant() {
    let hub = Hub::start();
    let (jo, kim) = (hub.portal("acme"), hub.portal("globex"));
    let unused = hub.portal_path("acme");
    let open = hub.get("/v1/portal-links?tenant=acme").json()["data"][1]["id"].as_str().unwrap().to_owned();
    let other = hub.get("/v1/portal-links?tenant=globex").json()["data"][0]["id"].as_str().unwrap().to_owned();
    let own = hub.make_key(Scope::Admin, Some("acme"), None);
    let delete = |key: &str, path: &str| hub.call_with(key, "DELETE", path, None);
    error(&delete(&own, &format!("/v1/portal-links/{other}")), 404, "not_found");
    let reader = hub.make_key(Scope::Read, None, None);
    delete(&reader, &format!("/v1/portal-links/{open}")).expect(403);
    delete(&reader, "/v1/portal-links?tenant=acme").expect(403);
    jo.page("/webhooks");
    delete(&own, &format!("/v1/portal-links/{open}")).expect(204);
    error(&delete(&own, &format!("/v1/portal-links/{open}")), 404, "not_found");
    error(&delete(&own, "/v1/portal-links/x"), 404, "not_found");
    jo.get("/webhooks").expect(303);
    hub.visitor().page(&unused);

    error_in(&hub.delete("/v1/portal-links"), 422, "missing_parameter", "tenant");
    delete(&own, "/v1/portal-links?tenant=globex").expect(403);
    let jo = hub.portal("acme");
    assert_eq!(delete(&own, "/v1/portal-links").expect(200).json(), json!({"ended": 2}));
    jo.get("/webhooks").expect(303);
    hub.visitor().get(&unused).expect(410);
    kim.page("/webhooks");
    assert_eq!(hub.delete("/v1/portal-links?tenant=globex").expect(200).json(), json!({"ended": 1}));
    kim.get("/webhooks").expect(303);
    assert_eq!(hub.delete("/v1/portal-links?tenant=globex").expect(200).json(), json!({"ended": 0}));
}

#[test]
fn signing_out_ends_the_link_too() {
    let hub = Hub::start();
    let jo = hub.portal("acme");
    jo.page("/webhooks");
    jo.submit("/logout", &[]).expect(303);
    assert_eq!(ids(&hub.get("/v1/portal-links")), [""; 0]);
}

#[test]
fn the_end_of_a_key_ends_the_links_and_sessions_that_it_made() {
    let hub = Hub::start();
    let made = json!({"name": "shop", "scope": "admin"});
    let made = hub.post("/v1/api-keys", &made).expect(201).json();
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    let path = |key: &str| {
        let made = create(&hub, key, &json!({"tenant": "acme"})).expect(201).json();
        made["url"].as_str().unwrap().strip_prefix(&hub.at("")).unwrap().to_owned()
    };
    let (open, unused) = (hub.visitor().into_portal(&path(key)), path(key));
    let kept = hub.portal("acme");
    open.page("/webhooks");
    hub.visitor().page(&unused);
    hub.delete(&format!("/v1/api-keys/{id}")).expect(204);
    open.get("/webhooks").expect(303);
    hub.visitor().get(&unused).expect(410);
    kept.page("/webhooks");
    assert_eq!(ids(&hub.get("/v1/portal-links")).len(), 1);
    // A key with an end date.
    let made = json!({"name": "brief", "scope": "admin", "expires_at": "2026-01-15T11:00:00Z"});
    let made = hub.post("/v1/api-keys", &made).expect(201).json();
    let key = made["key"].as_str().unwrap();
    let open = hub.visitor().into_portal(&path(key));
    hub.advance(HOUR - SECOND);
    open.page("/webhooks");
    let unused = path(key);
    hub.advance(SECOND);
    open.get("/webhooks").expect(303);
    hub.visitor().get(&unused).expect(410);
    assert_eq!(ids(&hub.get("/v1/portal-links")).len(), 1);
}

#[test]
fn a_tenant_has_a_thousand_links_at_most_and_the_oldest_end() {
    let hub = Hub::start();
    let first = hub.portal_path("acme");
    let other = hub.portal_path("globex");
    let second = hub.portal_path("acme");
    for _ in 0..999 {
        hub.portal_path("acme");
    }
    hub.visitor().get(&first).expect(410);
    hub.visitor().page(&second);
    hub.visitor().page(&other);
    assert_eq!(hub.delete("/v1/portal-links?tenant=acme").expect(200).json(), json!({"ended": 1000}));
}
