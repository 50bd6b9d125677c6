use super::*;

fn event(data: &str) -> Event {
    Event {
        id: "evt_1".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        event_type: "order.paid".parse().unwrap(),
        created_ms: 1_768_471_200_000,
        received_ms: 1_768_471_200_000,
        data: data.into(),
        previous_data: None,
        test: false,
    }
}

fn render(source: &str, output: Output, data: &str) -> Result<String, TemplateError> {
    let event = event(data);
    let facts = WebhookFacts { id: "wh_1".into(), description: "Shop \"A\"".into() };
    let scope = Scope { event: &event, webhook: Some(&facts), attempt: None };
    Template::parse(source, Use::Body)?.render(output, &scope)
}

fn text(source: &str, data: &str) -> String {
    render(source, Output::Text, data).unwrap()
}

fn json(source: &str, data: &str) -> String {
    render(source, Output::Json, data).unwrap()
}

#[test]
fn a_value_is_json_outside_of_quotation_marks_and_the_content_of_a_string_inside() {
    let data = r#"{"name": "Bob \"the\\ \n 😀 }} {{ x", "n": 1.10, "list": [1,  2], "nothing": null}"#;
    let source = r#"{"a": {{ data.name }}, "b": "Hi {{ data.name }}\\", "c\"": {{ data.list }}, "d": "{{ data.list }} {{ data.n }}", "e": {{ data.nothing }}}"#;
    let value: serde_json::Value = serde_json::from_str(&json(source, data)).unwrap();
    assert_eq!(value["a"], "Bob \"the\\ \n 😀 }} {{ x");
    assert_eq!(value["b"], "Hi Bob \"the\\ \n 😀 }} {{ x\\");
    assert_eq!(value["c\""], serde_json::json!([1, 2]));
    assert_eq!(value["d"], "[1,  2] 1.10");
    assert_eq!(value["e"], serde_json::Value::Null);
}

