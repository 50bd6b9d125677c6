//! Changing, pausing, resuming and deleting a webhook.

use std::sync::Arc;

use crate::actions::audit::AuditEntry;
use crate::actions::unchanged::Unchanged;
use crate::actions::webhook::create::{
    add_key_pair, check_endpoint, check_template, facts, find_profile, require_profile, unknown,
};
use crate::actions::webhook::put::require_free;
use crate::actions::webhook::verify::{Challenged, changed_meanwhile};
use crate::actions::{ActionError, Actions, Caller, Pending, Result, collect, lookup};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::problems::Problems;
use crate::domain::webhook::{Waiting, Webhook, WebhookSettings, WebhookState};
use crate::store::profile::Profiles;
use crate::store::{WriteTx, incident, sweep, webhook};

impl Actions {
    /// Changes a webhook that meets a condition. Blocks for up to two seconds for a name server, and for the webhook's timeout if a challenge
    /// is needed.
    pub fn change_webhook(
        &self,
        caller: &Caller,
        id: &str,
        settings: WebhookSettings,
        unchanged: Unchanged<Webhook>,
    ) -> Result<Arc<Webhook>> {
        self.change_webhook_by(caller, id, move |_| Ok(settings.clone()), unchanged)
    }

    /// Like [`Actions::change_webhook`], with settings that are made of the stored webhook.
    pub fn change_webhook_by(
        &self,
        caller: &Caller,
        id: &str,
        settings_for: impl Fn(&Webhook) -> Result<WebhookSettings, Invalid> + Send + 'static,
        unchanged: Unchanged<Webhook>,
    ) -> Result<Arc<Webhook>> {
        let before = self.store.read(|connection| lookup::own_webhook(connection, caller, id))?;
        let settings = settings_for(&before)?;
        if settings.tenant.is_some() {
            return Err(unknown("tenant", "The tenant of a webhook cannot be changed.").into());
        }
        let mut problems = Problems::default();
        if let Some(url) = &settings.url {
            collect(&mut problems, self.check_url(caller, url))?;
        }
        collect(&mut problems, self.check_tls(caller, &settings))?;
        collect(&mut problems, self.check_token_url(caller, &settings))?;
        let profiles = self.store.profiles();
        if let Some(name) = settings.profile.as_deref().filter(|name| *name != before.profile) {
            collect(&mut problems, self.require_choice(caller, name))?;
        }
        let activation = problems.check(activation(&before, &settings)).flatten();
        let after = problems.check(apply(profiles, before.clone(), settings));
        problems.end()?;
        let after = after.expect("settings that could not be applied are a problem");
        let challenged = self.challenge_if_needed(&before, &after, activation.as_ref())?;
        let (caller, id) = (caller.clone(), id.to_owned());
        let profiles = profiles.clone();
        self.store
            .write(move |tx| {
                // Read again: the webhook may have changed during the challenge.
                let webhook = lookup::own_webhook(tx.connection(), &caller, &id)?;
                unchanged.require(Some(&webhook))?;
                let settings = settings_for(&webhook)?;
                let mut activation = self::activation(&webhook, &settings)?;
                let names = settings.names();
                let stored = webhook.clone();
                let mut webhook = apply(&profiles, webhook, settings)?;
                let is_needed = needs_challenge(&profiles, &stored, &webhook, activation.as_ref())?;
                if challenged.as_ref().map_or(is_needed, |challenged| !challenged.is_of(&webhook)) {
                    return Err(changed_meanwhile());
                }
                let entry = |action| AuditEntry::new(action, webhook.id).in_tenant(&webhook.tenant);
                if !names.is_empty() {
                    caller.audit(tx, entry(AuditAction::WebhookChanged).with_detail(names.join(", ")))?;
                }
                if let Some(activation) = &activation {
                    caller.audit(tx, entry(activation.action()).with_detail(activation.detail()))?;
                }
                require_profile(tx, &webhook.profile)?;
                require_free(tx.connection(), &webhook)?;
                if webhook != stored || activation.is_some() {
                    webhook.touch(tx.now_ms());
                }
                if challenged.is_some() {
                    webhook.verified_url = Some(webhook.url.as_str().to_owned());
                    if webhook.state == WebhookState::Unverified && activation.is_none() {
                        activation = Some(Activation::Resume(Waiting::Resume));
                    }
                }
                let changed = match activation {
                    Some(activation) => activate(tx, webhook, activation)?,
                    None => webhook::update(tx, webhook)?,
                };
                incident::changed(tx, &stored, &changed, &caller.author())?;
                Ok(changed)
            })
            .wait()
    }

