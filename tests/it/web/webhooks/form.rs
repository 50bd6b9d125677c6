//! Creating, changing and duplicating a webhook.

use hookpost::domain::time::MINUTE;
use serde_json::{Value, json};

use super::{ODD, assert_has, assert_lacks};
use crate::support::receiver::{Behaviour, Receiver, Reply};
use crate::support::{Hub, Page};

#[test]
fn a_webhook_is_created_with_what_the_form_says_and_its_secret_is_shown() {
    let hub = Hub::start();
    let anna = hub.administrator();
    anna.page("/webhooks/new");
    let fields = [
        ("url", "http://127.0.0.1:9/in"),
        ("event", "order.paid"),
        ("event", "order.sent"),
        ("patterns", "content.*\r\n\r\n order.paid \r\n"),
        ("profile", "stripe"),
        ("description", " Shop "),
        ("tenant", "acme"),
        ("secret", "our own secret"),
        ("headers", "X-Team: billing\r\nAuthorization: Bearer s3cret"),
        ("timeout_s", "7"),
        ("max_in_flight", "3"),
        ("rate_limit_per_s", "20"),
        ("ordered", "yes"),
        ("retry", "own"),
        ("delays", "30s, 5m, 1h 30m"),
        ("measured_from", "first_failure"),
        ("exhausted", "dead_letter"),
    ];
    let page = anna.submit_and_follow("/webhooks/new", &fields);
    assert_has(&page, "our own secret");
    assert_has(&page, "whsec_b3VyIG93biBzZWNyZXQ=");
    assert!(page.has_button("Send test event"));
    let made = hub.webhook(&page.webhook());
    for (field, value) in [
        ("url", json!("http://127.0.0.1:9/in")),
        ("events", json!(["order.paid", "order.sent", "content.*"])),
        ("profile", json!("stripe")),
        ("description", json!("Shop")),
        ("tenant", json!("acme")),
        ("headers", json!({"X-Team": "billing", "Authorization": "••••••"})),
        ("timeout_s", json!(7)),
        ("max_in_flight", json!(3)),
        ("rate_limit_per_s", json!(20)),
        ("ordered", json!(true)),
        ("standard_headers", json!(false)),
        (
            "retry",
            json!({"delays_s": [30.0, 300.0, 5400.0], "measured_from": "first_failure", "exhausted": "dead_letter"}),
        ),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
}

#[test]
fn what_is_wrong_is_said_at_its_field_and_everything_stays_filled_in() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let good = [
        ("url", "http://127.0.0.1:9/in"),
        ("event", "*"),
        ("description", "Shop"),
        ("timeout_s", "5"),
        ("max_in_flight", "8"),
        ("standard_headers", "yes"),
        ("profile", "generic"),
    ];
    for (field, value, problem, message) in [
        ("url", "http://10.1.2.3/x", "url", "--allow-target 10.1.2.3"),
        ("url", "ftp://127.0.0.1/", "url", ""),
        ("url", "", "url", ""),
        ("patterns", "a*", "events", "neither an event type"),
        ("profile", "nope", "profile", "There is no profile"),
        ("description", "a\u{0}b", "description", "control characters"),
        ("tenant", "a b", "tenant", ""),
        ("secret", "ä", "secret", "printable ASCII"),
        ("headers", "X-Team", "headers", "is not a header"),
        ("headers", "Host: a", "headers", "Hookpost sets itself"),
        ("headers", "X-A: 1\nX-A: 2", "headers", "appears twice"),
        ("headers", "X-Token: ••••••", "headers", "mask"),
        ("timeout_s", "31", "timeout_s", "1 to 30"),
        ("timeout_s", "soon", "timeout_s", "whole number"),
        ("max_in_flight", "0", "max_in_flight", "1 to 64"),
        ("rate_limit_per_s", "-1", "rate_limit_per_s", "whole number"),
        ("delays", "5m, 300", "retry", "not a duration"),
        ("delays", "8d", "retry", "604800"),
    ] {
        anna.page("/webhooks/new");
        let mut fields: Vec<_> = good.iter().copied().filter(|(name, _)| *name != field).collect();
        fields.extend([(field, value), ("retry", if field == "delays" { "own" } else { "profile" })]);
        let page = anna.submit("/webhooks/new", &fields).expect(422).page();
        let said = page.problem(problem).unwrap_or_else(|| panic!("nothing at {problem} in {page}"));
        assert!(said.contains(message), "{message:?} in {said:?}");
        let description = if field == "description" { value } else { "Shop" };
        assert_eq!(page.field("description").as_deref(), Some(description), "{field}");
        assert_eq!(page.field("event").as_deref(), Some("*"));
        let is_advanced = !["url", "events", "profile", "description", "tenant", "secret"].contains(&problem);
        assert_eq!(page.has("#advanced[open]"), is_advanced, "{field}");
    }
    anna.page("/webhooks/new");
    let page = anna.submit("/webhooks/new", &[("url", "http://127.0.0.1:9/")]).expect(422).page();
    assert!(page.problem("events").is_some());
    assert_eq!(hub.get("/v1/webhooks").json()["data"], json!([]));
}

