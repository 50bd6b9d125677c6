//! Creating a webhook.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::actions::audit::AuditEntry;
use crate::actions::tenant_limits::require_place;
use crate::actions::{ActionError, Actions, Caller, Result, lookup};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::endpoint_auth::{AuthSpec, parse_token_url};
use crate::domain::id::WebhookId;
use crate::domain::secret::Secret;
use crate::domain::target::{Refusal, TargetUrl};
use crate::domain::webhook::{Webhook, WebhookSettings, WebhookState, parse_url};
use crate::profile::template::{Template, Use};
use crate::profile::{Profile, ed25519};
use crate::random;
use crate::store::profile::{self, Profiles};
use crate::store::{WriteTx, webhook};

/// Maximum wait for a name server. If the lookup fails, creation succeeds: every attempt checks the address again.
const LOOKUP: Duration = Duration::from_secs(2);

impl Actions {
    /// Creates a webhook; `url` and `events` are required. Blocks for up to two seconds for a name server, and for the
    /// webhook's timeout if its profile has a challenge.
    pub fn create_webhook(&self, caller: &Caller, mut settings: WebhookSettings) -> Result<Arc<Webhook>> {
        let Some(url) = &settings.url else { return Err(Invalid::missing_field("url").into()) };
        if settings.events.is_none() {
            return Err(Invalid::missing_field("events").into());
        }
        if settings.waiting.is_some() {
            return Err(unknown("waiting", "A new webhook has no queued deliveries.").into());
        }
        self.check_tls(caller, &settings)?;
        let now = self.clock.now_ms();
        let tenant = caller.tenant_for(settings.tenant.as_deref())?;
        let url = self.check_url(caller, url)?;
        self.check_token_url(caller, &settings)?;
        let name = settings.profile.take().or_else(|| caller.default_profile.clone());
        let profile = find_profile(self.store.profiles(), name.as_deref().unwrap_or(&self.default_profile))?;
        let (id, secret) = (WebhookId::generate(now, random::bits()), Secret::generate(random::bytes()));
        let mut webhook = Webhook::new(id, tenant, url, profile.name(), secret, now);
        webhook.state = match (settings.active, &profile.spec().challenge) {
            (Some(false), _) => WebhookState::Paused,
            (_, Some(_)) => WebhookState::Unverified,
            (_, None) => WebhookState::Active,
        };
        settings.apply(&mut webhook, &profile.header_names())?;
        add_key_pair(&mut webhook);
        check_template(&webhook, &profile)?;
        check_endpoint(&webhook, &profile)?;
        let (auditor, limits) = (caller.clone(), self.limits);
        let webhook = self
            .store
            .write(move |tx| -> Result<_> {
                require_place(tx, &limits, &webhook.tenant, auditor.is_in_portal())?;
                require_profile(tx, &webhook.profile)?;
                let webhook = webhook::insert(tx, webhook)?;
                let entry = AuditEntry::new(AuditAction::WebhookCreated, webhook.id).in_tenant(&webhook.tenant);
                auditor.audit(tx, entry.with_detail(webhook.url.masked()))?;
                Ok(webhook)
            })
            .wait()?;
        match webhook.state {
            // Stored first, so that no event is missed during the challenge.
            WebhookState::Unverified => match self.verify_stored(caller, &webhook) {
                // Changed during the challenge. It exists all the same, as it was changed.
                Err(ActionError::Conflict { .. }) => {
                    let id = webhook.id.to_string();
                    Ok(Arc::new(self.store.read(|connection| lookup::webhook(connection, caller, &id))?))
                }
                verified => Ok(verified?.webhook),
            },
            _ => Ok(webhook),
        }
    }

    /// Checks that the caller may set certificates, and that those given are valid now.
    pub(super) fn check_tls(&self, caller: &Caller, settings: &WebhookSettings) -> Result<()> {
        let Some(given) = &settings.tls else { return Ok(()) };
        if caller.certificates_denied {
            let message = "Certificates of webhooks cannot be set here.";
            return Err(ActionError::Forbidden(message.to_owned()));
        }
        match given {
            Some(given) => Ok(given.require_current(self.clock.now_ms())?),
            None => Ok(()),
        }
    }

    /// Parses a URL and checks its target against the policy, as far as its name resolves now.
    pub(in crate::actions) fn check_url(&self, caller: &Caller, text: &str) -> Result<TargetUrl> {
        let url = parse_url(text)?;
        self.check_target(caller, &url, "url")?;
        Ok(url)
    }

    /// Checks the URL of a token endpoint, if the settings have one, like that of a webhook.
    pub(in crate::actions) fn check_token_url(&self, caller: &Caller, settings: &WebhookSettings) -> Result<()> {
        match &settings.auth {
            Some(Some(AuthSpec::OAuth2 { token_url, .. })) => {
                self.check_target(caller, &parse_token_url(token_url)?, "auth.token_url")
            }
            _ => Ok(()),
        }
    }

    fn check_target(&self, caller: &Caller, url: &TargetUrl, field: &str) -> Result<()> {
        let refused = |refusal: Refusal| {
            let message = if caller.is_in_portal() { refusal.request() } else { refusal.message() };
            Invalid::new("target_blocked", message).in_field(field)
        };
        Ok(self.guard.check_new(url, Instant::now() + LOOKUP).map_err(refused)?)
    }
}

/// Generates the key pair when Ed25519 signatures are first turned on.
pub(super) fn add_key_pair(webhook: &mut Webhook) {
    if webhook.signing.has_ed25519() && webhook.key_pair.is_none() {
        webhook.key_pair = Some(ed25519::key_pair(random::bytes()));
    }
}

pub(in crate::actions) fn unknown(field: &str, reason: &str) -> Invalid {
    Invalid::new("unknown_field", format!("Unknown field {field}. {reason}")).in_field(field)
}

/// Returns the profile with this name; the error lists the existing ones.
pub(in crate::actions) fn find_profile(profiles: &Profiles, name: &str) -> Result<Arc<Profile>, Invalid> {
    profiles.find(name).ok_or_else(|| {
        let all = profiles.all();
        let names: Vec<&str> = all.iter().map(|profile| profile.name()).collect();
        Invalid::new("unknown_profile", format!("There is no profile {name:?}. The profiles are {}.", names.join(", ")))
            .in_field("profile")
    })
}

/// Checks that a webhook has what its profile's endpoints need.
pub(in crate::actions) fn check_endpoint(webhook: &Webhook, profile: &Profile) -> Result<(), Invalid> {
    let endpoint = profile.spec().endpoint.as_ref();
    endpoint.map_or(Ok(()), |endpoint| endpoint.require(profile.name(), &webhook.url, &webhook.headers))
}

/// Checks a webhook's own template.
pub(super) fn check_template(webhook: &Webhook, profile: &Profile) -> Result<(), Invalid> {
    let Some(source) = &webhook.template else {
        return Ok(());
    };
    if profile.spec().challenge.is_some() {
        let message = format!(
            "The profile {} verifies endpoints with a challenge in its own format, so a webhook with it has no template.",
            profile.name()
        );
        return Err(Invalid::new("invalid_template", message).in_field("template"));
    }
    Template::parse(source, Use::Body).map_err(|error| error.invalid("template"))?;
    Ok(())
}

/// Refuses a profile that was deleted since it was looked up.
pub(in crate::actions) fn require_profile(tx: &WriteTx<'_>, name: &str) -> Result<()> {
    if profile::exists(tx.connection(), name)? {
        return Ok(());
    }
    Err(ActionError::conflict("profile_deleted", format!("The profile {name} has just been deleted.")))
}
