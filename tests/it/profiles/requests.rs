//! API requests from the documents, sent without a change.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{answering, deliveries};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;

/// Starts a hub with one of the five systems' profiles as default. Names resolve to a public address, which no test
/// delivers to.
fn standing_in_for(profile: &str) -> Hub {
    Hub::with(|options| {
        options.default_profile = profile.to_owned();
        options.lookup = Arc::new(|_| Ok(vec![IpAddr::V4(Ipv4Addr::new(93, 184, 215, 14))]));
    })
}

/// Sends a request with the headers of the documents' examples.
fn bearer(hub: &Hub, method: &str, path: &str, body: &str) -> Answer {
    let key = format!("Bearer {}", hub.key);
    let headers = [("Authorization", key.as_str()), ("Content-Type", "application/json")];
    hub.send(method, path, &headers, body.as_bytes())
}

fn id(webhook: &Value) -> &str {
    webhook["id"].as_str().unwrap()
}

#[test]
fn irisync_registers_a_webhook_under_api_webhooks() {
    let hub = standing_in_for("irisync");
    let webhook = bearer(
        &hub,
        "POST",
        "/api/webhooks",
        r#"{"url":"https://your-domain.com/webhooks/irisync","events":["content.published","user.subscribed","platform.connected"],"description":"Production webhook for content updates","active":true,"secret":"your_webhook_secret"}"#,
    )
    .expect(201)
    .json();
    assert!(id(&webhook).starts_with("wh_"));
    for (field, value) in [
        ("profile", json!("irisync")),
        ("state", json!("active")),
        ("active", json!(true)),
        ("url", json!("https://your-domain.com/webhooks/irisync")),
        ("description", json!("Production webhook for content updates")),
        ("events", json!(["content.published", "user.subscribed", "platform.connected"])),
        ("secret", json!("your_webhook_secret")),
        ("standard_secret", json!("whsec_eW91cl93ZWJob29rX3NlY3JldA==")),
    ] {
        assert_eq!(webhook[field], value, "{field}");
    }
    // The webhook exists under both base paths.
    for base in ["/api", "/v1"] {
        let path = format!("{base}/webhooks/{}", id(&webhook));
        let shown = hub.get(&path).expect(200).json();
        assert_eq!(shown["id"], webhook["id"]);
        assert_eq!(shown["secret"], Value::Null, "never shown again");
        let listed = hub.get(&format!("{base}/webhooks")).expect(200).json();
        assert_eq!(listed["data"][0]["id"], webhook["id"]);
    }
    // Without a secret, one is generated.
    let webhook = bearer(
        &hub,
        "POST",
        "/api/webhooks",
        r#"{"url":"https://your-domain.com/webhooks/irisync","events":["content.published"]}"#,
    )
    .expect(201)
    .json();
    let secret = webhook["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    assert_eq!(webhook["standard_secret"], webhook["secret"]);
}

#[test]
fn generic_registers_lists_changes_and_deletes_a_webhook() {
    let hub = standing_in_for("generic");
    let webhook = bearer(
        &hub,
        "POST",
        "/v1/webhooks",
        "{\n\"url\": \"https://your-app.com/webhooks\",\n\"events\": [\n\"resource.created\",\n\"resource.updated\",\n\"resource.deleted\"\n],\n\"secret\": \"your_webhook_secret\"\n}",
    )
    .expect(201)
    .json();
    assert_eq!(webhook["profile"], "generic");
    assert_eq!(webhook["secret"], "your_webhook_secret");

    let key = format!("Bearer {}", hub.key);
    let only_key = [("Authorization", key.as_str())];
    let listed = hub.send("GET", "/v1/webhooks", &only_key, b"").expect(200);
    assert_eq!(listed.json()["data"].as_array().unwrap().len(), 1);

    let path = format!("/v1/webhooks/{}", id(&webhook));
    let changed = bearer(&hub, "PATCH", &path, "{\n\"events\": [\"resource.created\", \"resource.updated\"]\n}")
        .expect(200)
        .json();
    assert_eq!(changed["events"], json!(["resource.created", "resource.updated"]));
    assert_eq!(changed["url"], "https://your-app.com/webhooks");

    hub.send("DELETE", &path, &only_key, b"").expect(204);
    hub.get(&path).expect(404);
}

#[test]
fn socialsyncer_and_iverton_configure_a_webhook() {
    for (profile, path, body) in [
        (
            "socialsyncer",
            "/v1/webhooks/settings",
            r#"{ "url": "https://yourapp.com/webhooks/socialapi", "events": ["post.published", "post.failed", "account.disconnected"] }"#,
        ),
        (
            "iverton",
            "/v1/webhooks",
            r#"{ "url": "https://yourapp.com/webhooks/iverton", "events": ["contact.created", "campaign.sent", "deal.updated"], "secret": "whsec_xxxxxxxxxxxxx" }"#,
        ),
    ] {
        let hub = standing_in_for(profile);
        let webhook = bearer(&hub, "POST", path, body).expect(201).json();
        assert_eq!(webhook["profile"], profile);
        assert_eq!(webhook["state"], "active");
    }
}

#[test]
fn the_three_forms_of_a_test_request_are_taken_and_deliver_what_they_say() {
    // generic: a webhook by its id.
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let body = format!(r#"{{ "webhook_id": "{webhook}", "event_type": "resource.created" }}"#);
    let answer = bearer(&hub, "POST", "/v1/webhooks/test", &body).expect(200).json();
    assert_eq!(answer["data"][0]["status"], "delivered");
    assert_eq!(answer["data"][0]["attempts"][0]["trigger"], "test");
    let sent: Value = serde_json::from_slice(&receiver.last().body).unwrap();
    assert_eq!(sent["type"], "resource.created");
    // The document's receivers read it.
    assert!(sent["data"]["object"].is_object(), "{sent}");
    assert_eq!(sent.get("test"), None, "generic has no such field");

    // socialsyncer: an event type only, delivered to all its subscribers.
    let hub = Hub::with(|options| options.default_profile = "socialsyncer".to_owned());
    let (first, second) = (Receiver::start(), Receiver::answering(500));
    hub.add_webhook_with(first.url(), &json!({"events": ["post.published"]}));
    hub.add_webhook_with(second.url(), &json!({"events": ["post.*"]}));
    hub.add_webhook_with(second.url(), &json!({"events": ["account.*"]}));
    let body = r#"{"event": "post.published"}"#;
    let answer = bearer(&hub, "POST", "/v1/webhooks/test", body).expect(200).json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 2);
    assert!(answer.get("message").is_none());
    assert_eq!((first.hits(), second.hits()), (1, 1));
    let start = r#"{"event":"post.published","timestamp":"2026-01-15T10:00:00Z","data":{"postId":"#;
    assert!(first.last().text().starts_with(start), "{}", first.last().text());
    let answer = bearer(&hub, "POST", "/v1/webhooks/test", r#"{"event": "story.told"}"#).expect(200).json();
    assert_eq!(answer["data"], json!([]));
    assert!(answer["message"].is_string(), "nobody subscribed");

    // influship: an event type with further fields, and the key in another header.
    let hub = Hub::with(|options| options.default_profile = "influship".to_owned());
    let receiver = answering(200);
    hub.add_webhook(receiver.url());
    let headers = [("X-API-Key", hub.key.as_str()), ("Content-Type", "application/json")];
    let body =
        "{\n    \"event\": \"creator.updated\",\n    \"creator_id\": \"123e4567-e89b-12d3-a456-426614174000\"\n  }";
    hub.send("POST", "/v1/webhooks/test", &headers, body.as_bytes()).expect(200);
    assert_eq!(
        deliveries(&receiver)[0].text(),
        r#"{"event":"creator.updated","timestamp":"2026-01-15T10:00:00Z","data":{"creator_id":"123e4567-e89b-12d3-a456-426614174000"}}"#
    );
}

#[test]
fn a_test_is_marked_in_the_payload_where_the_document_says_so() {
    let hub = Hub::with(|options| options.default_profile = "irisync".to_owned());
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let answer = hub
        .post(&format!("/v1/webhooks/{webhook}/test"), &json!({"event_type": "content.published"}))
        .expect(200)
        .json();
    assert_eq!(answer["test"], true);
    let text = receiver.last().text().to_owned();
    assert!(text.contains(r#""data":{"content_id":"#) && text.ends_with(r#","test":true}"#), "{text}");
    hub.publish("content.published", json!({}));
    hub.deliver_until_idle();
    let text = receiver.last().text().to_owned();
    assert!(text.ends_with(r#""data":{}}"#), "{text}");
}

#[test]
fn a_profile_named_in_the_request_goes_before_the_keys_and_that_before_the_servers() {
    let hub = standing_in_for("iverton");
    let key = hub.make_key(Scope::Admin, None, Some("socialsyncer"));
    let plain = hub.make_key(Scope::Admin, Some("acme"), None);
    for (key, profile, expected) in [
        (&key, "", "socialsyncer"),
        (&key, r#","profile":"github""#, "github"),
        (&plain, "", "iverton"),
        (&plain, r#","profile":"stripe""#, "stripe"),
    ] {
        let body = format!(r#"{{"url":"https://your-app.com/x","events":["*"]{profile}}}"#);
        for path in ["/v1/webhooks", "/api/webhooks", "/v1/webhooks/settings"] {
            let webhook = hub.call_with(key, "POST", path, Some(&body));
            // The path of settings updates the webhook that it created for the URL.
            assert!(matches!(webhook.status, 200 | 201), "{}", webhook.text);
            assert_eq!(webhook.json()["profile"], expected);
        }
    }
    let refused =
        bearer(&hub, "POST", "/v1/webhooks", r#"{"url":"https://your-app.com/x","events":["*"],"profile":"nobody"}"#)
            .expect(422);
    assert_eq!(refused.error_code(), "unknown_profile");
    assert_eq!(refused.json()["error"]["field"], "profile");
}