#[test]
fn a_schedule_is_previewed_with_dates_and_nothing_is_saved() {
    let hub = Hub::start();
    let anna = hub.administrator();
    anna.page("/webhooks/new");
    let own = [("preview", "yes"), ("retry", "own"), ("delays", "1m, 5m, 30m, 17h"), ("description", "kept")];
    let page = anna.submit("/webhooks/new", &own).expect(200).page();
    let steps: Vec<String> = page.all(".schedule li").iter().map(|step| step.parts("span").join(", ")).collect();
    assert!(steps[0].starts_with("First attempt, 10:00 UTC"), "{steps:?}");
    assert!(steps[4].starts_with("5th attempt, tomorrow 03:36 UTC"), "{steps:?}");
    assert_has(&page, "5 attempts in all");
    assert_eq!(page.field("description").as_deref(), Some("kept"));
    let wrong = [("preview", "yes"), ("retry", "own"), ("delays", "5")];
    let page = anna.submit("/webhooks/new", &wrong).expect(422).page();
    assert!(page.problem("retry").is_some());
    let profile = [("preview", "yes"), ("retry", "profile"), ("profile", "socialsyncer")];
    let page = anna.submit("/webhooks/new", &profile).expect(200).page();
    assert_has(&page, "4th attempt");
    assert_lacks(&page, "5th attempt");
    assert_eq!(hub.get("/v1/webhooks").json()["data"], json!([]));
}

#[test]
fn types_that_were_described_or_published_can_be_ticked() {
    let hub = Hub::start();
    let body = json!({"description": "A post went live", "example": {}}).to_string();
    hub.call_with(&hub.key, "PUT", "/v1/event-types/content.published", Some(&body));
    hub.publish("order.paid", json!({}));
    let page = hub.administrator().page("/webhooks/new");
    assert!(page.offers("event", "content.published") && page.offers("event", "order.paid"));
    assert_has(&page, "A post went live");
}

/// Fields of the form on the page, as a browser submits them.
fn fields_of(page: &Page) -> Vec<(String, String)> {
    page.forms()[0].fields()
}

#[test]
fn saving_an_edit_without_a_change_changes_nothing() {
    let hub = Hub::start();
    let anna = hub.administrator();
    hub.publish("order.paid", json!({}));
    for fields in [
        json!({}),
        json!({
            "events": ["order.paid", "content.*", "a.b"], "profile": "github", "description": ODD, "tenant": "acme",
            "headers": {"X-Token": "s3cret", "X-Empty": "", "X-Odd": "<b>\"'&amp;"},
            "auth": {"type": "basic", "username": ODD.replace([':', '\n', '\r'], ""), "password": "s3cret"},
            "timeout_s": 30, "max_in_flight": 64, "rate_limit_per_s": 1000, "ordered": true, "standard_headers": false,
            "template": "\n[{{ data }},\n \"<b>&amp;</textarea>\"]\n",
            "retry": {"delays_s": [0, 1.5, 90, 604800], "measured_from": "first_failure", "exhausted": "dead_letter"},
        }),
    ] {
        let webhook = hub.add_webhook_with("http://127.0.0.1:9/a?b=%22&c=d", &fields);
        let before = hub.webhook(&webhook);
        let page = anna.page(&format!("/webhooks/{webhook}/edit"));
        assert_lacks(&page, "s3cret");
        let sent = fields_of(&page);
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = anna.submit(&format!("/webhooks/{webhook}/edit"), &sent);
        assert_eq!(answer.expect(303).header("location"), Some(format!("/webhooks/{webhook}/settings").as_str()));
        assert_eq!(hub.webhook(&webhook), before);
    }
}

