//! The list of one's own sessions, and devices that signed in before.

use hookpost::domain::time::{DAY, HOUR, MINUTE, SECOND};
use hookpost::store::Connection;
use hookpost::store::user::Role;

use crate::support::Hub;
use crate::support::page::Page;
use crate::support::visitor::{PASSWORD, Visitor};

pub const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";

/// Hub behind a proxy that reports the addresses of clients.
pub fn behind_a_proxy() -> Hub {
    let hub = Hub::with(|options| options.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    hub.add_user("anna", Role::Administrator);
    hub
}

pub fn client<'a>(hub: &'a Hub, address: &str, agent: &str) -> Visitor<'a> {
    let visitor = hub.visitor();
    visitor.set_header("x-forwarded-for", address);
    visitor.set_header("user-agent", agent);
    visitor
}

/// Rows of the list of sessions as texts.
fn rows(page: &Page) -> Vec<String> {
    page.all("table.list tbody tr").iter().map(|row| row.text()).collect()
}

/// Paths of the buttons that end a session.
fn end_paths(page: &Page) -> Vec<String> {
    let paths = page.forms().into_iter().map(|form| form.action().to_owned());
    paths.filter(|path| path.starts_with("/account/sessions/")).collect()
}

#[test]
fn ones_sessions_are_listed_with_browser_and_address_and_each_can_be_ended() {
    let hub = behind_a_proxy();
    let desk = client(&hub, "192.0.2.1", FIREFOX);
    desk.sign_in("anna", PASSWORD).expect(303);
    hub.advance(HOUR);
    let phone = client(&hub, "192.0.2.2", PHONE);
    phone.sign_in("anna", PASSWORD).expect(303);

    let page = desk.page("/account");
    // The page may be read before or after its own visit is stored, which moves the session to the top.
    let mut listed = rows(&page);
    listed.sort_by_key(|row| row.contains("this session"));
    assert_eq!(listed.len(), 2, "{page}");
    for text in ["Safari on iPhone", "192.0.2.2", "2026-01-15 11:00:00 UTC"] {
        assert!(listed[0].contains(text), "{text} in {listed:?}");
    }
    for text in ["Firefox on Linux", "this session", "192.0.2.1", "2026-01-15 10:00:00 UTC"] {
        assert!(listed[1].contains(text), "{text} in {listed:?}");
    }
    let [path] = end_paths(&page).try_into().unwrap();
    let page = desk.submit_and_follow(&path, &[]);
    assert!(page.has_flash("Session ended"), "{page}");
    assert_eq!(rows(&page).len(), 1);
    assert_eq!(phone.get("/webhooks").status, 303);
    desk.page("/webhooks");
    let audit = desk.page("/settings/audit");
    assert!(audit.contains("ended a session of the user") && audit.contains("Safari on iPhone, 192.0.2.2"), "{audit}");
}

#[test]
fn a_session_shows_the_last_address_that_used_it() {
    let hub = behind_a_proxy();
    let visitor = client(&hub, "192.0.2.1", FIREFOX);
    visitor.sign_in("anna", PASSWORD).expect(303);
    hub.advance(2 * MINUTE);
    visitor.set_header("x-forwarded-for", "192.0.2.77");
    visitor.page("/webhooks");
    // The writer records the use after the response. The next write is committed after it.
    hub.publish("a.b", serde_json::json!({}));
    let listed = rows(&visitor.page("/account"));
    assert!(listed[0].contains("192.0.2.77") && listed[0].contains("10:02:00"), "{listed:?}");
}

#[test]
fn all_other_sessions_end_at_once_and_nobody_elses() {
    let hub = behind_a_proxy();
    hub.add_user("vera", Role::Viewer);
    let own = client(&hub, "192.0.2.1", FIREFOX);
    let others: Vec<_> = (2..5).map(|n| client(&hub, &format!("192.0.2.{n}"), PHONE)).collect();
    for visitor in others.iter().chain([&own]) {
        visitor.sign_in("anna", PASSWORD).expect(303);
    }
    let vera = client(&hub, "192.0.2.9", PHONE);
    vera.sign_in("vera", PASSWORD).expect(303);
    own.page("/account");
    let page = own.submit_and_follow("/account/end-other-sessions", &[]);
    assert_eq!(rows(&page).len(), 1, "{page}");
    assert!(!page.has_button("End all other sessions"));
    for visitor in &others {
        assert_eq!(visitor.get("/webhooks").status, 303);
    }
    vera.page("/webhooks");
    assert!(own.page("/settings/audit").contains("ended the other sessions of the user"));
}

