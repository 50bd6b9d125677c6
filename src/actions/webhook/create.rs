//! Creating a webhook.

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Actions, Caller};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::{EventType, Tenant};
use crate::domain::header::{self, CustomHeaders};
use crate::domain::id::WebhookId;
use crate::domain::json::whole;
use crate::domain::pattern::EventPattern;
use crate::domain::retry::{Schedule, ScheduleSpec};
use crate::domain::secret::Secret;
use crate::domain::target::{MAX_URL_BYTES, TargetUrl};
use crate::domain::webhook::{
    DESCRIPTION_PATTERN, Limits, MAX_DESCRIPTION, Webhook, WebhookState, parse_description, parse_events,
};
use crate::profile::Profile;
use crate::profile::spec::NAME_PATTERN;
use crate::random;
use crate::store::profile::{self, Profiles};
use crate::store::{WriteTx, webhook};

/// How long creation waits for a name server. One that does not answer stops nobody: every attempt judges again.
const LOOKUP: Duration = Duration::from_secs(2);

/// What a new webhook is made from: `url` and `events` are needed, the rest has defaults.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where deliveries go: HTTPS, no user, no fragment. Plain HTTP and private addresses only where the server's
    /// `--allow-target` names them.
    #[schemars(length(max = MAX_URL_BYTES), regex(pattern = TargetUrl::PATTERN))]
    pub url: String,
    /// The event types that it subscribes to: names, `content.*` for everything below `content`, `*` for everything.
    #[schemars(length(min = 1, max = 256), inner(regex(pattern = EventPattern::PATTERN), length(max = EventType::MAX_BYTES)))]
    pub events: Vec<String>,
    /// The tenant whose events it gets; `default`, or the key's own, where left out.
    #[serde(default)]
    #[schemars(regex(pattern = Tenant::PATTERN))]
    pub tenant: Option<String>,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = MAX_DESCRIPTION), regex(pattern = DESCRIPTION_PATTERN))]
    pub description: Option<String>,
    /// `false` makes it paused.
    #[serde(default)]
    pub active: Option<bool>,
    /// How deliveries look; the key's default profile, or else the server's, where left out.
    #[serde(default)]
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub profile: Option<String>,
    /// What deliveries are signed with; generated where left out.
    #[serde(default)]
    #[schemars(regex(pattern = Secret::PATTERN))]
    pub secret: Option<String>,
    /// Headers that every delivery carries beside those of the profile.
    #[serde(default)]
    #[schemars(schema_with = "headers_schema")]
    pub headers: Option<HeaderMap>,
    /// Seconds that an attempt may take, over all its phases; 5 where left out.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_s: Option<u32>,
    /// Requests at a time at most; 8 where left out.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 64))]
    pub max_in_flight: Option<u32>,
    /// Requests a second at most; as fast as the endpoint takes them where left out.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 1_000))]
    pub rate_limit_per_s: Option<u32>,
    /// Whether deliveries are made strictly one after the other, in the order of their events.
    #[serde(default)]
    pub ordered: Option<bool>,
    /// In place of the profile's schedule.
    #[serde(default)]
    pub retry: Option<ScheduleSpec>,
    /// Whether deliveries carry the headers of Standard Webhooks beside the profile's own; they do where left out.
    #[serde(default)]
    pub standard_headers: Option<bool>,
}

/// Custom headers as JSON gives them: an object of texts, in its order.
pub type HeaderMap = serde_json::Map<String, serde_json::Value>;

/// What [`parse_headers`] takes, as far as a schema can say it: the names that the profile sets are refused too.
pub(super) fn headers_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"],
        "maxProperties": header::MAX_HEADERS,
        "propertyNames": {"pattern": header::NAME_PATTERN, "not": {"pattern": header::reserved_pattern()}},
        "additionalProperties": {"type": "string", "maxLength": header::MAX_VALUE_BYTES, "pattern": header::VALUE_PATTERN},
    })
}

