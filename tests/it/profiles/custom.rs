//! Custom profiles.

use hookpost::profile::sign::Signed;
use hookpost::profile::verify::verify;
use hookpost::profile::{Profile, ProfileSpec, Signer};
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::ALL;
use crate::support::Hub;
use crate::support::receiver::{Receiver, Reply};

/// A ninth profile, in the format of the files in `builtin/`.
const NINTH: &str = r#"{
  "name": "homemade",
  "title": "What our own sender did",
  "envelope": [
    { "field": "kind", "value": {"text": "webhook/\"v2\""} },
    { "field": "what", "value": "type" },
    { "field": "sent", "value": "created_unix" },
    { "field": "payload", "value": "data" },
    { "field": "before", "value": "previous_data" },
    { "field": "trial", "value": "test" },
    { "field": "uid", "value": "id" }
  ],
  "body": "exact",
  "signatures": [
    { "header": "X-Home-Sig", "content": "v2:{id}:{timestamp}:{body}", "encoding": "base64", "template": "sig={signature};ts={timestamp}", "join": "|" },
    { "header": "X-Home-Sig-Hex", "content": "{body}", "encoding": "hex", "template": "HMAC {signature}" }
  ],
  "headers": { "X-Home-Id": "{id}", "X-Home-About": "{type} via {delivery_id}" },
  "retry": { "delays_s": [0.5, 2], "measured_from": "first_failure", "exhausted": "dead_letter" },
  "gone": "disable",
  "challenge": { "event": "home.hello", "field": "nonce" }
}"#;

fn ninth() -> Value {
    serde_json::from_str(NINTH).unwrap()
}

fn put(hub: &Hub, name: &str, spec: &Value) -> crate::support::hub::Answer {
    let path = format!("/v1/profiles/{name}");
    hub.call_with(&hub.key, "PUT", &path, Some(&spec.to_string()))
}

/// Starts a receiver that responds to the ninth profile's challenge.
fn home() -> Receiver {
    Receiver::with(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        Reply::status(200).body(json!({"nonce": body["nonce"]}).to_string())
    })
}

