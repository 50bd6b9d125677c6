//! Profiles: described, previewed, created, changed, deleted.

use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::receiver::Receiver;

#[test]
fn every_built_in_profile_is_told_in_words_with_a_preview_a_schedule_and_code() {
    let hub = Hub::start();
    let visitor = hub.viewer();
    let list = visitor.page("/profiles");
    assert!(!list.holds("/profiles/new"));
    for (name, profile) in hookpost::profile::builtin() {
        assert!(list.links_to(&format!("/profiles/{name}")), "{name}");
        let page = visitor.page(&format!("/profiles/{name}"));
        for text in ["2nd attempt", "HMAC-SHA256", "WEBHOOK_SECRET", "Webhooks with this profile"] {
            let is_unsigned = profile.spec().signatures.is_empty() && text == "HMAC-SHA256";
            assert!(is_unsigned || page.contains(text), "{text} of {name} in {page}");
        }
        assert!(!page.get("#preview-body").text().is_empty());
        assert!(!page.links_to(&format!("/profiles/{name}/edit")) && !page.holds("Delete profile"));
    }
    let page = visitor.page("/profiles/stripe?lang=python");
    assert!(page.contains("import"), "{page}");
    visitor.get("/profiles/none").expect(404);
}

#[test]
fn a_preview_is_of_the_event_that_was_typed() {
    let hub = Hub::start();
    let receiver = Receiver::answering(200);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"description": "Users & co"}));
    let visitor = hub.viewer();
    let page = visitor.page("/profiles/generic?type=order.paid&data=%7B%22b%22%3A%20%201.50%7D");
    for text in ["\"type\":\"order.paid\"", "{\"b\":  1.50}"] {
        assert!(page.get("#preview-body").contains(text), "{text} in {page}");
    }
    assert!(page.contains("X-Webhook-Signature"), "{page}");
    assert_eq!(page.link("Users & co"), Some(format!("/webhooks/{webhook}").as_str()));
    let bad = visitor.page("/profiles/generic?data=%3Cscript%3Ealert(1)%3C/script%3E");
    assert!(bad.problem("data").is_some() && !bad.source().contains("<script>alert"));
    assert!(!bad.has("#preview-body"));
    let bad = visitor.page("/profiles/generic?type=a%20b");
    assert!(bad.problem("type").is_some(), "{bad}");
    let huge = format!("\"{}\"", "x".repeat(60_000));
    visitor.page(&format!("/profiles/generic?data={huge}").replace('"', "%22"));
}

#[test]
fn a_profile_is_copied_previewed_saved_changed_and_deleted() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let page = visitor.page("/profiles/new?from=stripe");
    assert!(page.contains("Stripe-Signature"), "{page}");
    assert_eq!(page.field("from").as_deref(), Some("stripe"), "{page}");
    let spec = json!({"based_on": "generic", "title": "<b>Ours</b>", "headers": {"X-Ours": "{type}"}}).to_string();
    let fields = [("name", "ours"), ("json", spec.as_str()), ("preview", "yes")];
    let shown = visitor.submit("/profiles/new", &fields).expect(200);
    assert!(shown.page().contains("Not saved yet") && shown.page().contains("X-Ours"));
    hub.get("/v1/profiles/ours").expect(404);
    let page = visitor.submit_and_follow("/profiles/new", &fields[..2]);
    for text in ["The profile ours was saved", "<b>Ours</b>", "X-Ours", "Delete profile"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let again = visitor.submit("/profiles/new", &fields[..2]).expect(422);
    assert!(again.page().contains("The profile ours already exists"));

    let page = visitor.page("/profiles/ours/edit");
    assert!(page.contains("X-Ours"), "{page}");
    let edited: Value = serde_json::from_str(&page.field("json").unwrap()).unwrap();
    assert_eq!(edited.get("name"), None);
    let changed = json!({"based_on": "generic", "title": "Second"}).to_string();
    let page = visitor.submit_and_follow("/profiles/ours/edit", &[("json", changed.as_str())]);
    assert!(page.contains("Second") && !page.holds("X-Ours"));
    assert_eq!(hub.get("/v1/profiles/ours").json()["title"], "Second");

    let receiver = Receiver::answering(200);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"profile": "ours"}));
    let path = "/profiles/ours/delete";
    let asked = visitor.submit(path, &[]).expect(200);
    assert!(asked.page().contains("Delete the profile ours?"));
    let page = visitor.submit_and_follow(path, &[("confirmed", "yes")]);
    assert!(page.has_flash("1 webhooks and 0 API keys use the profile ours"), "{page}");
    hub.delete(&format!("/v1/webhooks/{webhook}")).expect(204);
    let page = visitor.submit_and_follow(path, &[("confirmed", "yes")]);
    assert!(page.has_flash("The profile ours was deleted"));
    hub.get("/v1/profiles/ours").expect(404);
}

#[test]
fn what_is_edited_is_the_whole_profile_and_saves_as_it_was() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    for name in hookpost::profile::builtin().keys() {
        let page = visitor.page(&format!("/profiles/new?from={name}"));
        let text = page.field("json").unwrap();
        let copy = format!("copy-{name}");
        let template = page.field("template").unwrap();
        let fields = [("name", copy.as_str()), ("json", text.as_str()), ("template", template.as_str())];
        visitor.submit("/profiles/new", &fields).expect(303);
        let spec = |name: &str| -> Value {
            let mut spec = hub.get(&format!("/v1/profiles/{name}")).expect(200).json();
            spec["name"] = Value::Null;
            spec["built_in"] = Value::Null;
            spec
        };
        assert_eq!(spec(&copy), spec(name));
    }
}