#[test]
fn nobody_can_end_the_session_of_somebody_else() {
    let hub = behind_a_proxy();
    hub.add_user("vera", Role::Viewer);
    let anna = client(&hub, "192.0.2.1", FIREFOX);
    anna.sign_in("anna", PASSWORD).expect(303);
    let elsewhere = client(&hub, "192.0.2.2", PHONE);
    elsewhere.sign_in("anna", PASSWORD).expect(303);
    let [path] = end_paths(&anna.page("/account")).try_into().unwrap();
    let vera = client(&hub, "192.0.2.9", PHONE);
    vera.sign_in("vera", PASSWORD).expect(303);
    vera.page("/account");
    vera.submit(&path, &[]).expect(303);
    elsewhere.page("/webhooks");
    let portal = hub.portal("acme");
    portal.page("/webhooks");
    portal.submit(&path, &[]).expect(404);
    assert_eq!(portal.get("/account").status, 404);
}

#[test]
fn a_user_has_twenty_sessions_at_most_and_the_longest_unused_one_ends_first() {
    let hub = behind_a_proxy();
    let visitors: Vec<_> = (0..21)
        .map(|n| {
            let visitor = client(&hub, &format!("192.0.2.{n}"), FIREFOX);
            visitor.sign_in("anna", PASSWORD).expect(303);
            hub.advance(MINUTE);
            visitor
        })
        .collect();
    assert_eq!(visitors[0].get("/webhooks").status, 303);
    let page = visitors[1].page("/account");
    assert_eq!(rows(&page).len(), 20, "{page}");
}

/// Fails to sign in from ever new addresses.
fn attack(hub: &Hub, tries: u8) {
    for n in 0..tries {
        let attacker = client(hub, &format!("198.51.100.{n}"), "attack/1");
        let status = attacker.sign_in("anna", "not the password").status;
        assert!(matches!(status, 422 | 429), "{status}");
        if status == 429 {
            hub.advance(MINUTE);
        }
    }
}

#[test]
fn an_attack_on_an_account_does_not_delay_a_browser_that_signed_in_before() {
    let hub = behind_a_proxy();
    let known = client(&hub, "192.0.2.1", FIREFOX);
    known.sign_in("anna", PASSWORD).expect(303);
    known.page("/account");
    known.submit("/logout", &[]).expect(303);
    attack(&hub, 20);
    let attacked = client(&hub, "198.51.100.200", "attack/1").sign_in("anna", "not the password");
    assert_eq!(attacked.status, 429, "{}", attacked.text);
    let other = client(&hub, "192.0.2.2", FIREFOX);
    other.sign_in("anna", PASSWORD).expect(429);
    known.sign_in("anna", PASSWORD).expect(303);
    // The owner's sign-in gives the attacker no new tries.
    other.sign_in("anna", PASSWORD).expect(429);
}

#[test]
fn the_cookie_of_a_device_gives_no_unlimited_tries_and_counts_for_its_own_user() {
    let hub = behind_a_proxy();
    hub.add_user("vera", Role::Viewer);
    let known = client(&hub, "192.0.2.1", FIREFOX);
    known.sign_in("anna", PASSWORD).expect(303);
    known.page("/account");
    known.submit("/logout", &[]).expect(303);
    let name = format!("{}_device", known.session_cookie());
    let stolen = known.cookie(&name).unwrap();
    let mut refused = 0;
    for n in 0..30 {
        let thief = client(&hub, &format!("198.51.100.{n}"), "attack/1");
        thief.set_cookie(&name, &stolen);
        refused += u32::from(thief.sign_in("anna", "not the password").status == 429);
    }
    assert_eq!(refused, 26);
    // Another account's delay is not lifted by it.
    for n in 0..5 {
        client(&hub, &format!("203.0.113.{n}"), "attack/1").sign_in("vera", "not the password");
    }
    let thief = client(&hub, "198.51.100.99", "attack/1");
    thief.set_cookie(&name, &stolen);
    thief.sign_in("vera", PASSWORD).expect(429);
}

