//! Attempts as the API shows them, within their deliveries and on their own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::openapi::schema::{AttemptId, ErrorCode, Time, Trigger};
use crate::store::attempt::Attempt;

/// Example of an attempt, without its closing brace.
pub(super) const EXAMPLE: &str = r#"{"id": "att_01KF0AVD80HN2FAV4PZ36HVTQC", "number": 1,
    "trigger": "initial", "started_at": "2026-01-15T10:00:00.000Z", "duration_ms": 105, "timings": {"token_ms": null, "resolve_ms": 1.25,
        "connect_ms": 20.5, "tls_ms": 41.75, "first_byte_ms": 104.5}, "remote_address": "192.0.2.7:443", "connections": 1, "token_renewed": false,
    "request": {"url": "https://hooks.example/orders", "headers": {"Content-Type": "application/json",
        "User-Agent": "Hookpost/0.1.0"}, "body": "{\"id\":\"evt_01KF0AVD80A4NYB3X1YPR2TZ8H\"}"},
    "response": {"code": 410, "headers": {"content-length": "0"}, "body": "", "body_truncated": false,
        "same_as_attempt": null},
    "error": {"code": "status", "message": "The endpoint answered 410 Gone."}"#;

/// One attempt of a delivery, with its request and response.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub(in crate::http) struct AttemptView {
    id: AttemptId,
    /// Counted from 1 within the delivery.
    number: u32,
    trigger: Trigger,
    started_at: Time,
    duration_ms: i64,
    timings: TimingsView,
    /// IP address and port of the endpoint.
    remote_address: Option<String>,
    /// 2 if a reused connection was closed by the endpoint and the request was sent on a new one.
    connections: u8,
    /// Whether the endpoint answered 401 and the request was sent again with a new OAuth 2.0 access token.
    token_renewed: bool,
    request: RequestView,
    response: Option<ResponseView>,
    error: Option<AttemptError>,
}

/// Duration of each phase in milliseconds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Timings")]
struct TimingsView {
    /// Waiting for an OAuth 2.0 access token; `null` if none was requested.
    token_ms: Option<f64>,
    resolve_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    /// From the start of the attempt to the first byte of the response.
    first_byte_ms: Option<f64>,
}

/// Request sent to the endpoint.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SentRequest")]
struct RequestView {
    url: String,
    /// Secret values are masked, and so are signatures unless the key has the scope `admin`.
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Map<String, Value>,
    body: Option<String>,
}

/// Response of the endpoint.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReceivedResponse")]
struct ResponseView {
    #[schemars(range(min = 100, max = 999))]
    code: u16,
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Map<String, Value>,
    /// The first 16 KiB.
    body: String,
    body_truncated: bool,
    /// Number of the earlier attempt whose code and body this response repeats, as do all responses between them; `null`
    /// if it differs from the response before. `body` is complete in both cases. Headers are not compared.
    #[schemars(range(min = 1))]
    same_as_attempt: Option<u32>,
}

/// Reason why an attempt failed.
#[derive(Serialize, JsonSchema)]
struct AttemptError {
    code: ErrorCode,
    /// Explanation for people.
    message: String,
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> AttemptView {
        let ms = |us: Option<u32>| us.map(|us| f64::from(us) / 1000.0);
        let timings = &attempt.timings;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        AttemptView {
            id: attempt.id.into(),
            number: attempt.number,
            trigger: attempt.trigger.into(),
            started_at: Time::at(attempt.started_ms),
            duration_ms: attempt.duration_ms,
            timings: TimingsView {
                token_ms: ms(timings.token_us),
                resolve_ms: ms(timings.resolve_us),
                connect_ms: ms(timings.connect_us),
                tls_ms: ms(timings.tls_us),
                first_byte_ms: ms(timings.first_byte_us),
            },
            remote_address: attempt.remote_address.clone(),
            connections: attempt.connections,
            token_renewed: attempt.token_renewed,
            request: RequestView {
                url: attempt.url.clone(),
                headers: headers(&attempt.request_headers),
                body: attempt.request_body.as_deref().map(text),
            },
            response: attempt.answer.as_ref().map(|answer| ResponseView {
                code: answer.code,
                headers: headers(&answer.headers),
                body: text(&answer.body),
                body_truncated: answer.body_truncated,
                same_as_attempt: attempt.same_response_as,
            }),
            error: attempt
                .failure
                .as_ref()
                .map(|failure| AttemptError { code: failure.code().into(), message: failure.message.clone() }),
        }
    }
}

/// Returns headers as an object. Repeated names are joined with commas (RFC 9110, section 5.3).
pub(super) fn headers(pairs: &[(String, String)]) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, value) in pairs {
        match map.get_mut(name) {
            Some(Value::String(before)) => {
                before.push_str(", ");
                before.push_str(value);
            }
            _ => {
                map.insert(name.clone(), Value::from(value.as_str()));
            }
        }
    }
    map
}
