//! View of an attempt: outcome, request, response, time per phase. Used wherever a page shows an attempt.

use crate::actions::delivery::explain;
use crate::domain::curl;
use crate::domain::delivery::Trigger;
use crate::domain::time::Millis;
use crate::store::attempt::Attempt;
use crate::text::failure::status_words;
use crate::text::{explanation, humanize};

/// Bytes of a body on a page. Downloads are complete.
const SHOWN_BYTES: usize = 64 << 10;

/// An attempt in the timeline of its delivery.
pub struct AttemptView {
    pub number: u32,
    pub status: &'static str,
    /// Outcome in a few words.
    pub outcome: String,
    pub trigger: &'static str,
    pub started_ms: Millis,
    pub duration: String,
    /// `None` if the page shows the heading only.
    pub detail: Option<AttemptDetail>,
    pub is_open: bool,
}

/// Request and response; the template is `parts/attempt.html`.
pub struct AttemptDetail {
    pub number: u32,
    pub url: String,
    pub remote_address: Option<String>,
    pub connections: u8,
    /// Whether the request was sent again with a new access token, after a 401.
    pub token_renewed: bool,
    pub duration: String,
    /// Code and message.
    pub error: Option<(&'static str, String)>,
    /// Failure in a sentence.
    pub explanation: Option<String>,
    pub phases: Vec<Phase>,
    pub request_headers: Vec<(String, String)>,
    pub request_body: Option<BodyView>,
    /// `None` if nothing was sent, or if the body is too long for a page.
    pub curl: Option<String>,
    pub response: Option<ResponseView>,
    /// Path of the delivery; `None` for a challenge, which is not logged.
    delivery: Option<String>,
}

pub struct ResponseView {
    pub status: String,
    pub headers: Vec<(String, String)>,
    pub body: BodyView,
}

/// A body as text.
pub struct BodyView {
    pub text: String,
    /// Size, and how much of the body is shown.
    pub size: String,
}

/// Part of an attempt's time, as a bar on a scale of 100.
pub struct Phase {
    pub label: &'static str,
    pub duration: String,
    pub from: f64,
    pub width: f64,
}

impl AttemptView {
    pub fn of(attempt: &Attempt, detail: Option<AttemptDetail>, is_open: bool) -> AttemptView {
        let last = explain::last_in_full(attempt);
        AttemptView {
            number: attempt.number,
            status: if last.failed.is_some() { "failed" } else { "delivered" },
            outcome: explanation::short(&last),
            trigger: match attempt.trigger {
                Trigger::Initial => "first attempt",
                Trigger::Automatic => "scheduled retry",
                Trigger::Manual => "manual retry",
                Trigger::Test => "test",
                Trigger::Challenge => "challenge",
            },
            started_ms: attempt.started_ms,
            duration: humanize::duration(attempt.duration_ms),
            detail,
            is_open,
        }
    }
}

impl AttemptDetail {
    /// `delivery` is the path of the page that offers the bodies as files.
    pub fn of(attempt: &Attempt, delivery: Option<String>, now: Millis) -> AttemptDetail {
        let headers = &attempt.request_headers;
        let body = attempt.request_body.as_deref();
        let short_body = body.filter(|body| body.len() <= SHOWN_BYTES);
        AttemptDetail {
            number: attempt.number,
            url: attempt.url.clone(),
            remote_address: attempt.remote_address.clone(),
            connections: attempt.connections,
            token_renewed: attempt.token_renewed,
            duration: humanize::duration(attempt.duration_ms),
            error: attempt.failure.as_ref().map(|failure| (failure.code().into_str(), failure.public().to_owned())),
            explanation: explain::last_in_full(attempt).failed.map(|failed| failed.sentence(now)),
            phases: phases(attempt),
            request_headers: headers.clone(),
            request_body: body.map(|body| BodyView::of(body, false)),
            curl: short_body.map(|body| curl::command(&attempt.url, headers, body)),
            response: attempt.answer.as_ref().map(|response| ResponseView {
                status: status_words(response.code),
                headers: response.headers.clone(),
                body: BodyView::of(&response.body, response.body_truncated).same_as(attempt.same_response_as),
            }),
            delivery,
        }
    }

    /// Id of an element, unique on a page with several attempts.
    pub fn id(&self, part: &str) -> String {
        format!("{part}-{}", self.number)
    }

    /// Path of a body as a file; empty if there is none.
    pub fn file(&self, half: &str) -> String {
        let path = self.delivery.as_ref();
        path.map_or_else(String::new, |path| format!("{path}/attempts/{}/{half}", self.number))
    }
}

impl BodyView {
    /// Replaces bytes that are not UTF-8, and NUL, which HTML cannot contain. `is_truncated` says that the log has
    /// the beginning only.
    pub fn of(bytes: &[u8], is_truncated: bool) -> BodyView {
        let size = humanize::bytes(bytes.len() as u64);
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]);
        BodyView {
            size: match (is_truncated, bytes.len() > SHOWN_BYTES) {
                (true, _) => format!("the first {size}"),
                (false, true) => format!("{size}; the first 64 KiB are shown"),
                (false, false) => size,
            },
            text: text.replace('\0', "\u{2400}"),
        }
    }

    /// Adds which earlier attempt got the same response, if one did.
    fn same_as(mut self, attempt: Option<u32>) -> BodyView {
        if let Some(number) = attempt {
            self.size.push_str(&format!("; same response as attempt {number}"));
        }
        self
    }
}

/// Phases in their order, each as long as it took.
fn phases(attempt: &Attempt) -> Vec<Phase> {
    let timings = &attempt.timings;
    let total_us = f64::from(u32::try_from(attempt.duration_ms).unwrap_or(u32::MAX)) * 1000.0;
    let before = [
        ("Access token", timings.token_us),
        ("DNS lookup", timings.resolve_us),
        ("Connect", timings.connect_us),
        ("TLS handshake", timings.tls_us),
    ];
    let mut parts: Vec<(&'static str, f64)> =
        before.into_iter().filter_map(|(label, us)| Some((label, f64::from(us?)))).collect();
    let mut elapsed: f64 = parts.iter().map(|(_, us)| us).sum();
    if let Some(first_byte) = timings.first_byte_us.map(f64::from) {
        parts.push(("Waiting for first byte", (first_byte - elapsed).max(0.0)));
        elapsed = elapsed.max(first_byte);
        if total_us > elapsed {
            parts.push(("Reading response", total_us - elapsed));
        }
    }
    let scale = parts.iter().map(|(_, us)| us).sum::<f64>().max(total_us).max(1.0);
    let mut from = 0.0;
    let phase = |(label, us)| {
        let start = from;
        from += us;
        // At least half a unit, or a short phase would be invisible.
        Phase { label, duration: micros(us), from: percent(start, scale), width: percent(us, scale).max(0.5) }
    };
    parts.into_iter().map(phase).collect()
}

fn percent(part: f64, whole: f64) -> f64 {
    (part / whole * 1000.0).round() / 10.0
}

fn micros(us: f64) -> String {
    match us {
        ..1_000.0 => format!("{:.2} ms", us / 1000.0),
        ..10_000.0 => format!("{:.1} ms", us / 1000.0),
        _ => humanize::duration((us / 1000.0).round() as Millis),
    }
}
