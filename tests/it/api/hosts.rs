//! The `Host` header: only names of the server are answered, against DNS rebinding.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::Hub;

/// Sends a request with these lines after the first. Returns the whole response.
fn raw(hub: &Hub, request: &str, lines: &str) -> String {
    raw_as(hub, "HTTP/1.1", request, lines)
}

fn raw_as(hub: &Hub, version: &str, request: &str, lines: &str) -> String {
    let mut connection = TcpStream::connect(hub.running.address).unwrap();
    write!(connection, "{request} {version}\r\n{lines}Connection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    response
}

fn status(hub: &Hub, path: &str, host: &str) -> u16 {
    let lines = format!("Host: {host}\r\nAuthorization: Bearer {}\r\n", hub.key);
    raw(hub, &format!("GET {path}"), &lines).split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_request_under_a_foreign_name_reaches_nothing() {
    let hub = Hub::with(|options| options.metrics_open = true);
    let key = format!("Authorization: Bearer {}\r\n", hub.key);
    for request in [
        "GET /",
        "GET /login",
        "GET /setup?token=x",
        "GET /portal?token=x",
        "GET /v1/webhooks",
        "DELETE /v1/webhooks/wh_1",
        "GET /metrics",
        "GET /docs",
        "POST /in/x",
        "GET /nowhere",
    ] {
        for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "a b", "localhost.evil.example"] {
            let response = raw(&hub, request, &format!("Host: {host}\r\n{key}"));
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 421 "), "{request} {host}: {head}");
            assert!(!head.to_lowercase().contains("set-cookie") && head.contains("x-request-id"), "{head}");
            let error = serde_json::from_str::<Value>(body).unwrap()["error"].clone();
            assert_eq!(error["code"], "unknown_host");
            let message = error["message"].as_str().unwrap();
            for part in [host, "--base-url", "--allow-host"] {
                assert!(message.contains(part), "{message}");
            }
        }
    }
}

#[test]
fn addresses_names_without_a_dot_and_names_of_the_server_are_answered() {
    let mut hub = Hub::with(|options| options.listen = "0.0.0.0:0".parse().unwrap());
    let port = hub.running.address.port();
    let mut hosts =
        ["127.0.0.1", "localhost", "hookpost", "203.0.113.7", "[::1]", "[2001:db8::7]"].map(String::from).to_vec();
    hosts.extend(hosts.clone().iter().map(|host| format!("{host}:{port}")));
    for host in &hosts {
        assert_eq!(status(&hub, "/v1/webhooks", host), 200, "{host}");
    }
    // A client without the header is no browser.
    let bare = raw_as(&hub, "HTTP/1.0", "GET /v1/webhooks", &format!("Authorization: Bearer {}\r\n", hub.key));
    assert!(bare.starts_with("HTTP/1.0 200 "), "{bare}");
    for host in ["hooks.example.com", "hooks.internal.example"] {
        assert_eq!(status(&hub, "/v1/webhooks", host), 421);
    }
    hub.restart_with(|options| {
        options.base_url = Some("https://hooks.example.com/hookpost".parse().unwrap());
        options.allow_hosts = vec!["Hooks.Internal.example".parse().unwrap()];
    });
    for host in ["hooks.example.com", "HOOKS.example.com:443", "hooks.internal.example:8080", "127.0.0.1"] {
        assert_eq!(status(&hub, "/v1/webhooks", host), 200, "{host}");
        assert_eq!(status(&hub, "/hookpost/v1/webhooks", host), 200, "{host}");
    }
    assert_eq!(status(&hub, "/hookpost/v1/webhooks", "other.example.com"), 421);
    // Load balancers check by any name.
    for path in ["/healthz", "/readyz", "/hookpost/healthz"] {
        assert_eq!(status(&hub, path, "other.example.com"), 200, "{path}");
    }
}

#[test]
fn a_page_whose_name_is_rebound_to_the_server_sends_no_form() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/settings/keys");
    let token = visitor.form_token();
    let cookie = visitor.session_cookie();
    let body = format!("form_token={token}&name=theirs&scope=admin");
    let send = |host: &str| {
        // Its own origin and host agree, since the browser knows the server under the page's name.
        let lines = format!(
            "Host: {host}\r\nOrigin: http://{host}\r\nSec-Fetch-Site: same-origin\r\nCookie: {cookie}={}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            visitor.cookie(&cookie).unwrap(),
            body.len()
        );
        let mut connection = TcpStream::connect(hub.running.address).unwrap();
        write!(connection, "POST /settings/keys HTTP/1.1\r\n{lines}Connection: close\r\n\r\n{body}").unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).unwrap();
        response
    };
    let rebound = send("evil.example:8080");
    assert!(rebound.starts_with("HTTP/1.1 421 "), "{rebound}");
    let keys = hub.get("/v1/api-keys").expect(200).json();
    assert_eq!(keys["data"].as_array().unwrap().len(), 1, "the test's own");
    let own = send(&hub.running.address.to_string());
    assert!(own.starts_with("HTTP/1.1 303 "), "{own}");
}