    /// Deletes a webhook. Its queued deliveries are discarded; its log stays until retention deletes it.
    pub fn delete_webhook(&self, caller: &Caller, id: &str, unchanged: Unchanged<Webhook>) -> Pending<()> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.store.write(move |tx| {
            let webhook = lookup::own_webhook(tx.connection(), &caller, &id)?;
            unchanged.require(Some(&webhook))?;
            webhook::delete(tx, webhook.seq)?;
            sweep::step(tx, webhook.seq, 0)?;
            let entry = AuditEntry::new(AuditAction::WebhookDeleted, webhook.id).in_tenant(&webhook.tenant);
            Ok(caller.audit(tx, entry.with_detail(webhook.url.masked()))?)
        })
    }

    /// Challenges the endpoint if the change needs it. Returns what passed the challenge, if any. A failed challenge is a
    /// conflict.
    fn challenge_if_needed(
        &self,
        before: &Webhook,
        after: &Webhook,
        activation: Option<&Activation>,
    ) -> Result<Option<Challenged>> {
        if !needs_challenge(self.store.profiles(), before, after, activation)? {
            return Ok(None);
        }
        match self.challenge(after)?.refusal {
            None => Ok(Some(Challenged::of(after))),
            Some(reason) => Err(ActionError::conflict("challenge_failed", reason)),
        }
    }
}

/// Whether a change would make a webhook send to a URL that has not passed its profile's challenge.
fn needs_challenge(
    profiles: &Profiles,
    before: &Webhook,
    after: &Webhook,
    activation: Option<&Activation>,
) -> Result<bool> {
    let is_changed = before.url != after.url || before.profile != after.profile;
    let will_send = match activation {
        Some(Activation::Resume(_)) => true,
        Some(Activation::Pause) => false,
        None => is_changed && matches!(after.state, WebhookState::Active | WebhookState::Unverified),
    };
    let is_verified = after.verified_url.as_deref() == Some(after.url.as_str());
    let profile = find_profile(profiles, &after.profile)?;
    Ok(profile.spec().challenge.is_some() && will_send && !is_verified)
}

/// Change of state that `active` asks for.
enum Activation {
    Pause,
    Resume(Waiting),
}

impl Activation {
    fn action(&self) -> AuditAction {
        match self {
            Activation::Pause => AuditAction::WebhookPaused,
            Activation::Resume(_) => AuditAction::WebhookResumed,
        }
    }

    fn detail(&self) -> &'static str {
        match self {
            Activation::Pause => "",
            Activation::Resume(Waiting::Resume) => "queued deliveries are sent",
            Activation::Resume(Waiting::Discard) => "queued deliveries are discarded",
        }
    }
}

fn activation(webhook: &Webhook, settings: &WebhookSettings) -> Result<Option<Activation>, Invalid> {
    let in_field = |invalid: Invalid| invalid.in_field("waiting");
    let waiting = settings.waiting.as_deref().map(|text| text.parse().map_err(in_field)).transpose()?;
    if waiting.is_some() && settings.active != Some(true) {
        return Err(in_field(Invalid::new(
            "waiting_without_active",
            "waiting needs \"active\": true. It decides what happens to the deliveries queued before.",
        )));
    }
    Ok(match settings.active {
        Some(true) if webhook.state != WebhookState::Active => {
            Some(Activation::Resume(waiting.unwrap_or(Waiting::Resume)))
        }
        Some(false) if webhook.state != WebhookState::Paused => Some(Activation::Pause),
        _ => None,
    })
}

fn activate(tx: &mut WriteTx<'_>, mut webhook: Webhook, activation: Activation) -> Result<Arc<Webhook>> {
    webhook.disabled_ms = None;
    webhook.disabled_reason = None;
    match activation {
        Activation::Pause => {
            webhook.state = WebhookState::Paused;
            Ok(webhook::update(tx, webhook)?)
        }
        Activation::Resume(waiting) => {
            webhook.state = WebhookState::Active;
            sweep::begin(tx.connection(), &mut webhook, waiting)?;
            let webhook = webhook::update(tx, webhook)?;
            // Usually the only step; otherwise the rest runs in the background, and the lane opens afterwards.
            sweep::step(tx, webhook.seq, 0)?;
            Ok(webhook)
        }
    }
}

pub(in crate::actions) fn apply(
    profiles: &Profiles,
    mut webhook: Webhook,
    settings: WebhookSettings,
) -> Result<Webhook, Invalid> {
    let mut problems = Problems::default();
    let named = settings.profile.as_deref().unwrap_or(&webhook.profile);
    let profile = problems.check(find_profile(profiles, named));
    // The other settings are checked beside the profile that the webhook has.
    let Some(profile) = profile.or_else(|| profiles.find(&webhook.profile)) else {
        return problems.end().map(|()| webhook);
    };
    let may_lack = settings.url.is_some() || settings.headers.is_some() || settings.profile.is_some();
    let may_differ = settings.template.is_some() || settings.profile.is_some();
    problems.check(settings.apply(&mut webhook, &facts(&profile)));
    if may_differ {
        problems.check(check_template(&webhook, &profile));
    }
    if may_lack && problems.is_empty() {
        problems.check(check_endpoint(&webhook, &profile));
    }
    problems.end()?;
    add_key_pair(&mut webhook);
    Ok(webhook)
}
