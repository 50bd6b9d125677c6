//! A request and its answer, as a page shows them.

use crate::domain::curl;
use crate::store::attempt::Attempt;
use crate::text::humanize;

/// Bytes of a body that a page shows at most.
const SHOWN_BYTES: usize = 64 << 10;

/// One attempt, in full.
pub struct Exchange {
    pub url: String,
    pub request_headers: Vec<(String, String)>,
    pub request_body: Option<Text>,
    pub answer: Option<ExchangeResponse>,
    /// Why nothing that counts came back, in the words of the log.
    pub error: Option<String>,
    /// What each phase took.
    pub timings: Vec<(&'static str, String)>,
    pub remote_address: Option<String>,
    /// The request as a command; `None` where nothing was sent, or too much to show.
    pub curl: Option<String>,
}

/// What the receiver answered.
pub struct ExchangeResponse {
    pub code: u16,
    pub headers: Vec<(String, String)>,
    pub body: Text,
}

/// A body as text.
pub struct Text {
    pub text: String,
    /// Its size, and what is not shown of it.
    pub note: String,
}

impl Text {
    fn of(bytes: &[u8], is_cut: bool) -> Text {
        let size = humanize::bytes(bytes.len() as u64);
        let text = String::from_utf8_lossy(bytes);
        let end = text.floor_char_boundary(SHOWN_BYTES);
        Text {
            note: match (is_cut, end < text.len()) {
                (true, _) => format!("the first {size}"),
                (false, true) => format!("{size}, of which the first 64 KiB are shown"),
                (false, false) => size,
            },
            text: text[..end].to_owned(),
        }
    }
}

impl Exchange {
    pub fn of(attempt: &Attempt) -> Exchange {
        let body = attempt.request_body.as_deref();
        let fits = body.filter(|body| body.len() <= SHOWN_BYTES);
        Exchange {
            url: attempt.url.clone(),
            request_headers: attempt.request_headers.clone(),
            request_body: body.map(|body| Text::of(body, false)),
            answer: attempt.answer.as_ref().map(|answer| ExchangeResponse {
                code: answer.code,
                headers: answer.headers.clone(),
                body: Text::of(&answer.body, answer.body_truncated),
            }),
            error: attempt.failure.as_ref().map(|failure| failure.message.clone()),
            timings: timings(attempt),
            remote_address: attempt.remote_address.clone(),
            curl: fits.map(|body| curl::command(&attempt.url, &attempt.request_headers, body)),
        }
    }
}

fn timings(attempt: &Attempt) -> Vec<(&'static str, String)> {
    let phases = [
        ("Name resolved", attempt.timings.resolve_us),
        ("Connected", attempt.timings.connect_us),
        ("TLS handshake", attempt.timings.tls_us),
        ("First byte, from the start", attempt.timings.first_byte_us),
    ];
    let mut all: Vec<_> = phases.into_iter().filter_map(|(label, us)| Some((label, micros(us?)))).collect();
    all.push(("In all", humanize::duration(attempt.duration_ms)));
    all
}

/// Of a millisecond.
const MICROS: i64 = 1_000;

fn micros(us: u32) -> String {
    match i64::from(us) / MICROS {
        0 => format!("{:.1} ms", f64::from(us) / MICROS as f64),
        ms => humanize::duration(ms),
    }
}
