//! Sign-in by the header of a trusted proxy.

use hookpost::domain::time::MINUTE;
use hookpost::http::site::{AuthProxy, HeaderName};
use hookpost::store::user::Role;

use super::sessions::{FIREFOX, client};
use crate::support::Hub;
use crate::support::page::Page;
use crate::support::process::{hookpost, refused};
use crate::support::visitor::{PASSWORD, Visitor};

/// Hub that believes the header `X-User` of this proxy, and `X-Role` if `has_roles`. Requests of tests come from 127.0.0.1.
fn behind(proxy: &str, has_roles: bool) -> Hub {
    Hub::with(|options| {
        options.trusted_proxies = vec![proxy.parse().unwrap()];
        options.auth_proxy = Some(AuthProxy {
            user: HeaderName::from_static("x-user"),
            role: has_roles.then(|| HeaderName::from_static("x-role")),
        });
    })
}

/// Browser of a user whom the proxy has signed in.
fn named<'a>(hub: &'a Hub, name: &str) -> Visitor<'a> {
    let visitor = client(hub, "192.0.2.1", FIREFOX);
    visitor.set_header("x-user", name);
    visitor
}

/// Opens a page through redirects, as browsers do.
#[track_caller]
fn open(visitor: &Visitor<'_>, path: &str) -> Page {
    let mut path = path.to_owned();
    for _ in 0..5 {
        let answer = visitor.get(&path);
        if answer.status != 303 {
            return answer.expect(200).page();
        }
        path = answer.header("location").unwrap().to_owned();
    }
    panic!("redirects do not end: {path}");
}

#[test]
fn a_user_whom_the_proxy_names_is_added_as_a_viewer_and_signed_in() {
    let hub = behind("127.0.0.1/32", false);
    let carla = named(&hub, "Carla");
    let asked = carla.get("/webhooks?state=paused").expect(303);
    assert_eq!(asked.header("location"), Some("/login?next=%2Fwebhooks%3Fstate%3Dpaused"));
    let page = open(&carla, "/webhooks?state=paused");
    assert!(page.contains("Carla") && page.heading() == "Webhooks", "{page}");
    assert_eq!(open(&carla, "/settings/users").column("Role"), ["viewer"]);
    assert_eq!(carla.submit("/settings/keys", &[("name", "x"), ("scope", "read")]).status, 403);
    let account = carla.page("/account");
    assert!(account.contains("by your organization's sign-in"), "{account}");
    assert!(!account.has_field("old"));
    let audit = carla.page("/settings/audit");
    assert!(audit.contains("sign-in proxy") && audit.contains("added the user"), "{audit}");
    // Nobody knows a password of theirs.
    client(&hub, "192.0.2.2", FIREFOX).sign_in("Carla", "").expect(422);
    // A second browser is the same user.
    open(&named(&hub, "carla"), "/webhooks");
    assert_eq!(open(&carla, "/settings/users").column("Role").len(), 1);
}

#[test]
fn the_header_of_anybody_else_is_ignored_and_removed() {
    let hub = behind("192.0.2.77/32", true);
    hub.add_user("anna", Role::Administrator);
    let eve = named(&hub, "anna");
    eve.set_header("x-role", "administrator");
    eve.set_header("x-forwarded-for", "192.0.2.77");
    assert_eq!(eve.get("/webhooks").header("location"), Some("/login?next=%2Fwebhooks"));
    assert!(eve.page("/login").has_field("password"));
    let anna = client(&hub, "192.0.2.1", FIREFOX);
    anna.sign_in("anna", PASSWORD).expect(303);
    // An inbox shows the headers of its requests.
    anna.page("/inbox");
    let page = anna.submit_and_follow("/inbox", &[]);
    let url = page.get("#inbox-url").text();
    let path = url.strip_prefix(&hub.at("")).unwrap();
    hub.send("POST", path, &[("x-user", "forged-name"), ("x-kept", "kept-value")], b"{}").expect(200);
    let list = anna.page("/inbox");
    let request = anna.page(list.rows()[0]);
    assert!(request.contains("kept-value") && !request.holds("forged-name"), "{request}");
}

#[test]
fn the_header_opens_no_api_and_no_form_without_its_token() {
    let hub = behind("127.0.0.1/32", true);
    let headers = [("x-user", "root"), ("x-role", "administrator")];
    hub.send("GET", "/v1/webhooks", &headers, b"").expect(401);
    let anna = named(&hub, "anna");
    anna.set_header("x-role", "administrator");
    let fields = [("name", "forged"), ("scope", "admin")];
    assert_eq!(anna.submit_as_given("/settings/keys", &fields, &[]).header("location"), Some("/login"));
    open(&anna, "/settings/keys");
    anna.submit_as_given("/settings/keys", &fields, &[]).expect(403);
    let token = anna.form_token();
    let cross = [("sec-fetch-site", "cross-site")];
    let signed = [&fields[..], &[("form_token", token.as_str())]].concat();
    anna.submit_as_given("/settings/keys", &signed, &cross).expect(403);
    assert!(!anna.page("/settings/keys").contains("forged"));
    anna.submit("/settings/keys", &fields).expect(303);
}