#[test]
fn an_edit_keeps_masked_headers_and_changes_what_was_changed() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let headers = json!({"headers": {"Authorization": "Bearer s3cret"}});
    let webhook = hub.add_webhook_with(receiver.url(), &headers);
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}/edit");
    let page = anna.page(&path);
    let mut sent = fields_of(&page);
    sent.retain(|(name, _)| name != "headers" && name != "timeout_s");
    let mut sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    sent.extend([("headers", "Authorization: ••••••\nX-Team: a"), ("timeout_s", "9")]);
    let page = anna.submit_and_follow(&path, &sent);
    assert!(page.has_flash("Saved."), "{page}");
    assert_eq!(hub.webhook(&webhook)["timeout_s"], 9);
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    assert_eq!(receiver.last().header("authorization"), Some("Bearer s3cret"));
    assert_eq!(receiver.last().header("x-team"), Some("a"));
}

#[test]
fn a_duplicate_is_filled_in_but_for_what_is_secret() {
    let hub = Hub::start();
    let fields = json!({
        "secret": "our own secret", "description": "Shop", "events": ["content.*"], "profile": "stripe",
        "headers": {"Authorization": "Bearer s3cret", "X-Team": "billing"},
    });
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/in", &fields);
    let page = hub.administrator().page(&format!("/webhooks/new?from={webhook}"));
    assert_lacks(&page, "our own secret");
    assert_lacks(&page, "Authorization: •");
    assert_has(&page, "the values of Authorization");
    let sent = fields_of(&page);
    let sent: Value = sent.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    assert_eq!(sent["url"], "http://127.0.0.1:9/in");
    assert_eq!(sent["patterns"], "content.*");
    assert_eq!(sent["headers"], "X-Team: billing");
    assert_eq!(sent["secret"], "");
    assert_eq!(sent["profile"], "stripe");
}

#[test]
fn markup_in_every_field_of_a_refused_form_is_escaped() {
    let hub = Hub::start();
    let anna = hub.administrator();
    anna.page("/webhooks/new");
    let names = [
        "url",
        "event",
        "patterns",
        "profile",
        "description",
        "tenant",
        "secret",
        "headers",
        "auth",
        "auth_username",
        "auth_token_url",
        "auth_stored",
        "timeout_s",
        "max_in_flight",
        "rate_limit_per_s",
        "ordered",
        "retry",
        "delays",
        "measured_from",
        "exhausted",
        "unknown",
    ];
    let fields: Vec<_> = names.iter().map(|name| (*name, ODD)).collect();
    let page = anna.submit("/webhooks/new", &fields).expect(422).page();
    assert!(!page.source().contains("<script>alert"));
    assert_eq!(page.field("url").as_deref(), Some(ODD));
    assert!(!page.source().contains("11111103"), "the product of the braces");
    let long = "a".repeat(100_000);
    let fields: Vec<_> = names.iter().map(|name| (*name, long.as_str())).collect();
    anna.submit("/webhooks/new", &fields).expect(422);
}

#[test]
fn an_edit_of_the_url_asks_the_endpoint_where_the_profile_has_a_challenge() {
    let hub = Hub::start();
    let receiver = Receiver::behaving(Behaviour::deciding(|request| {
        let echoes = request.path == "/good";
        Reply::status(200).body(if echoes { request.body.clone() } else { b"{}".to_vec() })
    }));
    let webhook = hub.add_webhook_with(receiver.url_at("/good"), &json!({"profile": "influship"}));
    assert_eq!(hub.state_of(&webhook), "active");
    let anna = hub.administrator();
    let path = format!("/webhooks/{webhook}/edit");
    let mut fields = vec![("event", "*"), ("profile", "influship")];
    let bad = receiver.url_at("/bad");
    fields.push(("url", bad.as_str()));
    anna.page(&path);
    let page = anna.submit(&path, &fields).expect(422).page();
    assert_has(&page, "challenge");
    assert!(page.field("url").unwrap().ends_with("/bad"));
    assert_eq!(hub.webhook(&webhook)["url"], receiver.url_at("/good"));
    hub.advance(MINUTE);
}

