//! Changing a webhook: its settings, pausing it, bringing it back.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::actions::audit::AuditEntry;
use crate::actions::webhook::create::{HeaderMap, find_profile, headers_schema, parse_headers, require_profile};
use crate::actions::{ActionError, Actions, Caller, lookup};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::EventType;
use crate::domain::header::CustomHeaders;
use crate::domain::json::whole;
use crate::domain::pattern::EventPattern;
use crate::domain::retry::{Schedule, ScheduleSpec};
use crate::domain::secret::Secret;
use crate::domain::target::{MAX_URL_BYTES, TargetUrl};
use crate::domain::webhook::{
    DESCRIPTION_PATTERN, MAX_DESCRIPTION, Sweep, Waiting, Webhook, WebhookState, parse_description, parse_events,
};
use crate::profile::spec::NAME_PATTERN;
use crate::store::profile::Profiles;
use crate::store::{WriteTx, sweep, webhook};

/// The fields to change; what is absent stays. Where `null` means something, it is `Some(None)`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("dependentSchemas" = serde_json::json!({
    "waiting": {"anyOf": [
        {"properties": {"waiting": {"const": null}}},
        {"properties": {"active": {"const": true}}, "required": ["active"]},
    ]},
})))]
pub struct WebhookChange {
    /// Where deliveries go.
    #[serde(default)]
    #[schemars(length(max = MAX_URL_BYTES), regex(pattern = TargetUrl::PATTERN))]
    pub url: Option<String>,
    /// The event types that it subscribes to.
    #[serde(default)]
    #[schemars(length(min = 1, max = 256), inner(regex(pattern = EventPattern::PATTERN), length(max = EventType::MAX_BYTES)))]
    pub events: Option<Vec<String>>,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = MAX_DESCRIPTION), regex(pattern = DESCRIPTION_PATTERN))]
    pub description: Option<String>,
    /// `false` pauses it, `true` brings it back.
    #[serde(default)]
    pub active: Option<bool>,
    /// With `active: true`: what happens to what waited, `resume` (the default) or `discard`.
    #[serde(default)]
    #[schemars(extend("enum" = ["resume", "discard", null]))]
    pub waiting: Option<String>,
    /// How deliveries look.
    #[serde(default)]
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub profile: Option<String>,
    /// The secret from here on; rotating it has an overlap instead.
    #[serde(default)]
    #[schemars(regex(pattern = Secret::PATTERN))]
    pub secret: Option<String>,
    /// Headers that every delivery carries, in place of those before. A value shown as a mask stays when it is sent back.
    #[serde(default)]
    #[schemars(schema_with = "headers_schema")]
    pub headers: Option<HeaderMap>,
    /// Seconds that an attempt may take, over all its phases.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_s: Option<u32>,
    /// Requests at a time at most.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 64))]
    pub max_in_flight: Option<u32>,
    /// Requests a second at most; `null` for as fast as the endpoint takes them.
    #[serde(default, deserialize_with = "present_whole")]
    #[schemars(range(min = 1, max = 1_000))]
    pub rate_limit_per_s: Option<Option<u32>>,
    /// Whether deliveries are made strictly one after the other, in the order of their events.
    #[serde(default)]
    pub ordered: Option<bool>,
    /// In place of the profile's schedule; `null` for the profile's.
    #[serde(default, deserialize_with = "present")]
    pub retry: Option<Option<ScheduleSpec>>,
    /// Whether deliveries carry the headers of Standard Webhooks beside the profile's own.
    #[serde(default)]
    pub standard_headers: Option<bool>,
}

impl WebhookChange {
    /// The settings that it names, as the API calls them; `active` is none.
    fn fields(&self) -> Vec<&'static str> {
        let fields = [
            ("url", self.url.is_some()),
            ("events", self.events.is_some()),
            ("description", self.description.is_some()),
            ("profile", self.profile.is_some()),
            ("secret", self.secret.is_some()),
            ("headers", self.headers.is_some()),
            ("timeout_s", self.timeout_s.is_some()),
            ("max_in_flight", self.max_in_flight.is_some()),
            ("rate_limit_per_s", self.rate_limit_per_s.is_some()),
            ("ordered", self.ordered.is_some()),
            ("retry", self.retry.is_some()),
            ("standard_headers", self.standard_headers.is_some()),
        ];
        let named = fields.into_iter().filter(|(_, is_named)| *is_named);
        named.map(|(name, _)| name).collect()
    }
}

