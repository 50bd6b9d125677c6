//! Rotating a webhook's secret, so that its receiver can change over without missing a delivery.

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::actions::audit::AuditEntry;
use crate::actions::webhook::create::find_profile;
use crate::actions::{ActionError, Actions, Caller, lookup};
use crate::delivery::Endpoint;
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::json::whole;
use crate::domain::secret::Secret;
use crate::domain::time::{Millis, SECOND};
use crate::domain::webhook::{DEFAULT_OVERLAP, MAX_OVERLAP, OldSecret, Webhook};
use crate::profile::sign::Signs;
use crate::random;
use crate::store::profile::Profiles;
use crate::store::{Pending, webhook};
use crate::text::humanize;

/// What to rotate to: a given secret or a generated one, and how long both are in use.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The new secret; generated where left out.
    #[serde(default)]
    #[schemars(regex(pattern = Secret::PATTERN))]
    pub secret: Option<String>,
    /// Seconds for which the old secret signs too, 0 to 604,800; 24 hours where nobody says.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 0, max = MAX_OVERLAP / SECOND))]
    pub overlap_s: Option<i64>,
    /// Whether all that is meant is to end an overlap: nothing is rotated where none is running any more.
    #[serde(skip)]
    #[schemars(skip)]
    pub only_ends: bool,
}

/// The secrets of a webhook as they are now.
#[derive(Debug, Clone)]
pub struct Rotated {
    pub secret: Secret,
    /// The secret before, while it still signs.
    pub old: Option<OldSecret>,
    /// For each signature header, which secret signs it now.
    pub headers: Vec<(String, Signs)>,
}

impl Rotated {
    /// Secrets in use at `now`.
    pub fn of(profiles: &Profiles, webhook: &Webhook, now: Millis) -> Result<Rotated, ActionError> {
        let profile = find_profile(profiles, &webhook.profile)?;
        let endpoint = Endpoint::new(std::sync::Arc::new(webhook.clone()), &profile);
        let headers = endpoint.signs(now).into_iter();
        Ok(Rotated {
            secret: webhook.secret.clone(),
            old: running(webhook, now).cloned(),
            headers: headers.map(|(name, signs)| (name.to_owned(), signs)).collect(),
        })
    }
}

/// The first 16 hexadecimal digits of a secret's SHA-256: tells secrets apart without showing them.
pub fn fingerprint(secret: &Secret) -> String {
    let mut digest = hex::encode(Sha256::digest(secret.as_str().as_bytes()));
    digest.truncate(16);
    digest
}

fn running(webhook: &Webhook, now: Millis) -> Option<&OldSecret> {
    webhook.old_secret.as_ref().filter(|old| now < old.overlap_ends_ms)
}

impl Actions {
    /// Rotates. An overlap of 0 switches at once; during an overlap it ends that one, and every other rotation
    /// is refused, since a header carries two signatures at most.
    pub fn rotate_secret(&self, caller: &Caller, id: &str, rotation: Rotation) -> Pending<Rotated, ActionError> {
        let (caller, id) = (caller.clone(), id.to_owned());
        let profiles = self.store.profiles().clone();
        self.store.write(move |tx| {
            let now = tx.now_ms();
            let overlap = overlap(&rotation)?;
            let mut webhook = lookup::webhook(tx.connection(), &caller, &id)?;
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
            webhook.old_secret =
                (overlap > 0).then(|| OldSecret { secret: webhook.secret.clone(), overlap_ends_ms: now + overlap });
            webhook.secret = match given {
                Some(secret) => secret,
                // Ending an overlap keeps the secret that was rotated to.
                None if is_running => webhook.secret,
                None => Secret::generate(random::bytes()),
            };
            webhook.updated_ms = now;
            let webhook = webhook::update(tx, webhook)?;
            let done = AuditEntry::of(AuditAction::SecretRotated, &webhook.tenant, webhook.id);
            caller.audit(tx, &done.saying(said(overlap, is_running)))?;
            Rotated::of(&profiles, &webhook, now)
        })
    }

    /// The secrets of a webhook, to be shown to somebody; who it was is written down.
    pub fn reveal_secret(&self, caller: &Caller, id: &str) -> Result<Rotated, ActionError> {
        let (of, id) = (caller.clone(), id.to_owned());
        let webhook = self.store.write(move |tx| -> Result<_, ActionError> {
            let webhook = lookup::webhook(tx.connection(), &of, &id)?;
            of.audit(tx, &AuditEntry::of(AuditAction::SecretRevealed, &webhook.tenant, webhook.id))?;
            Ok(webhook)
        });
        Rotated::of(self.store.profiles(), &webhook.wait()?, self.clock.now_ms())
    }
}

/// A rotation in words.
fn said(overlap: Millis, was_running: bool) -> String {
    match (overlap, was_running) {
        (0, true) => "the overlap was ended".to_owned(),
        (0, false) => "without an overlap".to_owned(),
        (overlap, _) => format!("both are in use for {}", humanize::duration(overlap)),
    }
}

fn overlap(rotation: &Rotation) -> Result<Millis, Invalid> {
    let overlap = rotation.overlap_s.map_or(DEFAULT_OVERLAP, |seconds| seconds.saturating_mul(SECOND));
    if (0..=MAX_OVERLAP).contains(&overlap) {
        return Ok(overlap);
    }
    Err(Invalid::new("out_of_range", "overlap_s is 0 to 604800 seconds (7 days).").in_field("overlap_s"))
}
