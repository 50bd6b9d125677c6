//! Two people edit the same thing: the second save overwrites nothing unseen.

use serde_json::json;

use crate::support::{Hub, Page};

/// Fields of the form on a page, with changes.
fn with(page: &Page, action: &str, changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields = page.form(action).unwrap_or_else(|| panic!("no form {action} in {page}")).fields();
    fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    fields.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    fields
}

fn texts(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Values of a row of the conflict.
fn row(page: &Page, part: &str) -> (String, String) {
    let cells = page.get(&format!("tr[data-part={part}]")).parts("td");
    (cells[0].clone(), cells[1].clone())
}

#[test]
fn the_second_save_of_a_webhook_shows_both_values_and_can_be_made_anyway() {
    let hub = Hub::start();
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"description": "Shop", "events": ["a.b"]}));
    let (anna, otto) = (hub.administrator(), hub.operator());
    let path = format!("/webhooks/{id}/edit");
    let (of_anna, of_otto) = (anna.page(&path), otto.page(&path));
    let first =
        with(&of_otto, &path, &[("description", "Otto's"), ("timeout_s", "9"), ("delays", "7m"), ("retry", "own")]);
    otto.submit(&path, &texts(&first)).expect(303);
    let stored = hub.webhook(&id);

    let second = with(&of_anna, &path, &[("description", "Anna's"), ("max_in_flight", "3")]);
    let page = anna.submit(&path, &texts(&second)).expect(409).page();
    assert_eq!(hub.webhook(&id), stored, "saved in spite of the conflict");
    assert!(page.contains("Not saved: it was changed meanwhile"), "{page}");
    assert_eq!(row(&page, "description"), ("Otto's".to_owned(), "Anna's".to_owned()));
    assert_eq!(row(&page, "timeout_s"), ("9".to_owned(), "not changed by you".to_owned()));
    assert!(row(&page, "retry").0.contains("7m"), "{page}");
    assert!(!page.has("tr[data-part=max_in_flight]") && !page.has("tr[data-part=url]"));
    // What was typed is kept, and what was not takes the new value.
    for (field, value) in [("description", "Anna's"), ("max_in_flight", "3"), ("timeout_s", "9"), ("delays", "7m")] {
        assert_eq!(page.field(field).as_deref(), Some(value), "{field}");
    }
    assert!(page.has_button("Save anyway"));
    anna.submit(&path, &texts(&with(&page, &path, &[]))).expect(303);
    let saved = hub.webhook(&id);
    assert_eq!((&saved["description"], &saved["timeout_s"]), (&json!("Anna's"), &json!(9)));
    assert_eq!((&saved["max_in_flight"], &saved["retry"]), (&json!(3), &stored["retry"]));
}

#[test]
fn a_save_after_deliveries_a_pause_or_the_same_change_is_no_conflict() {
    let hub = Hub::start();
    let id = hub.add_webhook("http://127.0.0.1:9/");
    let anna = hub.administrator();
    let path = format!("/webhooks/{id}/edit");
    let page = anna.page(&path);
    hub.patch(&format!("/v1/webhooks/{id}"), &json!({"active": false, "timeout_s": 9, "events": ["*"]})).expect(200);
    hub.publish("new.type", json!({}));
    anna.submit(&path, &texts(&with(&page, &path, &[("timeout_s", "9"), ("description", "Shop")]))).expect(303);
    let saved = hub.webhook(&id);
    assert_eq!((&saved["description"], &saved["state"]), (&json!("Shop"), &json!("paused")));
}

#[test]
fn a_secret_that_somebody_typed_meanwhile_is_kept_and_one_that_i_typed_is_no_part_of_the_page() {
    let hub = Hub::start();
    let basic = |password: &str| json!({"auth": {"type": "basic", "username": "anna", "password": password}});
    let id = hub.add_webhook_with("http://127.0.0.1:9/", &basic("first s3cret"));
    let anna = hub.administrator();
    let path = format!("/webhooks/{id}/edit");
    let page = anna.page(&path);
    let headers = json!({"auth": {"type": "bearer", "token": "second-s3cret"}});
    hub.patch(&format!("/v1/webhooks/{id}"), &headers).expect(200);
    let typed = with(&page, &path, &[("auth_username", "ben"), ("auth_password", "third s3cret")]);
    let page = anna.submit(&path, &texts(&typed)).expect(409).page();
    assert_eq!(row(&page, "auth"), ("Bearer token".to_owned(), "Basic, ben, new password".to_owned()));
    assert!(!page.holds("first s3cret") && !page.holds("second-s3cret"), "{page}");
    anna.submit(&path, &texts(&with(&page, &path, &[]))).expect(303);
    assert_eq!(hub.webhook(&id)["auth"]["username"], "ben");
}

