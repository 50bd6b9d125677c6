//! The portal: a tenant's users sign in by a link, and see their tenant only.

use hookpost::domain::time::{DAY, HOUR, MINUTE};
use serde_json::json;

use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::visitor::Visitor;

#[test]
fn a_link_opens_a_session_once_and_looking_at_it_opens_nothing() {
    let hub = Hub::start();
    // A user exists, so the sign-in page has a form.
    hub.add_user("anna", hookpost::store::user::Role::Administrator);
    let path = hub.portal_path("acme");
    let visitor = hub.visitor();
    for _ in 0..3 {
        assert!(visitor.page(&path).has("button"));
    }
    let asked = visitor.get("/portal/webhooks").expect(303);
    assert_eq!(asked.header("location"), Some("/portal"));
    let token = path.split('=').nth(1).unwrap().to_owned();
    let enter = |visitor: &Visitor<'_>| {
        visitor.get("/login");
        visitor.submit("/portal", &[("token", &token)]).status
    };
    assert_eq!(enter(&visitor), 303);
    assert!(visitor.page("/portal/webhooks").contains("No webhooks yet"));
    assert_eq!(visitor.get("/webhooks").expect(303).header("location"), Some("/login?next=%2Fwebhooks"));
    // Another browser, with its own form token.
    let other = hub.visitor();
    assert_eq!(enter(&other), 410);
    assert_eq!(other.get(&path).status, 410);
    assert_eq!(other.get("/portal?token=guess").status, 410);
    assert_eq!(other.get("/portal").status, 410);
}

#[test]
fn a_link_ends_and_so_does_the_session_which_asks_for_no_password_then() {
    let hub = Hub::start();
    let path = hub.portal_path("acme");
    hub.advance(10 * MINUTE - 1);
    assert_eq!(hub.visitor().get(&path).status, 200);
    hub.advance(1);
    assert_eq!(hub.visitor().get(&path).status, 410);
    let visitor = hub.portal("acme");
    visitor.page("/webhooks");
    let begun = hub.clock.now_ms();
    while visitor.get("/webhooks").status == 200 {
        hub.publish("a.b", json!({}));
        hub.advance(6 * HOUR);
    }
    assert_eq!(hub.clock.now_ms() - begun, DAY);
    let ended = visitor.get("/webhooks").expect(303);
    assert_eq!(ended.header("location"), Some("/portal"));
    let page = visitor.get("/portal").expect(410).page();
    assert!(page.contains("Your session has ended"), "{page}");
}

#[test]
fn signing_out_of_the_portal_ends_the_session() {
    let hub = Hub::start();
    let visitor = hub.portal("acme");
    let cookie = visitor.session_cookie();
    let value = visitor.cookie(&cookie).unwrap();
    visitor.page("/webhooks");
    let out = visitor.submit("/logout", &[]).expect(303);
    assert_eq!(out.header("location"), Some("/portal"));
    visitor.set_cookie(&cookie, &value);
    assert_eq!(visitor.get("/webhooks").status, 303);
}

/// Starts a server whose portal is embedded in an application's pages.
fn embedded() -> Hub {
    Hub::with(|options| {
        options.base_url = Some("https://hooks.example.com".parse().unwrap());
        options.portal.origins = vec!["https://app.example".to_owned()];
        options.portal.name = Some("Acme <Cloud>".to_owned());
        options.portal.accent = Some("#0a7d4f".to_owned());
        options.portal.logo = Some((b"<svg/>".to_vec(), "image/svg+xml"));
    })
}

