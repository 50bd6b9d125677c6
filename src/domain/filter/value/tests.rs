use super::*;

fn printed(text: &str) -> String {
    let mut out = String::new();
    Json::read(text).unwrap().print(&mut out, usize::MAX - 1);
    out
}

#[test]
fn a_tree_prints_as_javascript_prints_it() {
    for (text, expected) in [
        (
            r#" {"b": 1.10, "a": [true, null, -0.0], "10": 1, "2": "x\u00e9\n"} "#,
            r#"{"2":"xé\n","10":1,"b":1.1,"a":[true,null,0]}"#,
        ),
        (r#"{"a": 1, "b": 2, "a": 3}"#, r#"{"a":3,"b":2}"#),
        (r#"{"01": 1, "1": 2, "-1": 3, "4294967295": 4}"#, r#"{"1":2,"01":1,"-1":3,"4294967295":4}"#),
        ("[]", "[]"),
        ("{}", "{}"),
        ("1e21", "1e+21"),
    ] {
        assert_eq!(printed(text), expected, "{text}");
    }
}

#[test]
fn a_text_that_is_not_json_is_none() {
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    for text in
        ["", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "nul", "1 2", "\"a", "\"\\", "\"\\ud800\"", "-", "\"\n\"", &deep]
    {
        assert!(Json::read(text).is_none(), "{text:?}");
    }
}

#[test]
fn deep_equality_keeps_every_digit_and_may_regard_order() {
    let is_equal = |one: &str, two: &str, by_order| {
        let (one, two) = (Json::read(one).unwrap(), Json::read(two).unwrap());
        one.equals(&two, by_order, &mut Work::new(1_000)).unwrap()
    };
    assert!(is_equal("[1.10, 1e2]", "[1.1, 100]", true));
    assert!(!is_equal("[12345678901234567890123]", "[12345678901234567890124]", false));
    let (one, two) = (r#"{"a": 1, "b": {"c": 2, "d": 3}}"#, r#"{"b": {"d": 3, "c": 2}, "a": 1}"#);
    assert!(is_equal(one, two, false) && !is_equal(one, two, true));
    assert!(is_equal(r#"{"2": 1, "a": 1}"#, r#"{"a": 1, "2": 1}"#, true));
    assert!(is_equal(r#"{"a": 0, "a": 1, "b": 1}"#, r#"{"a": 1, "b": 1}"#, true));
}
