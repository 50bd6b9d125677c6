//! Bodies and queries of the API.

use hookpost::store::StoreError;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Bytes, check, damaged, encoded, json_text, object};
use crate::support::Hub;
use crate::support::hub::Answer;

const CASES: u32 = 250;

const EVENT: &[(&str, &[&str])] = &[
    ("type", &["\"order.paid\"", "\"a\"", "\"a..b\""]),
    ("data", &["{}", "{\"b\":1,\"a\":[1.50,1e2],\"a\":2}", "\"text\"", "[[[]]]"]),
    ("previous_data", &["null", "{\"a\":0}"]),
    ("tenant", &["\"default\"", "\"acme\"", "null", "\"a b\""]),
    ("created_at", &["\"2026-01-15T10:00:00Z\"", "\"2026-01-15T10:00:00+25:00\"", "null"]),
];

/// Fields of a published event as the bytes of the request have them.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Codes about a body as a whole, which have no field.
const OF_BODY: [&str; 2] = ["invalid_batch", "lone_surrogate"];

/// Checks a refusal: a client's error with a code and a sentence, and with the field if a value is at fault.
fn check_refused(answer: &Answer) -> Result<(), TestCaseError> {
    prop_assert!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.text);
    let body: Value = serde_json::from_str(&answer.text).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let error = &body["error"];
    let is_said = |name: &str| error[name].as_str().is_some_and(|text| !text.is_empty());
    prop_assert!(is_said("code") && is_said("message"), "{}", answer.text);
    let is_no_container = ["Must be an object,", "Must be an array,"].iter().any(|start| answer.text.contains(start));
    let is_of_body = is_no_container || OF_BODY.iter().any(|code| error["code"] == *code);
    prop_assert!(answer.status != 422 || is_of_body || error["field"].is_string(), "{}", answer.text);
    Ok(())
}

fn post(hub: &Hub, path: &str, kind: &str, body: &[u8]) -> Answer {
    let bearer = format!("Bearer {}", hub.key);
    hub.send("POST", path, &[("authorization", &bearer), ("content-type", kind)], body)
}

fn count_events(hub: &Hub) -> i64 {
    let store = &hub.running.app.actions.store;
    let count = |sql: &str| {
        store.read(|connection| Ok::<_, StoreError>(connection.query_row(sql, [], |row| row.get(0)).unwrap())).unwrap()
    };
    count("SELECT count(*) FROM event")
}

#[test]
fn an_event_is_refused_with_a_reason_or_stored_as_it_was_sent() {
    let hub = Hub::start();
    let nested = json_text().prop_map(|data| format!("{{\"type\":\"a.b\",\"data\":{data}}}"));
    let body = prop_oneof![object(EVENT), nested];
    check(CASES, damaged(body), |Bytes(body)| {
        let before = count_events(&hub);
        let answer = post(&hub, "/v1/events", "application/json", &body);
        if answer.status != 202 {
            prop_assert_eq!(count_events(&hub), before);
            return check_refused(&answer);
        }
        prop_assert_eq!(count_events(&hub), before + 1);
        let stored = hub.get(&format!("/v1/events/{}", answer.json()["id"].as_str().unwrap()));
        prop_assert_eq!(stored.status, 200);
        let (sent, stored): (Raw<'_>, Raw<'_>) =
            (serde_json::from_slice(&body).unwrap(), serde_json::from_str(&stored.text).unwrap());
        prop_assert_eq!(sent.data.get(), stored.data.get());
        Ok(())
    });
}

