//! A URL that subscribed to event types.

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

/// Whether a webhook's deliveries are sent or wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<WebhookState>)]
pub enum WebhookState {
    Active,
    /// Stopped by a person.
    Paused,
    /// Stopped by Hookpost, with a reason.
    Disabled,
    /// Its profile wants a challenge answered first.
    Unverified,
}

impl WebhookState {
    /// What a waiting delivery of such a webhook waits for, as the API's `waiting_for`.
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
    /// A delivery used up its attempts and nothing else got through meanwhile.
    Exhausted,
}

impl DisabledReason {
    /// The reason as a sentence, for `disabled_reason`.
    pub fn sentence(self, attempts: u32) -> String {
        match self {
            DisabledReason::Gone => "The endpoint answered 410 Gone: it asked for no more deliveries.".to_owned(),
            DisabledReason::Exhausted => format!(
                "{attempts} attempts of one delivery failed in a row, and no other delivery got through meanwhile."
            ),
        }
    }
}

/// The numbers of a webhook that a person sets, each within its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// 1 to 30, over all phases of an attempt.
    pub timeout_s: u32,
    /// 1 to 64 requests at a time.
    pub max_in_flight: u32,
    /// 1 to 1,000; `None` means as fast as the endpoint takes it.
    pub rate_limit_per_s: Option<u32>,
}

impl Limits {
    /// Five seconds (what the reference documents grant a receiver), eight at a time, no rate limit.
    pub const DEFAULT: Limits = Limits { timeout_s: 5, max_in_flight: 8, rate_limit_per_s: None };

    /// Holds each number to its range; the error names the field.
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
    Err(Invalid::new("out_of_range", format!("{field} is {low} to {high}; {value} is not.")).in_field(field))
}

/// How long both secrets of a rotation are in use, at most.
pub const MAX_OVERLAP: Millis = 7 * DAY;
/// How long they are where nobody says.
pub const DEFAULT_OVERLAP: Millis = DAY;

/// The secret before a rotation, while it still signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldSecret {
    pub secret: Secret,
    pub overlap_ends_ms: Millis,
}

/// A webhook as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The number that the store knows it by.
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
    /// A sentence; why it is disabled or unverified.
    pub disabled_reason: Option<String>,
    pub headers: CustomHeaders,
    pub limits: Limits,
    pub ordered: bool,
    /// In place of the profile's schedule.
    pub retry: Option<Schedule>,
    /// Whether deliveries carry the three Standard Webhooks headers beside the profile's own.
    pub standard_headers: bool,
    pub created_ms: Millis,
    pub updated_ms: Millis,
    /// The URL whose challenge was answered, under a profile that has one.
    pub verified_url: Option<String>,
    /// Deliveries that still have to be resumed or discarded before anything is sent.
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

    /// Whether its deliveries are sent now.
    pub fn is_sending(&self) -> bool {
        self.state == WebhookState::Active && self.sweep.is_none()
    }
}

/// What happens to what waited when a webhook becomes active again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Waiting>)]
pub enum Waiting {
    /// Each starts a fresh series of attempts.
    Resume,
    Discard,
}

/// Work on what waited that is too much for one transaction: it goes on in small ones, also after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    pub waiting: Waiting,
    /// Deliveries up to this sequence number.
    pub up_to_seq: i64,
}

/// Checks a webhook's list of event patterns: at least one, 256 at most.
pub fn parse_events(texts: &[String]) -> Result<Vec<EventPattern>, Invalid> {
    if texts.is_empty() || texts.len() > 256 {
        return Err(Invalid::new(
            "invalid_events",
            "A webhook subscribes to 1 to 256 event types or patterns; [\"*\"] is every event.",
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

/// What a description matches, up to its length.
pub const DESCRIPTION_PATTERN: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";
/// Characters of a description at most.
pub const MAX_DESCRIPTION: usize = 1024;

/// Checks a description: 1,024 characters at most, no control characters but line breaks and tabs.
pub fn parse_description(text: String) -> Result<String, Invalid> {
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t' && c != '\r';
    if text.chars().count() > MAX_DESCRIPTION || text.contains(odd) {
        return Err(Invalid::new(
            "invalid_description",
            "A description is at most 1024 characters, without control characters.",
        )
        .in_field("description"));
    }
    Ok(text)
}
