//! Two-factor authentication: setup, sign-in with codes, recovery codes, and the requirement of it for all.

use hookpost::auth::totp::TotpSecret;
use hookpost::domain::time::{MINUTE, SECOND};
use hookpost::store::user::Role;

use super::browser::{axe, inspect};
use super::sessions::{FIREFOX, behind_a_proxy, client};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::process::{hookpost, refused, run};
use crate::support::visitor::{PASSWORD, Visitor};

/// Duration of a time step.
const STEP: i64 = 30 * SECOND;

/// Authenticator app of a user.
struct App<'a> {
    hub: &'a Hub,
    secret: TotpSecret,
}

impl App<'_> {
    fn code(&self) -> String {
        self.code_in(0)
    }

    /// Code of another time step, counted from now.
    fn code_in(&self, steps: i64) -> String {
        self.secret.code_at(self.hub.clock.now_ms() + steps * STEP)
    }

    /// Code that is wrong now.
    fn wrong(&self) -> String {
        let near: Vec<String> = (-2..=2).map(|steps| self.code_in(steps)).collect();
        (0..10).map(|n| format!("00000{n}")).find(|code| !near.contains(code)).unwrap()
    }
}

/// Turns two-factor authentication on by its page. Returns the app and the recovery codes.
fn set_up<'a>(hub: &'a Hub, visitor: &Visitor<'_>) -> (App<'a>, Vec<String>) {
    let page = visitor.page("/account/two-factor");
    let text = page.field("secret").unwrap();
    assert_eq!(page.get("#totp-key").text(), text);
    assert!(page.has(".qr svg path"), "{page}");
    let app = App { hub, secret: TotpSecret::from_text(&text).unwrap() };
    let fields = [("secret", text.as_str()), ("code", &app.code()), ("old", PASSWORD)];
    let shown = visitor.follow(&visitor.submit("/account/two-factor", &fields));
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let codes = recovery_codes(&shown);
    // The code of the setup is used up.
    hub.advance(STEP);
    (app, codes)
}

fn recovery_codes(shown: &Answer) -> Vec<String> {
    let codes: Vec<String> = shown.page().get("#recovery-codes").text().split_whitespace().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    codes
}

/// Submits the password, which must lead to the code's page.
#[track_caller]
fn password<'a>(hub: &'a Hub, address: &str) -> Visitor<'a> {
    let visitor = client(hub, address, FIREFOX);
    let answer = visitor.sign_in("anna", PASSWORD).expect(303);
    assert_eq!(answer.header("location"), Some("/login/code?next=%2F"));
    visitor.page("/login/code");
    visitor
}

fn code(visitor: &Visitor<'_>, code: &str) -> Answer {
    visitor.submit("/login/code", &[("code", code)])
}

/// Hub with a user who has turned two-factor authentication on, in the browser that is returned.
fn with_totp(hub: &Hub) -> (Visitor<'_>, App<'_>, Vec<String>) {
    let visitor = client(hub, "192.0.2.1", FIREFOX);
    visitor.sign_in("anna", PASSWORD).expect(303);
    let (app, codes) = set_up(hub, &visitor);
    (visitor, app, codes)
}

#[test]
fn the_password_alone_opens_nothing_and_a_code_opens_the_page_that_was_asked_for() {
    let hub = behind_a_proxy();
    let (_, app, _) = with_totp(&hub);
    let visitor = client(&hub, "192.0.2.2", FIREFOX);
    visitor.page("/login?next=%2Fwebhooks");
    let fields = [("name", "anna"), ("password", PASSWORD), ("next", "/webhooks")];
    let answer = visitor.submit("/login", &fields).expect(303);
    assert_eq!(answer.header("location"), Some("/login/code?next=%2Fwebhooks"));
    assert_eq!(visitor.cookie(&visitor.session_cookie()), None);
    assert_eq!(visitor.get("/webhooks").header("location"), Some("/login?next=%2Fwebhooks"));
    let page = visitor.page("/login/code?next=%2Fwebhooks");
    assert!(!page.holds("anna"), "{page}");
    code(&visitor, &app.wrong()).expect(422);
    assert_eq!(visitor.get("/webhooks").status, 303);
    let answer = visitor.submit("/login/code", &[("code", &app.code()), ("next", "/webhooks")]).expect(303);
    assert_eq!(answer.header("location"), Some("/webhooks"));
    assert!(visitor.page("/webhooks").contains("anna"));
    // The state between both steps is used up.
    assert_eq!(visitor.get("/login/code").header("location"), Some("/login"));
}

