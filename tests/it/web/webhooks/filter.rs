//! The filter in the form of a webhook and on its pages.

use serde_json::{Value, json};

use super::assert_has;
use crate::support::receiver::Receiver;
use crate::support::{Hub, Page};

const BASE: [(&str, &str); 5] = [
    ("url", "http://127.0.0.1:9/in"),
    ("event", "*"),
    ("profile", "generic"),
    ("timeout_s", "5"),
    ("max_in_flight", "8"),
];

/// Fields of a row of conditions.
fn row<'a>(field: &'a str, operator: &'a str, value: &'a str) -> [(&'a str, &'a str); 3] {
    [("filter_field", field), ("filter_operator", operator), ("filter_value", value)]
}

fn form<'a>(parts: &[&[(&'a str, &'a str)]]) -> Vec<(&'a str, &'a str)> {
    BASE.into_iter().chain(parts.iter().flat_map(|part| part.iter().copied())).collect()
}

/// Values of the rows of a page, without blank rows.
fn rows(page: &Page) -> Vec<(String, String, String)> {
    let fields: Vec<(String, String)> = page.forms().iter().flat_map(|form| form.fields()).collect();
    let values = |name: &str| -> Vec<String> {
        fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    };
    let rows = values("filter_field").into_iter().zip(values("filter_operator")).zip(values("filter_value"));
    rows.map(|((field, operator), value)| (field, operator, value)).filter(|row| !row.0.is_empty()).collect()
}

fn is_open(page: &Page) -> bool {
    page.get("#filter-fields").has_attribute("open")
}

fn row_count(page: &Page) -> usize {
    let fields = page.forms().iter().flat_map(|form| form.fields()).collect::<Vec<_>>();
    fields.iter().filter(|(name, _)| name == "filter_field").count()
}

#[test]
fn rows_make_a_filter_that_the_form_and_the_settings_show_again() {
    let hub = Hub::start();
    let anna = hub.administrator();
    anna.page("/webhooks/new");
    let fields = form(&[
        &row("data.amount", "at_least", "100.50"),
        &row("", "is", ""),
        &row("data.country", "one_of", "DE, AT"),
        &row("data.status", "changed", ""),
    ]);
    let webhook = anna.submit_and_follow("/webhooks/new", &fields).webhook();
    let stored =
        json!({"data": {"amount": {"$gte": 100.5}, "country": {"$in": ["DE", "AT"]}, "status": {"$changed": true}}});
    assert_eq!(hub.webhook(&webhook)["filter"], stored);
    let page = anna.page(&format!("/webhooks/{webhook}/edit"));
    assert_eq!(
        rows(&page),
        [("data.amount", "at_least", "100.50"), ("data.country", "one_of", "DE, AT"), ("data.status", "changed", "")]
            .map(|(field, operator, value)| (field.to_owned(), operator.to_owned(), value.to_owned()))
    );
    assert!(is_open(&page));
    assert_eq!(page.field("filter").as_deref(), Some(""));
    assert_has(&anna.page(&format!("/webhooks/{webhook}/settings")), r#"{"data":{"amount":{"$gte":100.50}"#);
    // Without rows and JSON there is none.
    anna.submit(&format!("/webhooks/{webhook}/edit"), &form(&[])).expect(303);
    assert_eq!(hub.webhook(&webhook)["filter"], Value::Null);
    assert!(!is_open(&anna.page(&format!("/webhooks/{webhook}/edit"))));
}

#[test]
fn a_filter_that_rows_cannot_express_is_shown_as_json_and_rows_are_added_to_it() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let json = r#"{"$or": [{"type": "a.b"}, {"data": {"vip": true}}]}"#;
    anna.page("/webhooks/new");
    let webhook = anna.submit_and_follow("/webhooks/new", &form(&[&[("filter", json)]])).webhook();
    let path = format!("/webhooks/{webhook}/edit");
    let page = anna.page(&path);
    assert_eq!((page.field("filter").as_deref(), rows(&page).len()), (Some(json), 0));
    anna.submit(&path, &form(&[&[("filter", json)], &row("data.n", "is", "5")])).expect(303);
    let filter = hub.webhook(&webhook)["filter"].clone();
    assert_eq!(filter, json!({"$and": [{"data": {"n": 5}}, {"$or": [{"type": "a.b"}, {"data": {"vip": true}}]}]}));
}

