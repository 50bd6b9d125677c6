//! Requests that no handler sees: paths with a slash at their end, and those that the HTTP parser refuses. And the headers
//! about rate limits, which every handler's response has.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hookpost::domain::time::SECOND;
use serde_json::{Value, json};

use super::error;
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::process::PATIENCE;

#[test]
fn a_slash_at_the_end_of_a_path_is_a_308_to_the_path() {
    let hub = Hub::start();
    for (path, right) in [
        ("/v1/events/", "/v1/events"),
        ("/v1/events//", "/v1/events"),
        ("/v1/webhooks/wh_1/?a=b%20c", "/v1/webhooks/wh_1?a=b%20c"),
        ("/api/webhooks/", "/api/webhooks"),
        ("/healthz/", "/healthz"),
        ("/docs/", "/docs"),
        ("/login/", "/login"),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = hub.send(method, path, &[], b"");
            error(&answer, 308, "moved");
            assert_eq!(answer.header("location"), Some(right), "{method} {path}");
        }
    }
    for path in ["/v1/", "/v1/nothing/", "//", "//example.com/", "/v1/events/a/b/"] {
        error(&hub.get(path), 404, "not_found");
    }
}

#[test]
fn a_308_keeps_the_path_of_the_base_url_whether_or_not_the_proxy_removes_it() {
    let hub = Hub::with(|options| options.base_url = Some("http://localhost/hooks".parse().unwrap()));
    for path in ["/hooks/v1/events/", "/v1/events/"] {
        let answer = hub.get(path);
        assert_eq!((answer.status, answer.header("location")), (308, Some("/hooks/v1/events")), "{path}");
    }
}

/// Sends bytes over a connection of their own. Returns all that comes back before the server closes it.
fn exchange(hub: &Hub, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(hub.running.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may close the connection before it has read everything.
    let _ = socket.write_all(bytes);
    let mut response = Vec::new();
    let mut chunk = [0; 4_096];
    while let Ok(count @ 1..) = socket.read(&mut chunk) {
        response.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8(response).unwrap()
}

/// Checks a response of the parser: the JSON form, an id, and the end of the connection.
#[track_caller]
fn refused(response: &str, status: u16, code: &str) {
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {response:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
    let header = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name}: {head}"))
    };
    assert_eq!(header("content-type"), "application/problem+json");
    assert_eq!(header("connection"), "close");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-length"), body.len().to_string(), "{body}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)));
    assert_eq!(problem["error"]["code"], code);
    assert_eq!(problem["request_id"], header("x-request-id"));
    assert!(problem["detail"].as_str().unwrap().ends_with('.'));
}

#[test]
fn what_is_not_http_is_a_400_in_the_form() {
    let hub = Hub::start();
    for bytes in [
        "nonsense\r\n\r\n",
        "GET /v1/events HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET /v1/events HTTP/1.1\r\nHost localhost\r\n\r\n",
        "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
        "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: strange\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n",
    ] {
        refused(&exchange(&hub, bytes.as_bytes()), 400, "malformed_request");
    }
}

#[test]
fn a_head_of_more_than_128_kib_is_a_431_in_the_form() {
    let hub = Hub::start();
    let long = "x".repeat(200 << 10);
    refused(
        &exchange(&hub, format!("GET /healthz HTTP/1.1\r\nX-Long: {long}\r\n\r\n").as_bytes()),
        431,
        "head_too_large",
    );
    let many = "X-Short: a\r\n".repeat(20_000);
    refused(&exchange(&hub, format!("GET /healthz HTTP/1.1\r\n{many}\r\n").as_bytes()), 431, "head_too_large");
}

#[test]
fn a_head_that_does_not_arrive_in_time_is_a_408_in_the_form() {
    let hub = Hub::with(|options| options.head_timeout = Duration::from_millis(200));
    refused(&exchange(&hub, b"GET /healthz HTTP/1.1\r\nHost: loc"), 408, "head_too_slow");
}

#[test]
fn a_request_that_is_not_http_after_a_good_one_gets_its_own_400() {
    let hub = Hub::start();
    let response = exchange(&hub, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n");
    let second = response.rfind("HTTP/1.1 4").unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    refused(&response[second..], 400, "malformed_request");
}

fn limits(answer: &Answer) -> [&str; 2] {
    ["ratelimit-policy", "ratelimit"].map(|name| answer.header(name).unwrap_or("none"))
}

#[test]
fn responses_say_how_much_of_each_rate_limit_is_left() {
    let hub = Hub::with(|options| options.tenant_limits.requests_per_s = 7);
    let body = json!({"name": "limited", "scope": "read", "rate_limit_per_s": 3, "tenant": "acme"});
    let key = hub.post("/v1/api-keys", &body).expect(201).json()["key"].as_str().unwrap().to_owned();
    let get = |path: &str| hub.call_with(&key, "GET", path, None);
    let policy = r#""key";q=3;w=1, "tenant";q=7;w=1"#;
    assert_eq!(limits(&get("/v1/events").expect(200)), [policy, r#""key";r=2;t=1, "tenant";r=6;t=1"#]);
    // Errors of the call count as requests.
    assert_eq!(limits(&get("/v1/events?limit=x").expect(422)), [policy, r#""key";r=1;t=1, "tenant";r=5;t=1"#]);
    get("/v1/events").expect(200);
    let refused = get("/v1/events").expect(429);
    assert_eq!(limits(&refused), [r#""key";q=3;w=1"#, r#""key";r=0;t=1"#]);
    assert_eq!(refused.header("retry-after"), Some("1"));
    hub.clock.advance(SECOND);
    assert_eq!(limits(&get("/v1/events").expect(200)), [policy, r#""key";r=2;t=1, "tenant";r=6;t=1"#]);
    // Calls without a limit have no such header.
    assert_eq!(limits(&hub.get("/v1/events")), ["none"; 2]);
    assert_eq!(limits(&hub.send("GET", "/healthz", &[], b"")), ["none"; 2]);
}

#[test]
fn an_inbox_says_how_many_requests_it_takes() {
    let hub = Hub::start();
    let url = hub.post("/v1/inbox?tenant=acme", &json!({})).expect(200).json()["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix(&hub.at("")).unwrap().to_owned();
    let answer = hub.send("POST", &path, &[], b"{}").expect(200);
    assert_eq!(limits(&answer), [r#""inbox";q=200;w=2"#, r#""inbox";r=199;t=1"#]);
}