/// Tells `null` from absence.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn present_whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    whole(deserializer).map(Some)
}

impl Actions {
    /// Changes a webhook. May wait two seconds for a name server; call it from a thread that may block.
    pub fn change_webhook(
        &self,
        caller: &Caller,
        id: &str,
        change: WebhookChange,
    ) -> Result<Arc<Webhook>, ActionError> {
        let url = change.url.as_deref().map(|text| self.check_url(text)).transpose()?;
        let profiles = self.store.profiles();
        let before = self.store.read(|connection| lookup::webhook(connection, caller, id))?;
        let activation = activation(&before, &change)?;
        let after = apply(profiles, before.clone(), change.clone(), url.clone())?;
        let verified_url = self.challenged(&before, &after, activation.as_ref())?;
        let (caller, id) = (caller.clone(), id.to_owned());
        let profiles = profiles.clone();
        self.store
            .write(move |tx| {
                // Read again: the webhook may have changed while its endpoint was asked.
                let webhook = lookup::webhook(tx.connection(), &caller, &id)?;
                let mut activation = self::activation(&webhook, &change)?;
                let fields = change.fields();
                let mut webhook = apply(&profiles, webhook, change, url)?;
                if !fields.is_empty() {
                    let done = AuditEntry::of(AuditAction::WebhookChanged, &webhook.tenant, webhook.id);
                    caller.audit(tx, &done.saying(fields.join(", ")))?;
                }
                if let Some(activation) = &activation {
                    let done = AuditEntry::of(activation.deed(), &webhook.tenant, webhook.id);
                    caller.audit(tx, &done.saying(activation.said()))?;
                }
                require_profile(tx, &webhook.profile)?;
                webhook.updated_ms = tx.now_ms();
                if verified_url.is_some() {
                    webhook.verified_url = verified_url;
                    if webhook.state == WebhookState::Unverified && activation.is_none() {
                        activation = Some(Activation::Resume(Waiting::Resume));
                    }
                }
                match activation {
                    Some(activation) => activate(tx, webhook, activation),
                    None => Ok(webhook::update(tx, webhook)?),
                }
            })
            .wait()
    }

    /// Asks the endpoint, where the change would make a webhook send to one that has not answered its profile's
    /// challenge. The URL that is verified by that, if any; a conflict where the endpoint does not pass.
    fn challenged(
        &self,
        before: &Webhook,
        after: &Webhook,
        activation: Option<&Activation>,
    ) -> Result<Option<String>, ActionError> {
        let is_changed = before.url != after.url || before.profile != after.profile;
        let asks = match activation {
            Some(Activation::Resume(_)) => true,
            Some(Activation::Pause) => false,
            None => is_changed && matches!(after.state, WebhookState::Active | WebhookState::Unverified),
        };
        let is_verified = after.verified_url.as_deref() == Some(after.url.as_str());
        let profile = find_profile(self.store.profiles(), &after.profile)?;
        if profile.spec().challenge.is_none() || !asks || is_verified {
            return Ok(None);
        }
        match self.challenge(after)?.refusal {
            None => Ok(Some(after.url.as_str().to_owned())),
            Some(why) => Err(ActionError::conflict("challenge_failed", why)),
        }
    }
}

/// What `active` asks for, where it changes anything.
enum Activation {
    Pause,
    Resume(Waiting),
}

impl Activation {
    fn deed(&self) -> AuditAction {
        match self {
            Activation::Pause => AuditAction::WebhookPaused,
            Activation::Resume(_) => AuditAction::WebhookResumed,
        }
    }

