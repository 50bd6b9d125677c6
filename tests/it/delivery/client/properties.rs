//! Any bytes as the response of a receiver.

use std::sync::Mutex;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::properties::{Bytes, check};

/// Bytes kept of the headers, and of the body.
const KEPT: usize = 16 * 1024;

fn response() -> impl Strategy<Value = Bytes> {
    let line = prop_oneof![
        3 => select(vec!["HTTP/1.1 200 OK", "HTTP/1.0 204", "HTTP/1.1 503 x", "HTTP/1.1 101 S", "HTTP/1.1 100 C"]).prop_map(str::to_owned),
        1 => "HTTP/[0-9]\\.[0-9] [0-9]{1,4}[ -~]{0,10}",
        1 => "[ -~]{0,20}",
    ];
    let header = prop_oneof![
        "[A-Za-z-]{1,10}: ?[ -~]{0,20}",
        "content-length: ?-?[0-9]{0,20}",
        select(vec![
            "transfer-encoding: chunked",
            "transfer-encoding: gzip",
            "connection: close",
            "retry-after: 5",
            " folded"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,10}",
    ];
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        "([0-9a-fA-F]{1,3}\r\n[a-z]{0,20}\r\n){0,3}(0\r\n\r\n)?".prop_map(String::into_bytes),
        Just(vec![b'x'; 20_000]),
    ];
    let end = select(vec!["\r\n", "\r\n", "\r\n", "\n", "\r"]);
    let whole = (line, prop::collection::vec(header, 0..5), body, end).prop_map(|(line, headers, body, end)| {
        let head: String = std::iter::once(&line).chain(&headers).map(|line| format!("{line}{end}")).collect();
        [head.as_bytes(), end.as_bytes(), &body].concat()
    });
    prop_oneof![8 => whole, 1 => prop::collection::vec(any::<u8>(), 0..200)].prop_map(Bytes)
}

#[test]
fn any_response_is_a_success_with_2xx_or_a_failure_in_words() {
    let answer = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&answer);
    let receiver = Receiver::start(move |mut stream, _| {
        read_request(&mut stream);
        stream.write_all(&shared.lock().unwrap()).ok();
    });
    let client = client();
    check(500, response(), |Bytes(bytes)| {
        *answer.lock().unwrap() = bytes;
        let sent = post(&client, &receiver.url(), b"{}", SHORT);
        prop_assert!(sent.duration < SHORT + SLACK, "{sent:?}");
        match (&sent.failure, &sent.answer) {
            (None, Some(answer)) => prop_assert!((200..300).contains(&answer.code), "{sent:?}"),
            (None, None) => prop_assert!(false, "neither a response nor a failure"),
            (Some(failure), _) => prop_assert!(failure.message.ends_with('.'), "{failure:?}"),
        }
        if let Some(answer) = &sent.answer {
            let bytes: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
            prop_assert!((100..1_000).contains(&answer.code) && answer.body.len() <= KEPT && bytes <= 3 * KEPT);
        }
        Ok(())
    });
}