#[test]
fn a_masked_header_is_typed_again_when_the_url_moves_to_another_origin() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"headers": {"X-Token": "s3cret"}}));
    let path = format!("/webhooks/{webhook}/edit");
    let headers = anna.page(&path).field("headers").unwrap();
    assert_eq!(headers, "X-Token: ••••••");
    let fields = |url: &'static str, headers: &'static str| {
        [("url", url), ("event", "*"), ("profile", "generic"), ("headers", headers)]
    };
    let page = anna.submit(&path, &fields("http://localhost:9/", "X-Token: ••••••")).expect(422).page();
    let said = page.problem("headers").unwrap();
    assert!(said.contains("X-Token") && said.contains("Give the value again"), "{said}");
    anna.submit(&path, &fields("http://127.0.0.1:9/other", "X-Token: ••••••")).expect(303);
    anna.page(&path);
    anna.submit(&path, &fields("http://localhost:9/", "X-Token: another")).expect(303);
}

#[test]
fn a_template_is_tried_with_a_recent_event_of_the_tenant_before_it_is_saved() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    for tenant in ["acme", "globex"] {
        let event = json!({"id": tenant, "tenant": tenant, "type": "a.b", "data": {"of": format!("<i>{tenant}")}});
        hub.post("/v1/events", &event).expect(202);
    }
    let fields = json!({"tenant": "acme", "profile": "github", "description": "Shop"});
    let webhook = hub.add_webhook_with(receiver.url(), &fields);
    let anna = hub.portal("acme");
    let path = format!("/webhooks/{webhook}/edit");
    let page = anna.page(&path);
    assert!(page.offers("sample", "acme:acme") && page.offers("sample", "example"), "{page}");
    assert!(!page.offers("sample", "globex:globex"));
    let url = receiver.url();
    let with = |template: &'static str, sample: &'static str, preview: bool| {
        let mut fields = vec![("url", url.as_str()), ("event", "*"), ("profile", "github"), ("description", "Café")];
        fields.extend([("template", template), ("sample", sample)]);
        if preview {
            fields.push(("preview", "template"));
        }
        fields
    };
    let template = "{\"of\": \"{{ data.of }} {{ webhook.description }}\"}";
    let page = anna.submit(&path, &with(template, "acme:acme", true)).expect(200).page();
    assert_eq!(page.get("#preview-body").text().trim(), "{\"of\": \"<i>acme Café\"}");
    assert_has(&page, "X-GitHub-Event");
    assert_has(&page, "Content-Type");
    assert_eq!(hub.webhook(&webhook)["template"], Value::Null);
    // Another tenant's event is not shown, whatever the form says.
    let page = anna.submit(&path, &with("{{ data }}", "globex:globex", true)).expect(200).page();
    assert_lacks(&page, "globex");
    let page = anna.submit(&path, &with(template, "example", true)).expect(422).page();
    assert_eq!(page.problem("template").as_deref(), Some("Line 1, column 12: `data.of` is undefined."));
    let page = anna.submit(&path, &with("{{ data.of|shout }}", "", false)).expect(422).page();
    assert!(page.problem("template").unwrap().contains("There is no filter `shout`"), "{page}");
    // Without a template, the format of the profile.
    let page = anna.submit(&path, &with("", "", true)).expect(200).page();
    assert_eq!(page.get("#preview-body").text().trim(), "{\"of\":\"<i>acme\"}");
    anna.submit(&path, &with(template, "", false)).expect(303);
    assert_eq!(hub.webhook(&webhook)["template"], template);
    assert_has(&anna.page(&format!("/webhooks/{webhook}/settings")), template);
    // A delivery that failed before says that a retry sends the body of then.
    receiver.behave(Behaviour::Answer(Reply::status(500)));
    let event = json!({"tenant": "acme", "type": "a.b", "data": {"of": 1}});
    let receipt = hub.post("/v1/events", &event).expect(202).json();
    hub.deliver_until_idle();
    let page = format!("/deliveries/{}", receipt["deliveries"][0]["id"].as_str().unwrap());
    assert!(!anna.page(&page).contains("A retry sends the same body"));
    anna.page(&path);
    anna.submit(&path, &with("", "", false)).expect(303);
    assert_has(&anna.page(&page), "A retry sends the same body as before. Replay the event to send the new one.");
}
