//! Users: sign-in, sign-out, the first run, and roles.

use hookpost::domain::time::{DAY, HOUR, MINUTE, SECOND};
use hookpost::store::Connection;
use hookpost::store::user::Role;

use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::visitor::{PASSWORD, Visitor};

fn setup_path(hub: &Hub) -> String {
    let link = hub.running.setup_link().unwrap().unwrap();
    link.strip_prefix(&hub.at("")).unwrap().to_owned()
}

fn set_up(visitor: &Visitor<'_>, path: &str, name: &str, password: &str) -> u16 {
    let token = path.split('=').nth(1).unwrap();
    let fields = [("token", token), ("name", name), ("password", password)];
    visitor.submit("/setup", &fields).status
}

#[test]
fn the_first_run_makes_an_administrator_once() {
    let hub = Hub::start();
    let visitor = hub.visitor();
    let path = setup_path(&hub);
    // Opening the link does not use it up, because link previews open it too.
    for _ in 0..3 {
        visitor.page(&path);
    }
    assert_eq!(set_up(&visitor, &path, "anna", "short"), 422);
    assert_eq!(set_up(&visitor, &path, " ", PASSWORD), 422);
    assert_eq!(set_up(&visitor, &path, "anna", PASSWORD), 303);
    assert!(visitor.page("/webhooks").contains("anna"));
    let other = hub.visitor();
    assert_eq!(other.get(&path).status, 410);
    other.get("/login");
    assert_eq!(set_up(&other, &path, "eve", PASSWORD), 410);
    assert!(hub.running.setup_link().unwrap().is_none());
}

#[test]
fn the_setup_link_ends_after_half_an_hour_and_with_a_newer_one() {
    let hub = Hub::start();
    let old = setup_path(&hub);
    let path = setup_path(&hub);
    assert_eq!(hub.visitor().get(&old).status, 410);
    hub.advance(30 * MINUTE - 1);
    assert_eq!(hub.visitor().get(&path).status, 200);
    hub.advance(1);
    assert_eq!(hub.visitor().get(&path).status, 410);
    assert_eq!(hub.visitor().get("/setup?token=guess").status, 410);
}

#[test]
fn without_users_the_sign_in_page_says_what_to_do() {
    let hub = Hub::start();
    assert!(hub.visitor().page("/login").contains("hookpost users add"));
}

#[test]
fn a_page_asks_to_sign_in_and_then_goes_on_where_it_was() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let visitor = hub.visitor();
    let asked = visitor.get("/webhooks?state=paused").expect(303);
    let login = asked.header("location").unwrap().to_owned();
    assert_eq!(login, "/login?next=%2Fwebhooks%3Fstate%3Dpaused");
    visitor.page(&login);
    let fields = [("name", "Anna"), ("password", PASSWORD), ("next", "/webhooks?state=paused")];
    let answer = visitor.submit("/login", &fields).expect(303);
    assert_eq!(answer.header("location"), Some("/webhooks?state=paused"));
    visitor.page("/webhooks");
}

#[test]
fn the_way_on_after_signing_in_is_a_path_of_this_server() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    for next in ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb"] {
        let visitor = hub.visitor();
        visitor.get("/login");
        let fields = [("name", "anna"), ("password", PASSWORD), ("next", next)];
        let answer = visitor.submit("/login", &fields).expect(303);
        assert_eq!(answer.header("location"), Some("/"), "{next}");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_name_get_the_same_answer() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let visitor = hub.visitor();
    let wrong = visitor.sign_in("anna", "not the password").expect(422);
    let unknown = visitor.sign_in("otto", "not the password").expect(422);
    assert_eq!(wrong.text.replace("anna", "otto"), unknown.text);
    assert_eq!(visitor.get("/webhooks").status, 303);
}

#[test]
fn failed_tries_have_to_wait_longer_and_longer() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let visitor = hub.visitor();
    for _ in 0..4 {
        visitor.sign_in("anna", "not the password").expect(422);
    }
    let refused = visitor.sign_in("anna", PASSWORD).expect(429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    hub.advance(SECOND);
    visitor.sign_in("anna", "not the password").expect(422);
    hub.advance(SECOND);
    visitor.sign_in("anna", PASSWORD).expect(429);
    hub.advance(SECOND);
    visitor.sign_in("anna", PASSWORD).expect(303);
}

