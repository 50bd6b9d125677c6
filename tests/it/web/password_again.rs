//! The password that a sensitive change asks for again.

use hookpost::domain::time::{MINUTE, SECOND};
use serde_json::json;

use crate::support::Hub;
use crate::support::visitor::{PASSWORD, Visitor};

/// Signs in as an administrator, ten minutes ago.
fn long_ago(hub: &Hub) -> Visitor<'_> {
    let visitor = hub.administrator();
    hub.advance(10 * MINUTE);
    visitor
}

#[test]
fn a_secret_is_shown_after_the_password_and_for_ten_minutes_without() {
    let hub = Hub::start();
    let made = hub.create("http://127.0.0.1:9/", &json!({}));
    let secret = made["secret"].as_str().unwrap();
    let path = format!("/webhooks/{}/secret?lang=go", made["id"].as_str().unwrap());
    let anna = long_ago(&hub);
    anna.page(&path);
    let asked = anna.submit(&path, &[]).expect(200).page();
    assert_eq!(asked.heading(), "Confirm your password");
    assert!(!asked.holds(secret));
    assert!(asked.form(&path).is_some(), "no form to {path} in {asked}");
    let wrong = anna.submit(&path, &[("own_password", "a guess")]).expect(422);
    assert!(wrong.page().contains("Wrong password.") && !wrong.text.contains(secret));
    let shown = anna.submit(&path, &[("own_password", PASSWORD)]).expect(200).page();
    assert_eq!(shown.get("#secret").text(), secret);
    hub.advance(10 * MINUTE - 1);
    anna.page(&path);
    assert!(anna.submit(&path, &[]).expect(200).text.contains(secret));
    hub.advance(1);
    anna.page(&path);
    assert!(!anna.submit(&path, &[]).expect(200).text.contains(secret));
    // Another session of the same user is asked on its own.
    let elsewhere = hub.visitor();
    elsewhere.sign_in("anna", PASSWORD).expect(303);
    elsewhere.page(&path);
    assert!(elsewhere.submit(&path, &[]).expect(200).text.contains(secret));
    anna.page(&path);
    assert!(!anna.submit(&path, &[]).expect(200).text.contains(secret));
}

#[test]
fn a_change_goes_on_with_what_was_typed_and_no_password_is_carried() {
    let hub = Hub::start();
    let anna = long_ago(&hub);
    let page = anna.page("/settings/keys");
    assert!(page.has_field("own_password"), "{page}");
    // A form that was opened before the ten minutes ended lacks the field.
    let typed = [("name", "shop & co"), ("scope", "publish"), ("tenant", "acme")];
    let asked = anna.submit("/settings/keys", &typed).expect(200).page();
    for (name, value) in typed {
        assert_eq!(asked.field(name).as_deref(), Some(value));
    }
    let keys = || hub.get("/v1/api-keys").json()["data"].as_array().unwrap().len();
    assert_eq!(keys(), 1);
    let carried = [&typed[..], &[("own_password", PASSWORD)]].concat();
    let made = anna.submit_and_follow("/settings/keys", &carried);
    assert!(made.has("#new-key"), "{made}");
    assert_eq!(keys(), 2);
    assert!(!anna.page("/settings/keys").has_field("own_password"));

    hub.advance(10 * MINUTE);
    assert!(anna.page("/settings/users").has_field("own_password"));
    let typed = [("name", "eve"), ("password", "a password of eve"), ("role", "viewer")];
    let asked = anna.submit("/settings/users", &typed).expect(200).page();
    assert_eq!(asked.field("name").as_deref(), Some("eve"));
    assert!(!asked.holds("a password of eve"), "{asked}");
    let with_own = [&typed[..], &[("own_password", PASSWORD)]].concat();
    assert!(anna.submit_and_follow("/settings/users", &with_own).has_flash("eve can sign in now"));
}

#[test]
fn a_backup_needs_the_password_in_its_form() {
    let hub = Hub::start();
    let anna = long_ago(&hub);
    assert!(anna.page("/settings/data").has_field("own_password"));
    let (_, kind, _) = anna.download("/settings/data/backup");
    assert!(kind.starts_with("text/html"), "{kind}");
    anna.page("/settings/data");
    anna.submit("/settings/portal/pl_none/end", &[("own_password", PASSWORD)]).expect(404);
    anna.page("/settings/data");
    let (status, kind, _) = anna.download("/settings/data/backup");
    assert_eq!((status, kind.as_str()), (200, "application/vnd.sqlite3"));
}

#[test]
fn guesses_are_delayed_like_those_of_a_sign_in() {
    let hub = Hub::start();
    let anna = long_ago(&hub);
    anna.page("/settings/data");
    let guess = |password: &str| {
        let answer = anna.submit("/settings/portal/pl_none/end", &[("own_password", password)]);
        anna.page("/settings/data");
        answer
    };
    for _ in 0..4 {
        assert!(guess("a guess").expect(422).page().contains("Wrong password."));
    }
    assert!(guess(PASSWORD).expect(422).page().contains("Too many attempts. Try again in 1 s."));
    hub.advance(SECOND);
    guess(PASSWORD).expect(404);
}

#[test]
fn a_visitor_without_the_permission_is_refused_and_not_asked() {
    let hub = Hub::start();
    let otto = hub.operator();
    hub.advance(10 * MINUTE);
    otto.page("/settings/users");
    let refused = otto.submit("/settings/users", &[("own_password", PASSWORD)]).expect(403);
    assert!(!refused.text.contains("own_password"), "{}", refused.text);
}
