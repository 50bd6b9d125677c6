use serde::Deserialize;
use serde_json::value::RawValue;

use super::*;

/// Filter, event, and whether the filter matches the event according to `simple-json-match`.
#[derive(Deserialize)]
struct Pair<'a> {
    #[serde(borrow)]
    filter: &'a RawValue,
    #[serde(borrow)]
    event: Event<'a>,
    matches: bool,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", default = "order_paid")]
    event_type: String,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, default)]
    previous_data: Option<&'a RawValue>,
}

fn order_paid() -> String {
    "order.paid".to_owned()
}

fn read<'a>(event: &'a Event<'_>) -> Content<'a> {
    let previous = event.previous_data.map(RawValue::get);
    Content::read(&event.event_type, "acme", "o-1", event.data.get(), previous).unwrap()
}

fn parse(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn accepts(filter: &str, event: &str) -> bool {
    let event: Event<'_> = serde_json::from_str(event).unwrap();
    let (filter, event) = (parse(filter), read(&event));
    let accepts = filter.accepts(&event, &mut EventWork::default());
    let mismatch = filter.mismatch(&event, &mut EventWork::default());
    assert_eq!(mismatch.is_none(), accepts, "{filter:?}: {mismatch:?}");
    accepts
}

/// Whether a condition on `data` holds for it.
fn holds(condition: &str, data: &str) -> bool {
    accepts(&format!(r#"{{"data": {condition}}}"#), &format!(r#"{{"data": {data}}}"#))
}

#[test]
fn filters_agree_with_simple_json_match() {
    let pairs = include_str!("../../../tests/filters/pairs.ndjson");
    let mut matches = 0;
    let mut wrong = Vec::new();
    for line in pairs.lines() {
        let pair: Pair<'_> = serde_json::from_str(line).unwrap();
        let event = read(&pair.event);
        let filter = parse(pair.filter.get());
        let accepts = filter.accepts(&event, &mut EventWork::default());
        if accepts != pair.matches {
            wrong.push(line);
        }
        let mismatch = filter.mismatch(&event, &mut EventWork::default());
        assert_eq!(mismatch.is_none(), accepts, "{line}: {mismatch:?}");
        matches += usize::from(accepts);
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(matches > 500, "{matches}");
}

#[test]
fn each_operator_holds_for_what_it_names() {
    for (condition, data, expected) in [
        // Values
        (r#""paid""#, r#""paid""#, true),
        (r#""paid""#, r#""open""#, false),
        ("5", r#"" 5.0 ""#, true),
        ("true", "1", true),
        ("null", "null", true),
        ("null", "0", false),
        (r#""a""#, r#"["b", "a"]"#, true),
        (r#"["a", "b"]"#, r#"["b", "c", "a"]"#, true),
        (r#"["a", "b"]"#, r#"["b"]"#, false),
        (r#"{"a": {"b": 1}}"#, r#"{"a": {"b": 1, "c": 2}, "d": 3}"#, true),
        (r#"{"a": {"b": 1}}"#, r#"{"a": [{"b": 0}, {"b": 1}]}"#, true),
        (r#"{"a": null}"#, "{}", false),
        // $eq and $neq
        (r#"{"$eq": [1.10, {"a": "b"}]}"#, r#"[1.1, {"a": "b"}]"#, true),
        (r#"{"$eq": {"a": 1, "b": 2}}"#, r#"{"b": 2, "a": 1}"#, false),
        (r#"{"$eq": "[1.1,\"a\"]"}"#, r#"[1.10, "a"]"#, true),
        (r#"{"$eq": "[1.10]"}"#, r#"[1.10]"#, false),
        (r#"{"$eq": "a"}"#, r#"["a"]"#, false),
        (r#"{"a": {"$neq": "b"}}"#, r#"{"a": "c"}"#, true),
        (r#"{"a": {"$neq": "b"}}"#, r#"{}"#, false),
        (r#"{"$neq": 1}"#, r#""1""#, false),
        // Order
        (r#"{"$gt": 1}"#, "1.0", false),
        (r#"{"$gte": 1}"#, "1.0", true),
        (r#"{"$lt": 100}"#, "99.99", true),
        (r#"{"$lte": 100}"#, "1e2", true),
        (r#"{"$lte": 100}"#, "100.01", false),
        (r#"{"$gte": 100}"#, r#""250""#, true),
        (r#"{"$gte": 100}"#, r#""many""#, false),
        (r#"{"$lt": 100}"#, "null", false),
        (r#"{"$gte": 1}"#, "[5]", false),
        (r#"{"$gte": "2026-01-10"}"#, r#""2026-01-09T23:00:00Z""#, false),
        (r#"{"$gte": "2026-01-10"}"#, r#""2026-01-10T00:00:00Z""#, true),
        // UTF-16 orders a surrogate below U+FF21.
        (r#"{"$lt": "\uff21"}"#, r#""😀""#, true),
        // $in and $nin
        (r#"{"$in": ["DE", "AT"]}"#, r#""AT""#, true),
        (r#"{"$in": ["5"]}"#, "5", false),
        (r#"{"$in": [5.0]}"#, "5", true),
        (r#"{"$in": "urgent"}"#, r#""not urgent at all""#, true),
        (r#"{"$in": 1e21}"#, r#""a1e+21b""#, true),
        (r#"{"$in": ["a"]}"#, r#"["a"]"#, false),
        (r#"{"$nin": ["DE"]}"#, r#""AT""#, true),
        (r#"{"$nin": ["DE"]}"#, "null", true),
        (r#"{"$nin": ["DE"]}"#, r#"["AT"]"#, false),
        (r#"{"$nin": "a"}"#, "5", false),
        // Texts
        (r#"{"$startsWith": "ord"}"#, r#""order""#, true),
        (r#"{"$startsWith": ["x", "ord"]}"#, r#""order""#, true),
        (r#"{"$startsWith": "5"}"#, "55", false),
        (r#"{"$endsWith": "@example.com"}"#, r#""a@example.com""#, true),
        (r#"{"$endsWith": []}"#, r#""a""#, false),
        // $exist
        (r#"{"a": {"$exist": true}}"#, r#"{"a": null}"#, true),
        (r#"{"a": {"$exist": true}}"#, "{}", false),
        (r#"{"a": {"$exist": false}}"#, "{}", true),
        (r#"{"a": {"$exist": false}}"#, r#"{"a": null}"#, false),
        (r#"{"a": {"$exist": false}}"#, "5", false),
        // Logic
        (r#"{"$or": [1, {"$gte": 5}]}"#, "7", true),
        (r#"{"$or": [1, {"$gte": 5}]}"#, "3", false),
        (r#"{"$and": [{"a": 1}, {"b": {"$gt": 1}}]}"#, r#"{"a": 1, "b": 2}"#, true),
        (r#"{"$and": [{"a": 1}, {"b": {"$gt": 1}}]}"#, r#"{"a": 1, "b": 1}"#, false),
        (r#"{"$not": {"a": 1}}"#, r#"{"a": 2}"#, true),
        (r#"{"$not": {"a": 1}, "b": 1}"#, r#"{"a": 2, "b": 2}"#, false),
        // As there: $not and $and are about objects.
        (r#"{"$not": {"$eq": 1}}"#, "2", false),
        (r#"{"$and": [{"$gte": 1}, {"$lt": 5}]}"#, "3", false),
        (r#"{"$gte": 1, "$lt": 5}"#, "3", true),
    ] {
        assert_eq!(holds(condition, data), expected, "{condition} of {data}");
    }
}

#[test]
fn a_filter_is_about_the_fields_of_an_event() {
    let event = r#"{"type": "order.paid", "data": {"amount": 5}, "previous_data": {"amount": 4}}"#;
    for (filter, expected) in [
        ("{}", true),
        (r#"{"type": "order.paid", "tenant": "acme", "id": "o-1"}"#, true),
        (r#"{"type": {"$startsWith": ["invoice.", "order."]}}"#, true),
        (r#"{"tenant": {"$neq": "acme"}}"#, false),
        (r#"{"previous_data": {"amount": {"$lt": 5}}}"#, true),
        (r#"{"previous_data": {"$exist": false}}"#, false),
        (r#"{"$or": [{"type": "a"}, {"data": {"amount": 5}}], "id": "o-1"}"#, true),
        (r#"{"$not": {"data": {"amount": 5}}}"#, false),
    ] {
        assert_eq!(accepts(filter, event), expected, "{filter}");
    }
    assert!(accepts(r#"{"previous_data": {"$exist": false}}"#, r#"{"data": 1}"#));
}

#[test]
fn changed_compares_a_field_with_the_one_before() {
    let changed = |path: &str, data: &str, previous: &str| {
        let filter = format!(r#"{{"data": {}}}"#, path.replace('C', r#"{"$changed": true}"#));
        let inverse = format!(r#"{{"data": {}}}"#, path.replace('C', r#"{"$changed": false}"#));
        let event = match previous {
            "" => format!(r#"{{"data": {data}}}"#),
            previous => format!(r#"{{"data": {data}, "previous_data": {previous}}}"#),
        };
        let result = accepts(&filter, &event);
        assert_eq!(accepts(&inverse, &event), !result, "{inverse} of {event}");
        result
    };
    let status = r#"{"status": C}"#;
    assert!(changed(status, r#"{"status": "paid"}"#, r#"{"status": "open"}"#));
    assert!(!changed(status, r#"{"status": "paid"}"#, r#"{"status": "paid"}"#));
    assert!(changed(status, r#"{"status": "paid"}"#, "{}"), "added");
    assert!(changed(status, "{}", r#"{"status": "paid"}"#), "removed");
    assert!(!changed(status, "{}", "{}"));
    assert!(!changed(status, r#"{"status": "paid"}"#, ""), "nothing known of before");
    assert!(!changed(status, r#"{"status": 1.10}"#, r#"{"status": 1.1}"#));
    assert!(changed(status, r#"{"status": 12345678901234567890123}"#, r#"{"status": 12345678901234567890124}"#));
    assert!(!changed(status, r#"{"status": {"a": 1, "b": [2]}}"#, r#"{"status": {"b": [2], "a": 1}}"#));
    assert!(changed("C", r#"{"a": 1}"#, r#"{"a": 2}"#));
    assert!(changed(r#"{"$or": [{"status": C}]}"#, r#"{"status": {"a": 1}}"#, r#"{"status": {}}"#));
    assert!(accepts(
        r#"{"data": {"status": {"$changed": true, "$eq": "paid"}}}"#,
        r#"{"data": {"status": "paid"}, "previous_data": {"status": "open"}}"#
    ));
    assert!(!accepts(
        r#"{"data": {"items": {"price": {"$changed": true}}}}"#,
        r#"{"data": {"items": [{"price": 1}]}, "previous_data": {"items": [{"price": 2}]}}"#
    ));
}

/// Conditions for which `simple-json-match` finds the opposite, since a double has 17 digits and an exponent up to 308.
#[test]
fn numbers_beyond_doubles_keep_their_digits() {
    for (condition, data, expected) in [
        ("9007199254740993", "9007199254740992", false),
        (r#"{"$eq": 12345678901234567890123}"#, "12345678901234567890124", false),
        (r#"{"$neq": 12345678901234567890123}"#, "12345678901234567890124", true),
        (r#"{"$gt": 12345678901234567890123}"#, "12345678901234567890124", true),
        (r#"{"$lt": 0.1}"#, "0.09999999999999999999999", true),
        (r#"{"$in": [9007199254740993]}"#, "9007199254740992", false),
        (r#"{"$lt": 1e999999999}"#, "1e999999998", true),
        (r#"{"$gt": 0}"#, "1e-999999999", true),
        ("9007199254740993", r#""9007199254740992""#, false),
        (r#"{"$eq": [1e400]}"#, "[null]", false),
    ] {
        assert_eq!(holds(condition, data), expected, "{condition} of {data}");
    }
    // Names that every object of JavaScript has.
    assert!(!holds(r#"{"constructor": {"$exist": true}}"#, "{}"));
    assert!(holds(r#"{"__proto__": {"$exist": false}}"#, "{}"));
}

#[test]
fn an_error_names_its_place() {
    let deep = format!("{}1{}", r#"{"data":"#.repeat(MAX_DEPTH + 1), "}".repeat(MAX_DEPTH + 1));
    let many = format!(r#"{{"data": {{"$in": [{}1]}}}}"#, "1,".repeat(MAX_CONDITIONS));
    let long = format!(r#"{{"data": "{}"}}"#, "x".repeat(MAX_BYTES));
    for (text, place) in [
        ("5", "filter"),
        ("[]", "filter"),
        ("null", "filter"),
        ("{", "filter"),
        (&long, "filter"),
        (r#"{"amount": 5}"#, "filter.amount"),
        (r#"{"$gte": 5}"#, "filter.$gte"),
        (r#"{"data": {"amount": {"$gte": null}}}"#, "filter.data.amount.$gte"),
        (r#"{"data": {"amount": {"$gte": {"$ref": "data.b"}}}}"#, "filter.data.amount.$gte"),
        (r#"{"data": {"amount": {"$eq": {"$ref": "data.b"}}}}"#, "filter.data.amount.$eq.$ref"),
        (r#"{"data": {"$ref": "type"}}"#, "filter.data.$ref"),
        (r#"{"data": {"a": {"$regex": "x"}}}"#, "filter.data.a.$regex"),
        (r#"{"data": {"a": {"$exist": 1}}}"#, "filter.data.a.$exist"),
        (r#"{"data": {"a": {"$in": ["x", true]}}}"#, "filter.data.a.$in[1]"),
        (r#"{"data": {"a": {"$nin": {}}}}"#, "filter.data.a.$nin"),
        (r#"{"data": {"a": {"$startsWith": ["x", 1]}}}"#, "filter.data.a.$startsWith[1]"),
        (r#"{"data": {"a": {"$gte": 1, "b": 2}}}"#, "filter.data.a.$gte"),
        (r#"{"data": {"a": {"$gte": 1, "$not": 2}}}"#, "filter.data.a.$gte"),
        (r#"{"data": {"$or": [1], "b": 2}}"#, "filter.data.$or"),
        (r#"{"data": {"$or": []}}"#, "filter.data.$or"),
        (r#"{"data": {"$or": {"a": 1}}}"#, "filter.data.$or"),
        (r#"{"data": {"$or": [1, null]}}"#, "filter.data.$or[1]"),
        (r#"{"$and": [{"type": "a"}, {"x": 1}]}"#, "filter.$and[1].x"),
        (r#"{"$not": 5}"#, "filter.$not"),
        (r#"{"data": {"$not": false}}"#, "filter.data.$not"),
        (r#"{"type": {"$changed": true}}"#, "filter.type.$changed"),
        (r#"{"previous_data": {"a": {"$changed": true}}}"#, "filter.previous_data.a.$changed"),
        (&deep, &format!("filter{}", ".data".repeat(MAX_DEPTH + 1))),
        (&many, "filter.data.$in"),
    ] {
        let error = text.parse::<Filter>().unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), ("invalid_filter", Some(place)), "{text:.80}: {error}");
    }
}

#[test]
fn a_filter_that_takes_too_long_lets_the_event_through() {
    let data = format!("[{}1]", "1,".repeat(40_000));
    let event = Content::read("a", "acme", "o-1", &data, None).unwrap();
    // Not one element is 2, so each of the conditions looks at all of them.
    let hostile = parse(&format!(r#"{{"$or": [{}{{"data": 2}}]}}"#, r#"{"data": 2},"#.repeat(200)));
    let once = parse(r#"{"data": 2}"#);
    let mut work = EventWork::in_batch(1_000);
    assert!(!once.accepts(&event, &mut work), "one look at each element is allowed");
    for _ in 0..20 {
        assert!(hostile.accepts(&event, &mut work));
        assert!(hostile.mismatch(&event, &mut work).is_none());
    }
    // The work of the event is used up, and each filter still has its least.
    let small = Content::read("a", "acme", "o-1", "[1, 1]", None).unwrap();
    assert!(once.accepts(&event, &mut work));
    assert!(!once.accepts(&small, &mut work));
}