#[test]
fn a_batch_is_stored_whole_or_refused_whole() {
    let hub = Hub::start();
    let good = select(vec![r#"{"type":"a.b","data":1}"#, r#"{"type":"a","data":{"x":"\n"},"tenant":"t"}"#]);
    let event = prop_oneof![8 => good.prop_map(str::to_owned), 1 => object(EVENT)];
    let list = (prop::collection::vec(event, 0..5), any::<bool>());
    let body = list.prop_flat_map(|(events, is_lines)| {
        let text = if is_lines { events.join("\n") } else { format!("[{}]", events.join(",")) };
        (damaged(Just(text)), Just(is_lines))
    });
    check(CASES, body, |(Bytes(body), is_lines)| {
        let before = count_events(&hub);
        let kind = if is_lines { "application/x-ndjson" } else { "application/json" };
        let answer = post(&hub, "/v1/events/batch", kind, &body);
        let stored = count_events(&hub) - before;
        if answer.status != 202 {
            prop_assert_eq!(stored, 0);
            return check_refused(&answer);
        }
        prop_assert_eq!(answer.json()["data"].as_array().unwrap().len() as i64, stored);
        Ok(())
    });
}

#[test]
fn the_settings_of_a_webhook_are_refused_with_a_reason_or_make_the_same_webhook_again() {
    let hub = Hub::start();
    let settings = object(&[
        ("url", &["\"http://127.0.0.1:9/\"", "\"http://127.0.0.1:9/a?b=%20\"", "\"http://10.0.0.1/\"", "\"x\""]),
        ("events", &["[\"*\"]", "[\"a.*\",\"a.b\",\"a.*\"]", "[]", "[\"a*\"]"]),
        ("description", &["\"\"", "\"Größe <b>\\n\"", "null"]),
        ("profile", &["\"generic\"", "\"stripe\"", "\"none\""]),
        ("timeout_s", &["1", "30", "5.0", "0"]),
        ("max_in_flight", &["1", "64", "65"]),
        ("rate_limit_per_s", &["null", "1", "1000"]),
        ("ordered", &["true", "false", "null"]),
        ("retry", &["null", "{\"delays_s\":[0.5,1e2]}", "{\"delays_s\":[2,1],\"measured_from\":\"first_failure\"}"]),
        ("headers", &["{}", "{\"X-A\":\"b\"}", "{\"Host\":\"b\"}"]),
    ]);
    check(CASES, damaged(settings), |Bytes(body)| {
        let answer = post(&hub, "/v1/webhooks", "application/json", &body);
        if answer.status != 201 {
            return check_refused(&answer);
        }
        let kept = |webhook: &Value| -> Value {
            let names = ["url", "events", "description", "profile", "timeout_s", "max_in_flight", "ordered"];
            let names = names.iter().chain(&["rate_limit_per_s", "retry", "standard_headers", "tenant"]);
            names.map(|name| ((*name).to_owned(), webhook[name].clone())).collect::<serde_json::Map<_, _>>().into()
        };
        let first = kept(&answer.json());
        let again = hub.post("/v1/webhooks", &first);
        prop_assert_eq!(again.status, 201, "{}", again.text);
        prop_assert_eq!(kept(&again.json()), first);
        for webhook in [answer.json(), again.json()] {
            hub.delete(&format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap())).expect(204);
        }
        Ok(())
    });
}

#[test]
fn a_list_is_shown_or_refused_whatever_its_query_is() {
    let hub = Hub::start();
    hub.add_webhook("http://127.0.0.1:9/");
    for number in 0..3 {
        hub.publish("a.b", json!(number));
    }
    let lists = ["events", "deliveries", "webhooks", "event-types", "keys", "deliveries/x/attempts", "stats"];
    let names = ["cursor", "limit", "since", "until", "status", "tenant", "type", "webhook", "error_code", "test", "x"];
    let cursor = hub.get("/v1/events?limit=1").json()["next_cursor"].as_str().unwrap().to_owned();
    let value = prop_oneof![
        2 => "\\PC{0,12}",
        2 => select(vec!["1", "250", "0", "-1", "pending", "a.b", "default", "2026-01-15T10:00:00Z", "true", "timeout"]).prop_map(str::to_owned),
        1 => Just(cursor),
    ];
    let query = prop::collection::vec((select(names.to_vec()), value), 0..4);
    check(CASES, (select(lists.to_vec()), query), |(list, query)| {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let answer = hub.get(&format!("/v1/{list}?{}", query.join("&")));
        if answer.status == 200 { Ok(()) } else { check_refused(&answer) }
    });
}