#[test]
fn numbers_come_out_as_the_application_wrote_them_and_compare_as_decimals() {
    let data = r#"{"big": 12345678901234567890123, "price": 1.10, "e": 1E400, "cents": 1999, "zero": -0}"#;
    assert_eq!(
        json(r#"[{{ data.big }}, {{ data.price }}, {{ data.e }}, "{{ data.zero }}"]"#, data),
        "[12345678901234567890123, 1.10, 1E400, \"-0\"]"
    );
    assert_eq!(
        text(
            "{{ data.cents / 100 }} {{ data.price + 1 }} {{ data.cents * 10 }} {{ -data.cents // 100 }} {{ data.cents % 100 }}",
            data
        ),
        "19.99 2.10 19990 -20 99"
    );
    assert_eq!(text("{{ (data.cents / 7)|round(2) }} {{ 2.5|round }} {{ -1.005|round(2) }}", data), "285.57 3 -1.01");
    for yes in [
        "data.big > 12345678901234567890122",
        "data.big == 12345678901234567890123",
        "data.e > data.big",
        "data.price == 1.1",
        "data.zero == 0",
        "0.05 < 0.5",
        "-3 < -2.9",
    ] {
        assert_eq!(text(&format!("{{{{ {yes} }}}}"), data), "true", "{yes}");
    }
}

#[test]
fn filters_and_statements_do_what_their_names_say() {
    let data = r#"{"items": [{"n": "b", "q": 2}, {"n": "a", "q": 1}], "map": {"x": 1, "y": [true]}, "t": "héllo wörld", "empty": ""}"#;
    for (source, expected) in [
        (
            "{{ data.t|upper }} {{ data.t|title }} {{ data.t|capitalize }} {{ data.t|length }}",
            "HÉLLO WÖRLD Héllo Wörld Héllo wörld 11",
        ),
        (
            "{{ data.t|truncate(6) }}|{{ data.t|truncate(40) }}|{{ data.t[:5] }}|{{ data.t[-5:] }}|{{ data.t[0] }}",
            "héllo…|héllo wörld|héllo|wörld|h",
        ),
        (
            "{{ data.items|map(attribute='n')|join(', ') }} {{ data.items|sort(attribute='q')|map('n')|first }} {{ data.items|join('-', attribute='q') }}",
            "b, a a 2-1",
        ),
        ("{% for i in data.items if i.q > 1 %}{{ loop.index }}/{{ loop.length }} {{ i.n }}{% endfor %}", "1/1 b"),
        ("{% for k, v in data.map|items %}{{ k }}={{ v }}{{ '' if loop.last else ', ' }}{% endfor %}", "x=1, y=[true]"),
        ("{% for x in data.missing|default([]) %}{% else %}none{% endfor %}", "none"),
        ("{{ data.empty|default('?', true) }}{{ data.missing|default('!') }}{{ data.missing|d }}", "?!"),
        ("{% set n = data.items|length %}{% if n > 5 %}many{% elif n == 2 %}two{% else %}few{% endif %}", "two"),
        (
            "{{ 'x' in data.map }} {{ 'z' not in data.map }} {{ 'lo' in data.t }} {{ data.x is defined }} {{ data.map is mapping }}",
            "true true true false true",
        ),
        (
            "{{ event.type|split('.')|last }} {{ event.type is startingwith('order') }} {{ event.created_at }} {{ event.created_unix }}",
            "paid true 2026-01-15T10:00:00Z 1768471200",
        ),
        ("{{ data.map|tojson(indent=2) }}", "{\n  \"x\": 1,\n  \"y\": [\n    true\n  ]\n}"),
        (
            "{{ '<a href=\"x\">'|e }} {{ 'a b/ü'|urlencode }} {{ 'Grüße'|rfc2047 }}",
            "&lt;a href=&quot;x&quot;&gt; a%20b%2F%C3%BC =?UTF-8?B?R3LDvMOfZQ==?=",
        ),
        (
            "{% with a = 1 %}{{ a }}{% endwith %}{{ [1, 2] == [1, 2.0] }}{{ {'a': [1]} == {'a': [1]} }} {{ previous_data }}",
            "1truetrue null",
        ),
        (
            "{{ 'abc'|reverse }} {{ '7'|int + 1 }} {{ -7.9|int }} {{ webhook.description ~ 1 ~ true }}",
            "cba 8 -7 Shop \"A\"1true",
        ),
        ("{% if data.missing %}a{% endif %}{% if not data.empty and data.t or data.x %}b{% endif %}", "b"),
    ] {
        assert_eq!(text(source, data), expected, "{source}");
    }
}

#[test]
fn a_fault_has_its_line_and_column() {
    for (source, at, part) in [
        ("{\n  \"a\": {{ data.a", (2, 18), "nexpected end"),
        ("é{{ dta.x }}", (1, 5), "`dta` is not defined"),
        ("\n\n{{ event.kind }}", (3, 4), "has no field `kind`"),
        ("{{ data.x|shout }}", (1, 4), "no filter `shout`"),
        ("{{ range(3) }}", (1, 4), "no functions"),
        ("{% include 'x' %}", (1, 4), "nknown statement include"),
        ("{% macro a() %}{% endmacro %}", (1, 4), "nknown statement macro"),
        ("{% set a %}x{% endset %}", (1, 4), "not available"),
        ("{% set data = 1 %}", (1, 8), "cannot be changed"),
        ("{{ delivery.id }}", (1, 4), "`delivery` is not defined"),
        ("{{ data.x is odd }}", (1, 4), "no test `odd`"),
        ("{{ data|replace('a', 'b', 'c') }}", (1, 4), "takes these values: from, to"),
    ] {
        let error = Template::parse(source, Use::Body).unwrap_err();
        assert!(error.message.contains(part), "{source}: {error}");
        assert_eq!(error.at.map(|(line, _)| line), Some(at.0), "{source}: {error}");
        assert!(error.to_string().starts_with("Line "), "{error}");
    }
    let error = render("{\n \"a\": {{ data.user.email }}}", Output::Json, r#"{"user": {}}"#).unwrap_err();
    assert_eq!(error.to_string(), "Line 2, column 10: `data.user.email` is undefined.");
    let error = render("{\"a\": }", Output::Json, "{}").unwrap_err();
    assert!(error.to_string().starts_with("The result is not JSON: expected value at line 1 column 7"), "{error}");
    assert_eq!(Template::parse(&"x".repeat(MAX_CHARS + 1), Use::Body).unwrap_err().at, None);
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let page = include_str!("../../../docs/templates.md");
    let data = r#"{"id": 7, "cents": 1999, "items": [{"name": "a\"b", "count": 1}, {"name": "c", "count": 2}]}"#;
    let blocks: Vec<&str> = page.split("```jinja\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let value: serde_json::Value = serde_json::from_str(&json(block, data)).unwrap();
        assert_eq!(value["text"], "Order 7 over 19.99 €");
    }
    for name in [filter::Filter::list(), condition::Test::list()] {
        let (_, names) = name.trim_end_matches('.').split_once(" are ").unwrap();
        for name in names.split(", ") {
            assert!(page.contains(&format!("`{name}")), "{name} is missing in docs/templates.md");
        }
    }
}

/// Renders in a thread with the stack of a worker.
fn render_in_worker(source: String, output: Output, data: String) -> Result<String, TemplateError> {
    let worker = std::thread::Builder::new().stack_size(512 << 10);
    worker.spawn(move || render(&source, output, &data)).unwrap().join().unwrap()
}

#[test]
fn hostile_templates_end_soon_with_an_error_or_a_bounded_result() {
    let list = format!("[{}]", vec!["\"item\""; 10_000].join(","));
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{{{{ {}{inner}{} }}}}", open.repeat(times), close.repeat(times))
    };
    let doubled = |step: &str| format!("{{% set a = 'x' %}}{}{{{{ a|length }}}}", step.repeat(60));
    let templates = [
        "{% for a in data %}{% for b in data %}{% for c in data %}x{% endfor %}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in data %}{% for b in data %}{% if data == data %}{% endif %}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in data %}{{ data|sort|join(data|join)|length }}{% endfor %}".to_owned(),
        "{% for a in data %}{{ data|tojson(indent=8) }}{% endfor %}".to_owned(),
        "{% for a in data %}{{ data|join|reverse|first }}{% endfor %}".to_owned(),
        "{% for a in data %}{% set b = data|map('x') %}{% endfor %}".to_owned(),
        doubled("{% set a = a ~ a %}"),
        doubled("{% set a = a + a %}"),
        doubled("{% set a = a|replace('x', a) %}"),
        doubled("{% set a = [a, a]|join(a) %}"),
        doubled("{% set a = a|tojson ~ a %}"),
        doubled("{% set a = [a, a, a] %}"),
        format!("{{% set a = 9 %}}{}{{{{ a }}}}", "{% set a = a * a %}".repeat(60)),
        format!("{{% set a = [] %}}{}{{{{ a == a }}}}", "{% set a = [a] %}".repeat(1_500)),
        "{{ ('a' * 100000000) ~ ('a' * 100000000) }}".to_owned(),
        "{{ 9 ** 9 ** 9 ** 9 }}".to_owned(),
        "{{ 1e999999999 + 1 }} {{ 1e400 // 3 }} {{ 5|round(4000000000) }} {{ 1e-300 * 1e-300 }}".to_owned(),
        nested("(", "1", ")", 10_000),
        nested("[", "1", "]", 10_000),
        nested("not ", "1", "", 8_000),
        nested("-", "1", "", 16_000),
        nested("{'a': ", "1", "}", 4_000),
        nested("", "1", " + 1", 8_000),
        nested("", "1", " ~ 1", 8_000),
        nested("", "data", ".a", 16_000),
        nested("", "data", "[0]", 10_000),
        nested("", "1", "|string", 4_000),
        nested("1 if 1 else ", "1", "", 2_000),
        nested("1 and ", "1", "", 5_000),
        nested("1 == ", "1", "", 5_000),
        nested("(", "1", ")", 28),
        nested("[", "1", "]", 29),
        nested("{'a': ", "1", "}", 29),
        nested("", "data", "|list", 28),
        nested("", "1", " + 1", 28),
        nested("data[", "1", "]", 28),
        format!("{}{}", "{% if 1 %}".repeat(1_600), "{% endif %}".repeat(1_600)),
        format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(2_500)),
        format!("{}{}", "{% for a in data %}".repeat(30), "{% endfor %}".repeat(30)),
        "{{".repeat(16_000),
        "{%".repeat(16_000),
        "{#".repeat(16_000),
        "{% raw %}".repeat(3_000),
        format!("{{{{ '{}", "\\".repeat(30_000)),
    ];
    for source in templates {
        let shown: String = source.chars().take(80).collect();
        let started = std::time::Instant::now();
        let result = render_in_worker(source, Output::Text, list.clone());
        let took = started.elapsed();
        assert!(took < std::time::Duration::from_secs(4), "{shown}: {took:?}");
        match result {
            Ok(text) => assert!(text.len() <= MAX_OUTPUT_BYTES, "{shown}"),
            Err(error) => assert!(!error.message.is_empty(), "{shown}"),
        }
    }
}

