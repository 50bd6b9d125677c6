//! A full run with secrets of every kind: none is in a file, a log, an export, a metric or a page, except where the API or a
//! page reveals it on purpose.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookpost::auth::totp::TotpSecret;
use hookpost::domain::time::HOUR;
use hookpost::store::beside;
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::crawl::crawl;
use crate::support::process::{PATIENCE, Site, wait_until};
use crate::support::receiver::tls::client_certificate;
use crate::support::receiver::{Receiver, Reply};
use crate::support::visitor::PASSWORD;

/// Secrets with where each came from.
type Secrets = Vec<(&'static str, String)>;

#[track_caller]
fn assert_none(secrets: &Secrets, place: &str, bytes: &[u8]) {
    for (kind, secret) in secrets {
        assert!(secret.len() >= 12, "{kind} is too short to be found");
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{place} has the {kind} {secret}");
    }
}

/// Checks every file of the database's folder but the key.
#[track_caller]
fn assert_none_in_files(secrets: &Secrets, database: &std::path::Path) {
    let key = beside(database, ".key");
    let mut checked = 0;
    for entry in fs::read_dir(database.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path != key {
            assert_none(secrets, &path.display().to_string(), &fs::read(&path).unwrap());
            checked += 1;
        }
    }
    assert!(checked >= 2, "the database and its log");
}

/// Calls of the API: method, path, body, expected status.
type Call<'a> = &'a dyn Fn(&str, &str, Option<Value>, u16) -> Value;

/// Uses secrets of every kind over the API. Returns them.
fn use_secrets(call: Call<'_>, receivers: [&Receiver; 2]) -> Secrets {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut secrets: Secrets = Vec::new();
    for receiver in receivers {
        let headers =
            json!({"Authorization": "Bearer header-secret-1", "X-Api-Token": "header-secret-2", "X-Team": "a"});
        let generated = json!({"url": receiver.url_at("/services/path-secret-1"), "events": ["*"], "headers": headers,
            "retry": {"delays_s": [1]}});
        let made = call("POST", "/v1/webhooks", Some(generated), 201);
        secrets.push(("generated secret", text(&made["secret"])));
        secrets.push(("standard secret", text(&made["standard_secret"])));
        let given = json!({"url": receiver.url(), "events": ["*"], "secret": "given-secret-4711", "profile": "stripe"});
        let made = call("POST", "/v1/webhooks", Some(given), 201);
        let id = text(&made["id"]);
        let rotated = call("POST", &format!("/v1/webhooks/{id}/secret/rotate"), Some(json!({})), 200);
        secrets.push(("rotated secret", text(&rotated["secret"])));
        let revealed = call("GET", &format!("/v1/webhooks/{id}/secret"), None, 200);
        assert_eq!(revealed["secret"], rotated["secret"]);
        let change = json!({"headers": {"Cookie": "session=header-secret-3"}});
        call("PATCH", &format!("/v1/webhooks/{id}"), Some(change), 200);
        call("POST", &format!("/v1/webhooks/{id}/test"), Some(json!({})), 200);
    }
    use_credentials(call, receivers[0], &mut secrets);
    for given in ["given-secret-4711", "header-secret-1", "header-secret-2", "header-secret-3"] {
        secrets.push(("given secret", given.to_owned()));
    }
    let (certificate, client_key) = client_certificate("anna", 2020, 2099);
    let tls = json!({"client_certificate": certificate, "client_key": client_key});
    let given = json!({"url": receivers[0].url(), "events": ["*"], "tls": tls});
    call("POST", "/v1/webhooks", Some(given), 201);
    let lines: String = client_key.lines().filter(|line| !line.starts_with('-')).collect();
    secrets.push(("client key", lines[60..100].to_owned()));
    let key = call("POST", "/v1/api-keys", Some(json!({"name": "other", "scope": "read"})), 201);
    secrets.push(("API key", text(&key["key"])));
    let link = call("POST", "/v1/portal-links", Some(json!({"tenant": "acme"})), 201);
    secrets.push(("portal link", text(&link["url"]).split_once('=').unwrap().1.to_owned()));
    call("POST", "/v1/events", Some(json!({"type": "order.paid", "data": {"id": 1}})), 202);
    secrets
}

/// Authenticates to a receiver in each way, once with a token endpoint that refuses and repeats what it got.
fn use_credentials(call: Call<'_>, receiver: &Receiver, secrets: &mut Secrets) {
    let tokens = Receiver::with(|request| {
        let granted = json!({"access_token": "access-token-4711", "token_type": "Bearer"});
        let refused = format!("{:?} {}", request.header("authorization"), request.text());
        match request.path.as_str() {
            "/token" => Reply::status(200).body(granted.to_string()),
            _ => Reply::status(400).body(json!({"error": "odd", "error_description": refused}).to_string()),
        }
    });
    let oauth2 = |path: &str, place: &str| {
        json!({"type": "oauth2", "token_url": tokens.url_at(path), "client_id": "a", "client_secret": "client-secret+4711",
            "client_auth": place})
    };
    for auth in [
        json!({"type": "basic", "username": "a", "password": "password-4711"}),
        json!({"type": "bearer", "token": "bearer-token-4711"}),
        oauth2("/token", "basic"),
        oauth2("/refused", "basic"),
        oauth2("/refused", "body"),
    ] {
        let made = json!({"url": receiver.url(), "events": ["*"], "auth": auth});
        let made = call("POST", "/v1/webhooks", Some(made), 201);
        call("POST", &format!("/v1/webhooks/{}/test", made["id"].as_str().unwrap()), Some(json!({})), 200);
    }
    for given in
        ["password-4711", "bearer-token-4711", "access-token-4711", "client-secret+4711", "client-secret%2B4711"]
    {
        secrets.push(("credential", given.to_owned()));
    }
    for plain in ["a:password-4711", "a:client-secret%2B4711"] {
        secrets.push(("encoded credential", STANDARD.encode(plain)));
    }
}

#[test]
fn no_file_page_export_or_metric_has_a_secret() {
    let hub = Hub::start();
    let [accepting, failing] = [Receiver::start(), Receiver::answering(500)];
    let call = |method: &str, path: &str, body: Option<Value>, status: u16| {
        let body = body.map(|body| body.to_string());
        hub.call_with(&hub.key, method, path, body.as_deref()).expect(status).json()
    };
    let mut secrets = use_secrets(&call, [&accepting, &failing]);
    hub.deliver_until_idle();
    hub.advance(HOUR);
    hub.deliver_until_idle();
    secrets.push(("API key", hub.key.clone()));
    secrets.push(("password", PASSWORD.to_owned()));
    let visitors = [hub.administrator(), hub.viewer(), hub.portal("default")];
    for visitor in &visitors {
        secrets.push(("session cookie", visitor.cookie(&visitor.session_cookie()).unwrap()));
    }
    // An inbox that no webhook points at: the URL of a webhook is stored as it is.
    visitors[0].get("/inbox");
    visitors[0].submit_and_follow("/inbox", &[("tenant", "acme")]);
    let inbox = call("GET", "/v1/inbox?tenant=acme", None, 200);
    let (_, token) = inbox["url"].as_str().unwrap().rsplit_once('/').unwrap();
    hub.send("POST", &format!("/in/{token}"), &[("x-api-token", "header-secret-2")], b"{}").expect(200);
    for path in [
        "/v1/webhooks",
        "/v1/deliveries",
        "/v1/events",
        "/v1/api-keys",
        "/v1/stats",
        "/v1/dead-letters/export",
        "/metrics",
    ] {
        assert_none(&secrets, path, hub.get(path).expect(200).text.as_bytes());
    }
    let deliveries = call("GET", "/v1/deliveries", None, 200);
    for delivery in deliveries["data"].as_array().unwrap() {
        let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
        assert_none(&secrets, &path, hub.get(&path).expect(200).text.as_bytes());
    }
    let mut pages = 0;
    for visitor in &visitors {
        for found in crawl(visitor, "/") {
            // Administrators see what their inbox received in full.
            if !found.path.starts_with("/inbox/") {
                assert_none(&secrets, &found.path, found.page.source().as_bytes());
                pages += 1;
            }
        }
    }
    assert!(pages > 60, "{pages}");
    secrets.push(("inbox token", token.to_owned()));
    let viewer = &visitors[1];
    let text = viewer.page("/account/two-factor").field("secret").unwrap();
    let totp = TotpSecret::from_text(&text).unwrap();
    let code = totp.code_at(hub.clock.now_ms());
    let fields = [("secret", text.as_str()), ("code", code.as_str()), ("old", PASSWORD)];
    viewer.submit("/account/two-factor", &fields).expect(303);
    for path in [hub.database(), beside(&hub.database(), "-wal")] {
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(totp.bytes().len()).any(|window| window == totp.bytes());
        assert!(!found, "{} has the key of an authenticator app", path.display());
    }
    secrets.push(("key of an authenticator app", text));
    assert_none_in_files(&secrets, &hub.database());
    let backup = hub.download("/v1/backup").1;
    assert_none(&secrets, "the backup", &backup);
}

#[test]
fn no_log_has_a_secret_or_the_path_of_a_url_whatever_its_level() {
    for format in ["text", "json"] {
        let log = log_of_a_run_with_secrets(format);
        assert!(log.contains("is disabled") && log.contains("POST /in/…"), "{log}");
        if format == "json" {
            assert_lines_are_json(&log);
        }
    }
}

/// Checks that each line is an object with the fields of the documents, and that ids are fields of their own.
fn assert_lines_are_json(log: &str) {
    let mut with_webhook = 0;
    for line in log.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |name: &str| object[name].as_str().unwrap_or_else(|| panic!("{name} of {line}"));
        assert!(text("time").len() == 24 && text("time").ends_with('Z'), "{line}");
        assert!(["error", "warn", "info", "debug", "trace"].contains(&text("level")), "{line}");
        assert!(text("target").starts_with("hookpost") && !text("message").is_empty(), "{line}");
        if text("message").contains("returned ") {
            assert_eq!(text("request_id").len(), 16, "{line}");
        }
        with_webhook += usize::from(object["webhook_id"].as_str().is_some_and(|id| id.starts_with("wh_")));
    }
    assert!(with_webhook > 0, "{log}");
}