#[test]
fn a_code_works_once_and_one_step_early_or_late() {
    let hub = behind_a_proxy();
    let (_, app, _) = with_totp(&hub);
    hub.advance(10 * STEP);
    let first = password(&hub, "192.0.2.2");
    let spaced = format!("{} {}", &app.code()[..3], &app.code()[3..]);
    code(&first, &spaced).expect(303);
    let second = password(&hub, "192.0.2.3");
    let page = code(&second, &app.code()).expect(422).page();
    assert!(page.contains("Each code works once"), "{page}");
    code(&second, &app.code_in(-1)).expect(422);
    code(&second, &app.code_in(2)).expect(422);
    code(&second, &app.code_in(1)).expect(303);
    let third = password(&hub, "192.0.2.4");
    hub.advance(3 * STEP);
    code(&third, &app.code_in(-2)).expect(422);
    code(&third, &app.code_in(-1)).expect(303);
}

#[test]
fn the_state_between_password_and_code_belongs_to_one_browser_and_ends_after_five_minutes() {
    let hub = behind_a_proxy();
    let (_, app, _) = with_totp(&hub);
    let visitor = password(&hub, "192.0.2.2");
    let name = format!("{}_pending", visitor.session_cookie());
    let cookie = visitor.cookie(&name).unwrap();
    let stranger = client(&hub, "192.0.2.3", FIREFOX);
    stranger.get("/login");
    assert_eq!(code(&stranger, &app.code()).header("location"), Some("/login"));
    hub.advance(5 * MINUTE);
    assert_eq!(code(&visitor, &app.code()).header("location"), Some("/login"));

    let visitor = password(&hub, "192.0.2.2");
    assert_ne!(visitor.cookie(&name).unwrap(), cookie);
    let cookie = visitor.cookie(&name).unwrap();
    code(&visitor, &app.code()).expect(303);
    let replay = client(&hub, "192.0.2.3", FIREFOX);
    replay.get("/login");
    replay.set_cookie(&name, &cookie);
    hub.advance(STEP);
    assert_eq!(code(&replay, &app.code()).header("location"), Some("/login"));
}

#[test]
fn who_knows_the_password_gets_few_tries_at_the_code_from_any_address() {
    let hub = behind_a_proxy();
    let (known, app, _) = with_totp(&hub);
    let mut refused = 0;
    for n in 0..30 {
        // A right password does not clear the failures at the code.
        let thief = password(&hub, &format!("198.51.100.{n}"));
        refused += u32::from(code(&thief, &app.wrong()).status == 429);
    }
    assert_eq!(refused, 26);
    let thief = password(&hub, "198.51.100.99");
    let answer = code(&thief, &app.code()).expect(429);
    assert!(answer.header("retry-after").is_some());
    // The owner's own browser does not wait for them.
    known.page("/account");
    known.submit("/logout", &[]).expect(303);
    known.sign_in("anna", PASSWORD).expect(303);
    known.page("/login/code");
    code(&known, &app.code()).expect(303);
}

#[test]
fn the_cookie_of_a_device_and_the_password_give_few_tries_at_the_code_too() {
    let hub = behind_a_proxy();
    let (known, app, _) = with_totp(&hub);
    let name = format!("{}_device", known.session_cookie());
    let stolen = known.cookie(&name).unwrap();
    let mut refused = 0;
    for n in 0..20 {
        let thief = client(&hub, &format!("198.51.100.{n}"), "attack/1");
        thief.set_cookie(&name, &stolen);
        let answer = thief.sign_in("anna", PASSWORD);
        if answer.status == 429 {
            refused += 1;
            continue;
        }
        thief.page("/login/code");
        code(&thief, &app.wrong()).expect(422);
    }
    assert_eq!(refused, 16);
}

