//! Keys, users, data, and the user's own account.

use hookpost::domain::time::{HOUR, MINUTE};
use hookpost::store::user::Role;
use serde_json::json;

use crate::support::Hub;
use crate::support::visitor::PASSWORD;

#[test]
fn a_key_is_shown_once_works_and_can_be_revoked() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    assert!(visitor.page("/settings/keys").has_button("Create API key"));
    let fields = [("name", "shop & co"), ("scope", "publish"), ("tenant", "acme"), ("rate_limit_per_s", "50")];
    let made = visitor.submit("/settings/keys", &fields);
    let shown = visitor.follow(&made);
    let key = shown.page().get("#new-key").text();
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    assert!(!made.headers.iter().chain(&shown.headers).any(|(_, value)| value.contains(&key)));
    let event = json!({"type": "a.b", "data": {}}).to_string();
    hub.call_with(&key, "POST", "/v1/events", Some(&event)).expect(202);
    let page = visitor.page("/settings/keys");
    assert!(!page.holds(&key));
    for text in ["shop & co", "acme", "50 per second", &key[..15]] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let keys = hub.get("/v1/api-keys").json();
    let id = keys["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/settings/keys/{id}/revoke");
    let asked = visitor.submit(&path, &[]).expect(200);
    assert!(asked.page().contains("Revoke this API key?"));
    hub.call_with(&key, "POST", "/v1/events", Some(&event)).expect(202);
    let page = visitor.submit_and_follow(&path, &[("confirmed", "yes")]);
    assert!(page.has_flash("Key revoked"), "{page}");
    hub.call_with(&key, "POST", "/v1/events", Some(&event)).expect(401);
    visitor.submit(&path, &[("confirmed", "yes")]).expect(404);
}

#[test]
fn a_reload_of_the_page_with_a_new_key_creates_no_other_key() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/settings/keys");
    let made = visitor.submit("/settings/keys", &[("name", "shop"), ("scope", "read")]);
    let place = made.header("location").unwrap().to_owned();
    hub.add_user("otto", Role::Administrator);
    let other = hub.visitor();
    other.sign_in("otto", PASSWORD).expect(303);
    other.get(&place).expect(404);
    let key = visitor.follow(&made).page().get("#new-key").text();
    let again = visitor.get(&place).expect(303);
    let list = visitor.follow(&again).page();
    assert!(list.has_flash("A new secret is shown only once.") && !list.holds(&key), "{list}");
    assert_eq!(hub.get("/v1/api-keys").json()["data"].as_array().unwrap().len(), 2);
}

#[test]
fn a_page_with_a_new_key_is_forgotten_after_five_minutes() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/settings/keys");
    let made = visitor.submit("/settings/keys", &[("name", "shop"), ("scope", "read")]);
    hub.advance(5 * MINUTE);
    visitor.get(made.header("location").unwrap()).expect(404);
}

#[test]
fn a_key_is_rotated_with_an_overlap_that_the_form_offers() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/settings/keys");
    let fields = [("name", "shop"), ("scope", "read"), ("expires_at", "2026-01-16T10:00")];
    let made = visitor.submit_and_follow("/settings/keys", &fields);
    let old = made.get("#new-key").text();
    assert!(made.contains("created by anna") && made.contains("2026-01-16 10:00:00 UTC"), "{made}");
    let id = hub.get("/v1/api-keys").json()["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/settings/keys/{id}/rotate");
    let asked = visitor.submit(&path, &[]).expect(200).page();
    assert!(asked.contains("The old key also works for"));
    assert_eq!(asked.field("overlap_s").as_deref(), Some("86400"));
    visitor.submit(&path, &[("confirmed", "yes"), ("overlap_s", "soon")]).expect(422);
    let rotated = visitor.follow(&visitor.submit(&path, &[("confirmed", "yes"), ("overlap_s", "3600")]));
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    let new = rotated.page().get("#new-key").text();
    for key in [&old, &new] {
        hub.call_with(key, "GET", "/v1/webhooks", None).expect(200);
    }
    hub.advance(HOUR);
    hub.call_with(&old, "GET", "/v1/webhooks", None).expect(401);
    hub.call_with(&new, "GET", "/v1/webhooks", None).expect(200);
    let page = visitor.page("/settings/keys");
    assert!(page.contains("expired") && !page.holds(&new), "{page}");
    assert!(visitor.page("/settings/audit").contains("rotated a key"));
}