#[test]
fn a_ninth_profile_is_made_from_a_file_alone() {
    let spec: ProfileSpec = serde_json::from_str(NINTH).unwrap();
    let profile = Profile::parse(spec).unwrap();
    let secret = "s3cret".parse().unwrap();
    let (id, event_type) = ("evt_1".parse().unwrap(), "a.b".parse().unwrap());
    let headers = Signer::new(&profile, None, &secret, None).headers(&Signed {
        event_id: &id,
        event_type: &event_type,
        delivery_id: "dlv_01KF0AMQ00000000000000000G".parse().unwrap(),
        at_ms: 1_768_471_200_000,
        body: b"{}",
    });
    // printf 'v2:evt_1:1768471200:{}' | openssl dgst -sha256 -hmac s3cret -binary | base64
    // printf '{}' | openssl dgst -sha256 -hmac s3cret
    let expected = [
        ("X-Home-Id", "evt_1"),
        ("X-Home-About", "a.b via dlv_01KF0AMQ00000000000000000G"),
        ("X-Home-Sig", "sig=WZPLPw7hr+m/AAW420O8nv0CkgxSmaMNNlwOs+dnKqA=;ts=1768471200"),
        ("X-Home-Sig-Hex", "HMAC adbde1ce40c89c14215687d5d762a47df6dfaefcfad61e2e86718ffc8498571b"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(headers, expected);
    assert_eq!(verify(&profile, &secret, &headers, b"{}").unwrap().len(), 2);
    assert!(verify(&profile, &secret, &headers, b"[]").is_err());
}

#[test]
fn one_made_over_the_api_does_everything_that_it_says() {
    let mut hub = Hub::start();
    let made = put(&hub, "homemade", &ninth()).expect(201).json();
    assert_eq!(made["built_in"], false);
    let mut expected = ninth();
    for (signature, join) in [(0, json!("|")), (1, Value::Null)] {
        expected["signatures"][signature]["join"] = join;
        expected["signatures"][signature]["key"] = json!("secret");
    }
    expected["template"] = Value::Null;
    expected["content_type"] = json!("application/json");
    expected["endpoint"] = Value::Null;
    expected["example"] = Value::Null;
    expected["built_in"] = json!(false);
    expected["retry"]["delays_s"] = json!([0.5, 2.0]);
    assert_eq!(made, expected);

    let receiver = home();
    let fields = json!({"profile": "homemade", "secret": "s3cret"});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    assert_eq!(hub.state_of(&webhook), "active");
    let challenge: Value = serde_json::from_slice(&receiver.last().body).unwrap();
    let names: Vec<&String> = challenge.as_object().unwrap().keys().collect();
    assert_eq!(names, ["kind", "what", "sent", "uid", "nonce"]);
    assert_eq!(challenge["what"], "home.hello");

    hub.restart();
    hub.post_text("/v1/events", r#"{"id":"one","type":"a.b","data":{ "b":1.0 },"previous_data":[]}"#).expect(202);
    hub.deliver_until_idle();
    let request = receiver.last();
    assert_eq!(
        request.text(),
        r#"{"kind":"webhook/\"v2\"","what":"a.b","sent":1768471200,"payload":{ "b":1.0 },"before":[],"uid":"one"}"#
    );
    let profile = Profile::parse(serde_json::from_value(ninth()).unwrap()).unwrap();
    verify(&profile, &"s3cret".parse().unwrap(), &request.headers, &request.body).unwrap();
    let about = request.header("x-home-about").unwrap();
    assert!(about.starts_with("a.b via dlv_"), "{about}");
    let test = hub.post(&format!("/v1/webhooks/{webhook}/test"), &json!({}));
    test.expect(200);
    assert!(receiver.last().text().contains(r#""trial":true,"uid""#));

    // A header with `join` carries both signatures.
    let rotated =
        hub.post(&format!("/v1/webhooks/{webhook}/secret/rotate"), &json!({"secret": "new"})).expect(200).json();
    assert_eq!(rotated["headers"][0], json!({"name": "X-Home-Sig", "signs": "both"}));
    assert_eq!(rotated["headers"][1], json!({"name": "X-Home-Sig-Hex", "signs": "old"}));
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    let request = receiver.last();
    assert!(request.header("x-home-sig").unwrap().contains('|'));
    verify(&profile, &"s3cret".parse().unwrap(), &request.headers, &request.body).unwrap();

    // The profile's own schedule: two retries, then a dead letter.
    receiver.behave(crate::support::receiver::Behaviour::Answer(Reply::status(500)));
    let delivery = hub.publish_one("a.b", json!({}));
    for _ in 0..3 {
        hub.deliver_until_idle();
        hub.advance(3_000);
    }
    assert_eq!(hub.delivery(&delivery)["attempt_count"], 3);
    assert_eq!(hub.status_of(&delivery), "failed");
    assert_eq!(hub.state_of(&webhook), "active");
}

#[test]
fn one_is_made_from_another_with_the_differences_alone() {
    let hub = Hub::start();
    for base in ALL {
        let name = format!("my-{base}");
        let spec = json!({"based_on": base, "title": "mine", "gone": "retry"});
        let made = put(&hub, &name, &spec).expect(201).json();
        let mut expected = hub.get(&format!("/v1/profiles/{base}")).expect(200).json();
        assert_eq!(expected["built_in"], true);
        expected["name"] = json!(name);
        expected["title"] = json!("mine");
        expected["gone"] = json!("retry");
        expected["built_in"] = json!(false);
        assert_eq!(made, expected);
    }
    // A custom profile can be the base too.
    put(&hub, "second", &json!({"based_on": "my-github", "title": "again"})).expect(201);
    let listed = hub.get("/v1/profiles").expect(200).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 25);
    for (base, code) in [(json!("nobody"), "unknown_profile"), (json!(1), "unknown_profile")] {
        let refused = put(&hub, "x", &json!({"based_on": base})).expect(422);
        assert_eq!(refused.error_code(), code);
        assert_eq!(refused.json()["error"]["field"], "based_on");
    }
}

#[test]
fn every_field_is_checked_and_the_error_says_which_and_why() {
    let hub = Hub::start();
    let long = "x".repeat(2_000);
    let many = |count: usize, one: fn(usize) -> Value| -> Value { (0..count).map(one).collect() };
    let signature = |field: &str, value: Value| -> (&str, Value) {
        let mut signature = ninth()["signatures"][1].clone();
        signature[field] = value;
        ("signatures", json!([signature]))
    };
    let header = |name: &str, value: Value| ("headers", json!({name: value}));
    let retry = |delays: Value| ("retry", json!({"delays_s": delays}));
    let cases: Vec<((&str, Value), &str)> = vec![
        (("title", json!(1)), "title"),
        (("title", json!(long)), "title"),
        (("colour", json!("red")), "colour"),
        (("name", json!("other")), "name"),
        (("name", json!(1)), "name"),
        (("envelope", json!("body")), "envelope"),
        (("envelope", json!(null)), "envelope"),
        (("envelope", json!([])), "envelope"),
        (("envelope", many(33, |n| json!({"field": format!("f{n}"), "value": "id"}))), "envelope"),
        (("envelope", json!([{"field": "", "value": "id"}])), "envelope[0].field"),
        (("envelope", json!([{"field": long, "value": "id"}])), "envelope[0].field"),
        (("envelope", json!([{"field": "a", "value": "id"}, {"field": "a", "value": "type"}])), "envelope[1].field"),
        (("envelope", json!([{"field": "a", "value": "now"}])), "envelope[0].value"),
        (("envelope", json!([{"field": "a", "value": {"text": 1}}])), "envelope[0].value.text"),
        (("envelope", json!([{"field": "a"}])), "envelope[0].value"),
        (("envelope", json!([{"field": "a", "value": "id", "x": 1}])), "envelope[0].x"),
        (("body", json!("pretty")), "body"),
        (("signatures", json!({})), "signatures"),
        (("signatures", json!([{}])), "signatures[0].header"),
        (signature("header", json!("")), "signatures[0].header"),
        (signature("header", json!("X Sig")), "signatures[0].header"),
        (signature("header", json!("Content-Length")), "signatures[0].header"),
        (signature("header", json!("Host")), "signatures[0].header"),
        (signature("header", json!("X-Sig\r\nX-Other")), "signatures[0].header"),
        (signature("content", json!("")), "signatures[0].content"),
        (signature("content", json!("{body}{body}")), "signatures[0].content"),
        (signature("content", json!("{time}.{body}")), "signatures[0].content"),
        (signature("encoding", json!("base32")), "signatures[0].encoding"),
        (signature("template", json!("sha256=")), "signatures[0].template"),
        (signature("template", json!("{signature}{signature}")), "signatures[0].template"),
        (signature("template", json!("{id}{signature}")), "signatures[0].template"),
        (signature("template", json!("{signature}\n")), "signatures[0].template"),
        (signature("template", json!("é{signature}")), "signatures[0].template"),
        (signature("template", json!(" {signature}")), "signatures[0].template"),
        (signature("template", json!("{signature} ")), "signatures[0].template"),
        (signature("join", json!("\n")), "signatures[0].join"),
        (signature("join", json!("")), "signatures[0].join"),
        (signature("join", json!(long)), "signatures[0].join"),
        (signature("key", json!("both")), "signatures[0].key"),
        (signature("colour", json!(1)), "signatures[0].colour"),
        (("signatures", json!([ninth()["signatures"][1], ninth()["signatures"][1]])), "headers"),
        (header("X-Home-Sig", json!("x")), "headers"),
        (header("Connection", json!("close")), "headers.Connection"),
        (header("User-Agent", json!("me")), "headers.User-Agent"),
        (header("webhook-id", json!("{delivery_id}")), "headers.webhook-id"),
        (header("Webhook-Timestamp", json!("{id}")), "headers.Webhook-Timestamp"),
        (signature("header", json!("webhook-id")), "signatures[0].header"),
        (header("X-A", json!(1)), "headers.X-A"),
        (header("X-A", json!("{secret}")), "headers.X-A"),
        (header("X-A", json!("a\r\nb")), "headers.X-A"),
        (header("X-A", json!("é")), "headers.X-A"),
        (header("X-A", json!(" a")), "headers.X-A"),
        (("headers", (0..33).map(|n| (format!("X-{n}"), json!("v"))).collect()), "headers"),
        (("retry", json!(null)), "retry"),
        (("retry", json!({})), "retry.delays_s"),
        (retry(json!([-1])), "retry.delays_s[0]"),
        (retry(json!([1, 604_801])), "retry.delays_s[1]"),
        (retry(many(101, |_| json!(1))), "retry.delays_s"),
        (("retry", json!({"delays_s": [1], "measured_from": "now"})), "retry.measured_from"),
        (("retry", json!({"delays_s": [2, 1], "measured_from": "first_failure"})), "retry.delays_s[1]"),
        (("retry", json!({"delays_s": [1], "exhausted": "explode"})), "retry.exhausted"),
        (("gone", json!("shrug")), "gone"),
        (("challenge", json!({"event": "a b", "field": "c"})), "challenge.event"),
        (("challenge", json!({"event": "a.b", "field": ""})), "challenge.field"),
        (("challenge", json!({"event": "a.b", "field": long})), "challenge.field"),
        (("challenge", json!({"event": "a.b", "field": "uid"})), "challenge.field"),
        (("challenge", json!({"event": "a.b"})), "challenge.field"),
    ];
    for ((name, value), field) in cases {
        let mut spec = ninth();
        spec[name] = value.clone();
        let refused = put(&hub, "homemade", &spec);
        let what = format!("{name}: {value}");
        assert_eq!(refused.status, 422, "{what}: {}", refused.text);
        let error = &refused.json()["error"];
        assert_eq!(error["field"], field, "{what}: {error}");
        assert!(error["message"].as_str().unwrap().len() > 10, "{error}");
        // The preview validates alike.
        let body = json!({"profile": spec, "event": {"type": "a.b"}});
        let refused = hub.post("/v1/profiles/preview", &body);
        if name != "name" {
            assert_eq!(refused.status, 422, "{what}: {}", refused.text);
        }
    }
    for name in ["Upper", "a.b", "%20", &"x".repeat(65)] {
        let mut spec = ninth();
        spec.as_object_mut().unwrap().remove("name");
        let refused = put(&hub, name, &spec).expect(422);
        assert_eq!(refused.json()["error"]["field"], "name", "{name}");
    }
    assert_eq!(hub.get("/v1/profiles").json()["data"].as_array().unwrap().len(), 16);
}

#[test]
fn a_preview_without_an_event_shows_the_example_of_the_profile() {
    let hub = Hub::start();
    let preview = hub.post("/v1/profiles/preview", &json!({"profile": "github"})).expect(200).json();
    let example = hub.get("/v1/profiles/github").json()["example"].clone();
    let body: Value = serde_json::from_str(preview["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, example["data"]);
    assert_eq!(preview["headers"]["X-GitHub-Event"], example["type"]);
}

#[test]
fn a_preview_shows_headers_and_body_with_the_spelling_of_the_data() {
    let hub = Hub::start();
    let preview = hub
        .post_text(
            "/v1/profiles/preview",
            r#"{"profile":"irisync","secret":"your_webhook_secret","event":{"id":"evt_1","type":"a.b","created_at":"2023-06-15T14:30:00.5Z","data":{ "b" : 1.0, "a":12345678901234567890123, "a":"\u00e9" },"test":true}}"#,
        )
        .expect(200)
        .json();
    assert_eq!(
        preview["body"],
        r#"{"id":"evt_1","type":"a.b","created":"2023-06-15T14:30:00Z","data":{ "b" : 1.0, "a":12345678901234567890123, "a":"\u00e9" },"test":true}"#
    );
    assert_eq!(preview["headers"]["X-IriSync-Timestamp"], "1768471200");
    assert_eq!(preview["secret"], "your_webhook_secret");
    assert_eq!(preview["standard_secret"], "whsec_eW91cl93ZWJob29rX3NlY3JldA==");
    let headers: Vec<(String, String)> = preview["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    for profile in ["irisync", "standard"] {
        let profile = hookpost::profile::find(profile).unwrap();
        let body = preview["body"].as_str().unwrap().as_bytes();
        verify(&profile, &"your_webhook_secret".parse().unwrap(), &headers, body).unwrap();
    }
    // Only the type is required. The profile may be a stored one, a full specification, or changes to a stored one.
    for profile in [json!("generic"), ninth(), json!({"based_on": "github", "gone": "retry"})] {
        let body = json!({"profile": profile, "event": {"type": "a.b"}});
        let preview = hub.post("/v1/profiles/preview", &body).expect(200).json();
        assert!(preview["secret"].as_str().unwrap().starts_with("whsec_"));
    }
    for (body, field) in [
        (json!({"profile": "nobody", "event": {"type": "a.b"}}), "profile"),
        (json!({"profile": 1, "event": {"type": "a.b"}}), "profile"),
        (json!({"event": {"type": "a.b"}}), "profile"),
        (json!({"profile": "generic", "event": {"type": "a b"}}), "event.type"),
        (json!({"profile": "generic", "event": {}}), "event.type"),
        (json!({"profile": "generic", "event": {"type": "a", "id": "a.b"}}), "event.id"),
        (json!({"profile": "generic", "event": {"type": "a", "created_at": "x"}}), "event.created_at"),
        (json!({"profile": "generic", "event": {"type": "a"}, "secret": ""}), "secret"),
    ] {
        let refused = hub.post("/v1/profiles/preview", &body).expect(422);
        assert_eq!(refused.json()["error"]["field"], field, "{body}");
    }
}

#[test]
fn built_in_ones_stay_as_they_are_and_one_in_use_stays() {
    let hub = Hub::start();
    for name in ALL {
        let refused = put(&hub, name, &json!({"based_on": name})).expect(409);
        assert_eq!(refused.error_code(), "profile_built_in");
        let refused = hub.delete(&format!("/v1/profiles/{name}")).expect(409);
        assert_eq!(refused.error_code(), "profile_built_in");
    }
    hub.delete("/v1/profiles/nobody").expect(404);
    hub.get("/v1/profiles/nobody").expect(404);

    put(&hub, "mine", &json!({"based_on": "generic"})).expect(201);
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/x", &json!({"profile": "mine"}));
    let refused = hub.delete("/v1/profiles/mine").expect(409);
    assert_eq!(refused.error_code(), "profile_in_use");
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"profile": "generic"})).expect(200);
    hub.delete("/v1/profiles/mine").expect(204);
    hub.get("/v1/profiles/mine").expect(404);
    let body = json!({"url": "http://127.0.0.1:9/x", "events": ["*"], "profile": "mine"});
    let refused = hub.post("/v1/webhooks", &body).expect(422);
    assert_eq!(refused.error_code(), "unknown_profile");
}

#[test]
fn a_change_applies_to_the_webhooks_that_use_it_and_holds_over_a_restart() {
    let mut hub = Hub::start();
    let receiver = Receiver::start();
    put(&hub, "mine", &json!({"based_on": "generic"})).expect(201);
    let custom = json!({"profile": "mine", "headers": {"X-Team": "theirs", "X-Other": "kept"}});
    hub.add_webhook_with(receiver.url(), &custom);
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    assert!(receiver.last().header("x-webhook-signature").is_some());
    assert_eq!(receiver.last().header("x-team"), Some("theirs"));

    let changed = json!({"based_on": "github", "headers": {"X-Team": "the profile's"}});
    let changed = put(&hub, "mine", &changed).expect(200).json();
    for restarted in [false, true] {
        if restarted {
            hub.restart();
        }
        assert_eq!(hub.get("/v1/profiles/mine").expect(200).json(), changed);
        hub.publish("a.b", json!({"n": 1}));
        hub.deliver_until_idle();
        let request = receiver.last();
        assert_eq!(request.text(), r#"{"n":1}"#);
        assert!(request.header("x-webhook-signature").is_none());
        assert!(request.header("x-hub-signature-256").is_some());
        // A header set by both is sent once, with the profile's value.
        let teams: Vec<&str> = request
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("x-team"))
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(teams, ["the profile's"]);
        assert_eq!(request.header("x-other"), Some("kept"));
    }
}

#[test]
fn profiles_are_made_and_deleted_by_keys_for_all_tenants_alone() {
    let hub = Hub::start();
    put(&hub, "mine", &json!({"based_on": "generic"})).expect(201);
    let tenant = hub.make_key(Scope::Admin, Some("acme"), None);
    let reader = hub.make_key(Scope::Read, None, None);
    for key in [&tenant, &reader] {
        let body = json!({"based_on": "generic"}).to_string();
        for name in ["mine", "other", "generic"] {
            let path = format!("/v1/profiles/{name}");
            for (method, body) in [("PUT", Some(body.as_str())), ("DELETE", None)] {
                let refused = hub.call_with(key, method, &path, body).expect(403);
                assert_eq!(refused.error_code(), "forbidden");
            }
        }
        hub.call_with(key, "GET", "/v1/profiles", None).expect(200);
    }
    hub.call_with(&hub.make_key(Scope::Publish, None, None), "GET", "/v1/profiles", None).expect(403);
}

#[test]
fn a_challenge_in_the_ecmascript_form_verifies_as_javascript_prints_it() {
    let hub = Hub::start();
    let receiver = Receiver::with(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        Reply::status(200).body(json!({"0": body["0"]}).to_string())
    });
    let spec = json!({"based_on": "influship", "challenge": {"event": "a.b", "field": "0"}});
    put(&hub, "mine", &spec).expect(201);
    hub.create(receiver.url(), &json!({"profile": "mine"}));
    let text = receiver.last().text().to_owned();
    // JavaScript moves index-like names to the front.
    assert!(text.starts_with(r#"{"0":""#), "{text}");
}

#[test]
fn a_custom_profile_can_be_a_default_and_is_kept_while_it_is_one() {
    let mut hub = Hub::start();
    put(&hub, "ours", &json!({"based_on": "iverton"})).expect(201);
    let read = hub.get("/v1/profiles/ours").expect(200).json();
    put(&hub, "ours", &read).expect(200);
    let key = hub.make_key(Scope::Admin, None, Some("ours"));
    let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"]}).to_string();
    let made = hub.call_with(&key, "POST", "/v1/webhooks", Some(&body)).expect(201);
    assert_eq!(made.json()["profile"], "ours");
    let webhook = format!("/v1/webhooks/{}", made.json()["id"].as_str().unwrap());
    hub.delete(&webhook).expect(204);
    let refused = hub.delete("/v1/profiles/ours").expect(409);
    assert_eq!(refused.error_code(), "profile_in_use");
    hub.restart_with(|options| options.default_profile = "ours".to_owned());
    let made = hub.post_text("/v1/webhooks", &body).expect(201);
    assert_eq!(made.json()["profile"], "ours");
}