#[test]
fn a_recovery_code_works_once_and_is_stored_as_a_hash() {
    let hub = behind_a_proxy();
    let (own, _, codes) = with_totp(&hub);
    let visitor = password(&hub, "192.0.2.2");
    let answer = code(&visitor, &codes[3].to_uppercase().replace('-', " ")).expect(303);
    let page = visitor.page(answer.header("location").unwrap());
    assert!(page.has_flash("9 left"), "{page}");
    let again = password(&hub, "192.0.2.3");
    code(&again, &codes[3]).expect(422);
    code(&again, &codes[4]).expect(303);
    assert!(own.page("/account/two-factor").contains("8 recovery codes are left"));
    let audit = own.page("/settings/audit");
    for text in ["turned on two-factor authentication", "used a recovery code", "8 left"] {
        assert!(audit.contains(text), "{text} in {audit}");
    }
    let bytes = std::fs::read(hub.database()).unwrap();
    for text in codes.iter().flat_map(|code| [code.clone(), code.replace('-', "")]) {
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    }
}

#[test]
fn turning_it_on_needs_the_password_and_a_code_keeps_the_key_meanwhile_and_ends_other_sessions() {
    let hub = behind_a_proxy();
    hub.add_user("vera", Role::Viewer);
    let visitor = client(&hub, "192.0.2.1", FIREFOX);
    let other = client(&hub, "192.0.2.2", FIREFOX);
    for visitor in [&visitor, &other] {
        visitor.sign_in("vera", PASSWORD).expect(303);
    }
    let text = visitor.page("/account/two-factor").field("secret").unwrap();
    let app = App { hub: &hub, secret: TotpSecret::from_text(&text).unwrap() };
    for (secret, code, old, message) in [
        (text.as_str(), app.wrong(), PASSWORD, "Wrong code"),
        (text.as_str(), app.code(), "not the password", "Wrong password"),
        ("AAAA", app.code(), PASSWORD, "Wrong code"),
    ] {
        let fields = [("secret", secret), ("code", code.as_str()), ("old", old)];
        let page = visitor.submit("/account/two-factor", &fields).expect(422).page();
        assert!(page.contains(message), "{message} in {page}");
        if secret == text {
            assert_eq!(page.field("secret").as_deref(), Some(text.as_str()));
        }
    }
    hub.advance(15 * MINUTE);
    let (app, _) = set_up(&hub, &visitor);
    assert_eq!(other.get("/webhooks").status, 303);
    let page = visitor.page("/account/two-factor");
    assert_eq!(page.statuses(), ["ok"]);
    assert!(!page.has(".qr"), "{page}");
    assert!(!page.holds(&app.secret.text()), "{page}");
    // With another secret, who is at an open session could take the account over.
    let fields = [("secret", text.as_str()), ("code", &app.code()), ("old", PASSWORD)];
    let page = visitor.submit("/account/two-factor", &fields).expect(422).page();
    assert!(page.contains("is on already"), "{page}");
}

#[test]
fn turning_it_off_and_new_recovery_codes_need_the_password_and_a_code() {
    let hub = behind_a_proxy();
    let (visitor, app, codes) = with_totp(&hub);
    for path in ["/account/two-factor/off", "/account/two-factor/codes"] {
        for (old, code) in [("not the password", app.code()), (PASSWORD, app.wrong())] {
            visitor.page("/account/two-factor");
            let page = visitor.submit(path, &[("old", old), ("code", &code)]).expect(422).page();
            assert!(page.contains("Wrong"), "{page}");
            hub.advance(15 * MINUTE);
        }
    }
    let fields = [("old", PASSWORD), ("code", &app.code())];
    let renewed = recovery_codes(&visitor.follow(&visitor.submit("/account/two-factor/codes", &fields)));
    let other = password(&hub, "192.0.2.2");
    code(&other, &codes[0]).expect(422);
    code(&other, &renewed[0]).expect(303);
    let off = [("old", PASSWORD), ("code", renewed[1].as_str())];
    visitor.page("/account/two-factor");
    let page = visitor.submit_and_follow("/account/two-factor/off", &off);
    assert!(page.has_flash("Two-factor authentication is off"), "{page}");
    let signed_in = client(&hub, "192.0.2.3", FIREFOX).sign_in("anna", PASSWORD).expect(303);
    assert_eq!(signed_in.header("location"), Some("/"));
    let audit = visitor.page("/settings/audit");
    assert!(audit.contains("created new recovery codes") && audit.contains("turned off two-factor"), "{audit}");
    // A user without it has no codes left either.
    assert!(visitor.page("/account/two-factor").has(".qr"));
}