#[test]
fn the_second_save_of_a_profile_or_an_event_type_is_not_made_unseen_either() {
    let hub = Hub::start();
    let put = |path: &str, body: &str| drop(hub.call_with(&hub.key, "PUT", path, Some(body)));
    put("/v1/profiles/ours", r#"{"based_on": "generic", "title": "First"}"#);
    put("/v1/event-types/a.b", r#"{"description": "First", "example": {"a": 1}}"#);
    let anna = hub.administrator();
    let profile = anna.page("/profiles/ours/edit");
    let event_type = anna.page("/event-types/a.b/edit");
    put("/v1/profiles/ours", r#"{"based_on": "generic", "title": "Theirs"}"#);
    put("/v1/event-types/a.b", r#"{"description": "Theirs", "example": {"a": 2}}"#);

    let path = "/profiles/ours/edit";
    let json = profile.field("json").unwrap().replace("First", "Mine");
    let page = anna.submit(path, &texts(&with(&profile, path, &[("json", &json)]))).expect(409).page();
    let (stored, typed) = row(&page, "json");
    assert!(stored.contains("Theirs") && typed.contains("Mine"), "{page}");
    assert_eq!(hub.get("/v1/profiles/ours").json()["title"], "Theirs");
    anna.submit(path, &texts(&with(&page, path, &[]))).expect(303);
    assert_eq!(hub.get("/v1/profiles/ours").json()["title"], "Mine");

    let path = "/event-types/a.b/edit";
    let page = anna.submit(path, &texts(&with(&event_type, path, &[("description", "Mine")]))).expect(409).page();
    assert_eq!(row(&page, "description"), ("Theirs".to_owned(), "Mine".to_owned()));
    assert_eq!(page.field("example").as_deref(), Some("{\"a\": 2}"));
    assert_eq!(hub.get("/v1/event-types/a.b").json()["description"], "Theirs");
    anna.submit(path, &texts(&with(&page, path, &[]))).expect(303);
    let saved = hub.get("/v1/event-types/a.b").json();
    assert_eq!((&saved["description"], &saved["example"]), (&json!("Mine"), &json!({"a": 2})));
}

#[test]
fn the_second_save_of_a_contact_shows_both_values_and_can_be_made_anyway() {
    let hub = Hub::start();
    let webhook = json!({"url": "http://127.0.0.1:9/", "headers": {"X-Team": "a"}});
    let made = hub.post("/v1/contacts", &json!({"name": "On call", "webhook": webhook})).expect(201).json();
    let (anna, otto) = (hub.administrator(), hub.operator());
    let id = made["id"].as_str().unwrap();
    let path = format!("/contacts/{id}");
    let (of_anna, of_otto) = (anna.page(&path), otto.page(&path));
    let changes = [
        ("name", "Otto's"),
        ("scope_webhooks", "shop*\nbilling*"),
        ("topic", "closed"),
        ("quiet_from", "22:00"),
        ("quiet_to", "07:00"),
    ];
    otto.submit(&path, &texts(&with(&of_otto, &path, &changes))).expect(303);
    let contact = || hub.get(&format!("/v1/contacts/{id}")).expect(200).json();
    let stored = contact();

    let second = with(&of_anna, &path, &[("name", "Anna's"), ("headers", "X-Team: b")]);
    let page = anna.submit(&path, &texts(&second)).expect(409).page();
    assert_eq!(contact(), stored, "saved in spite of the conflict");
    assert_eq!(row(&page, "name"), ("Otto's".to_owned(), "Anna's".to_owned()));
    assert_eq!(row(&page, "topics"), ("Incident closed".to_owned(), "not changed by you".to_owned()));
    assert_eq!(row(&page, "quiet_from").0, "22:00 to 07:00, UTC");
    assert!(!page.has("tr[data-part=url]") && !page.has("tr[data-part=headers]"), "{page}");
    for (field, value) in [("name", "Anna's"), ("headers", "X-Team: b"), ("quiet_from", "22:00")] {
        assert_eq!(page.field(field).as_deref(), Some(value), "{field}");
    }
    assert!(page.has_button("Save anyway"));
    anna.submit(&path, &texts(&with(&page, &path, &[]))).expect(303);
    let saved = contact();
    assert_eq!((&saved["name"], &saved["topics"]), (&json!("Anna's"), &json!(["closed"])));
    assert_eq!(saved["scope"]["webhooks"], json!(["shop*", "billing*"]));
    assert_eq!(saved["webhook"]["headers"]["X-Team"], "b");
    // Messages and tests are no change.
    let page = anna.page(&path);
    hub.post(&format!("/v1/contacts/{id}/test"), &json!({})).expect(200);
    anna.submit(&path, &texts(&with(&page, &path, &[("name", "Team")]))).expect(303);
}