impl Actions {
    /// Creates a webhook. May wait two seconds for a name server, and as long as the webhook's timeout for the answer
    /// to a challenge; call it from a thread that may block.
    pub fn create_webhook(&self, caller: &Caller, new: NewWebhook) -> Result<Arc<Webhook>, ActionError> {
        let now = self.clock.now_ms();
        let tenant = caller.tenant_for(new.tenant.as_deref())?;
        let url = self.check_url(&new.url)?;
        let name = new.profile.as_deref().or(caller.default_profile.as_deref()).unwrap_or(&self.default_profile);
        let profile = find_profile(self.store.profiles(), name)?;
        let secret = match new.secret {
            Some(text) => text.parse().map_err(|e: Invalid| e.in_field("secret"))?,
            None => Secret::generate(random::bytes()),
        };
        let defaults = Limits::DEFAULT;
        let state = match (new.active, &profile.spec().challenge) {
            (Some(false), _) => WebhookState::Paused,
            (_, Some(_)) => WebhookState::Unverified,
            (_, None) => WebhookState::Active,
        };
        let webhook = Webhook {
            seq: 0,
            id: WebhookId::generate(now, random::bits()),
            tenant,
            url,
            description: parse_description(new.description.unwrap_or_default())?,
            events: parse_events(&new.events)?,
            profile: profile.name().to_owned(),
            secret,
            old_secret: None,
            state,
            disabled_ms: None,
            disabled_reason: None,
            headers: parse_headers(new.headers.unwrap_or_default(), &profile)?.unmasked(&CustomHeaders::default())?,
            limits: Limits {
                timeout_s: new.timeout_s.unwrap_or(defaults.timeout_s),
                max_in_flight: new.max_in_flight.unwrap_or(defaults.max_in_flight),
                rate_limit_per_s: new.rate_limit_per_s,
            }
            .check()?,
            ordered: new.ordered.unwrap_or(false),
            retry: new.retry.as_ref().map(Schedule::parse).transpose()?,
            standard_headers: new.standard_headers.unwrap_or(true),
            created_ms: now,
            updated_ms: now,
            verified_url: None,
            sweep: None,
        };
        let of = caller.clone();
        let webhook = self
            .store
            .write(move |tx| -> Result<_, ActionError> {
                require_profile(tx, &webhook.profile)?;
                let webhook = webhook::insert(tx, webhook)?;
                let done = AuditEntry::of(AuditAction::WebhookCreated, &webhook.tenant, webhook.id);
                of.audit(tx, &done.saying(webhook.url.as_str()))?;
                Ok(webhook)
            })
            .wait()?;
        match webhook.state {
            // Its first events wait already, so that none is missed while the endpoint is asked.
            WebhookState::Unverified => Ok(self.verify_stored(caller, &webhook)?.webhook),
            _ => Ok(webhook),
        }
    }

    /// Parses a URL and judges where it leads, as far as that can be told now.
    pub(super) fn check_url(&self, text: &str) -> Result<TargetUrl, ActionError> {
        let url: TargetUrl = text
            .parse()
            .map_err(|error: crate::domain::Invalid| Invalid::new(error.code, error.message).in_field("url"))?;
        self.guard
            .check_new(&url, Instant::now() + LOOKUP)
            .map_err(|refusal| Invalid::new("target_blocked", refusal.message()).in_field("url"))?;
        Ok(url)
    }
}

/// The profile of that name; a 422 that lists the names there are.
pub(in crate::actions) fn find_profile(profiles: &Profiles, name: &str) -> Result<Arc<Profile>, Invalid> {
    profiles.find(name).ok_or_else(|| {
        let all = profiles.all();
        let known: Vec<&str> = all.iter().map(|profile| profile.name()).collect();
        Invalid::new("unknown_profile", format!("There is no profile {name:?}. There are {}.", known.join(", ")))
            .in_field("profile")
    })
}

/// Refuses a profile that was deleted since it was looked up.
pub(super) fn require_profile(tx: &WriteTx<'_>, name: &str) -> Result<(), ActionError> {
    if profile::exists(tx.connection(), name)? {
        return Ok(());
    }
    Err(ActionError::conflict("profile_deleted", format!("The profile {name} was deleted just now.")))
}

/// Checks custom headers against the rules and against what the profile sets itself.
pub(super) fn parse_headers(map: HeaderMap, profile: &Profile) -> Result<CustomHeaders, Invalid> {
    let pairs = map
        .into_iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(value) => Ok((name, value)),
            _ => Err(Invalid::new("invalid_header", "A header's value is text.").in_field(format!("headers.{name}"))),
        })
        .collect::<Result<_, _>>()?;
    CustomHeaders::parse(pairs, &profile.header_names())
}
