//! An attempt as its page shows it: what was sent, what came back, how long each phase took.

use crate::actions::delivery::explain;
use crate::domain::curl;
use crate::domain::delivery::Trigger;
use crate::domain::time::Millis;
use crate::store::attempt::Attempt;
use crate::text::failure::status_words;
use crate::text::{explanation, humanize};

/// Bytes of a body on a page at most; the rest is for who downloads it.
const SHOWN_BYTES: usize = 64 << 10;

/// One attempt.
pub struct AttemptView {
    pub number: u32,
    pub status: &'static str,
    /// What came of it, in a few words.
    pub short: String,
    pub sentence: Option<String>,
    pub trigger: &'static str,
    pub started_ms: Millis,
    pub duration: String,
    pub remote_address: Option<String>,
    pub connections: u8,
    pub error: Option<(&'static str, String)>,
    pub phases: Vec<Phase>,
    /// `None` where only its heading is shown.
    pub full: Option<Full>,
    pub is_open: bool,
}

/// What was sent and what came back.
pub struct Full {
    pub url: String,
    pub request_headers: Vec<(String, String)>,
    pub request_body: Option<Body>,
    /// The whole as a command; `None` where the body is too long for a page, or nothing was sent.
    pub curl: Option<String>,
    pub response: Option<AttemptResponse>,
}

pub struct AttemptResponse {
    pub code: String,
    pub headers: Vec<(String, String)>,
    pub body: Body,
    /// The log keeps the first 16 KiB.
    pub is_truncated: bool,
}

pub struct Body {
    pub text: String,
    pub size: String,
    /// Whether the page shows its beginning only.
    pub is_cut: bool,
    pub is_empty: bool,
}

/// A part of an attempt's time, as a bar on a scale of a hundred.
pub struct Phase {
    pub label: &'static str,
    pub took: String,
    pub from: f64,
    pub width: f64,
}

impl AttemptView {
    pub fn of(attempt: &Attempt, now: Millis, is_full: bool) -> AttemptView {
        let last = explain::last_in_full(attempt);
        AttemptView {
            number: attempt.number,
            status: if last.failed.is_some() { "failed" } else { "delivered" },
            short: explanation::short(&last),
            sentence: last.failed.map(|failed| failed.sentence(now)),
            trigger: trigger_words(attempt.trigger),
            started_ms: attempt.started_ms,
            duration: humanize::duration(attempt.duration_ms),
            remote_address: attempt.remote_address.clone(),
            connections: attempt.connections,
            error: attempt.failure.as_ref().map(|failure| (failure.code().into_str(), failure.message.clone())),
            phases: phases(attempt),
            full: is_full.then(|| Full::of(attempt)),
            is_open: false,
        }
    }
}

impl Full {
    fn of(attempt: &Attempt) -> Full {
        let body = attempt.request_body.as_deref();
        let is_short = body.is_some_and(|body| body.len() <= SHOWN_BYTES);
        let headers = &attempt.request_headers;
        Full {
            url: attempt.url.clone(),
            request_headers: headers.clone(),
            request_body: body.map(Body::of),
            curl: body.filter(|_| is_short).map(|body| curl::command(&attempt.url, headers, body)),
            response: attempt.answer.as_ref().map(|answer| AttemptResponse {
                code: status_words(answer.code),
                headers: answer.headers.clone(),
                body: Body::of(&answer.body),
                is_truncated: answer.body_truncated,
            }),
        }
    }
}

impl Body {
    /// Bytes as text: what is no UTF-8 is replaced, and so is NUL, which no page can hold.
    pub fn of(bytes: &[u8]) -> Body {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]);
        Body {
            text: text.replace('\0', "\u{2400}"),
            size: humanize::bytes(bytes.len() as u64),
            is_cut: bytes.len() > SHOWN_BYTES,
            is_empty: bytes.is_empty(),
        }
    }
}

fn trigger_words(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Initial => "first attempt",
        Trigger::Automatic => "retried on schedule",
        Trigger::Manual => "retried by hand",
        Trigger::Test => "test",
        Trigger::Challenge => "challenge",
    }
}

/// The phases one after the other: resolving, connecting, TLS, waiting for the first byte, reading the rest.
fn phases(attempt: &Attempt) -> Vec<Phase> {
    let timings = &attempt.timings;
    let whole = f64::from(u32::try_from(attempt.duration_ms).unwrap_or(u32::MAX)) * 1000.0;
    let before = [("Resolve", timings.resolve_us), ("Connect", timings.connect_us), ("TLS", timings.tls_us)];
    let mut phases = Vec::new();
    let mut at = 0.0;
    let mut parts: Vec<(&'static str, f64)> = Vec::new();
    for (label, us) in before {
        if let Some(us) = us.map(f64::from) {
            parts.push((label, us));
            at += us;
        }
    }
    if let Some(first_byte) = timings.first_byte_us.map(f64::from) {
        parts.push(("First byte", (first_byte - at).max(0.0)));
        at = at.max(first_byte);
        if whole > at {
            parts.push(("Rest of the answer", whole - at));
        }
    }
    let total = parts.iter().map(|(_, us)| us).sum::<f64>().max(whole).max(1.0);
    let mut from = 0.0;
    for (label, us) in parts {
        phases.push(Phase {
            label,
            took: took(us),
            from: percent(from, total),
            // Seen, however short it was.
            width: percent(us, total).max(0.5),
        });
        from += us;
    }
    phases
}

fn percent(part: f64, whole: f64) -> f64 {
    (part / whole * 1000.0).round() / 10.0
}

fn took(us: f64) -> String {
    match us {
        ..1_000.0 => format!("{:.2} ms", us / 1000.0),
        ..10_000.0 => format!("{:.1} ms", us / 1000.0),
        _ => humanize::duration((us / 1000.0).round() as Millis),
    }
}
