//! Authentication to the endpoint in the form of a webhook, and among its settings.

use serde_json::{Value, json};

use super::{assert_has, assert_lacks};
use crate::support::receiver::Receiver;
use crate::support::visitor::Visitor;
use crate::support::{Hub, Page};

const SECRET: &str = "hunter2-of-the-endpoint";

fn created(hub: &Hub, visitor: &Visitor<'_>, url: &str, changes: &[(&str, &str)]) -> Value {
    let new = [("url", url), ("event", "*")];
    let answer = visitor.submit_changed("/webhooks/new", &[&new, changes].concat());
    assert!(answer.status < 400, "{}", answer.page());
    let all = hub.get("/v1/webhooks?limit=1").expect(200).json();
    all["data"][0].clone()
}

#[test]
fn each_kind_is_set_with_the_form_and_shown_masked() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let basic = [("auth", "basic"), ("auth_username", "anna"), ("auth_password", SECRET)];
    let bearer = [("auth", "bearer"), ("auth_token", SECRET)];
    let oauth2 = [
        ("auth", "oauth2"),
        ("auth_token_url", " http://127.0.0.1:9/token "),
        ("auth_client_id", "hookpost"),
        ("auth_client_secret", SECRET),
        ("auth_scope", "hooks.write"),
        ("auth_client_auth", "body"),
    ];
    for (fields, expected, shown) in [
        (&basic[..], json!({"type": "basic", "username": "anna", "password": "••••••"}), ["Basic", "User name: anna"]),
        (&bearer, json!({"type": "bearer", "token": "••••••"}), ["Bearer token", "Token: ••••••"]),
        (
            &oauth2,
            json!({"type": "oauth2", "token_url": "http://127.0.0.1:9/token", "client_id": "hookpost",
                "client_secret": "••••••", "scope": "hooks.write", "audience": null, "client_auth": "body"}),
            ["OAuth 2.0 client credentials", "Client credentials: in the request body"],
        ),
    ] {
        let webhook = created(&hub, &anna, "http://127.0.0.1:9/", fields);
        assert_eq!(webhook["auth"], expected);
        let id = webhook["id"].as_str().unwrap();
        let fact = anna.page(&format!("/webhooks/{id}/settings")).fact("Authentication").unwrap();
        assert!(shown.iter().all(|words| fact.contains(words)) && fact.contains("••••••"), "{fact}");
        for path in ["settings", "edit"] {
            assert_lacks(&anna.page(&format!("/webhooks/{id}/{path}")), SECRET);
        }
    }
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    assert_eq!(anna.page(&format!("/webhooks/{webhook}/settings")).fact("Authentication").as_deref(), Some("None"));
}

#[test]
fn a_blank_secret_keeps_the_stored_one_and_another_kind_needs_its_own() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let receiver = Receiver::start();
    let fields = [("auth", "basic"), ("auth_username", "anna"), ("auth_password", "open sesame")];
    let webhook = created(&hub, &anna, &receiver.url(), &fields);
    let path = format!("/webhooks/{}/edit", webhook["id"].as_str().unwrap());
    let page = anna.page(&path);
    assert_eq!(page.field("auth_password").as_deref(), Some(""));
    assert_has(&page, "Blank keeps the stored one.");
    assert!(page.has("#advanced[open]"));
    anna.submit_changed(&path, &[("auth_username", "Aladdin")]).expect(303);
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.last().header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));

    let page = anna.submit_changed(&path, &[("auth", "bearer")]).expect(422).page();
    assert_eq!(page.problem("auth").as_deref(), Some("No token is stored yet. Give the token."));
    assert_eq!(page.field("auth_username").as_deref(), Some("Aladdin"));
    let moved = receiver.url().replace("127.0.0.1", "localhost");
    let said = anna.submit_changed(&path, &[("url", &moved)]).expect(422).page().problem("auth").unwrap();
    assert!(said.contains("Give the password again"), "{said}");
    anna.submit_changed(&path, &[("auth", "")]).expect(303);
    assert_eq!(hub.webhook(webhook["id"].as_str().unwrap())["auth"], Value::Null);
}

#[test]
fn a_refused_form_keeps_what_was_typed_and_names_the_fault() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let oauth2 = |token_url| {
        [
            ("url", "http://127.0.0.1:9/"),
            ("event", "*"),
            ("auth", "oauth2"),
            ("auth_token_url", token_url),
            ("auth_client_id", "a"),
            ("auth_client_secret", "typed"),
        ]
    };
    for (token_url, words) in [("http://10.1.2.3/", "--allow-target 10.1.2.3"), ("", "The URL is empty")] {
        let page = anna.submit_changed("/webhooks/new", &oauth2(token_url)).expect(422).page();
        let said = page.problem("auth").unwrap();
        assert!(said.contains(words), "{said}");
        assert_eq!(page.field("auth").as_deref(), Some("oauth2"));
        assert_eq!(page.field("auth_client_secret").as_deref(), Some("typed"));
        assert!(page.has("#advanced[open]"));
    }
    assert_eq!(hub.get("/v1/webhooks").json()["data"], json!([]));
}

fn copy_of(visitor: &Visitor<'_>, id: &str) -> Page {
    visitor.page(&format!("/webhooks/new?from={id}"))
}

#[test]
fn a_duplicate_lacks_the_credentials_and_says_so() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let auth = json!({"type": "oauth2", "token_url": "http://127.0.0.1:9/token", "client_id": "hookpost",
        "client_secret": SECRET});
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"auth": auth}));
    let page = copy_of(&anna, &id);
    assert_has(&page, "except for the secret, the client secret.");
    assert_lacks(&page, SECRET);
    assert_lacks(&page, "Blank keeps");
    assert_eq!(page.field("auth_client_id").as_deref(), Some("hookpost"));
    let fields = page.forms()[0].fields();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let said = anna.submit("/webhooks/new", &fields).expect(422).page().problem("auth").unwrap();
    assert_eq!(said, "No client secret is stored yet. Give the client secret.");
}

#[test]
fn the_portal_of_a_tenant_sets_and_shows_it_too() {
    let hub = Hub::start();
    let portal = hub.portal("acme");
    let webhook = created(&hub, &portal, "http://127.0.0.1:9/", &[("auth", "bearer"), ("auth_token", SECRET)]);
    assert_eq!((&webhook["tenant"], &webhook["auth"]["type"]), (&json!("acme"), &json!("bearer")));
    let settings = portal.page(&format!("/webhooks/{}/settings", webhook["id"].as_str().unwrap()));
    assert!(settings.fact("Authentication").unwrap().contains("Token: ••••••"));
    assert_lacks(&settings, SECRET);
}
