//! Property tests of everything that parses bytes from outside: never a panic or an internal error; an accepted value
//! prints and parses to the same; an error has a code and a sentence. `PROPTEST_CASES=n` sets the number of cases of each.

mod api;
mod domain;
mod filters;
mod pages;

use std::fmt::{self, Debug};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Runs a property on this many cases, unless the environment says how many. A failure shows the smallest case.
#[track_caller]
pub fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    // Reads the environment.
    let mut config = Config { failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if let Err(fault) = TestRunner::new(config).run(&strategy, test) {
        panic!("{fault}");
    }
}

/// Texts of JSON, mostly correct.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0",
            "1e400",
            "12345678901234567890123",
            "1.50",
            "NaN",
            "",
            "\"\\ud800\""
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,")));
        let field = ("[a-c]?", inner).prop_map(|(name, value)| format!("\"{name}\": {value}"));
        let object = prop::collection::vec(field, 0..4).prop_map(|fields| format!("{{{}}}", fields.join(",")));
        prop_oneof![list, object]
    })
}

/// Texts of JSON objects with some of these fields, each with a likely or another value.
fn object(fields: &[(&str, &[&str])]) -> impl Strategy<Value = String> + use<> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, likely)| {
            let (name, likely): (String, Vec<String>) =
                ((*name).to_owned(), likely.iter().map(|text| (*text).to_owned()).collect());
            let value = prop_oneof![12 => select(likely), 1 => json_text()];
            prop::option::weighted(0.8, value).prop_map(move |value| value.map(|value| format!("{name:?}:{value}")))
        })
        .collect();
    fields.prop_map(|fields| format!("{{{}}}", fields.into_iter().flatten().collect::<Vec<_>>().join(",")))
}

/// Some bytes changed, left out or inserted.
fn damaged(text: impl Strategy<Value = String>) -> impl Strategy<Value = Bytes> {
    let change = (any::<Index>(), any::<u8>(), 0..3);
    let changes = prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(change, 1..4)];
    (text, changes).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (index, byte, kind) in changes {
            let at = index.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                _ if at == bytes.len() => {}
                1 => bytes[at] = byte,
                _ => drop(bytes.remove(at)),
            }
        }
        Bytes(bytes)
    })
}

/// Bytes that print as text.
#[derive(Clone)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Bytes as they stand in the query of a URL.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