#[test]
fn a_right_password_gives_no_new_tries_at_the_code_in_an_open_session() {
    let hub = behind_a_proxy();
    let (visitor, app, _) = with_totp(&hub);
    let off = |n: u8, code: &str| {
        visitor.set_header("x-forwarded-for", &format!("198.51.100.{n}"));
        visitor.page("/account/two-factor");
        visitor.submit("/account/two-factor/off", &[("old", PASSWORD), ("code", code)]).expect(422).page()
    };
    for n in 0..4 {
        assert!(off(n, &app.wrong()).contains("Wrong code"));
    }
    // It also begins a new session.
    visitor.page("/account");
    visitor.submit("/account/password", &[("old", PASSWORD), ("password", PASSWORD)]).expect(303);
    let page = off(5, &app.code());
    assert!(page.contains("Too many attempts"), "{page}");
}

#[test]
fn a_password_that_is_reset_meanwhile_ends_the_sign_in() {
    let hub = behind_a_proxy();
    let (_, app, _) = with_totp(&hub);
    let visitor = password(&hub, "192.0.2.2");
    let mut reset = hookpost(&["users", "reset-password", "anna", "--db", hub.database().to_str().unwrap()]);
    reset.env("HOOKPOST_PASSWORD", "another password");
    assert!(run(reset).status.success());
    code(&visitor, &app.code()).expect(422);
    assert_eq!(visitor.get("/webhooks").status, 303);
}

#[test]
fn who_lost_the_phone_is_reset_by_an_administrator_or_by_a_command() {
    let hub = behind_a_proxy();
    hub.add_user("boss", Role::Administrator);
    hub.add_user("vera", Role::Viewer);
    let boss = client(&hub, "192.0.2.8", FIREFOX);
    boss.sign_in("boss", PASSWORD).expect(303);
    let vera = client(&hub, "192.0.2.9", FIREFOX);
    vera.sign_in("vera", PASSWORD).expect(303);

    let (own, ..) = with_totp(&hub);
    let users = boss.page("/settings/users");
    assert_eq!(users.column("Two-factor"), ["on", "off", "off"]);
    let path = format!("{}/reset-two-factor", users.link("anna").unwrap());
    vera.page("/account");
    vera.submit(&path, &[("confirmed", "yes")]).expect(403);
    own.page("/account");
    let page = own.submit_and_follow(&path, &[("confirmed", "yes")]);
    assert!(page.flash_error().is_some_and(|text| text.contains("Turn off your own")), "{page}");
    boss.page(users.link("anna").unwrap());
    let asked = boss.submit(&path, &[]).expect(200).page();
    assert!(asked.contains("signed out everywhere"), "{asked}");
    boss.submit_and_follow(&path, &[("confirmed", "yes")]);
    assert_eq!(own.get("/webhooks").status, 303);
    own.sign_in("anna", PASSWORD).expect(303);
    own.page("/webhooks");
    assert!(boss.page("/settings/audit").contains("reset two-factor authentication of the user"));

    set_up(&hub, &own);
    let database = hub.database();
    let database = database.to_str().unwrap();
    assert!(run(hookpost(&["users", "reset-totp", "anna", "--db", database])).status.success());
    assert_eq!(own.get("/webhooks").status, 303);
    own.sign_in("anna", PASSWORD).expect(303);
    own.page("/webhooks");
    assert!(refused(hookpost(&["users", "reset-totp", "otto", "--db", database])).contains("there is no user otto"));
}