fn cookies(answer: &Answer) -> Vec<&str> {
    let set = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    set.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn in_a_frame_of_the_application_the_whole_way_in_works() {
    let hub = embedded();
    let visitor = hub.visitor();
    let path = hub.portal_path("acme");
    let frame_of = |answer: &Answer| {
        let policy = answer.header("content-security-policy").unwrap();
        policy.split("frame-ancestors ").nth(1).unwrap().to_owned()
    };
    let opened = visitor.get(&path).expect(200);
    assert_eq!(frame_of(&opened), "'self' https://app.example");
    assert_eq!(frame_of(&hub.visitor().get("/portal").expect(410)), "'self' https://app.example");
    let is_partitioned = |answer: &Answer| {
        let set = cookies(answer);
        assert!(!set.is_empty());
        for cookie in set {
            for part in ["SameSite=None", "Secure", "Partitioned", "HttpOnly", "Path=/"] {
                assert!(cookie.contains(part), "{part} in {cookie}");
            }
        }
    };
    is_partitioned(&opened);
    let token = path.split('=').nth(1).unwrap();
    let form_token = visitor.form_token();
    let fields = [("form_token", form_token.as_str()), ("token", token)];
    // Headers that a browser sends with a form inside a frame.
    let headers =
        [("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "iframe"), ("origin", "https://hooks.example.com")];
    let foreign = [("sec-fetch-site", "cross-site"), ("origin", "https://app.example")];
    visitor.submit_as_given("/portal", &fields, &foreign).expect(403);
    let entered = visitor.submit_as_given("/portal", &fields, &headers).expect(303);
    is_partitioned(&entered);
    let page = visitor.get("/portal/webhooks").expect(200);
    assert_eq!(frame_of(&page), "'self' https://app.example");
    for page in [page.page(), opened.page()] {
        assert!(page.contains("Acme <Cloud>"), "{page}");
        assert!(page.has("img[src=/portal/logo]") && page.has("link[href=/portal/look.css]"), "{page}");
    }
    let sheet = visitor.get("/portal/look.css").expect(200);
    assert_eq!(sheet.text, ":root { --accent: #0a7d4f; }\n");
    assert_eq!(sheet.header("content-type"), Some("text/css; charset=utf-8"));
    let logo = visitor.get("/portal/logo").expect(200);
    assert_eq!(logo.header("content-type"), Some("image/svg+xml"));
    assert!(logo.header("content-security-policy").unwrap().contains("sandbox"));
    let inbox = visitor.get("/portal/inbox").expect(200);
    assert!(!inbox.page().holds("Hookpost"), "{}", inbox.text);
    is_partitioned(&visitor.submit("/portal/inbox", &[]).expect(303));
    // Pages for users must not be framed.
    let anna = hub.administrator();
    assert_eq!(frame_of(&anna.get("/webhooks").expect(200)), "'none'");
    assert_eq!(frame_of(&hub.visitor().get("/login").expect(200)), "'none'");
}

#[test]
fn every_error_in_the_portal_is_shown_within_the_frame_with_the_look_of_the_application() {
    let hub = embedded();
    let visitor = hub.portal("acme");
    let foreign = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "globex"}));
    visitor.page("/webhooks");
    let token = visitor.form_token();
    let stranger = hub.visitor();
    let long = "x".repeat(4 << 20);
    let own = ("form_token", token.as_str());
    let text = [("content-type", "text/plain"), ("accept", "text/html")];
    let answers = [
        ("a page that does not exist", visitor.get("/no-such-page"), 404),
        ("another tenant's webhook", visitor.get(&format!("/webhooks/{foreign}")), 404),
        ("a page of users", visitor.get("/settings/keys"), 404),
        ("a form without its token", visitor.submit_as_given("/inbox", &[], &[]), 403),
        ("a form that is too large", visitor.submit_as_given("/inbox", &[own, ("a", &long)], &[]), 413),
        ("a request that is no form", hub.send("POST", "/portal", &text, b"x"), 415),
        ("a link's form without its token", stranger.submit_as_given("/portal", &[("token", "x")], &[]), 403),
        ("a link that was used", stranger.get("/portal?token=x"), 410),
        ("no session", stranger.get("/portal"), 410),
        ("a page that does not exist, without a session", stranger.get("/portal/no-such-page"), 404),
    ];
    for (what, answer, status) in answers {
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.ends_with("frame-ancestors 'self' https://app.example"), "{what}: {policy}");
        let page = answer.page();
        assert!(page.contains("Acme <Cloud>") && page.has("link[href=/portal/look.css]"), "{what}: {page}");
        assert!(!page.holds("Hookpost") && !page.links_to("/"), "{what}: {page}");
    }
    hub.delete("/v1/portal-links?tenant=acme").expect(200);
    let ended = visitor.get("/webhooks").expect(303);
    assert_eq!(ended.header("location"), Some("/portal"));
}

#[test]
fn a_users_session_and_a_portal_session_live_side_by_side_in_one_browser() {
    let hub = Hub::start();
    let own = hub.add_webhook_with("http://127.0.0.1:9/own", &json!({"tenant": "acme"}));
    let other = hub.add_webhook_with("http://127.0.0.1:9/foreign", &json!({"tenant": "globex"}));
    let browser = hub.administrator();
    let path = hub.portal_path("acme");
    browser.page(&path);
    browser.submit("/portal", &[("token", path.split('=').nth(1).unwrap())]).expect(303);
    // The path decides which session counts, for pages, forms and messages.
    assert_eq!(browser.page("/webhooks").row_ids(), [other.as_str(), own.as_str()]);
    let page = browser.page("/portal/webhooks");
    assert_eq!(page.row_ids(), [own.as_str()]);
    for address in page.addresses() {
        assert!(address.starts_with("/portal/") || address.starts_with('#'), "{address} leaves the portal");
    }
    browser.submit(&format!("/portal/webhooks/{other}/pause"), &[]).expect(404);
    let paused = browser.submit(&format!("/portal/webhooks/{own}/pause"), &[]).expect(303);
    let shown = paused.header("location").unwrap();
    assert!(shown.starts_with("/portal/webhooks/"), "{shown}");
    assert!(!browser.page("/webhooks").has("p.flash"));
    assert!(browser.page(shown).has("p.flash"));
    // A form of one is not accepted by the other.
    browser.page("/portal/webhooks");
    browser.submit("/inbox", &[]).expect(403);
    // Signing out of one does not end the other.
    browser.submit("/portal/logout", &[]).expect(303);
    browser.get("/portal/webhooks").expect(303);
    browser.page("/webhooks");
    let path = hub.portal_path("acme");
    browser.page(&path);
    browser.submit("/portal", &[("token", path.split('=').nth(1).unwrap())]).expect(303);
    browser.page("/webhooks");
    browser.submit("/logout", &[]).expect(303);
    browser.get("/webhooks").expect(303);
    browser.page("/portal/webhooks");
}

