//! Ids of events, which are unique within a tenant.

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in, ids};
use crate::support::Hub;
use crate::support::receiver::Receiver;

/// Two tenants with a key and a receiver each.
struct Tenants {
    hub: Hub,
    keys: [String; 2],
    receivers: [Receiver; 2],
}

const NAMES: [&str; 2] = ["acme", "globex"];

impl Tenants {
    fn start() -> Tenants {
        let hub = Hub::start();
        let receivers = [Receiver::start(), Receiver::start()];
        for (tenant, receiver) in NAMES.iter().zip(&receivers) {
            hub.add_webhook_with(receiver.url(), &json!({"tenant": tenant}));
        }
        let keys = NAMES.map(|tenant| hub.make_key(Scope::Admin, Some(tenant), None));
        Tenants { hub, keys, receivers }
    }

    /// Publishes an event with the id `order-1` for each tenant. Returns the receipts.
    fn publish(&self) -> [Value; 2] {
        [0, 1].map(|one| {
            let body = json!({"type": "order.paid", "id": "order-1", "data": {"of": NAMES[one]}}).to_string();
            self.hub.call_with(&self.keys[one], "POST", "/v1/events", Some(&body)).expect(202).json()
        })
    }
}

#[test]
fn each_tenant_has_its_own_event_of_an_id_that_both_use() {
    let tenants = Tenants::start();
    let first = tenants.publish();
    let again = tenants.publish();
    tenants.hub.deliver_until_idle();
    for one in [0, 1] {
        assert_eq!(first[one]["duplicate"], false);
        assert_eq!(again[one]["duplicate"], true);
        assert_eq!(again[one]["deliveries"], first[one]["deliveries"]);
        let key = &tenants.keys[one];
        let event = tenants.hub.call_with(key, "GET", "/v1/events/order-1", None).expect(200).json();
        assert_eq!(event["tenant"], NAMES[one]);
        assert_eq!(event["data"]["of"], NAMES[one]);
        assert_eq!(event["deliveries"][0]["id"], first[one]["deliveries"][0]["id"]);
        let listed = tenants.hub.call_with(key, "GET", "/v1/deliveries?event_id=order-1", None);
        assert_eq!(ids(&listed), [first[one]["deliveries"][0]["id"].as_str().unwrap()]);
        assert_eq!(tenants.receivers[one].hits(), 1);
        let received = tenants.receivers[one].last();
        assert!(received.text().contains(NAMES[one]), "{}", received.text());
        assert_eq!(received.header("webhook-id"), Some("order-1"));
        let other = json!({"type": "order.paid", "id": "order-1", "data": {}}).to_string();
        let refused = tenants.hub.call_with(key, "POST", "/v1/events", Some(&other));
        error_in(&refused, 409, "event_id_reused", "id");
        // A replay of one reaches its own tenant.
        tenants.hub.call_with(key, "POST", "/v1/events/order-1/replay", Some("{}")).expect(202);
        tenants.hub.deliver_until_idle();
        assert_eq!(tenants.receivers.each_ref().map(Receiver::hits), [2, 1 + one]);
    }
}

#[test]
fn a_call_for_all_tenants_names_the_tenant_of_an_id_that_several_use() {
    let tenants = Tenants::start();
    let hub = &tenants.hub;
    let body = json!({"type": "order.paid", "id": "lonely", "data": {}, "tenant": "acme"});
    hub.post("/v1/events", &body).expect(202);
    assert_eq!(hub.get("/v1/events/lonely").expect(200).json()["tenant"], "acme");
    let receipts = tenants.publish();
    let refused = hub.get("/v1/events/order-1");
    error_in(&refused, 409, "ambiguous_event_id", "tenant");
    assert!(refused.text.contains("acme, globex"), "{}", refused.text);
    error_in(&hub.post("/v1/events/order-1/replay", &json!({})), 409, "ambiguous_event_id", "tenant");
    for (one, tenant) in NAMES.into_iter().enumerate() {
        let event = hub.get(&format!("/v1/events/order-1?tenant={tenant}")).expect(200).json();
        assert_eq!(event["data"]["of"], tenant);
        let replayed = hub.post("/v1/events/order-1/replay", &json!({"tenant": tenant})).expect(202).json();
        assert_eq!(replayed["data"][0]["tenant"], tenant);
        let delivery = receipts[one]["deliveries"][0]["id"].as_str().unwrap();
        let listed = ids(&hub.get(&format!("/v1/deliveries?event_id=order-1&tenant={tenant}")));
        assert_eq!(listed.len(), 2);
        assert!(listed.contains(&delivery.to_owned()));
        hub.deliver_until_idle();
        let count = json!({"event_id": "order-1", "tenant": tenant, "status": "delivered", "dry_run": true});
        assert_eq!(hub.post("/v1/deliveries/retry", &count).expect(200).json()["count"], 2);
    }
    assert_eq!(ids(&hub.get("/v1/deliveries?event_id=order-1")).len(), 4);
    error(&hub.get("/v1/events/order-1?tenant=nobody"), 404, "not_found");
    error_in(&hub.get("/v1/events/order-1?tenant=a%20b"), 422, "invalid_tenant", "tenant");
    let refused = hub.call_with(&tenants.keys[0], "GET", "/v1/events/order-1?tenant=globex", None);
    error(&refused, 403, "forbidden");
}

#[test]
fn a_batch_may_use_an_id_once_for_each_tenant() {
    let tenants = Tenants::start();
    let event = |tenant: &str| json!({"type": "order.paid", "id": "order-1", "data": 1, "tenant": tenant});
    let body = json!([event("acme"), event("globex")]).to_string();
    let bearer = format!("Bearer {}", tenants.hub.key);
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k-1")];
    let send = || tenants.hub.send("POST", "/v1/events/batch", &headers, body.as_bytes()).expect(202).json();
    let first = send()["data"].clone();
    let again = send()["data"].clone();
    for one in [0, 1] {
        assert_eq!(first[one]["duplicate"], false);
        assert_eq!(again[one]["duplicate"], true);
        assert_eq!(again[one]["deliveries"], first[one]["deliveries"]);
    }
    assert_ne!(first[0]["deliveries"], first[1]["deliveries"]);
}