#[test]
fn a_session_ends_by_signing_out_by_idling_and_after_two_weeks() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let cookie = visitor.session_cookie();
    let value = visitor.cookie(&cookie).unwrap();
    visitor.page("/webhooks");
    visitor.submit("/logout", &[]).expect(303);
    assert_eq!(visitor.cookie(&cookie), None);
    visitor.set_cookie(&cookie, &value);
    assert_eq!(visitor.get("/webhooks").status, 303);

    visitor.sign_in("anna", PASSWORD).expect(303);
    hub.advance(12 * HOUR);
    assert_eq!(visitor.get("/webhooks").status, 303);

    visitor.sign_in("anna", PASSWORD).expect(303);
    let mut days = 0;
    while visitor.get("/webhooks").status == 200 {
        // The writer records the use after the response. The next write is committed after it.
        hub.publish("a.b", serde_json::json!({}));
        hub.advance(6 * HOUR);
        days += 1;
        assert!(days < 100);
    }
    assert_eq!(days, 14 * 4);
    assert_eq!(hub.clock.now_ms() - NOON, 12 * HOUR + 14 * DAY);
}

#[test]
fn a_session_cookie_is_new_at_each_sign_in_and_stored_as_a_hash() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let cookie = visitor.session_cookie();
    let first = visitor.cookie(&cookie).unwrap();
    visitor.submit("/logout", &[]);
    let answer = visitor.sign_in("anna", PASSWORD).expect(303);
    let second = visitor.cookie(&cookie).unwrap();
    assert_ne!(first, second);
    let set = answer.headers.iter().find(|(name, _)| name == "set-cookie");
    let set = &set.unwrap().1;
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1209600"] {
        assert!(set.contains(part), "{part} in {set}");
    }
    let bytes = std::fs::read(hub.database()).unwrap();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds(&second) && !holds(PASSWORD));
}

#[test]
fn a_sign_in_ends_the_session_that_the_browser_had() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let name = visitor.session_cookie();
    let before = format!("{name}={}", visitor.cookie(&name).unwrap());
    let status = |cookie: &str| hub.send("GET", "/webhooks", &[("cookie", cookie)], b"").status;
    assert_eq!(status(&before), 200);
    visitor.sign_in("anna", PASSWORD).expect(303);
    assert_eq!(status(&before), 303);
    visitor.page("/webhooks");
}

#[test]
fn a_sign_in_that_could_not_be_checked_counts_as_no_failure() {
    let hub = Hub::start();
    hub.add_user("anna", Role::Administrator);
    let visitor = hub.visitor();
    let permits = hub.running.app.sign_ins.clone();
    let all = permits.try_acquire_many_owned(16).unwrap();
    for _ in 0..10 {
        visitor.sign_in("anna", PASSWORD).expect(503);
    }
    drop(all);
    visitor.sign_in("anna", PASSWORD).expect(303);
}

#[test]
fn under_https_the_cookie_is_bound_to_the_host_and_browsers_keep_to_https() {
    let hub = Hub::with(|options| {
        options.base_url = Some("https://hooks.example.com".parse().unwrap());
    });
    hub.add_user("anna", Role::Administrator);
    let visitor = hub.visitor();
    let answer = visitor.sign_in("anna", PASSWORD).expect(303);
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000"));
    let (_, set) = answer.headers.iter().find(|(name, _)| name == "set-cookie").unwrap();
    assert!(set.starts_with("__Host-hookpost="), "{set}");
    assert!(set.contains("Secure"), "{set}");
}

#[test]
fn a_form_of_another_site_or_session_changes_nothing() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/webhooks");
    let token = visitor.form_token();
    let other = hub.visitor();
    other.get("/login");
    let foreign = other.form_token();
    let own = [("form_token", token.as_str())];
    for (fields, headers) in [
        (vec![], vec![]),
        (vec![("form_token", "")], vec![]),
        (vec![("form_token", foreign.as_str())], vec![]),
        (own.to_vec(), vec![("sec-fetch-site", "cross-site")]),
        (own.to_vec(), vec![("sec-fetch-site", "same-site")]),
        (own.to_vec(), vec![("origin", "https://evil.example")]),
        (own.to_vec(), vec![("origin", "null")]),
    ] {
        let answer = visitor.submit_as_given("/logout", &fields, &headers);
        assert_eq!(answer.status, 403, "{fields:?} {headers:?}");
    }
    visitor.page("/webhooks");
    let origin = hub.at("");
    let headers = [("sec-fetch-site", "same-origin"), ("origin", origin.as_str())];
    let answer = visitor.submit_as_given("/logout", &own, &headers);
    assert_eq!(answer.status, 303);
}