#[test]
fn the_cookie_of_one_kind_of_session_opens_nothing_of_the_other() {
    let hub = Hub::start();
    let (anna, acme) = (hub.administrator(), hub.portal("acme"));
    let (users, portals) = (anna.session_cookie(), acme.session_cookie());
    assert_ne!(users, portals);
    let thief = hub.visitor();
    thief.set_cookie(&portals, &anna.cookie(&users).unwrap());
    thief.set_cookie(&users, &acme.cookie(&portals).unwrap());
    assert_eq!(thief.get("/portal/webhooks").expect(303).header("location"), Some("/portal"));
    assert_eq!(thief.get("/settings/keys").expect(303).header("location"), Some("/login?next=%2Fsettings%2Fkeys"));
}

#[test]
fn the_actor_of_a_portal_sessions_changes_is_its_subject() {
    let hub = Hub::start();
    let webhook = hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": "acme"}));
    let path = hub.portal_path_with(&json!({"tenant": "acme", "subject": "jo <jo@acme.example>"}));
    let jo = hub.visitor().into_portal(&path);
    let anonymous = hub.portal("acme");
    for visitor in [&jo, &anonymous] {
        visitor.page(&format!("/webhooks/{webhook}"));
        visitor.submit(&format!("/webhooks/{webhook}/test"), &[("event_type", "a.b"), ("data", "{}")]).expect(303);
    }
    let anna = hub.administrator();
    let page = anna.page("/settings/audit");
    let actors: Vec<String> = page
        .all("tr")
        .iter()
        .filter(|row| row.contains("sent a test event"))
        .map(|row| row.parts("th").concat())
        .collect();
    // The address follows.
    assert_eq!(actors, ["portal of acme127.0.0.1", "portal of acme: jo <jo@acme.example>127.0.0.1"]);
}

#[test]
fn administrators_see_portal_links_and_sessions_and_end_them() {
    let hub = Hub::start();
    let unused = hub.portal_path_with(&json!({"tenant": "globex", "subject": "<b>kim</b>"}));
    let path = hub.portal_path_with(&json!({"tenant": "acme", "subject": "jo"}));
    let jo = hub.visitor().into_portal(&path);
    let nameless = hub.portal("acme");
    let anna = hub.administrator();
    let page = anna.page("/settings/portal");
    assert_eq!(page.column("Person"), ["not named", "jo", "<b>kim</b>"]);
    assert_eq!(page.column("State"), ["Open", "Open", "Unused"]);
    assert!(!page.has_button("End all of"), "{page}");
    let form = page.forms().iter().map(|form| form.action().to_owned()).find(|path| path.ends_with("/end"));
    let page = anna.submit_and_follow(&form.unwrap(), &[("back", "/settings/portal?tenant=acme")]);
    assert!(page.has_flash("Ended.") && page.has_button("End all of acme"), "{page}");
    assert_eq!(page.column("Person"), ["jo"]);
    nameless.get("/webhooks").expect(303);
    jo.page("/webhooks");
    let asked = anna.submit("/settings/portal", &[("tenant", "acme")]).expect(200).page();
    assert!(asked.contains("End all portal links and sessions of acme?"), "{asked}");
    let page = anna.submit_and_follow("/settings/portal", &[("tenant", "acme"), ("confirmed", "yes")]);
    assert!(page.has_flash("Ended 1 portal link of acme."), "{page}");
    jo.get("/webhooks").expect(303);
    hub.visitor().page(&unused);
    anna.submit("/settings/portal", &[("tenant", "a b"), ("confirmed", "yes")]).expect(422);
    anna.submit("/settings/portal/pl_none/end", &[]).expect(404);
    assert!(anna.page("/settings/audit").contains("ended portal links and sessions of the tenant acme"));
    // Others see the list, and may not change it.
    let otto = hub.operator();
    let page = otto.page("/settings/portal");
    assert!(page.contains("<b>kim</b>") && !page.has_button("End"), "{page}");
    otto.page("/webhooks");
    otto.submit("/settings/portal", &[("tenant", "globex"), ("confirmed", "yes")]).expect(403);
}

#[test]
fn nobody_may_hold_the_portal_where_no_origin_is_listed() {
    let hub = Hub::start();
    let visitor = hub.portal("acme");
    for path in ["/webhooks", "/portal?token=x"] {
        let answer = visitor.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
    }
    assert_eq!(visitor.get("/portal/logo").status, 404);
    assert_eq!(visitor.get("/portal/look.css").status, 404);
}
