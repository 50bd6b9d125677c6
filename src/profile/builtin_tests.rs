//! Profiles of vendors: their limits hold for any payload.

use serde_json::Value;

use super::find;
use super::template::Scope;
use crate::domain::event::Event;

/// Payloads that are long, deep, or full of what the formats of chats and JSON escape.
fn hostile() -> Vec<String> {
    let texts = [
        "```<!channel> <@U1> @everyone *a* _b_ [x](http://a.test) & &amp; {{ data }} {% x %} \u{2028}\u{202e}\u{0}\u{7f}".to_owned(),
        "\"\\\n\r\t".repeat(1_000),
        "😀".repeat(20_000),
        "&<>`".repeat(20_000),
        "\u{1}".repeat(10_000),
        "x".repeat((1 << 20) - 100),
    ];
    let mut payloads: Vec<String> = texts.iter().map(|text| serde_json::to_string(text).unwrap()).collect();
    // An event has at most 1 MiB, unless the operator allows more.
    let inside = payloads.iter().filter(|text| text.len() < 1 << 18);
    let inside = inside.map(|text| format!("{{\"summary\":{text},\"severity\":{text},\"dedup_key\":{text}}}"));
    payloads.extend(inside.collect::<Vec<_>>());
    payloads.push("[".repeat(120) + &"]".repeat(120));
    payloads.push(format!("[{}1]", "1,".repeat(100_000)));
    let plain =
        ["null", "0", "-1.50E+4", "true", "\"\"", "[]", "{}", r#"{"summary":null,"severity":[],"dedup_key":{}}"#];
    payloads.extend(plain.map(str::to_owned));
    payloads.push(r#"{"severity":"info","event_action":"resolve","dedup_key":"db-1","summary":"up"}"#.to_owned());
    payloads
}

fn event(data: String, test: bool) -> Event {
    Event {
        id: "e".repeat(128).parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        event_type: "t".repeat(128).parse().unwrap(),
        created_ms: 1_768_471_200_000,
        received_ms: 1_768_471_200_000,
        data: data.into(),
        previous_data: None,
        test,
    }
}

fn body(profile: &str, data: String, test: bool) -> String {
    let body = find(profile).unwrap().form().compose(&event(data, test)).unwrap_or_else(|e| panic!("{profile}: {e}"));
    String::from_utf8(body).unwrap()
}

/// Length as JavaScript counts, which is the most that a vendor counts.
fn units(value: &Value) -> usize {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).encode_utf16().count()
}

#[test]
fn messages_keep_the_limits_of_their_vendors() {
    for data in hostile() {
        for test in [false, true] {
            let json = |profile: &str| -> Value { serde_json::from_str(&body(profile, data.clone(), test)).unwrap() };
            let slack = json("slack");
            let text = slack["text"].as_str().unwrap();
            assert!(units(&slack["text"]) <= 40_000);
            assert!(!text.contains("<!") && !text.contains("<@") && text.matches("```").count() == 2, "{text}");
            let embed = json("discord")["embeds"][0].clone();
            assert!(units(&embed["title"]) <= 256 && units(&embed["description"]) <= 4_096);
            assert_eq!(embed["description"].as_str().unwrap().matches("```").count(), 2);
            assert!(body("teams", data.clone(), test).len() <= 28 << 10);
            assert_eq!(json("teams")["attachments"][0]["content"]["type"], "AdaptiveCard");
            let text = &json("telegram")["text"];
            assert!((1..=4_096).contains(&units(text)));
            assert!((1..=4_096).contains(&body("ntfy", data.clone(), test).len()));
            let alert = json("pagerduty");
            assert!(body("pagerduty", data.clone(), test).len() < 512 << 10);
            assert!((1..=1_024).contains(&units(&alert["payload"]["summary"])), "{alert}");
            assert!((1..=255).contains(&alert["dedup_key"].as_str().unwrap().chars().count()));
            assert!(["critical", "error", "warning", "info"].contains(&alert["payload"]["severity"].as_str().unwrap()));
            assert!(["trigger", "resolve"].contains(&alert["event_action"].as_str().unwrap()));
        }
    }
}

#[test]
fn an_alert_takes_its_severity_key_and_action_from_the_data() {
    let data = r#"{"severity":"info","event_action":"resolve","dedup_key":"db-1","summary":"up"}"#;
    let alert: Value = serde_json::from_str(&body("pagerduty", data.to_owned(), false)).unwrap();
    assert_eq!((&alert["event_action"], &alert["dedup_key"]), (&"resolve".into(), &"db-1".into()));
    assert_eq!((&alert["payload"]["severity"], &alert["payload"]["summary"]), (&"info".into(), &"up".into()));
}

#[test]
fn a_cloud_event_has_the_required_attributes_and_the_data_untouched() {
    let data = "{ \"n\": 12345678901234567890123, \"n\": 1.10 }";
    let structured = body("cloudevents", data.to_owned(), true);
    assert!(structured.contains(data), "{structured}");
    let value: Value = serde_json::from_str(&structured).unwrap();
    for attribute in ["id", "source", "specversion", "type", "time", "datacontenttype"] {
        assert!(value[attribute].as_str().is_some_and(|text| !text.is_empty()), "{attribute}");
    }
    assert_eq!((&value["specversion"], &value["test"]), (&"1.0".into(), &true.into()));
    assert_eq!(body("cloudevents-binary", data.to_owned(), true), data);
}

#[test]
fn every_profile_of_a_vendor_has_an_example_and_a_header_for_any_event() {
    for profile in super::builtin().values().filter(|profile| profile.spec().signatures.is_empty()) {
        assert!(profile.spec().example.is_some(), "{}", profile.name());
        let event = event("null".to_owned(), true);
        let scope = Scope { event: &event, webhook: None, attempt: None };
        for template in profile.header_templates().iter().flatten() {
            let value = template.render(super::template::Output::Text, &scope).unwrap();
            assert!(super::spec::is_header_value(&value), "{value}");
        }
    }
}