#[test]
fn rows_are_added_and_what_was_typed_stays() {
    let hub = Hub::start();
    let anna = hub.administrator();
    let blank = anna.page("/webhooks/new");
    assert_eq!(row_count(&blank), 4);
    let typed = row("data.a", "starts_with", "x");
    let page = anna.submit("/webhooks/new", &form(&[&typed, &[("filter_rows", "yes")]])).expect(200).page();
    assert_eq!(row_count(&page), 8);
    assert_eq!(rows(&page), [("data.a".to_owned(), "starts_with".to_owned(), "x".to_owned())]);
    assert_eq!(page.field("url").as_deref(), Some("http://127.0.0.1:9/in"));
    assert_eq!(hub.get("/v1/webhooks").json()["data"], json!([]));
}

#[test]
fn a_filter_is_tried_on_the_newest_events_before_it_is_saved() {
    let hub = Hub::start();
    for amount in 0..60 {
        hub.publish("order.paid", json!({"amount": amount}));
    }
    hub.publish("user.made", json!({"amount": 1_000}));
    hub.post("/v1/events", &json!({"type": "order.paid", "tenant": "acme", "data": {"amount": 2_000}})).expect(202);
    let anna = hub.administrator();
    anna.page("/webhooks/new");
    let try_it = |events: &'static str, row: [(&'static str, &'static str); 3]| {
        let fields: Vec<_> = form(&[&row, &[("patterns", events), ("filter_try", "yes")]]);
        let fields: Vec<_> = fields.into_iter().filter(|field| *field != ("event", "*")).collect();
        anna.submit("/webhooks/new", &fields)
    };
    let page = try_it("order.*", row("data.amount", "at_least", "58")).expect(200).page();
    assert_has(&page, "2 of 50 events match");
    assert_has(&page, "No match: data.amount must be at least 58, but is 57.");
    assert_has(&try_it("user.made", row("data.amount", "at_least", "58")).expect(200).page(), "1 of 1 event matches");
    assert_has(&try_it("no.such", row("data.amount", "exists", "")).expect(200).page(), "There are no recent events");
    let empty = try_it("order.*", row("", "is", "")).expect(422).page();
    assert_eq!(empty.problem("filter").as_deref(), Some("Enter a condition to try."));
    assert_eq!(hub.get("/v1/webhooks").json()["data"], json!([]));
}

#[test]
fn what_is_wrong_with_a_filter_is_said_with_its_place() {
    let hub = Hub::start();
    let anna = hub.administrator();
    anna.page("/webhooks/new");
    for (fields, says) in [
        (
            form(&[&[("filter", r#"{"data": {"a": {"$gte": null}}}"#)]]),
            "filter.data.a.$gte: Must be a text or a number.",
        ),
        (form(&[&[("filter", "{")]]), "A filter must be a JSON object."),
        (form(&[&row("amount", "is", "5")]), "filter.amount: An event has no field amount."),
        (form(&[&row("data.a", "at_least", "")]), "Row 1: Enter a value."),
        (form(&[&row("data.a", "is", "1"), &row("data.a", "is", "2")]), "Row 2: Another row"),
    ] {
        let page = anna.submit("/webhooks/new", &fields).expect(422).page();
        let problem = page.problem("filter").unwrap_or_default();
        assert!(problem.starts_with(says), "{problem}");
        assert!(is_open(&page));
    }
}

#[test]
fn a_tenants_people_set_and_try_filters_on_their_own_events_only() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.publish("order.paid", json!({"amount": 1}));
    let portal = hub.portal("acme");
    portal.page("/webhooks/new");
    hub.post("/v1/events", &json!({"type": "order.paid", "tenant": "acme", "data": {"amount": 2}})).expect(202);
    let url = receiver.url();
    let mut fields = form(&[&row("data.amount", "at_least", "1"), &[("filter_try", "yes")]]);
    fields[0] = ("url", url.as_ref());
    fields.retain(|(name, _)| *name != "profile");
    fields.insert(1, ("profile", "standard"));
    assert_has(&portal.submit("/webhooks/new", &fields).expect(200).page(), "1 of 1 event matches");
    fields.pop();
    portal.submit_and_follow("/webhooks/new", &fields);
    let listed = hub.get("/v1/webhooks?tenant=acme").json();
    assert_eq!(listed["data"][0]["filter"], json!({"data": {"amount": {"$gte": 1}}}));
}

#[test]
fn an_events_page_names_the_condition_that_excluded_it() {
    let hub = Hub::start();
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"filter": {"data": {"country": {"$in": ["DE"]}}}}));
    let receipt = hub.publish("order.paid", json!({"country": "FR"}));
    let anna = hub.administrator();
    let page = anna.page(&format!("/events/{}?tenant=default", receipt["id"].as_str().unwrap()));
    assert_has(&page, r#"Its filter does not match: data.country must be one of "DE", but is "FR"."#);
}