#[test]
fn removing_a_user_asks_what_becomes_of_the_keys_that_they_created() {
    let hub = Hub::start();
    let anna = hub.administrator();
    for (name, choice, status) in [("otto", "keep", 200), ("vera", "revoke", 401)] {
        hub.add_user(name, Role::Administrator);
        let creator = hub.visitor();
        creator.sign_in(name, PASSWORD).expect(303);
        creator.page("/settings/keys");
        let key_name = format!("shop of {name}");
        let fields = [("name", key_name.as_str()), ("scope", "read")];
        let key = creator.submit_and_follow("/settings/keys", &fields).get("#new-key").text();
        let path = anna.page("/settings/users").link(name).unwrap().to_owned();
        anna.page(&path);
        let asked = anna.submit(&format!("{path}/remove"), &[]).expect(200).page();
        assert!(asked.contains(&format!("API keys that {name} created: {key_name}")), "{asked}");
        assert_eq!(asked.field("keys").as_deref(), Some("keep"), "the safe choice");
        let page = anna.submit_and_follow(&format!("{path}/remove"), &[("confirmed", "yes"), ("keys", choice)]);
        assert!(page.has_flash("removed"), "{page}");
        hub.call_with(&key, "GET", "/v1/webhooks", None).expect(status);
        let page = anna.page("/settings/keys");
        assert_eq!(page.contains(&format!("created by {name}")), choice == "keep");
    }
    let audit = anna.page("/settings/audit");
    assert!(audit.contains("1 API key kept") && audit.contains("1 API key revoked"), "{audit}");
}

#[test]
fn a_wrong_form_for_a_key_is_shown_again_with_what_is_wrong() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/settings/keys");
    for (fields, message) in [
        (vec![("name", ""), ("scope", "read")], "1 to 128 characters"),
        (vec![("name", "kept"), ("scope", "all")], "is not one of"),
        (vec![("name", "kept"), ("scope", "read"), ("tenant", "a b")], "1 to 64"),
        (vec![("name", "kept"), ("scope", "read"), ("profile", "none")], "There is no profile"),
        (vec![("name", "kept"), ("scope", "read"), ("rate_limit_per_s", "0")], "1 to 100000"),
        (vec![("name", "kept"), ("scope", "read"), ("rate_limit_per_s", "many")], "1 to 100000"),
        (vec![("name", "kept"), ("scope", "read"), ("expires_at", "2020-01-01T10:00")], "in the future"),
    ] {
        let page = visitor.submit("/settings/keys", &fields).expect(422).page();
        assert!(page.contains(message), "{message} in {page}");
        assert!(page.has("p.problem") || page.flash_error().is_some());
        assert_eq!(page.field("name").as_deref(), Some(fields[0].1));
    }
}

#[test]
fn a_user_is_added_changed_and_removed() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/settings/users");
    let fields = [("name", "Otto <b>"), ("password", PASSWORD), ("role", "viewer")];
    let page = visitor.submit_and_follow("/settings/users", &fields);
    assert!(page.has_flash("Otto <b> can sign in now"), "{page}");
    let again = visitor.submit("/settings/users", &fields).expect(422);
    assert!(again.page().contains("A user named Otto <b> already exists"));
    let short = [("name", "x"), ("password", "short"), ("role", "viewer")];
    visitor.submit("/settings/users", &short).expect(422);
    let path = page.link("Otto").unwrap().to_owned();

    let otto = hub.visitor();
    otto.sign_in("Otto <b>", PASSWORD).expect(303);
    otto.page("/settings/users");
    assert_eq!(otto.submit(&format!("{path}/role"), &[("role", "administrator")]).status, 403);
    visitor.page(&path);
    visitor.submit(&format!("{path}/role"), &[("role", "nonsense")]).expect(422);
    visitor.submit_and_follow(&format!("{path}/role"), &[("role", "administrator")]);
    assert!(otto.page("/settings/users").contains("Add user"));

    visitor.page(&path);
    let new = "another good password";
    visitor.submit(&format!("{path}/password"), &[("password", "short")]).expect(422);
    let page = visitor.submit_and_follow(&format!("{path}/password"), &[("password", new)]);
    assert!(page.has_flash("Their sessions have ended"), "{page}");
    assert_eq!(otto.get("/webhooks").status, 303);
    otto.sign_in("Otto <b>", new).expect(303);

    visitor.page(&path);
    let asked = visitor.submit(&format!("{path}/remove"), &[]).expect(200);
    assert!(asked.page().contains("Remove Otto"));
    let page = visitor.submit_and_follow(&format!("{path}/remove"), &[("confirmed", "yes")]);
    assert!(page.has_flash("Otto <b> removed"));
    assert_eq!(otto.get("/webhooks").status, 303);
    otto.sign_in("Otto <b>", new).expect(422);
}

