//! Bodies arrive byte for byte: hundreds of generated values, compared with the requests of a real receiver.

use std::collections::HashMap;

use super::ecmascript::Generator;
use crate::support::Hub;
use crate::support::receiver::Receiver;
use hookpost::profile::ecmascript::stringify;
use serde_json::json;

const CASES: usize = 600;
/// Number of publishing threads.
const AT_ONCE: usize = 8;

#[test]
fn generated_data_arrives_byte_for_byte_or_in_the_ecmascript_form() {
    let mut generator = Generator(0xb0d7);
    let data: Vec<[String; 2]> = (0..CASES).map(|_| [generator.text(), generator.text()]).collect();

    let hub = Hub::start();
    let receiver = Receiver::start();
    for profile in ["generic", "github", "socialsyncer"] {
        let url = receiver.url_at(&format!("/{profile}"));
        hub.add_webhook_with(url, &json!({"profile": profile, "max_in_flight": 16}));
    }
    std::thread::scope(|scope| {
        for first in 0..AT_ONCE {
            let (hub, data) = (&hub, &data);
            scope.spawn(move || {
                for index in (first..CASES).step_by(AT_ONCE) {
                    let [data, previous] = &data[index];
                    let body = format!(r#"{{"id":"e{index}","type":"a.b","previous_data":{previous},"data":{data}}}"#);
                    hub.post_text("/v1/events", &body).expect(202);
                }
            });
        }
    });
    hub.deliver_until_idle();

    let arrived: HashMap<(String, String), Vec<u8>> = receiver
        .requests()
        .into_iter()
        .map(|request| {
            let id = request.header("webhook-id").unwrap().to_owned();
            ((request.path, id), request.body)
        })
        .collect();
    assert_eq!(arrived.len(), 3 * CASES);
    for (index, [data, previous]) in data.iter().enumerate() {
        // White space around a value is not part of it.
        let (data, previous) = (trimmed(data), trimmed(previous));
        let id = format!("e{index}");
        let generic = format!(
            r#"{{"id":"{id}","type":"a.b","created_at":"2026-01-15T10:00:00Z","data":{data},"previous_data":{previous}}}"#
        );
        let social = stringify(&format!(r#"{{"event":"a.b","timestamp":"2026-01-15T10:00:00Z","data":{data}}}"#));
        for (path, expected) in
            [("/generic", generic), ("/github", data.to_owned()), ("/socialsyncer", social.unwrap())]
        {
            let body = &arrived[&(path.to_owned(), id.clone())];
            assert_eq!(String::from_utf8_lossy(body), expected, "{path}");
        }
    }
}

fn trimmed(json: &str) -> &str {
    json.trim_matches([' ', '\t', '\r', '\n'])
}

#[test]
fn an_escape_of_half_a_surrogate_pair_is_refused_wherever_it_stands() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook(receiver.url());
    let mut generator = Generator(0x10e5);
    for _ in 0..100 {
        let high = 0xd800 + generator.below(0x400);
        let low = 0xdc00 + generator.below(0x400);
        let lone = match generator.below(4) {
            0 => format!("\\u{high:04x}"),
            1 => format!("\\u{low:04X}"),
            2 => format!("\\u{low:04x}\\u{high:04x}"),
            _ => format!("\\u{high:04x}\\\\u{low:04x}"),
        };
        let data = match generator.below(3) {
            0 => format!(r#""a{lone}""#),
            1 => format!(r#"{{"{lone}":1}}"#),
            _ => format!(r#"[[{{"a":["\\{lone}b"]}}]]"#),
        };
        let body = format!(r#"{{"type":"a.b","data":{data}}}"#);
        let refused = hub.post_text("/v1/events", &body).expect(422);
        assert_eq!(refused.error_code(), "lone_surrogate", "{data}");
    }
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 0);
}