#[test]
fn where_it_is_required_nothing_else_opens_until_it_is_set_up() {
    let mut hub = behind_a_proxy();
    let cookie = {
        let visitor = client(&hub, "192.0.2.1", FIREFOX);
        visitor.sign_in("anna", PASSWORD).expect(303);
        visitor.cookie(&visitor.session_cookie()).unwrap()
    };
    hub.restart_with(|options| options.require_totp = true);
    let visitor = client(&hub, "192.0.2.1", FIREFOX);
    // The port, and so the name of the cookie, is another one after the restart.
    visitor.set_cookie(&visitor.session_cookie(), &cookie);
    let setup = "/account/two-factor?next=";
    for path in ["/", "/webhooks?state=active", "/account", "/settings/keys", "/setup/webhook"] {
        let to = visitor.get(path).expect(303).header("location").unwrap().to_owned();
        assert!(to.starts_with(setup), "{path} leads to {to}");
    }
    let page = visitor.page(&format!("{setup}%2Fwebhooks%3Fstate%3Dactive"));
    assert!(page.contains("This server requires two-factor authentication"), "{page}");
    for path in ["/settings/keys", "/account/password", "/account/two-factor/off", "/settings/data/backup"] {
        let to = visitor.submit(path, &[("old", PASSWORD), ("password", PASSWORD)]).expect(303);
        assert!(to.header("location").unwrap().starts_with(setup), "{path}");
    }
    let secret = page.field("secret").unwrap();
    let app = App { hub: &hub, secret: TotpSecret::from_text(&secret).unwrap() };
    let next = page.field("next").unwrap();
    let fields = [("secret", secret.as_str()), ("code", &app.code()), ("old", PASSWORD), ("next", &next)];
    let shown = visitor.submit_and_follow("/account/two-factor", &fields);
    assert!(shown.links_to("/webhooks?state=active"), "{shown}");
    visitor.page("/webhooks?state=active");

    // After signing in, too; and people of the portal have no password and no second factor.
    hub.add_user("vera", Role::Viewer);
    let vera = client(&hub, "192.0.2.2", FIREFOX);
    vera.sign_in("vera", PASSWORD).expect(303);
    assert!(vera.get("/").expect(303).header("location").unwrap().starts_with(setup));
    hub.portal("acme").page("/webhooks");
    vera.page("/account/two-factor");
    vera.submit("/logout", &[]).expect(303);
}

mod browser {
    use super::*;
    use crate::support::browser::Browser;

    #[test]
    fn two_factor_authentication_is_set_up_and_used_in_a_browser() {
        let hub = Hub::start();
        hub.add_user("anna", Role::Administrator);
        let Some(browser) = Browser::open(&hub) else {
            return;
        };
        let axe = axe();
        browser.sign_in("anna");
        let mut wrong = inspect(&browser, "/account", axe.as_deref());
        wrong.extend(inspect(&browser, "/account/two-factor", axe.as_deref()));
        let app = App { hub: &hub, secret: TotpSecret::from_text(&browser.text("#totp-key")).unwrap() };
        browser.fill("#code", &app.code());
        browser.fill("#old", PASSWORD);
        browser.click_text("Turn on");
        browser.wait_for("#recovery-codes");
        let codes = browser.text("#recovery-codes");
        browser.click_text("I have saved the codes");
        browser.wait_for_text("Signing in needs a code");
        wrong.extend(inspect(&browser, "/account/two-factor", axe.as_deref()));

        browser.go("/account");
        browser.click("details.menu > summary");
        browser.click_text("Sign out");
        browser.wait_for("#password");
        hub.advance(STEP);
        browser.fill("#name", "anna");
        browser.fill("#password", PASSWORD);
        browser.click("main form button");
        browser.wait_for("#code");
        wrong.extend(inspect(&browser, "/login/code", axe.as_deref()));
        browser.fill("#code", &app.code());
        browser.click("main form button");
        browser.wait_for("nav");

        browser.go("/account/two-factor");
        browser.fill("#old", PASSWORD);
        browser.fill("#code", codes.split_whitespace().next().unwrap());
        browser.click_text("Turn off");
        browser.wait_for_text("Two-factor authentication is off");
        assert!(wrong.is_empty(), "{} faults: {wrong:#?}", wrong.len());
    }
}