#[test]
fn a_chain_of_texts_may_be_long_and_conditions_many() {
    let chain = vec!["'a'"; 400].join(" ~ ");
    assert_eq!(text(&format!("{{{{ {chain} }}}}"), "{}"), "a".repeat(400));
    let conditions: String = (0..300).map(|at| format!("{{% elif data == {at} %}}{at}")).collect();
    assert_eq!(text(&format!("{{% if false %}}{conditions}{{% endif %}}"), "299"), "299");
}

#[test]
fn a_payload_of_the_largest_size_and_depth_is_rendered() {
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let large =
        format!(r#"{{"list": [{}], "text": "{}"}}"#, vec!["0"; 300_000].join(","), "a\\u2028\u{2028}".repeat(20_000));
    let source =
        r#"{"a": {{ data }}, "b": "{{ data }}", "c": {{ data == data }}, "n": {{ data.list|default([])|length }}}"#;
    for data in [deep, large] {
        let result = render_in_worker(source.to_owned(), Output::Json, data.clone()).unwrap();
        assert!(result.starts_with(&format!(r#"{{"a": {data}, "b": ""#)));
    }
    let both =
        format!("{{\"a\": {}, \"b\": {}}}", "[".repeat(126) + &"]".repeat(126), "[ ".repeat(126) + &"]".repeat(126));
    assert_eq!(render_in_worker("{{ data.a == data.b }}".to_owned(), Output::Json, both).unwrap(), "true");
    let quotes = format!("{{\"t\": \"{}\"}}", "\\\"".repeat(500_000));
    let rendered = render_in_worker(r#"{"t": "{{ data.t }}"}"#.to_owned(), Output::Json, quotes.clone()).unwrap();
    assert_eq!(rendered, quotes);
    assert!(render_in_worker(r#"["{{ data }}", {{ data }}]"#.to_owned(), Output::Json, quotes).is_err());
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    const TEMPLATES: [&str; 7] = [
        r#"{"all": {{ data }}, "text": "{{ data }}"}"#,
        r#"{"text": "{% for k, v in data|items %}{{ k }}: {{ v }}\n{% endfor %}", "keys": [{% for k in data %}{{ k }}{% if not loop.last %},{% endif %}{% endfor %}]}"#,
        "[{% for k, v in data|items %}{% if v is string %}{{ v|upper|truncate(20) }},{% endif %}{% endfor %}{{ event.type ~ \" \" ~ data }}]",
        r#"{"text": {{ "```" ~ data|tojson(indent=2) ~ "```" }}, "d": {{ data|tojson(indent=3) }}}"#,
        r#"["{{ data.items|default(data.keys)|default("none") }}", {{ data["loop"]|default(null) }}, {{ data.a.b.c|default(0) if data.a is mapping and data.a.b is mapping else 1 }}]"#,
        r#"["{{ data|string|e|replace("&", "\"")|replace("o", "\\") }}", {{ data|string|urlencode }}]"#,
        r#"[{{ [data, {"x": data, "\"": [data]}] }}, "{{ [data]|first }}", {{ data|length / 3 }}]"#,
    ];

    fn json() -> impl Strategy<Value = String> {
        let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,5})?";
        let word = prop_oneof![
            any::<String>(),
            "[\"'{}%\\\\\u{2028}\u{2029}\u{0}-\u{1f}<&]{0,12}",
            Just("{{ data }}{% raw %}".to_owned()),
            Just("\u{10ffff}\"}},{".to_owned()),
        ];
        let key = prop_oneof![word.clone(), "(items|keys|values|loop|get|__class__|__proto__|a|b|c|self|data|event)"];
        let quoted = |text: String| serde_json::to_string(&text).unwrap();
        let escaped = any::<Vec<char>>().prop_map(|text| {
            let mut units = [0; 2];
            let mut json = String::from("\"");
            for character in text {
                for unit in character.encode_utf16(&mut units) {
                    json.push_str(&format!("\\u{unit:04X}"));
                }
            }
            json + "\""
        });
        let leaf =
            prop_oneof![Just("null".to_owned()), Just("true".to_owned()), number, word.prop_map(quoted), escaped,];
        let value = leaf.prop_recursive(5, 60, 6, move |inner| {
            let pair = (key.clone(), inner.clone()).prop_map(move |(key, value)| format!("{} :\t{value}", quoted(key)));
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(" ,\n"))),
                prop::collection::vec(pair, 0..6).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
            ]
        });
        prop::collection::vec(value, 0..4).prop_map(move |values| {
            let names = ["items", "a", "loop", "keys"];
            let members = values.iter().zip(names).map(|(value, name)| format!("\"{name}\":{value}"));
            format!(" {{{}}} ", members.collect::<Vec<_>>().join(","))
        })
    }

    proptest! {
        #[test]
        fn any_payload_makes_valid_json_or_an_error_about_the_template(data in json()) {
            for source in TEMPLATES {
                match render(source, Output::Json, &data) {
                    Ok(result) => prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&result).is_ok()),
                    Err(error) => prop_assert!(!error.message.contains("not JSON"), "{source}: {data}: {error}"),
                }
            }
        }

        #[test]
        fn a_printed_payload_is_as_the_application_wrote_it(data in json()) {
            let result = render("{{ data }}", Output::Json, &data).unwrap();
            prop_assert_eq!(result, data.trim());
        }

        #[test]
        fn any_text_is_a_template_or_an_error(source in "[{}%#a-c0-9.|~\"'()\\[\\] ,:=+*-]{0,60}|(\\{\\{|\\}\\}|\\{%|%\\}| for | in | if |data|\\.a|\\|length|[0-9]|\\(|\\)){0,30}") {
            let _ = render(&source, Output::Json, "{\"a\": [1]}");
        }
    }
}