    fn said(&self) -> &'static str {
        match self {
            Activation::Pause => "",
            Activation::Resume(Waiting::Resume) => "what waited is sent",
            Activation::Resume(Waiting::Discard) => "what waited is discarded",
        }
    }
}

fn activation(webhook: &Webhook, change: &WebhookChange) -> Result<Option<Activation>, Invalid> {
    let waiting =
        change.waiting.as_deref().map(|text| text.parse().map_err(|e: Invalid| e.in_field("waiting"))).transpose()?;
    if waiting.is_some() && change.active != Some(true) {
        return Err(Invalid::new(
            "waiting_without_active",
            "waiting says what happens to waiting deliveries when active becomes true; send it with \"active\": true.",
        )
        .in_field("waiting"));
    }
    Ok(match change.active {
        Some(true) if webhook.state != WebhookState::Active => {
            Some(Activation::Resume(waiting.unwrap_or(Waiting::Resume)))
        }
        Some(false) if webhook.state != WebhookState::Paused => Some(Activation::Pause),
        _ => None,
    })
}

fn activate(tx: &mut WriteTx<'_>, mut webhook: Webhook, activation: Activation) -> Result<Arc<Webhook>, ActionError> {
    webhook.disabled_ms = None;
    webhook.disabled_reason = None;
    match activation {
        Activation::Pause => {
            webhook.state = WebhookState::Paused;
            Ok(webhook::update(tx, webhook)?)
        }
        Activation::Resume(waiting) => {
            if let Some(Sweep { waiting: Waiting::Discard, .. }) = webhook.sweep {
                // What is to be discarded is discarded, however fast the webhook was paused again.
                while sweep::step(tx, webhook.seq)? {}
            }
            webhook.state = WebhookState::Active;
            webhook.sweep = Some(Sweep { waiting, up_to_seq: sweep::newest(tx.connection())? });
            let webhook = webhook::update(tx, webhook)?;
            // Mostly one step is all; else it goes on in the background, and the lane opens at its end.
            sweep::step(tx, webhook.seq)?;
            Ok(webhook)
        }
    }
}

fn apply(
    profiles: &Profiles,
    mut webhook: Webhook,
    change: WebhookChange,
    url: Option<TargetUrl>,
) -> Result<Webhook, Invalid> {
    if let Some(url) = url {
        webhook.url = url;
    }
    if let Some(events) = &change.events {
        webhook.events = parse_events(events)?;
    }
    if let Some(description) = change.description {
        webhook.description = parse_description(description)?;
    }
    if let Some(text) = &change.secret {
        webhook.secret = text.parse().map_err(|e: Invalid| e.in_field("secret"))?;
        webhook.old_secret = None;
    }
    if let Some(timeout_s) = change.timeout_s {
        webhook.limits.timeout_s = timeout_s;
    }
    if let Some(max_in_flight) = change.max_in_flight {
        webhook.limits.max_in_flight = max_in_flight;
    }
    if let Some(rate) = change.rate_limit_per_s {
        webhook.limits.rate_limit_per_s = rate;
    }
    webhook.limits = webhook.limits.check()?;
    if let Some(ordered) = change.ordered {
        webhook.ordered = ordered;
    }
    if let Some(retry) = change.retry {
        webhook.retry = retry.as_ref().map(Schedule::parse).transpose()?;
    }
    if let Some(standard_headers) = change.standard_headers {
        webhook.standard_headers = standard_headers;
    }
    if change.profile.is_some() || change.headers.is_some() {
        let name = change.profile.as_deref().unwrap_or(&webhook.profile);
        let profile = find_profile(profiles, name)?;
        webhook.headers = match change.headers {
            Some(map) => parse_headers(map, &profile)?.unmasked(&webhook.headers)?,
            None => checked_again(&webhook.headers, &profile)?,
        };
        webhook.profile = profile.name().to_owned();
    }
    Ok(webhook)
}

/// A changed profile may set a header that the webhook sets too.
fn checked_again(headers: &CustomHeaders, profile: &crate::profile::Profile) -> Result<CustomHeaders, Invalid> {
    let pairs = headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    CustomHeaders::parse(pairs, &profile.header_names())
}
