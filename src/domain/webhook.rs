//! Webhooks: a URL subscribed to event types, with its settings and state.

mod labels;
mod settings;

use std::sync::Arc;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;
use super::delivery::WaitingFor;
use super::endpoint_auth::EndpointAuth;
use super::event::{EventType, Tenant};
use super::filter::Filter;
use super::header::CustomHeaders;
use super::id::WebhookId;
use super::pattern::EventPattern;
use super::problems::Problems;
use super::retry::Schedule;
use super::secret::Secret;
use super::signing::{KeyPair, Signing};
use super::target::TargetUrl;
use super::time::{DAY, Millis};
use super::tls::Tls;

pub use labels::{ExternalId, Metadata};
pub use settings::{
    DESCRIPTION_PATTERN, HeaderMap, MAX_DESCRIPTION, PROFILE_NAME_PATTERN, ProfileFacts, WebhookSettings, parse_events,
    parse_url,
};
pub(in crate::domain) use settings::{given, headers_schema, present_object};

/// State of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<WebhookState>)]
pub enum WebhookState {
    Active,
    /// Paused by a person.
    Paused,
    /// Disabled by Hookpost, with a reason.
    Disabled,
    /// The endpoint has not passed the challenge of the profile.
    Unverified,
}

impl WebhookState {
    /// Returns why a queued delivery to such a webhook is not sent.
    pub fn waiting_for(self) -> Option<WaitingFor> {
        match self {
            WebhookState::Active => None,
            WebhookState::Paused => Some(WaitingFor::WebhookPaused),
            WebhookState::Disabled => Some(WaitingFor::WebhookDisabled),
            WebhookState::Unverified => Some(WaitingFor::WebhookUnverified),
        }
    }
}

/// Why Hookpost disabled a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<DisabledReason>)]
pub enum DisabledReason {
    /// The endpoint responded with 410 Gone.
    Gone,
    /// A delivery ran out of attempts, and no other delivery succeeded in the meantime.
    Exhausted,
}

impl DisabledReason {
    /// Returns the reason as a sentence, for `disabled_reason`.
    pub fn sentence(self, attempts: u32) -> String {
        match self {
            DisabledReason::Gone => "The endpoint responded with 410 Gone and receives no more deliveries.".to_owned(),
            DisabledReason::Exhausted if attempts == 1 => "1 failed attempt without a success.".to_owned(),
            DisabledReason::Exhausted => format!("{attempts} failed attempts without a success."),
        }
    }
}

/// Numeric settings of a webhook, each within its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// 1 to 30, over all phases of an attempt.
    pub timeout_s: u32,
    /// 1 to 64 concurrent requests.
    pub max_in_flight: u32,
    /// 1 to 1,000; `None`: unlimited.
    pub rate_limit_per_s: Option<u32>,
}

impl Limits {
    /// Five seconds (the reference documents' timeout), eight concurrent requests, no rate limit.
    pub const DEFAULT: Limits = Limits { timeout_s: 5, max_in_flight: 8, rate_limit_per_s: None };

    /// Checks that each number is in its range.
    fn check(self) -> Result<(), Invalid> {
        let mut problems = Problems::default();
        problems.check(in_range("timeout_s", self.timeout_s, 1, 30));
        problems.check(in_range("max_in_flight", self.max_in_flight, 1, 64));
        if let Some(rate) = self.rate_limit_per_s {
            problems.check(in_range("rate_limit_per_s", rate, 1, 1_000));
        }
        problems.end()
    }
}

fn in_range(field: &str, value: u32, low: u32, high: u32) -> Result<(), Invalid> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Invalid::new("out_of_range", format!("{field} must be {low} to {high}; got {value}.")).in_field(field))
}

/// Maximum overlap of a rotation, in which both secrets sign.
pub const MAX_OVERLAP: Millis = 7 * DAY;
/// Default overlap of a rotation.
pub const DEFAULT_OVERLAP: Millis = DAY;

/// Secret before a rotation, while it still signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldSecret {
    pub secret: Secret,
    pub key_pair: Option<KeyPair>,
    pub overlap_ends_ms: Millis,
}

