//! Keys of a tenant: limited to their tenant, without access to others.

use hookpost::store::api_key::Scope;
use serde_json::json;

use super::{CALLS, Ids, body_for, error, ids, rows};
use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn anothers_objects_do_not_exist_in_any_call() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let theirs = Ids::in_tenant(&hub, "theirs", &receiver.url());
    hub.deliver_until_idle();
    let before = (rows(&hub), hub.webhook(&theirs.webhook));
    let key = hub.make_key(Scope::Admin, Some("ours"), None);
    for (method, path, _) in CALLS
        .iter()
        // API keys have no tenant.
        .filter(|call| call.1.contains('{') && !call.1.contains("{k}"))
    {
        let body = body_for(path, &receiver.url()).to_string();
        let body = (*method != "GET").then_some(body.as_str());
        let answer = hub.call_with(&key, method, &theirs.fill(path), body);
        error(&answer, 404, "not_found");
    }
    let test = json!({"webhook_id": theirs.webhook}).to_string();
    let answer = hub.call_with(&key, "POST", "/v1/webhooks/test", Some(&test));
    error(&answer, 404, "not_found");
    assert_eq!((rows(&hub), hub.webhook(&theirs.webhook)), before);
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn naming_another_tenant_is_forbidden_in_every_call_that_takes_one() {
    let hub = Hub::start();
    let key = hub.make_key(Scope::Admin, Some("ours"), None);
    for path in ["/v1/events", "/v1/webhooks", "/v1/deliveries", "/v1/dead-letters"] {
        let answer = hub.call_with(&key, "GET", &format!("{path}?tenant=theirs"), None);
        error(&answer, 403, "forbidden");
        hub.call_with(&key, "GET", &format!("{path}?tenant=ours"), None).expect(200);
    }
    for path in ["/v1/events", "/v1/webhooks", "/api/webhooks", "/v1/webhooks/settings"] {
        let mut body = body_for(path, "http://127.0.0.1:9/");
        body["tenant"] = json!("theirs");
        let answer = hub.call_with(&key, "POST", path, Some(&body.to_string()));
        error(&answer, 403, "forbidden");
    }
    assert_eq!(rows(&hub), [0, 0, 0]);
}

#[test]
fn a_tenants_key_acts_in_its_tenant_where_none_is_named() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    Ids::in_tenant(&hub, "theirs", &receiver.url());
    hub.deliver_until_idle();
    let key = hub.make_key(Scope::Admin, Some("ours"), None);
    let call = |method, path: &str, body: Option<&str>| hub.call_with(&key, method, path, body);
    let body = body_for("/v1/webhooks", &receiver.url()).to_string();
    let made = call("POST", "/v1/webhooks", Some(&body)).expect(201).json();
    assert_eq!(made["tenant"], "ours");
    let body = body_for("/v1/events", "").to_string();
    let receipt = call("POST", "/v1/events", Some(&body)).expect(202).json();
    assert_eq!(receipt["deliveries"].as_array().unwrap().len(), 1);
    let sent = call("POST", "/v1/webhooks/test", Some(r#"{"event": "order.paid"}"#));
    let sent = sent.expect(200).json()["data"].clone();
    assert_eq!(sent.as_array().unwrap().len(), 1, "{sent}");
    assert_eq!(sent[0]["webhook_id"], made["id"]);
    for (path, count) in [("webhooks", 1), ("events", 1), ("deliveries", 2)] {
        let answer = call("GET", &format!("/v1/{path}"), None);
        assert_eq!(ids(&answer).len(), count, "{path}");
        for row in answer.json()["data"].as_array().unwrap() {
            assert_eq!(row["tenant"], "ours");
        }
    }
}

#[test]
fn events_reach_the_webhooks_of_their_tenant_only() {
    let hub = Hub::start();
    let [ours, theirs] = [Receiver::start(), Receiver::start()];
    hub.add_webhook_with(ours.url(), &json!({"tenant": "ours"}));
    hub.add_webhook_with(theirs.url(), &json!({"tenant": "theirs"}));
    let event = json!({"type": "order.paid", "data": {}, "tenant": "ours"});
    hub.post("/v1/events", &event).expect(202);
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!((ours.hits(), theirs.hits()), (1, 0));
}
