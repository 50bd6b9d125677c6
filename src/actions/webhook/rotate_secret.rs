//! Rotating a webhook's secret with an overlap, in which the receiver can change over without missing a delivery.

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::actions::audit::AuditEntry;
use crate::actions::webhook::create::find_profile;
use crate::actions::{ActionError, Actions, Caller, Pending, Result, lookup};
use crate::delivery::Endpoint;
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::json::whole;
use crate::domain::secret::Secret;
use crate::domain::signing::PublicKey;
use crate::domain::time::{Millis, SECOND};
use crate::domain::webhook::{DEFAULT_OVERLAP, MAX_OVERLAP, OldSecret, Webhook};
use crate::profile::ed25519;
use crate::profile::sign::Signs;
use crate::random;
use crate::store::profile::Profiles;
use crate::store::webhook;
use crate::text::humanize;

/// Rotation to a given or generated secret.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// New secret. Default: generated.
    #[serde(default)]
    #[schemars(regex(pattern = Secret::PATTERN))]
    pub secret: Option<String>,
    /// Seconds in which the old secret signs too, 0 to 604,800. Default: 86,400 (24 hours).
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 0, max = MAX_OVERLAP / SECOND))]
    pub overlap_s: Option<i64>,
    /// Whether to end a running overlap without rotating.
    #[serde(skip)]
    #[schemars(skip)]
    pub only_ends: bool,
}

#[derive(Debug, Clone)]
pub struct Rotated {
    pub secret: Secret,
    /// Key that verifies Ed25519 signatures, if the webhook has a key pair.
    pub public_key: Option<PublicKey>,
    /// Previous secret, while it still signs.
    pub old: Option<OldSecret>,
    /// Signature headers with the secrets that sign them.
    pub headers: Vec<(String, Signs)>,
}

impl Rotated {
    /// Returns the secrets in use at `now`.
    pub fn of(profiles: &Profiles, webhook: &Webhook, now: Millis) -> Result<Rotated> {
        let profile = find_profile(profiles, &webhook.profile)?;
        let endpoint = Endpoint::new(std::sync::Arc::new(webhook.clone()), &profile);
        let headers = endpoint.signs(now).into_iter();
        Ok(Rotated {
            secret: webhook.secret.clone(),
            public_key: webhook.key_pair.as_ref().map(|pair| *pair.public_key()),
            old: running(webhook, now).cloned(),
            headers: headers.map(|(name, signs)| (name.to_owned(), signs)).collect(),
        })
    }
}

/// Returns the first 16 hexadecimal digits of a secret's SHA-256, which tell secrets apart without showing them.
pub fn fingerprint(secret: &Secret) -> String {
    let mut digest = hex::encode(Sha256::digest(secret.as_str().as_bytes()));
    digest.truncate(16);
    digest
}

fn running(webhook: &Webhook, now: Millis) -> Option<&OldSecret> {
    webhook.old_secret.as_ref().filter(|old| now < old.overlap_ends_ms)
}

impl Actions {
    /// Rotates the secret. An overlap of 0 switches at once, or ends a running overlap. Any other rotation during an
    /// overlap is a conflict, because a header carries at most two signatures.
    pub fn rotate_secret(&self, caller: &Caller, id: &str, rotation: Rotation) -> Pending<Rotated> {
        let (caller, id) = (caller.clone(), id.to_owned());
        let profiles = self.store.profiles().clone();
        self.store.write(move |tx| {
            let now = tx.now_ms();
            let overlap = overlap(&rotation)?;
            let mut webhook = lookup::own_webhook(tx.connection(), &caller, &id)?;
            let given = rotation
                .secret
                .as_deref()
                .map(|text| text.parse().map_err(|e: Invalid| e.in_field("secret")))
                .transpose()?;
            let is_running = running(&webhook, now).is_some();
            if rotation.only_ends && !is_running {
                return Err(ActionError::conflict(
                    "overlap_ended",
                    "The overlap has ended already: only the new secret signs. Nothing was changed.",
                ));
            }
            if is_running && overlap > 0 {
                return Err(ActionError::conflict(
                    "rotation_running",
                    "A rotation is under way. Wait for its overlap to end, or end it with \"overlap_s\": 0.",
                ));
            }
            webhook.old_secret = (overlap > 0).then(|| OldSecret {
                secret: webhook.secret.clone(),
                key_pair: webhook.key_pair.clone(),
                overlap_ends_ms: now + overlap,
            });
            // Ending an overlap keeps what was rotated to, unless another secret is given.
            let is_new = given.is_some() || !is_running;
            if is_new {
                webhook.secret = given.unwrap_or_else(|| Secret::generate(random::bytes()));
                webhook.key_pair = webhook.key_pair.map(|_| ed25519::key_pair(random::bytes()));
            }
            webhook.touch(now);
            let webhook = webhook::update(tx, webhook)?;
            let entry = AuditEntry::new(AuditAction::SecretRotated, webhook.id).in_tenant(&webhook.tenant);
            caller.audit(tx, entry.with_detail(detail(overlap, is_running)))?;
            Rotated::of(&profiles, &webhook, now)
        })
    }

    /// Returns the secrets of a webhook to show them, which is audited.
    pub fn reveal_secret(&self, caller: &Caller, id: &str) -> Result<Rotated> {
        let (auditor, id) = (caller.clone(), id.to_owned());
        let webhook = self.store.write(move |tx| -> Result<_> {
            let webhook = lookup::webhook(tx.connection(), &auditor, &id)?;
            let entry = AuditEntry::new(AuditAction::SecretRevealed, webhook.id).in_tenant(&webhook.tenant);
            auditor.audit(tx, entry)?;
            Ok(webhook)
        });
        Rotated::of(self.store.profiles(), &webhook.wait()?, self.clock.now_ms())
    }
}

fn detail(overlap: Millis, was_running: bool) -> String {
    match (overlap, was_running) {
        (0, true) => "overlap ended".to_owned(),
        (0, false) => "without an overlap".to_owned(),
        (overlap, _) => format!("both secrets sign for {}", humanize::duration(overlap)),
    }
}

fn overlap(rotation: &Rotation) -> Result<Millis, Invalid> {
    let overlap = rotation.overlap_s.map_or(DEFAULT_OVERLAP, |seconds| seconds.saturating_mul(SECOND));
    if (0..=MAX_OVERLAP).contains(&overlap) {
        return Ok(overlap);
    }
    Err(Invalid::new("out_of_range", "overlap_s must be 0 to 604800 seconds (7 days).").in_field("overlap_s"))
}
