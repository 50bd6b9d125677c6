//! `/healthz` and `/readyz`.

use serde_json::json;

use super::error;
use crate::support::Hub;

#[test]
fn health_and_readiness_need_no_key() {
    let hub = Hub::start();
    for (path, status) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let answer = hub.send("GET", path, &[], b"").expect(200);
        assert_eq!(answer.json(), json!({"status": status}));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn a_server_that_stops_is_alive_but_not_ready_and_takes_no_event() {
    let hub = Hub::start();
    hub.running.app.stop();
    hub.get("/healthz").expect(200);
    error(&hub.get("/readyz"), 503, "stopping");
    let answer = hub.post("/v1/events", &json!({"type": "a", "data": 1}));
    error(&answer, 503, "stopping");
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn head_is_answered_as_get_without_its_body() {
    let hub = Hub::start();
    hub.add_webhook("https://example.com/");
    let key = [("x-api-key", hub.key.as_str())];
    for (path, headers) in [("/healthz", &[][..]), ("/login", &[]), ("/v1/webhooks", &key), ("/v1/webhooks/none", &key)]
    {
        let get = hub.send("GET", path, headers, b"");
        let head = hub.send("HEAD", path, headers, b"");
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "", "{path}");
        for header in ["content-type", "content-length", "cache-control"] {
            assert_eq!(head.header(header), get.header(header), "{header} of {path}");
        }
    }
    let refused = hub.send("HEAD", "/v1/events/batch", &key, b"");
    assert_eq!(refused.status, hub.send("GET", "/v1/events/batch", &key, b"").status);
}
