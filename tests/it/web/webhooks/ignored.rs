//! Fields of the form that another choice would make ineffective: what is typed there is saved or refused, never dropped.

use serde_json::{Value, json};

use super::{assert_has, assert_lacks};
use crate::support::Hub;

#[test]
fn delays_that_are_typed_beside_the_profiles_schedule_are_not_ignored() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    let path = format!("/webhooks/{webhook}/edit");
    let schedule = json!({"delays_s": [420.0], "measured_from": "previous_attempt", "exhausted": "disable"});
    for changes in
        [&[("delays", "7m")][..], &[("exhausted", "dead_letter")], &[("delays", "7m"), ("preview", "schedule")]]
    {
        let page = anna.submit_changed(&path, changes).expect(422).page();
        assert!(page.problem("retry").unwrap().contains("Custom schedule"), "{page}");
        assert_eq!(page.field(changes[0].0).as_deref(), Some(changes[0].1));
        assert!(page.has("#advanced[open]"));
    }
    assert_eq!(hub.webhook(&webhook)["retry"], Value::Null);
    // The refused form, sent again with the other choice.
    anna.submit_changed(&path, &[("delays", "7m"), ("retry", "own")]).expect(303);
    assert_eq!(hub.webhook(&webhook)["retry"], schedule);
    // Going back to the profile's schedule drops what was stored, not what was typed.
    anna.submit_changed(&path, &[("retry", "profile")]).expect(303);
    assert_eq!(hub.webhook(&webhook)["retry"], Value::Null);
    anna.submit_changed(&path, &[("profile", "stripe")]).expect(303);
    anna.submit_changed(&path, &[("delays", "")]).expect(303);
    assert_eq!(hub.webhook(&webhook)["retry"], Value::Null);
    let page =
        anna.submit_changed("/webhooks/new", &[("url", "http://127.0.0.1:9/"), ("event", "*"), ("delays", "1d")]);
    assert!(page.expect(422).page().problem("retry").is_some());
}

#[test]
fn values_of_an_authentication_that_is_not_chosen_are_not_ignored() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let basic = json!({"auth": {"type": "basic", "username": "anna", "password": "s3cret"}});
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &basic);
    let path = format!("/webhooks/{webhook}/edit");
    let before = hub.webhook(&webhook);
    for (changes, words) in [
        (&[("auth_token", "typed")][..], "Bearer token"),
        (&[("auth", ""), ("auth_password", "typed")], "Basic"),
        (&[("auth", ""), ("auth_username", "ben")], "Basic"),
        (&[("auth", "bearer"), ("auth_token", "a"), ("auth_client_id", "typed")], "OAuth 2.0"),
    ] {
        let page = anna.submit_changed(&path, changes).expect(422).page();
        let said = page.problem("auth").unwrap();
        assert!(said.contains(words) && said.contains("not selected"), "{said}");
        // The fields of all kinds are visible, so that they can be cleared.
        assert!(page.has("[name=auth_token]") && !page.has(".either"), "{page}");
        assert_eq!(hub.webhook(&webhook), before);
    }
    // What was stored may go.
    anna.submit_changed(&path, &[("auth", "bearer"), ("auth_token", "a")]).expect(303);
    anna.submit_changed(&path, &[("auth", "")]).expect(303);
    assert_eq!(hub.webhook(&webhook)["auth"], Value::Null);
}

#[test]
fn a_certificate_is_not_typed_and_removed_at_once() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let webhook = hub.add_webhook("https://localhost:9/");
    let path = format!("/webhooks/{webhook}/edit");
    for fields in [
        [("tls_ca", "-----BEGIN CERTIFICATE-----"), ("tls_remove_ca", "yes")],
        [("tls_client_certificate", "-----BEGIN CERTIFICATE-----"), ("tls_remove_client", "yes")],
        [("tls_client_key", "-----BEGIN PRIVATE KEY-----"), ("tls_remove_client", "yes")],
    ] {
        let page = anna.submit_changed(&path, &fields).expect(422).page();
        let said = page.problem("tls").unwrap();
        assert!(said.contains("Remove"), "{said}");
    }
}

#[test]
fn a_row_of_the_filter_that_is_filled_in_halfway_is_refused() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let webhook = hub.add_webhook("http://127.0.0.1:9/");
    let path = format!("/webhooks/{webhook}/edit");
    for (field, operator, value, words) in [
        ("", "is", "42", "Enter the field"),
        ("", "at_least", "", "Enter the field"),
        ("data.a", "exists", "42", "compares with no value"),
        ("data.a", "changed", "42", "compares with no value"),
    ] {
        let row = [("filter_field", field), ("filter_operator", operator), ("filter_value", value)];
        let page = anna.submit_changed(&path, &row).expect(422).page();
        let said = page.problem("filter").unwrap();
        assert!(said.contains(words), "{said}");
        assert_eq!(page.field("filter_value").as_deref(), Some(value));
    }
    anna.submit_changed(&path, &[]).expect(303);
}

#[test]
fn the_form_shows_what_the_chosen_profile_needs_and_of_no_other() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"profile": "slack"}));
    let page = anna.page(&format!("/webhooks/{webhook}/edit"));
    assert_has(&page, "https://hooks.slack.com/");
    let shown = |page: &crate::support::Page| -> Vec<String> {
        let all = page.all("[data-profile]").into_iter().filter(|hint| !hint.has_attribute("hidden"));
        all.map(|hint| hint.attribute("data-profile").unwrap().to_owned()).collect()
    };
    assert_eq!(shown(&page), ["slack"]);
    assert!(shown(&anna.page("/webhooks/new")).is_empty());
    let page = anna.submit_changed("/webhooks/new", &[("profile", "telegram")]).expect(422).page();
    assert_eq!(shown(&page), ["telegram"]);
    assert_lacks(&page, "URLs for chat");
}
