//! Filters: any JSON is read or refused, and generated pairs mean what they mean in `simple-json-match`.

use hookpost::domain::filter::{Content, EventWork, Filter};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{check, json_text, object};
use crate::profiles::{REQUIRE_PACKAGES, run};
use crate::support::skipped;

/// Seed of the generated pairs.
const SEED: &str = "HOOKPOST_TEST_SEED";
/// Number of pairs; 4,000 if unset.
const COUNT: &str = "HOOKPOST_TEST_PAIRS";

const PROBE: &str = r#"
let version;
try { version = require("simple-json-match/package.json").version; } catch {}
process.stdout.write(String(version === "1.3.0"));
"#;

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
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, default)]
    previous_data: Option<&'a RawValue>,
}

fn accepts(filter: &Filter, data: &str, previous: Option<&str>) -> bool {
    let content = Content::read("order.paid", "acme", "o-1", data, previous).unwrap();
    let accepts = filter.accepts(&content, &mut EventWork::default());
    assert_eq!(filter.mismatch(&content, &mut EventWork::default()).is_none(), accepts, "{filter:?} of {data}");
    accepts
}

#[test]
fn generated_filters_agree_with_simple_json_match_under_node() {
    if run("node", &["-e", PROBE], b"").as_deref() != Some(b"true") {
        return skipped(REQUIRE_PACKAGES, "node does not find the package simple-json-match 1.3.0 (NODE_PATH)");
    }
    let setting = |name| std::env::var_os(name).map(|text| text.into_string().unwrap());
    let (seed, count) = (setting(SEED).unwrap_or("24301".to_owned()), setting(COUNT).unwrap_or("4000".to_owned()));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/filters/pairs.js");
    let pairs = String::from_utf8(run("node", &[script, &seed, &count], b"").unwrap()).unwrap();
    let mut lines = 0;
    for line in pairs.lines() {
        let Pair { filter, event, matches } = serde_json::from_str(line).unwrap();
        let filter: Filter = filter.get().parse().unwrap();
        let previous = event.previous_data.map(RawValue::get);
        assert_eq!(accepts(&filter, event.data.get(), previous), matches, "{line} (seed {seed})");
        lines += 1;
    }
    assert_eq!(lines.to_string(), count);
}

#[test]
fn any_json_is_a_filter_or_is_refused_with_its_place_and_no_event_makes_it_fail() {
    let conditions = [
        "5",
        "null",
        "[1, \"a\"]",
        r#"{"$gte": 1e400}"#,
        r#"{"$in": ["a", 1]}"#,
        r#"{"$or": [1, {"$not": {}}]}"#,
        r#"{"a": {"$changed": true}}"#,
        r#"{"b": [{"$exist": false}]}"#,
        r#"{"$eq": {"a": [1]}}"#,
    ];
    let fields: Vec<(&str, &[&str])> =
        ["data", "previous_data", "type", "id"].into_iter().map(|name| (name, conditions.as_slice())).collect();
    let filters = prop_oneof![1 => json_text(), 4 => object(&fields)];
    let data = (json_text(), prop::option::of(json_text()));
    check(1_500, (filters, data), |(text, (data, previous))| {
        match text.parse::<Filter>() {
            Ok(filter) => {
                prop_assert_eq!(filter.text(), text.trim());
                let is_json = |text: &str| serde_json::from_str::<&RawValue>(text).is_ok();
                if let Some(content) = Content::read("a.b", "acme", "o-1", &data, previous.as_deref()) {
                    prop_assert!(is_json(&data));
                    let accepts = filter.accepts(&content, &mut EventWork::default());
                    prop_assert_eq!(filter.mismatch(&content, &mut EventWork::default()).is_none(), accepts);
                }
            }
            Err(invalid) => {
                prop_assert_eq!(invalid.code, "invalid_filter");
                prop_assert!(invalid.field.is_some_and(|field| field.starts_with("filter")));
                prop_assert!(invalid.message.ends_with('.') || invalid.message.ends_with("]."), "{}", invalid.message);
            }
        }
        Ok(())
    });
}