#[test]
fn pages_carry_a_policy_that_lets_nothing_in_from_elsewhere() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    for path in ["/login", "/webhooks", "/no-such-page", "/setup?token=x"] {
        let answer = visitor.get(path);
        let policy = answer.header("content-security-policy");
        if answer.status == 303 {
            continue;
        }
        let policy = policy.unwrap_or_else(|| panic!("{path} has no policy"));
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"));
        assert!(answer.header("permissions-policy").is_some_and(|policy| policy.contains("camera=()")));
        assert_eq!(answer.header("strict-transport-security"), None);
        for inline in ["<script>", "<style", " style=", " onclick="] {
            assert!(!answer.text.contains(inline), "{inline} in {path}");
        }
    }
}

#[test]
fn everything_works_below_a_path_whether_the_proxy_leaves_it_out_or_not() {
    let hub = Hub::with(|options| {
        options.base_url = Some("http://example.com/hookpost".parse().unwrap());
    });
    hub.add_user("anna", Role::Administrator);
    for prefix in ["", "/hookpost"] {
        let visitor = hub.visitor();
        visitor.page(&format!("{prefix}/login"));
        let fields = [("name", "anna"), ("password", PASSWORD)];
        let answer = visitor.submit(&format!("{prefix}/login"), &fields);
        assert_eq!(answer.header("location"), Some("/hookpost/"));
        let page = visitor.page(&format!("{prefix}/webhooks?state=active"));
        for address in page.addresses() {
            assert!(address.starts_with("/hookpost/") || address.starts_with('#'), "{address} is not below the path");
        }
        let sheet = visitor.get(page.get("link[rel=stylesheet]").attribute("href").unwrap()).expect(200);
        assert_eq!(sheet.header("cache-control"), Some("public, max-age=31536000, immutable"));
    }
    hub.get("/hookpost/v1/webhooks").expect(200);
    hub.get("/hookpostal/v1/webhooks").expect(404);
}

#[test]
fn an_internal_error_before_anybody_is_signed_in_links_below_the_path() {
    let hub = Hub::with(|options| options.base_url = Some("http://example.com/hookpost".parse().unwrap()));
    hub.add_user("anna", Role::Administrator);
    let visitor = hub.visitor();
    visitor.page("/login");
    let connection = Connection::open(hub.database()).unwrap();
    connection.execute_batch("ALTER TABLE one_time_link RENAME TO gone; ALTER TABLE portal_link RENAME TO lost; UPDATE user SET role = 'none'").unwrap();
    let mut answers: Vec<_> = ["/setup", "/portal", "/demo"].map(|path| visitor.get(&format!("{path}?token=x"))).into();
    answers.push(visitor.sign_in("anna", PASSWORD));
    for answer in answers {
        let page = answer.expect(500).page();
        assert!(page.links_to("/hookpost/") || page.links_to("/hookpost/portal/"), "{page}");
    }
}

#[test]
fn forms_are_bounded_and_those_of_strangers_are_small() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let long = "x".repeat(17 << 10);
    let stranger = hub.visitor();
    stranger.get("/login");
    assert_eq!(stranger.sign_in("anna", &long).status, 413);
    visitor.page("/account");
    let fits = visitor.submit("/account/password", &[("old", &long), ("password", "another password")]);
    assert_eq!(fits.status, 422);
    let many = vec![("a", ""); 5_001];
    assert_eq!(visitor.submit("/account/password", &many).status, 413);
}

#[test]
fn a_page_that_asks_by_itself_does_not_keep_a_session_alive() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let name = visitor.session_cookie();
    let cookie = format!("{name}={}", visitor.cookie(&name).unwrap());
    let live = || hub.send("GET", "/webhooks", &[("cookie", &cookie), ("x-live", "1")], b"");
    for _ in 0..11 {
        hub.advance(HOUR);
        assert_eq!(live().status, 200);
        // The writer would record the use. The next write is committed after it.
        hub.publish("a.b", serde_json::json!({}));
    }
    hub.advance(HOUR);
    assert_eq!(live().status, 303);
}

#[test]
fn a_made_up_token_costs_no_job_of_the_writer() {
    let hub = Hub::start();
    let path = hub.portal_path("acme");
    let token = path.split('=').nth(1).unwrap();
    let visitor = hub.visitor();
    visitor.page(&path);
    // No change can be written.
    let other = hookpost::store::Connection::open(hub.database()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let made_up = [("token", "x"), ("name", "mallory"), ("password", PASSWORD)];
    for path in ["/portal", "/setup", "/demo"] {
        visitor.submit(path, &made_up).expect(410);
    }
    // The token of another kind of link is made up too.
    visitor.submit("/demo", &[("token", token)]).expect(410);
    visitor.submit("/portal", &[("token", token)]).expect(503);
    other.execute_batch("COMMIT").unwrap();
    visitor.submit("/portal", &[("token", token)]).expect(303);
}
