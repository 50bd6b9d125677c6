//! Webhooks: URLs that subscribe to event types.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;
use super::event::{EventType, Tenant};
use super::header::CustomHeaders;
use super::id::WebhookId;
use super::pattern::EventPattern;
use super::retry::Schedule;
use super::secret::Secret;
use super::target::TargetUrl;
use super::time::{DAY, Millis};

/// State of a webhook. Only active webhooks are sent to; for the others deliveries are queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<WebhookState>)]
pub enum WebhookState {
    Active,
    /// Paused by a person.
    Paused,
    /// Disabled by Hookpost, with a reason.
    Disabled,
    /// The endpoint has not passed its profile's challenge yet.
    Unverified,
}

impl WebhookState {
    /// Value of `waiting_for` in the API for the webhook's pending deliveries.
    pub fn waiting_for(self) -> Option<&'static str> {
        match self {
            WebhookState::Active => None,
            WebhookState::Paused => Some("webhook_paused"),
            WebhookState::Disabled => Some("webhook_disabled"),
            WebhookState::Unverified => Some("webhook_unverified"),
        }
    }
}

/// Why Hookpost disabled a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<DisabledReason>)]
pub enum DisabledReason {
    /// The endpoint answered 410 Gone.
    Gone,
    /// All attempts of a delivery failed, and no other delivery succeeded meanwhile.
    Exhausted,
}

impl DisabledReason {
    /// Sentence for `disabled_reason`.
    pub fn sentence(self, attempts: u32) -> String {
        match self {
            DisabledReason::Gone => "The endpoint answered 410 Gone: it asked for no more deliveries.".to_owned(),
            DisabledReason::Exhausted if attempts == 1 => "1 failed attempt without a success.".to_owned(),
            DisabledReason::Exhausted => format!("{attempts} failed attempts without a success."),
        }
    }
}

/// Limits of a webhook's requests, each within its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// 1 to 30; covers all phases of an attempt.
    pub timeout_s: u32,
    /// 1 to 64 requests at a time.
    pub max_in_flight: u32,
    /// 1 to 1,000; `None` for no limit.
    pub rate_limit_per_s: Option<u32>,
}

impl Limits {
    /// Five seconds, as the reference documents grant a receiver; eight at a time; no rate limit.
    pub const DEFAULT: Limits = Limits { timeout_s: 5, max_in_flight: 8, rate_limit_per_s: None };

    /// Checks the range of each limit; the error names the field.
    pub fn check(self) -> Result<Limits, Invalid> {
        in_range("timeout_s", self.timeout_s, 1, 30)?;
        in_range("max_in_flight", self.max_in_flight, 1, 64)?;
        if let Some(rate) = self.rate_limit_per_s {
            in_range("rate_limit_per_s", rate, 1, 1_000)?;
        }
        Ok(self)
    }
}

fn in_range(field: &str, value: u32, low: u32, high: u32) -> Result<(), Invalid> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Invalid::new("out_of_range", format!("{field} must be {low} to {high}.")).in_field(field))
}

/// Longest time in which both secrets of a rotation are in use.
pub const MAX_OVERLAP: Millis = 7 * DAY;
/// Overlap of a rotation that sets none.
pub const DEFAULT_OVERLAP: Millis = DAY;

/// Previous secret of a rotation, while it still signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldSecret {
    pub secret: Secret,
    pub overlap_ends_ms: Millis,
}

/// Stored webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Sequence number in the store.
    pub seq: i64,
    pub id: WebhookId,
    pub tenant: Tenant,
    pub url: TargetUrl,
    pub description: String,
    pub events: Vec<EventPattern>,
    pub profile: String,
    pub secret: Secret,
    pub old_secret: Option<OldSecret>,
    pub state: WebhookState,
    pub disabled_ms: Option<Millis>,
    /// Why the webhook is disabled or unverified, as a sentence.
    pub disabled_reason: Option<String>,
    pub headers: CustomHeaders,
    pub limits: Limits,
    pub ordered: bool,
    /// Replaces the profile's schedule.
    pub retry: Option<Schedule>,
    /// Whether deliveries carry the three Standard Webhooks headers in addition to the profile's own.
    pub standard_headers: bool,
    pub created_ms: Millis,
    pub updated_ms: Millis,
    /// URL that passed the profile's challenge, if the profile has one.
    pub verified_url: Option<String>,
    /// Queued deliveries that must be resumed or discarded before anything is sent.
    pub sweep: Option<Sweep>,
}

impl Webhook {
    pub fn wants(&self, event_type: &EventType) -> bool {
        self.events.iter().any(|pattern| pattern.matches(event_type))
    }

    /// Name on pages: the first line of the description, or the URL if there is none. At most 80 characters.
    pub fn name(&self) -> String {
        const MAX_CHARS: usize = 80;
        let mut lines = self.description.lines().map(str::trim);
        let line = lines.find(|line| !line.is_empty()).unwrap_or_else(|| self.url.as_str());
        match line.char_indices().nth(MAX_CHARS) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        }
    }

    /// Whether deliveries are sent now.
    pub fn is_sending(&self) -> bool {
        self.state == WebhookState::Active && self.sweep.is_none()
    }
}

/// Fate of queued deliveries when a webhook becomes active again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Waiting>)]
pub enum Waiting {
    /// Each starts a new series of attempts.
    Resume,
    Discard,
}

/// Work on queued deliveries that is too much for one transaction. It runs in small ones and survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    pub waiting: Waiting,
    /// Deliveries up to this sequence number.
    pub up_to_seq: i64,
}

/// Parses a webhook's list of event patterns: 1 to 256, duplicates dropped.
pub fn parse_events(texts: &[String]) -> Result<Vec<EventPattern>, Invalid> {
    if texts.is_empty() || texts.len() > 256 {
        return Err(Invalid::new(
            "invalid_events",
            "Choose at least one event type or pattern, and at most 256; [\"*\"] is every event.",
        )
        .in_field("events"));
    }
    let mut patterns: Vec<EventPattern> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let pattern = text.parse().map_err(|invalid: Invalid| invalid.in_field(format!("events[{index}]")))?;
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    Ok(patterns)
}

/// Regular expression of a description, without its length.
pub const DESCRIPTION_PATTERN: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";
/// Maximum length of a description in characters.
pub const MAX_DESCRIPTION: usize = 1024;

/// Checks a description: at most 1,024 characters; no control characters except line breaks and tabs.
pub fn parse_description(text: String) -> Result<String, Invalid> {
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t' && c != '\r';
    if text.chars().count() > MAX_DESCRIPTION || text.contains(odd) {
        return Err(Invalid::new(
            "invalid_description",
            "A description must be at most 1024 characters, without control characters.",
        )
        .in_field("description"));
    }
    Ok(text)
}
