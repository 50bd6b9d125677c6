//! Authentication and scopes.

use hookpost::auth::api_key::{KeyRequest, issue};
use hookpost::store::Store;
use hookpost::store::api_key::{self, Scope};

use super::{CALLS, Ids, body_for, error};
use crate::support::Hub;
use crate::support::hub::{Answer, NOON};
use crate::support::receiver::Receiver;

#[test]
fn every_call_answers_401_without_a_key_or_with_a_wrong_one() {
    let hub = Hub::start();
    let ids = Ids::in_tenant(&hub, "default", "http://127.0.0.1:9/");
    let basic = ("authorization", "Basic aHA6aHA=");
    let bare = ("authorization", hub.key.as_str());
    for (method, path, _) in CALLS {
        let path = ids.fill(path);
        for headers in [
            &[][..],
            &[("authorization", "Bearer hp_nobody")],
            &[("authorization", "Bearer ")],
            &[("x-api-key", "hp_nobody")],
            &[("x-api-key", "")],
            &[basic],
            &[bare],
        ] {
            // Without a key, the response must not depend on the body.
            let answer = hub.send(method, &path, headers, if method == "GET" { b"" } else { b"{" });
            error(&answer, 401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[test]
fn every_call_asks_for_its_scope() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    for scope in [Scope::Publish, Scope::Read, Scope::Admin] {
        let ids = Ids::in_tenant(&hub, "default", &receiver.url());
        let key = hub.make_key(scope, None, None);
        for (method, path, needed) in CALLS {
            let body = body_for(path, &receiver.url()).to_string();
            let body = (method != "GET" && method != "DELETE").then_some(body.as_str());
            let answer = hub.call_with(&key, method, &ids.fill(path), body);
            if scope == Scope::Admin || scope == needed {
                // A finished delivery cannot be discarded. The scope is checked first.
                let ok = answer.status < 300 || answer.status == 409;
                assert!(ok, "{scope} {method} {path}: {}", answer.text);
            } else {
                let error = error(&answer, 403, "forbidden");
                let message = error["message"].as_str().unwrap();
                assert!(message.contains(needed.into_str()), "{message}");
            }
        }
    }
}

fn with_headers(hub: &Hub, headers: &[(&str, &str)]) -> Answer {
    hub.send("GET", "/v1/webhooks", headers, b"")
}

#[test]
fn a_key_comes_in_either_header() {
    let hub = Hub::start();
    let key = hub.key.as_str();
    with_headers(&hub, &[("x-api-key", key)]).expect(200);
    with_headers(&hub, &[("authorization", &format!("Bearer {key}"))]).expect(200);
    with_headers(&hub, &[("authorization", &format!("bearer {key}"))]).expect(200);
}

#[test]
fn a_key_made_or_revoked_beside_the_running_server_counts_at_once() {
    let hub = Hub::start();
    let request = KeyRequest {
        name: "late".to_owned(),
        scope: Scope::Read,
        tenant: None,
        profile: None,
        rate_limit_per_s: None,
        ends_ms: None,
    };
    let (text, key) = issue(request, NOON).unwrap();
    error(&with_headers(&hub, &[("x-api-key", &text)]), 401, "unauthorized");
    let connection = Store::open_for_command(&hub.database()).unwrap();
    api_key::insert(&connection, &key).unwrap();
    with_headers(&hub, &[("x-api-key", &text)]).expect(200);
    assert!(api_key::revoke(&connection, key.id, NOON).unwrap().is_some());
    error(&with_headers(&hub, &[("x-api-key", &text)]), 401, "unauthorized");
}