#[test]
fn the_last_administrator_stays_one() {
    let hub = Hub::start();
    hub.add_user("vera", Role::Viewer);
    let visitor = hub.administrator();
    let page = visitor.page("/settings/users");
    let path = page.link("anna").unwrap();
    visitor.page(path);
    for (change, fields) in [("role", [("role", "viewer")]), ("remove", [("confirmed", "yes")])] {
        let answer = visitor.submit(&format!("{path}/{change}"), &fields).expect(422);
        assert!(answer.page().contains("anna is the only administrator"), "{}", answer.text);
    }
    let own = visitor.submit(&format!("{path}/password"), &[("password", "something else")]);
    assert_eq!(own.expect(303).header("location"), Some("/account"));
    visitor.page("/settings/users");
}

#[test]
fn ones_own_password_needs_the_old_one_and_ends_other_sessions() {
    let hub = Hub::start();
    let here = hub.viewer();
    let elsewhere = hub.visitor();
    elsewhere.sign_in("vera", PASSWORD).expect(303);
    here.page("/account");
    let new = "a much better password";
    let wrong = here.submit("/account/password", &[("old", "guess"), ("password", new)]);
    assert!(wrong.expect(422).page().contains("Wrong password"));
    let short = here.submit("/account/password", &[("old", PASSWORD), ("password", "short")]);
    short.expect(422);
    let page = here.submit_and_follow("/account/password", &[("old", PASSWORD), ("password", new)]);
    assert!(page.has_flash("Your other sessions have ended"));
    here.page("/webhooks");
    assert_eq!(elsewhere.get("/webhooks").status, 303);
    elsewhere.sign_in("vera", PASSWORD).expect(422);
    elsewhere.sign_in("vera", new).expect(303);
    for _ in 0..4 {
        here.page("/account");
        here.submit("/account/password", &[("old", "guess"), ("password", new)]).expect(422);
    }
    let refused = here.submit("/account/password", &[("old", new), ("password", new)]);
    assert!(refused.expect(422).page().contains("Too many attempts"));
}

#[test]
fn the_data_page_tells_how_long_things_stay_and_hands_out_a_backup() {
    let hub = Hub::with(|options| {
        options.retention = hookpost::domain::retention::Retention::new(7, 0);
    });
    let visitor = hub.administrator();
    let page = visitor.page("/settings/data");
    let file = hub.database().display().to_string();
    for text in ["are deleted after 7 days", "Dead letters are kept forever", &file, "hookpost check"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert_eq!(visitor.get("/settings/data/backup").status, 405);
    let (status, kind, bytes) = visitor.download("/settings/data/backup");
    assert_eq!((status, kind.as_str()), (200, "application/vnd.sqlite3"));
    assert!(bytes.starts_with(b"SQLite format 3\0"), "{} bytes", bytes.len());
    assert!(visitor.page("/settings/audit").contains("downloaded a backup"));
    let viewer = hub.viewer();
    assert!(viewer.page("/settings/data").forms().is_empty());
    viewer.submit("/settings/data/backup", &[]).expect(403);
}

#[test]
fn viewers_change_nothing_under_settings_and_portals_have_none() {
    let hub = Hub::start();
    let viewer = hub.viewer();
    let portal = hub.portal("acme");
    assert_eq!(viewer.get("/settings").expect(303).header("location"), Some("/settings/keys"));
    for path in ["/settings/keys", "/settings/users", "/settings/data", "/settings/audit"] {
        let page = viewer.page(path);
        assert!(page.forms().is_empty(), "{path}: {page}");
        assert_eq!(portal.get(path).status, 404, "{path}");
    }
    assert_eq!(portal.get("/settings").status, 404);
    assert_eq!(portal.get("/account").status, 404);
    viewer.get("/settings/users/1").expect(403);
    for path in ["/settings/keys", "/settings/users", "/settings/keys/x/revoke", "/settings/users/1/remove"] {
        viewer.page("/settings/keys");
        viewer.submit(path, &[("confirmed", "yes"), ("name", "x"), ("scope", "read")]).expect(403);
    }
    portal.page("/");
    for path in ["/settings/keys", "/settings/users", "/settings/data/backup", "/account/password"] {
        let answer = portal.submit(path, &[("name", "x"), ("scope", "admin"), ("password", PASSWORD)]);
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
    }
}