/// Webhook as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Assigned by the store.
    pub seq: i64,
    pub id: WebhookId,
    pub tenant: Tenant,
    pub url: TargetUrl,
    pub description: String,
    pub external_id: Option<ExternalId>,
    pub metadata: Metadata,
    pub events: Vec<EventPattern>,
    /// Condition on the content of events.
    pub filter: Option<Arc<Filter>>,
    pub profile: String,
    pub secret: Secret,
    pub old_secret: Option<OldSecret>,
    pub signing: Signing,
    /// Generated when Ed25519 signatures are first turned on, and kept when they are turned off.
    pub key_pair: Option<KeyPair>,
    pub state: WebhookState,
    pub disabled_ms: Option<Millis>,
    /// Reason for being disabled or unverified, as a sentence.
    pub disabled_reason: Option<String>,
    pub headers: CustomHeaders,
    /// Authentication to the endpoint.
    pub auth: Option<EndpointAuth>,
    pub limits: Limits,
    pub ordered: bool,
    /// Overrides the profile's schedule.
    pub retry: Option<Schedule>,
    /// Template of the body, in place of the profile's format.
    pub template: Option<String>,
    /// Whether deliveries carry the three Standard Webhooks headers beside the profile's own.
    pub standard_headers: bool,
    /// Client certificate, and authorities trusted in addition to the public ones.
    pub tls: Option<Arc<Tls>>,
    pub created_ms: Millis,
    pub updated_ms: Millis,
    /// URL that passed the profile's challenge.
    pub verified_url: Option<String>,
    /// Queued deliveries to resume or discard before anything is sent.
    pub sweep: Option<Sweep>,
    /// Contact that it belongs to. Messages to the contact are addressed to it: it subscribes to nothing.
    pub contact_seq: Option<i64>,
    /// True if it was created at the path of a compatible system, where it is updated by its URL.
    pub by_settings: bool,
    /// Owner of that contact; `None` for the operator.
    pub contact_tenant: Option<Tenant>,
}

impl Webhook {
    /// Creates an active webhook with default settings and no subscriptions.
    pub fn new(id: WebhookId, tenant: Tenant, url: TargetUrl, profile: &str, secret: Secret, now: Millis) -> Webhook {
        Webhook {
            seq: 0,
            id,
            tenant,
            url,
            description: String::new(),
            external_id: None,
            metadata: Metadata::new(),
            events: Vec::new(),
            filter: None,
            profile: profile.to_owned(),
            secret,
            old_secret: None,
            signing: Signing::Hmac,
            key_pair: None,
            state: WebhookState::Active,
            disabled_ms: None,
            disabled_reason: None,
            headers: CustomHeaders::default(),
            auth: None,
            limits: Limits::DEFAULT,
            ordered: false,
            retry: None,
            template: None,
            standard_headers: true,
            tls: None,
            created_ms: now,
            updated_ms: now,
            verified_url: None,
            sweep: None,
            contact_seq: None,
            by_settings: false,
            contact_tenant: None,
        }
    }

    pub fn wants(&self, event_type: &EventType) -> bool {
        self.events.iter().any(|pattern| pattern.matches(event_type))
    }

    /// Name on pages: the first line of the description, or the URL if there is none. At most 80 characters.
    pub fn name(&self) -> String {
        name(&self.description, self.url.as_str())
    }

    /// Records a change. The time differs from that of each earlier version, whatever the clock says.
    pub fn touch(&mut self, now: Millis) {
        self.updated_ms = now.max(self.updated_ms + 1);
    }

    /// Whether the webhook, or the contact that it belongs to, is a tenant's.
    pub fn is_of(&self, tenant: &Tenant) -> bool {
        self.tenant == *tenant || self.contact_tenant.as_ref() == Some(tenant)
    }

    /// Whether its deliveries are being sent.
    pub fn is_sending(&self) -> bool {
        self.state == WebhookState::Active && self.sweep.is_none()
    }
}

/// Treatment of queued deliveries when a webhook is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Waiting>)]
pub enum Waiting {
    /// Each starts a new series of attempts.
    Resume,
    Discard,
}

/// Pending work on queued deliveries, done in small transactions that continue after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    pub waiting: Waiting,
    /// Last sequence number to sweep.
    pub up_to_seq: i64,
}

/// Returns the name of a webhook for people: the first line of its description, else its URL.
pub fn name(description: &str, url: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut lines = description.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty()).unwrap_or(url);
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
