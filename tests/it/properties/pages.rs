//! Cookies, forms, and requests to the inbox.

use proptest::prelude::*;
use proptest::sample::select;

use super::{check, encoded};
use crate::support::Hub;

const CASES: u32 = 200;

#[test]
fn no_cookie_opens_a_page_or_breaks_one() {
    let hub = Hub::start();
    hub.add_user("anna", hookpost::store::user::Role::Administrator);
    let session = hub.running.app.site.cookie();
    let value = prop_oneof!["[!-~]{0,60}", "[ -~\u{80}-\u{ff}]{0,40}"];
    let cookie = (value, any::<bool>()).prop_map(move |(value, is_session)| match is_session {
        true => format!("{session}={value}; a=b"),
        false => value,
    });
    check(CASES, (cookie, select(vec!["/", "/webhooks", "/login", "/settings/keys"])), |(cookie, path)| {
        let answer = hub.send("GET", path, &[("accept", "text/html"), ("cookie", &cookie)], b"");
        let expected: &[u16] = if path == "/login" { &[200, 400] } else { &[303, 400] };
        prop_assert!(expected.contains(&answer.status), "{} {:.300}", answer.status, answer.text);
        Ok(())
    });
}

#[test]
fn a_form_is_accepted_or_shown_again_whatever_it_holds() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    let forms =
        [("/webhooks/new", "url"), ("/events/new", "type"), ("/new-event-type", "name"), ("/settings/keys", "name")];
    let names = ["url", "events", "more_events", "type", "name", "data", "tenant", "id", "profile", "headers", "retry"];
    let names =
        [&names[..], &["description", "timeout_s", "max_in_flight", "delays", "scope", "schema", "example"]].concat();
    let value = prop_oneof![
        2 => any::<String>(),
        1 => select(vec!["http://127.0.0.1:9/", "a.b", "*", "{}", "[", "5", "-1", "1e9", "publish", "on"]).prop_map(str::to_owned),
    ];
    let fields = prop::collection::vec((select(names), value.clone()), 0..6);
    check(CASES, (select(forms.to_vec()), value, fields), |((path, first), value, fields)| {
        visitor.page(path);
        let fields =
            [(first, value.as_str())].into_iter().chain(fields.iter().map(|(name, value)| (*name, value.as_str())));
        let answer = visitor.submit(path, &fields.collect::<Vec<_>>());
        prop_assert!(matches!(answer.status, 200 | 303 | 400 | 409 | 422), "{} {:.300}", answer.status, answer.text);
        Ok(())
    });
}

#[test]
fn a_form_that_is_no_form_is_refused() {
    let hub = Hub::start();
    hub.add_user("anna", hookpost::store::user::Role::Administrator);
    let body = prop_oneof![prop::collection::vec(any::<u8>(), 0..80), "[a-z=&%+]{0,40}".prop_map(String::into_bytes)];
    let kind = select(vec!["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "x"]);
    check(CASES, (body, kind, select(vec!["/login", "/portal", "/webhooks/new"])), |(body, kind, path)| {
        let answer = hub.send("POST", path, &[("content-type", kind)], &body);
        prop_assert!((300..500).contains(&answer.status), "{} {:.300}", answer.status, answer.text);
        Ok(())
    });
}

#[test]
fn the_inbox_takes_and_shows_any_request() {
    let hub = Hub::start();
    let visitor = hub.administrator();
    visitor.page("/inbox");
    let url = visitor.submit_and_follow("/inbox", &[]).get("#inbox-url").text();
    let path = url.strip_prefix(&hub.at("")).unwrap().to_owned();
    let name =
        select(vec!["x-a", "webhook-id", "webhook-signature", "webhook-timestamp", "content-type", "stripe-signature"]);
    let headers = prop::collection::vec((name, "[ -~]{0,40}"), 0..5);
    let query = prop_oneof!["\\PC{0,20}".prop_map(|text| encoded(&text)), "status=[0-9]{0,4}", "delay_s=(-1|x|0|1e9)"];
    let method = select(vec!["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
    let body = prop::collection::vec(any::<u8>(), 0..200);
    check(CASES, (method, query, headers, body), |(method, query, headers, body)| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = hub.send(method, &format!("{path}?{query}"), &headers, &body);
        // It responds with any status on request.
        let is_asked = query.starts_with("status=");
        prop_assert!(answer.status < 500 || is_asked, "{} {:.300}", answer.status, answer.text);
        let page = visitor.get("/inbox");
        prop_assert_eq!(page.status, 200);
        let detail = page.text.split("href=\"/inbox/").nth(1).and_then(|rest| rest.split('"').next());
        if let Some(number) = detail {
            prop_assert_eq!(visitor.get(&format!("/inbox/{number}")).status, 200);
        }
        Ok(())
    });
}
