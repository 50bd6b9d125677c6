//! Invalid JSON in the body of every call.

use super::{Ids, error, error_in, rows};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::receiver::Receiver;

/// Every call with a body: method, path, and a valid body in which `@` stands for a value.
const PLACES: [(&str, &str, &str); 8] = [
    ("POST", "/v1/events", r#"{"type":"a.b","data":@}"#),
    ("POST", "/v1/webhooks", r#"{"url":"http://127.0.0.1:9/","events":["a"],"description":@}"#),
    ("POST", "/api/webhooks", r#"{"url":"http://127.0.0.1:9/","events":["a"],"secret":@}"#),
    ("POST", "/v1/webhooks/settings", r#"{"url":@,"events":["a"]}"#),
    ("PATCH", "/v1/webhooks/{w}", r#"{"description":@}"#),
    ("POST", "/v1/webhooks/{w}/secret/rotate", r#"{"secret":@}"#),
    ("POST", "/v1/webhooks/{w}/test", r#"{"event_type":"a.b","data":@}"#),
    ("POST", "/v1/webhooks/test", r#"{"event":"a.b","data":@}"#),
];

struct World {
    hub: Hub,
    ids: Ids,
    before: ([usize; 3], String, String),
}

impl World {
    fn new(receiver: &Receiver) -> World {
        let hub = Hub::start();
        let ids = Ids::in_tenant(&hub, "default", &receiver.url());
        hub.deliver_until_idle();
        let mut world = World { hub, ids, before: Default::default() };
        world.before = world.state();
        world
    }

    fn state(&self) -> ([usize; 3], String, String) {
        let path = format!("/v1/webhooks/{}", self.ids.webhook);
        let secret = self.hub.get(&format!("{path}/secret"));
        (rows(&self.hub), self.hub.get(&path).text, secret.text)
    }

    fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let headers = [("x-api-key", self.hub.key.as_str()), ("content-type", "application/json")];
        self.hub.send(method, &self.ids.fill(path), &headers, body)
    }

    #[track_caller]
    fn assert_unchanged(&self) {
        assert_eq!(self.state(), self.before);
    }
}

#[test]
fn what_is_not_json_is_a_400_everywhere_and_changes_nothing() {
    let receiver = Receiver::start();
    let world = World::new(&receiver);
    for (method, path, template) in PLACES {
        let good = template.replace('@', "\"a\"");
        let value = |text: &str| template.replace('@', text).into_bytes();
        let cut = good.len() - 1;
        for (case, body) in [
            ("cut", good.as_bytes()[..cut].to_vec()),
            ("cut early", b"{".to_vec()),
            ("cut in a text", good.as_bytes()[..10].to_vec()),
            ("BOM", [b"\xef\xbb\xbf", good.as_bytes()].concat()),
            ("UTF-16", good.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            ("trailing", [good.as_bytes(), b"x"].concat()),
            ("two", [good.as_bytes(), good.as_bytes()].concat()),
            ("trailing comma", value("\"a\",")),
            ("NaN", value("NaN")),
            ("Infinity", value("-Infinity")),
            ("single quotes", value("'a'")),
            ("leading zero", value("01")),
            ("comment", value("/* */ 1")),
            ("raw NUL", value("\"a\0b\"")),
            ("raw line end", value("\"a\nb\"")),
            ("bad escape", value(r#""\x41""#)),
            ("white space", b"  \n".to_vec()),
            ("NUL alone", b"\0".to_vec()),
            ("gzip", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
            ("bad UTF-8", [&value("\"")[..], b"\xff\xfe\"}"].concat()),
            ("bad UTF-8 in the value", replace(template, b"\"\xff\xfe\"")),
            ("overlong UTF-8", replace(template, b"\"\xc0\xaf\"")),
            ("UTF-8 surrogate", replace(template, b"\"\xed\xa0\x80\"")),
        ] {
            let answer = world.send(method, path, &body);
            assert_eq!(answer.status, 400, "{case} at {path}: {}", answer.text);
            error(&answer, 400, "malformed_json");
        }
    }
    world.assert_unchanged();
    assert_eq!(receiver.hits(), 1);
}

fn replace(template: &str, value: &[u8]) -> Vec<u8> {
    let (before, after) = template.split_once('@').unwrap();
    [before.as_bytes(), value, after.as_bytes()].concat()
}

#[test]
fn json_of_another_shape_is_a_422_everywhere_and_changes_nothing() {
    let receiver = Receiver::start();
    let world = World::new(&receiver);
    for (method, path, template) in PLACES {
        for body in ["[]", "null", "1", "\"a\"", "true", "[{}]"] {
            let answer = world.send(method, path, body.as_bytes());
            error(&answer, 422, "invalid_type");
        }
        for surrogate in [r#""\ud83d""#, r#""\ude00""#, r#"{"\udfff":1}"#] {
            let answer = world.send(method, path, template.replace('@', surrogate).as_bytes());
            error(&answer, 422, "lone_surrogate");
        }
        let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
        let answer = world.send(method, path, template.replace('@', &deep).as_bytes());
        error(&answer, 422, "too_deep");
        let endless = template.replace('@', &"[".repeat(500_000));
        error(&world.send(method, path, endless.as_bytes()), 422, "too_deep");
        let key = if path.contains("/test") || path == "/v1/events" { "data" } else { "secret" };
        let name = template.split('"').nth(1).unwrap_or(key);
        let twice = format!(r#"{{"{name}":"a.b",{}"#, &template.replace('@', "1")[1..]);
        error_in(&world.send(method, path, twice.as_bytes()), 422, "duplicate_field", name);
        if path != "/v1/webhooks/test" {
            let unknown = format!(r#"{{"what":1,{}"#, &template.replace('@', "\"a\"")[1..]);
            error_in(&world.send(method, path, unknown.as_bytes()), 422, "unknown_field", "what");
        }
    }
    world.assert_unchanged();
    assert_eq!(receiver.hits(), 1);
}

#[test]
fn a_number_beyond_all_bounds_is_never_taken_for_a_setting() {
    let receiver = Receiver::start();
    let world = World::new(&receiver);
    let path = format!("/v1/webhooks/{}", world.ids.webhook);
    for number in ["1e400", "-1e400", "12345678901234567890123", "1e-400", "5.5", "-0"] {
        for body in [
            format!(r#"{{"timeout_s":{number}}}"#),
            format!(r#"{{"rate_limit_per_s":{number}}}"#),
            format!(r#"{{"url":{number}}}"#),
            format!(r#"{{"retry":{{"delays_s":[1,{number}0000000]}}}}"#),
        ] {
            let answer = world.send("PATCH", &path, body.as_bytes());
            let tiny = body.contains("1e-400") && body.contains("retry");
            let zero = body.contains("-0000") || body.contains("5.50000");
            if !(tiny || zero) {
                assert!(matches!(answer.status, 400 | 422), "{body}: {}", answer.text);
                answer.error_code();
            }
        }
    }
}

#[test]
fn data_may_be_anything_that_is_json() {
    let receiver = Receiver::start();
    let world = World::new(&receiver);
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    for data in [
        "null",
        "1e400",
        "-1e400",
        "12345678901234567890123",
        "\"\\u0000\"",
        "[]",
        "\"\"",
        &deep,
        r#"{"a":1,"a":2}"#,
        r#""\ud83d\ude00""#,
        "\"\u{2028}\u{feff}\"",
        "-0.0",
    ] {
        for (method, path, template) in [PLACES[0], PLACES[6], PLACES[7]] {
            let answer = world.send(method, path, template.replace('@', data).as_bytes());
            assert!(answer.status < 300, "{data} at {path}: {}", answer.text);
        }
        world.hub.deliver_until_idle();
        let body = receiver.last().text().to_owned();
        assert!(body.contains(data), "{data}: {body}");
    }
    for path in ["/v1/events?limit=250", "/v1/deliveries?limit=250"] {
        world.hub.get(path).expect(200);
    }
}

#[test]
fn an_empty_body_asks_for_what_is_missing_or_for_the_defaults() {
    let receiver = Receiver::start();
    let world = World::new(&receiver);
    for (path, field) in [
        ("/v1/events", "type"),
        ("/v1/webhooks", "url"),
        ("/api/webhooks", "url"),
        ("/v1/webhooks/settings", "url"),
        ("/v1/webhooks/test", "webhook_id"),
    ] {
        error_in(&world.send("POST", path, b""), 422, "missing_field", field);
    }
    world.send("PATCH", "/v1/webhooks/{w}", b"").expect(200);
    world.assert_unchanged();
    world.send("POST", "/v1/webhooks/{w}/test", b"").expect(200);
    world.send("POST", "/v1/webhooks/{w}/secret/rotate", b"").expect(200);
}