#[test]
fn a_wrong_profile_is_shown_again_with_the_field_that_is_wrong() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/profiles/new");
    for (name, text, problem) in [
        ("Bad Name", r#"{"based_on": "generic"}"#, "1 to 64"),
        ("ours", "{\"open\": ", "ends too early"),
        ("ours", "[]", ""),
        ("ours", r#"{"based_on": "none"}"#, "based_on: There is no profile"),
        ("ours", r#"{"based_on": "generic", "colour": "red"}"#, "colour"),
        (
            "ours",
            r#"{"based_on": "generic", "retry": {"delays_s": [-1], "exhausted": "disable"}}"#,
            "retry.delays_s[0]: A delay must be",
        ),
        ("ours", r#"{"based_on": "generic", "title": "<script>alert(1)</script>", "envelope": []}"#, "envelope: "),
    ] {
        for preview in [false, true] {
            let fields = [("name", name), ("json", text), ("preview", "yes")];
            let count = if preview { 3 } else { 2 };
            let page = visitor.submit("/profiles/new", &fields[..count]).expect(422).page();
            let said = page.problem(if name == "ours" { "json" } else { "name" }).unwrap();
            assert!(said.contains(problem), "{problem} in {said}");
            assert!(!page.source().contains("<script>alert"));
        }
    }
    assert_eq!(visitor.get("/profiles/generic/edit").status, 403);
    visitor.submit("/profiles/generic/edit", &[("json", "{}")]).expect(403);
}

#[test]
fn profiles_are_for_operators_and_changed_by_administrators() {
    let hub = Hub::start();
    let viewer = hub.viewer();
    viewer.get("/profiles/new").expect(403);
    viewer.page("/profiles");
    for path in ["/profiles/new", "/profiles/generic/edit", "/profiles/generic/delete"] {
        viewer.submit(path, &[("name", "x"), ("json", "{}")]).expect(403);
    }
    let portal = hub.portal("acme");
    assert!(!portal.page("/").holds("/profiles"));
    for path in ["/profiles", "/profiles/generic", "/profiles/new", "/profiles/generic/edit"] {
        portal.get(path).expect(404);
    }
    portal.page("/");
    for path in ["/profiles/new", "/profiles/generic/edit", "/profiles/generic/delete"] {
        portal.submit(path, &[("name", "x"), ("json", "{}")]).expect(404);
    }
}

#[test]
fn a_template_is_edited_with_a_preview_of_a_recent_event() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let receiver = Receiver::answering(200);
    hub.add_webhook(receiver.url());
    let spec =
        json!({"based_on": "generic", "example": {"type": "order.paid", "data": {"title": "example"}}}).to_string();
    let template = "{\n  \"text\": \"{{ event.type }}: {{ data.title }}\"}";
    let typed = |template: &str, sample: &str, button: &str| -> Vec<(String, String)> {
        let fields = [("name", "chat"), ("json", &spec), ("template", template), ("sample", sample), (button, "yes")];
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    let submit = |path: &str, fields: &[(String, String)]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        visitor.submit(path, &fields)
    };
    visitor.page("/profiles/new");
    // Without events, the example of the profile.
    let page = submit("/profiles/new", &typed(template, "", "preview")).expect(200).page();
    assert_eq!(page.get("#preview-body").text().trim(), "{\n  \"text\": \"order.paid: example\"}");
    hub.post_text("/v1/events", r#"{"id":"one","type":"a.b","data":{"title":"<i>real</i>"}}"#).expect(202);
    hub.post_text("/v1/events", r#"{"id":"two","type":"a.b","data":{}}"#).expect(202);
    let page = submit("/profiles/new", &typed(template, "default:one", "preview")).expect(200).page();
    assert!(page.get("#preview-body").text().contains("a.b: <i>real</i>"), "{page}");
    assert_eq!(page.field("sample").as_deref(), Some("default:one"));
    // The newest, with which the template fails.
    let page = submit("/profiles/new", &typed(template, "", "preview")).expect(422).page();
    assert_eq!(page.problem("template").as_deref(), Some("Line 2, column 33: `data.title` is undefined."), "{page}");
    let page = submit("/profiles/new", &typed("{\n{{ data", "", "save")).expect(422).page();
    assert!(page.problem("template").unwrap().starts_with("Line 2, column "), "{page}");
    assert_eq!(page.field("template").as_deref(), Some("{\n{{ data"));
    submit("/profiles/new", &typed(template, "", "save")).expect(303);
    let saved = hub.get("/v1/profiles/chat").expect(200).json();
    assert_eq!(
        (&saved["template"], &saved["body"], &saved["envelope"]),
        (&json!(template), &json!("template"), &Value::Null)
    );
    let page = visitor.page("/profiles/chat");
    assert_eq!(page.get("#template").text().trim(), template);
    assert!(page.get("#preview-body").text().contains("order.paid: example"));
    assert_eq!(visitor.page("/profiles/chat/edit").field("template").as_deref(), Some(template));
}
