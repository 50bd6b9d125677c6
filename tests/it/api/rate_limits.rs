//! Rate limits of API keys.

use hookpost::domain::time::SECOND;
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, error_in};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::process::{Site, stderr, stdout};

fn get(hub: &Hub, key: &str) -> Answer {
    hub.call_with(key, "GET", "/v1/events", None)
}

fn limited_key(hub: &Hub, limit: u32) -> String {
    let body = json!({"name": "limited", "scope": "read", "rate_limit_per_s": limit});
    let made = hub.post("/v1/api-keys", &body).expect(201).json();
    assert_eq!(made["rate_limit_per_s"], limit);
    made["key"].as_str().unwrap().to_owned()
}

#[test]
fn without_a_limit_a_key_makes_any_number_of_requests() {
    let hub = Hub::start();
    for _ in 0..200 {
        hub.get("/v1/events?limit=1").expect(200);
    }
}

#[test]
fn a_key_makes_a_seconds_worth_at_once_and_is_then_told_to_wait() {
    let hub = Hub::with(|options| options.key_rate_limit = Some(5));
    let key = hub.make_key(Scope::Read, None, None);
    for _ in 0..5 {
        get(&hub, &key).expect(200);
    }
    let refused = get(&hub, &key);
    error(&refused, 429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // A rejected request costs nothing, another key has its own limit, and an unknown key gets 401.
    let other = hub.make_key(Scope::Read, None, None);
    get(&hub, &other).expect(200);
    get(&hub, "hp_wrong").expect(401);
    hub.send("GET", "/healthz", &[], b"").expect(200);
    hub.clock.advance(200);
    get(&hub, &key).expect(200);
    get(&hub, &key).expect(429);
    hub.clock.advance(SECOND);
    for _ in 0..5 {
        get(&hub, &key).expect(200);
    }
    get(&hub, &key).expect(429);
    // Setting the clock back grants no requests.
    hub.clock.advance(-SECOND / 2);
    get(&hub, &key).expect(429);
}

#[test]
fn a_keys_own_limit_stands_in_place_of_the_servers() {
    let hub = Hub::with(|options| options.key_rate_limit = Some(1));
    let many = {
        // The server's limit also applies to the key that creates keys.
        hub.clock.advance(SECOND);
        limited_key(&hub, 20)
    };
    for _ in 0..20 {
        get(&hub, &many).expect(200);
    }
    get(&hub, &many).expect(429);
    hub.clock.advance(SECOND);
    let listed = hub.get("/v1/api-keys").expect(200).json();
    let limits: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|key| &key["rate_limit_per_s"]).collect();
    assert_eq!(limits, [&json!(20), &Value::Null]);
}

#[test]
fn a_refused_publish_stores_nothing() {
    let hub = Hub::start();
    let body = json!({"name": "slow", "scope": "publish", "rate_limit_per_s": 1});
    let made = hub.post("/v1/api-keys", &body).expect(201).json();
    let key = made["key"].as_str().unwrap();
    let event = r#"{"type": "order.paid", "data": {}}"#;
    let publish = || hub.call_with(key, "POST", "/v1/events", Some(event));
    publish().expect(202);
    publish().expect(429);
    let events = hub.get("/v1/events").expect(200).json();
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_limit_outside_its_range_is_refused() {
    let hub = Hub::start();
    for limit in [0, 100_001] {
        let body = json!({"name": "k", "scope": "read", "rate_limit_per_s": limit});
        let answer = hub.post("/v1/api-keys", &body);
        error_in(&answer, 422, "invalid_rate_limit", "rate_limit_per_s");
    }
    let site = Site::new();
    let make = |limit: &str| site.run(&["keys", "create", "--name", "k", "--scope", "read", "--rate-limit", limit]);
    for limit in ["0", "many", "100001"] {
        let refused = make(limit);
        assert!(!refused.status.success(), "{limit}");
        assert!(stderr(&refused).contains("100000"), "{}", stderr(&refused));
    }
    let made = make("3");
    let key = stdout(&made).trim_end().to_owned();
    let process = site.serve();
    let client = process.client(&key);
    let statuses: Vec<u16> = (0..20).map(|_| client.call("GET", "/v1/events", None).status).collect();
    assert!(statuses.starts_with(&[200, 200, 200]), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
}