/// Whether a browser with this device's cookie may sign in while the account is delayed.
fn is_exempt(hub: &Hub, cookie: &(String, String)) -> bool {
    attack(hub, 8);
    let visitor = client(hub, "192.0.2.50", FIREFOX);
    visitor.set_cookie(&cookie.0, &cookie.1);
    let status = visitor.sign_in("anna", PASSWORD).status;
    assert!(matches!(status, 303 | 429), "{status}");
    status == 303
}

/// Signs in with a new browser. Returns it with the cookie of its device.
fn new_device(hub: &Hub) -> (Visitor<'_>, (String, String)) {
    let visitor = client(hub, "192.0.2.50", FIREFOX);
    hub.advance(MINUTE);
    visitor.sign_in("anna", PASSWORD).expect(303);
    let name = format!("{}_device", visitor.session_cookie());
    let value = visitor.cookie(&name).unwrap();
    (visitor, (name, value))
}

#[test]
fn a_device_is_forgotten_with_the_password_with_all_sessions_and_after_ninety_days() {
    let hub = behind_a_proxy();
    let (_, cookie) = new_device(&hub);
    assert!(is_exempt(&hub, &cookie));
    assert!(!is_exempt(&hub, &cookie), "the cookie is new at each sign-in");

    let (visitor, own) = new_device(&hub);
    let (_, other) = new_device(&hub);
    visitor.page("/account");
    visitor.submit("/account/end-other-sessions", &[]).expect(303);
    assert!(!is_exempt(&hub, &other));
    assert!(is_exempt(&hub, &own));

    let (visitor, _) = new_device(&hub);
    let (_, other) = new_device(&hub);
    visitor.page("/account");
    let fields = [("old", PASSWORD), ("password", PASSWORD)];
    visitor.submit("/account/password", &fields).expect(303);
    assert!(!is_exempt(&hub, &other));

    let (_, cookie) = new_device(&hub);
    hub.advance(90 * DAY);
    assert!(!is_exempt(&hub, &cookie));
}

#[test]
fn a_device_cookie_is_hidden_from_scripts_and_stored_as_a_hash_and_a_user_has_ten() {
    let hub = behind_a_proxy();
    let mut values = Vec::new();
    for _ in 0..12 {
        let (visitor, (name, value)) = new_device(&hub);
        let set = visitor.sign_in("anna", PASSWORD).expect(303);
        let set = set.headers.iter().find(|(_, value)| value.starts_with(&name)).unwrap().1.clone();
        for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=7776000"] {
            assert!(set.contains(part), "{part} in {set}");
        }
        values.push(value);
        values.push(visitor.cookie(&name).unwrap());
    }
    let connection = Connection::open(hub.database()).unwrap();
    let count: i64 = connection.query_row("SELECT count(*) FROM device", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 10);
    let bytes = std::fs::read(hub.database()).unwrap();
    for value in values {
        assert!(!bytes.windows(value.len()).any(|window| window == value.as_bytes()));
    }
}

#[test]
fn an_attack_on_an_account_does_not_delay_a_change_of_the_password() {
    let hub = behind_a_proxy();
    let visitor = client(&hub, "192.0.2.1", FIREFOX);
    visitor.sign_in("anna", PASSWORD).expect(303);
    attack(&hub, 20);
    visitor.page("/account");
    for n in 0..6 {
        let fields = [("old", "not the password"), ("password", PASSWORD)];
        let page = visitor.submit("/account/password", &fields).expect(422).page();
        let message = if n < 4 { "Wrong password." } else { "Too many attempts." };
        assert!(page.contains(message), "{n}: {page}");
    }
    hub.advance(15 * MINUTE + SECOND);
    let fields = [("old", PASSWORD), ("password", "another password")];
    visitor.submit("/account/password", &fields).expect(303);
}