/// Uses secrets in every place of a server whose log has all levels. Returns the log, which has none of them.
fn log_of_a_run_with_secrets(format: &str) -> String {
    let (site, key) = Site::with_key();
    let mut command = site.serve_command();
    command.args(["--log", "trace", "--log-format", format]);
    command.env("HOOKPOST_SMTP_URL", "smtp://alerts:smtp-password-1@127.0.0.1:9?tls=none");
    command.env("HOOKPOST_SMTP_FROM", "alerts@example.com");
    command.env("HOOKPOST_HEARTBEAT_URL", "http://127.0.0.1:9/heartbeat-secret-1");
    let process = crate::support::process::Process::start(command);
    let client = process.client(&key);
    let call = |method: &str, path: &str, body: Option<Value>, status: u16| {
        client.call(method, path, body.as_ref()).expect(status).json()
    };
    let [accepting, gone] = [Receiver::start(), Receiver::answering(410)];
    let mut secrets = use_secrets(&call, [&accepting, &gone]);
    secrets.push(("path of a URL", "path-secret-1".to_owned()));
    secrets.push(("path of a URL", "path-secret-2".to_owned()));
    secrets.push(("API key", key.clone()));
    secrets.push(("setting", "smtp-password-1".to_owned()));
    secrets.push(("setting", "heartbeat-secret-1".to_owned()));
    secrets.push(("payload", "payload-secret-1".to_owned()));
    // Disabled, which is logged with the URL.
    let webhook = json!({"url": gone.url_at("/services/path-secret-2"), "events": ["*"], "retry": {"delays_s": []}});
    let made = call("POST", "/v1/webhooks", Some(webhook), 201);
    secrets.push(("generated secret", made["secret"].as_str().unwrap().to_owned()));
    call("POST", "/v1/events", Some(json!({"type": "order.paid", "data": {"id": "payload-secret-1"}})), 202);
    // The level of the log holds for a reload too.
    process.signal("HUP");
    process.wait_for_log("nothing has changed");
    let id = made["id"].as_str().unwrap();
    let is_disabled = || client.get(&format!("/v1/webhooks/{id}"))["state"] == "disabled";
    assert!(wait_until(PATIENCE, is_disabled));
    client.call("DELETE", &format!("/v1/webhooks/{id}"), None).expect(204);
    // A made-up token is as good as a real one here.
    client.call("POST", "/in/some-made-up-token", Some(&json!({}))).expect(404);
    secrets.push(("inbox token", "some-made-up-token".to_owned()));
    process.signal("TERM");
    let (_, log) = process.ended(PATIENCE);
    assert_none(&secrets, "the log", log.as_bytes());
    let secrets = secrets.into_iter().filter(|(kind, _)| !["path of a URL", "payload"].contains(kind)).collect();
    assert_none_in_files(&secrets, &site.database());
    log
}