#[test]
fn the_session_follows_the_name_of_the_header() {
    let hub = behind("127.0.0.1/32", false);
    hub.add_user("anna", Role::Administrator);
    let browser = named(&hub, "carla");
    assert!(open(&browser, "/webhooks").contains("carla"));
    let name = browser.session_cookie();
    let cookie = browser.cookie(&name).unwrap();
    browser.set_header("x-user", "dora");
    let page = open(&browser, "/webhooks");
    assert!(page.contains("dora") && !page.contains("carla"), "{page}");
    assert_ne!(browser.cookie(&name), Some(cookie.clone()));
    // Without the proxy, its session is worth nothing.
    let thief = client(&hub, "192.0.2.9", FIREFOX);
    thief.set_cookie(&name, &cookie);
    assert_eq!(thief.get("/webhooks").status, 303);
    assert!(thief.page("/login").has_field("password"));
    browser.set_header("x-user", "");
    assert_eq!(browser.get("/webhooks").status, 303);
    // An administrator may sign in with a password beside the proxy, until it names somebody else.
    let anna = client(&hub, "192.0.2.2", FIREFOX);
    anna.sign_in("anna", PASSWORD).expect(303);
    anna.page("/webhooks");
    anna.set_header("x-user", "ANNA");
    anna.page("/webhooks");
    anna.set_header("x-user", "carla");
    assert!(open(&anna, "/webhooks").contains("carla"));
    // A portal is not the proxy's.
    let portal = hub.portal("acme");
    portal.set_header("x-user", "carla");
    assert!(!portal.page("/webhooks").contains("carla"));
}

#[test]
fn a_role_of_the_proxy_counts_at_once_and_an_unknown_one_is_a_viewers() {
    let hub = behind("127.0.0.1/32", true);
    let visitor = named(&hub, "anna");
    let roles = || open(&visitor, "/settings/users").column("Role");
    assert_eq!(roles(), ["viewer"]);
    visitor.set_header("x-role", "Administrator");
    assert_eq!(roles(), ["administrator"]);
    assert!(visitor.page("/settings/users").has_button("Add user"));
    visitor.set_header("x-role", "hookpost-admins");
    assert_eq!(visitor.submit("/settings/users", &[("name", "x"), ("password", PASSWORD)]).status, 303);
    assert_eq!(roles(), ["viewer"]);
    assert!(visitor.page("/settings/audit").contains("changed the role of the user"));
}

#[test]
fn signing_out_says_that_the_proxy_still_knows_the_user_and_does_not_sign_in_again() {
    let hub = behind("127.0.0.1/32", false);
    let carla = named(&hub, "carla");
    open(&carla, "/account");
    let cookie = carla.cookie(&carla.session_cookie()).unwrap();
    let page = carla.submit_and_follow("/logout", &[]);
    assert!(page.contains("still knows you as carla"), "{page}");
    assert_eq!(carla.cookie(&carla.session_cookie()), None);
    let replay = named(&hub, "carla");
    replay.set_cookie(&replay.session_cookie(), &cookie);
    assert_eq!(replay.get("/webhooks").status, 303);
    open(&carla, page.link("Sign in again").unwrap());
    carla.page("/webhooks");
}

#[test]
fn a_header_that_came_twice_or_holds_no_name_signs_nobody_in() {
    let hub = behind("127.0.0.1/32", false);
    let long = "x".repeat(65);
    for headers in [vec![("x-user", "carla"), ("x-user", "anna")], vec![("x-user", long.as_str())]] {
        for path in ["/login", "/webhooks"] {
            let answer = hub.send("GET", path, &[&[("accept", "text/html")], &headers[..]].concat(), b"");
            assert!(matches!(answer.status, 303 | 422), "{}", answer.text);
            assert!(!answer.headers.iter().any(|(name, value)| name == "set-cookie" && value.contains("device")));
        }
    }
    let twice = hub.send("GET", "/login", &[("x-user", "carla"), ("x-user", "anna")], b"").expect(422);
    assert!(twice.page().contains("x-user") && twice.page().contains("more than once"), "{}", twice.text);
}

#[test]
fn a_second_factor_is_the_proxys_own_matter() {
    let mut hub = behind("127.0.0.1/32", false);
    hub.restart_with(|options| options.require_totp = true);
    let carla = named(&hub, "carla");
    open(&carla, "/webhooks");
    assert_eq!(carla.get("/account/two-factor").status, 404);
}

#[test]
fn the_server_refuses_to_start_if_anybody_could_send_the_header() {
    let start = |flags: &[&str]| refused(hookpost(&[&["serve"], flags].concat()));
    let header = ["--auth-proxy-header", "X-User"];
    assert!(start(&header).contains("requires --trusted-proxy"));
    for everybody in ["0.0.0.0/0", "::/0"] {
        let said = start(&[&header[..], &["--trusted-proxy", everybody]].concat());
        assert!(said.contains("does not cover all addresses"), "{said}");
    }
    let role = ["--auth-proxy-role-header", "X-Role", "--trusted-proxy", "10.0.0.1"];
    assert!(start(&role).contains("requires --auth-proxy-header"));
    assert!(start(&["--auth-proxy-header", "not a name"]).contains("--auth-proxy-header"));
}

#[test]
fn a_user_whom_the_proxy_signed_in_has_no_password_to_type_again() {
    let hub = behind("127.0.0.1/32", true);
    let made = hub.create("http://127.0.0.1:9/", &serde_json::json!({}));
    let path = format!("/webhooks/{}/secret", made["id"].as_str().unwrap());
    let otto = named(&hub, "otto");
    otto.set_header("x-role", "operator");
    open(&otto, "/settings/users");
    hub.advance(11 * MINUTE);
    otto.page(&path);
    let shown = otto.submit(&path, &[]).expect(200).page();
    assert_eq!(shown.get("#secret").text(), made["secret"].as_str().unwrap());
    otto.submit("/settings/users", &[("name", "eve")]).expect(403);
}
