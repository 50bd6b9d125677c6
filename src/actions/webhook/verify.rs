//! Verifying a webhook by its profile's challenge.

use std::sync::Arc;

use crate::actions::audit::AuditEntry;
use crate::actions::webhook::create::find_profile;
use crate::actions::{ActionError, Actions, Caller, Result, lookup};
use crate::delivery::Endpoint;
use crate::delivery::challenge::{ChallengeResult, challenge};
use crate::domain::audit_action::AuditAction;
use crate::domain::target::TargetUrl;
use crate::domain::webhook::{Waiting, Webhook, WebhookState};
use crate::store::attempt::Attempt;
use crate::store::{incident, sweep, webhook};

/// Webhook after its challenge, with the attempt.
#[derive(Debug, Clone)]
pub struct Verified {
    pub webhook: Arc<Webhook>,
    pub attempt: Attempt,
    pub refusal: Option<String>,
}

/// URL and profile of a challenge. The webhook may change while the endpoint is asked, and only what was asked counts.
pub(super) struct Challenged {
    url: TargetUrl,
    profile: String,
}

impl Challenged {
    pub(super) fn of(webhook: &Webhook) -> Challenged {
        Challenged { url: webhook.url.clone(), profile: webhook.profile.clone() }
    }

    pub(super) fn is_of(&self, webhook: &Webhook) -> bool {
        webhook.url == self.url && webhook.profile == self.profile
    }
}

/// Conflict of a challenge with a change of the webhook.
pub(super) fn changed_meanwhile() -> ActionError {
    ActionError::conflict(
        "webhook_changed",
        "The URL, profile or state of the webhook was changed during this request, so what was verified is not what would \
         be sent to. Nothing was changed. Send the request again.",
    )
}

impl Actions {
    /// Runs the challenge of a webhook's profile. An unverified webhook that passes becomes active, and its queued
    /// deliveries are sent; a webhook in another state keeps it. Blocks for up to the webhook's timeout.
    pub fn verify_webhook(&self, caller: &Caller, id: &str) -> Result<Verified> {
        let webhook = self.store.read(|connection| lookup::own_webhook(connection, caller, id))?;
        self.verify_stored(caller, &Arc::new(webhook))
    }

    /// Challenges a stored webhook and stores the result.
    pub(super) fn verify_stored(&self, caller: &Caller, webhook: &Arc<Webhook>) -> Result<Verified> {
        let ChallengeResult { result, body, refusal } = self.challenge(webhook)?;
        let (challenged, caller) = (Challenged::of(webhook), caller.clone());
        let (seq, reason) = (webhook.seq, refusal.clone());
        let webhook = self
            .store
            .write(move |tx| {
                let mut webhook = webhook::by_seq(tx.connection(), seq)?.ok_or(ActionError::NotFound("webhook"))?;
                let before = webhook.clone();
                if !challenged.is_of(&webhook) {
                    return Err(changed_meanwhile());
                }
                webhook.touch(tx.now_ms());
                if reason.is_none() {
                    let entry = AuditEntry::new(AuditAction::WebhookVerified, webhook.id).in_tenant(&webhook.tenant);
                    caller.audit(tx, entry.with_detail(webhook.url.masked()))?;
                    webhook.verified_url = Some(webhook.url.as_str().to_owned());
                }
                if webhook.state == WebhookState::Unverified {
                    webhook.disabled_reason = reason;
                    if webhook.disabled_reason.is_none() {
                        webhook.state = WebhookState::Active;
                        sweep::begin(tx.connection(), &mut webhook, Waiting::Resume)?;
                    }
                }
                webhook::update(tx, webhook)?;
                sweep::step(tx, seq, 0)?;
                let webhook = webhook::by_seq(tx.connection(), seq)?.ok_or(ActionError::NotFound("webhook"))?;
                incident::changed(tx, &before, &webhook, &caller.author())?;
                Ok(Arc::new(webhook))
            })
            .wait()?;
        let mut attempt = result.attempt;
        attempt.request_body = Some(body);
        Ok(Verified { webhook, attempt, refusal })
    }

    /// Challenges the endpoint of a webhook, which need not be stored.
    pub(super) fn challenge(&self, webhook: &Webhook) -> Result<ChallengeResult> {
        let profile = find_profile(self.store.profiles(), &webhook.profile)?;
        let Some(spec) = &profile.spec().challenge else {
            return Err(ActionError::conflict(
                "no_challenge",
                format!("The profile {} has no challenge, so there is nothing to verify.", profile.name()),
            ));
        };
        let endpoint = Endpoint::new(Arc::new(webhook.clone()), &profile);
        Ok(challenge(self.engine.sender(), &endpoint, spec, self.clock.now_ms()))
    }
}
