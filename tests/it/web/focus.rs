//! Refused forms: the focus is on the first wrong field, and the message at the top leads to it.

use serde_json::json;

use crate::support::{Hub, Page};

/// Checks that a control has the focus and its message, and that the message at the top leads to it.
#[track_caller]
fn assert_focus(page: &Page, control: &str, what: &str) {
    let focused = page.all("[autofocus]");
    assert_eq!(focused.len(), 1, "{what}: {page}");
    assert_eq!(focused[0].attribute("id"), Some(control), "{what}");
    assert_eq!(focused[0].attribute("aria-invalid"), Some("true"), "{what}");
    let described = focused[0].attribute("aria-describedby").unwrap_or_default();
    let problem = described.split(' ').find(|id| id.ends_with("-problem")).unwrap_or_default();
    let message = page.find(&format!("#{problem}")).unwrap_or_else(|| panic!("{what}: no message at {control}")).text();
    let link = page.get(".flash.error a");
    assert_eq!(link.attribute("href"), Some(format!("#{control}").as_str()), "{what}");
    assert!(message.contains(&link.text()), "{what}: {message} and {}", link.text());
    // A control in something that is folded away cannot have the focus.
    let folded = page.all("details").into_iter().filter(|fold| !fold.has_attribute("open"));
    assert!(folded.into_iter().all(|fold| !fold.has(&format!("#{control}"))), "{what}: folded away");
}

#[test]
fn the_first_wrong_field_of_every_form_has_the_focus_and_is_linked_to() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"description": "Shop"}));
    let at = |tail: &str| format!("/webhooks/{webhook}/{tail}");
    let long = "a".repeat(200);
    for (path, changes, control) in [
        ("/webhooks/new".to_owned(), vec![("event", "*"), ("url", "ftp://x")], "url"),
        ("/webhooks/new".to_owned(), vec![("url", "http://127.0.0.1:9/")], "events"),
        (at("edit"), vec![("patterns", "a*")], "patterns"),
        (at("edit"), vec![("filter", "{")], "filter"),
        (at("edit"), vec![("headers", "X")], "headers"),
        (at("edit"), vec![("timeout_s", "31")], "timeout_s"),
        (at("edit"), vec![("rate_limit_per_s", "x")], "rate_limit_per_s"),
        (at("edit"), vec![("retry", "own"), ("delays", "soon")], "delays"),
        (at("edit"), vec![("delays", "7m")], "delays"),
        (at("edit"), vec![("auth", "oauth2"), ("auth_token_url", "x")], "auth_token_url"),
        (at("edit"), vec![("auth", "bearer")], "auth_token"),
        (at("edit"), vec![("auth_token", "typed")], "auth"),
        (at("edit"), vec![("tls_ca", "x")], "tls_ca"),
        (at("edit"), vec![("template", "{{")], "template"),
        (at("edit"), vec![("signing", "ed25519"), ("standard_headers", "")], "signing"),
        (at("test"), vec![("data", "{")], "data"),
        (at("test"), vec![("event_type", "a b")], "event_type"),
        (at("replay"), vec![("since", "x")], "since"),
        (at("delete"), vec![("typed", "x")], "typed"),
        ("/events/new".to_owned(), vec![("type", "a b"), ("data", "{}")], "type"),
        ("/events/new".to_owned(), vec![("type", "a.b"), ("data", "{}"), ("previous_data", "{")], "previous_data"),
        ("/new-event-type".to_owned(), vec![("name", "a b")], "name"),
        ("/new-event-type".to_owned(), vec![("name", "a.b"), ("schema", "{")], "schema"),
        ("/profiles/new".to_owned(), vec![("name", "A b")], "name"),
        ("/profiles/new".to_owned(), vec![("name", "ours"), ("json", "{")], "json"),
        ("/profiles/new".to_owned(), vec![("name", "ours"), ("template", "{{")], "template"),
        ("/setup/webhook".to_owned(), vec![("target", "own"), ("url", "ftp://x")], "url"),
        ("/setup/webhook".to_owned(), vec![("events", "a b*")], "events"),
        ("/account/password".to_owned(), vec![("old", "wrong"), ("password", "another password")], "old"),
        ("/settings/users".to_owned(), vec![("name", ""), ("password", "another password")], "name"),
        ("/settings/users".to_owned(), vec![("name", "ben"), ("password", "short"), ("role", "viewer")], "password"),
        ("/settings/keys".to_owned(), vec![("name", long.as_str()), ("scope", "read")], "name"),
        ("/settings/keys".to_owned(), vec![("name", "a"), ("scope", "read"), ("tenant", "a b")], "tenant"),
    ] {
        let shown = if path == "/account/password" { "/account" } else { &path };
        let mut fields = anna.page(shown).form(&path).unwrap_or_else(|| panic!("no form {path}")).fields();
        fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let kept = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let given = changes.iter().copied().filter(|(name, value)| !(*name == "standard_headers" && value.is_empty()));
        let answer = anna.submit(&path, &kept.chain(given).collect::<Vec<_>>());
        assert_eq!(answer.status, 422, "{path} {changes:?}");
        assert_focus(&answer.page(), control, &format!("{path} {changes:?}"));
    }
}
