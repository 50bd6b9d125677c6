//! Creating a webhook.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::actions::audit::AuditEntry;
use crate::actions::tenant_limits::require_place;
use crate::actions::tenants::require_staying;
use crate::actions::unchanged::Unchanged;
use crate::actions::webhook::put::{KnownBy, require_free};
use crate::actions::{ActionError, Actions, Caller, Result, collect, lookup};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::endpoint_auth::{AuthSpec, parse_token_url};
use crate::domain::event::Tenant;
use crate::domain::id::WebhookId;
use crate::domain::problems::Problems;
use crate::domain::secret::Secret;
use crate::domain::target::{Refusal, TargetUrl};
use crate::domain::webhook::{ProfileFacts, Webhook, WebhookSettings, WebhookState, parse_url};
use crate::profile::template::{Template, Use};
use crate::profile::{self, Profile, ed25519};
use crate::random;
use crate::store::profile::Profiles;
use crate::store::{self, WriteTx, webhook};

/// Maximum wait for a name server. If the lookup fails, creation succeeds: every attempt checks the address again.
const LOOKUP: Duration = Duration::from_secs(2);

impl Actions {
    /// Creates a webhook; `url` and `events` are required. Blocks for up to two seconds for a name server, and for the
    /// webhook's timeout if its profile has a challenge.
    pub fn create_webhook(&self, caller: &Caller, settings: WebhookSettings) -> Result<Arc<Webhook>> {
        self.create_webhook_known_by(caller, settings, None, Unchanged::default())
    }

    /// Like [`Actions::create_webhook`], of a webhook that the application knows. A conflict if there is one already.
    pub(super) fn create_webhook_known_by(
        &self,
        caller: &Caller,
        mut settings: WebhookSettings,
        known_by: Option<&KnownBy>,
        unchanged: Unchanged<Webhook>,
    ) -> Result<Arc<Webhook>> {
        let mut problems = Problems::default();
        require_settings(&settings, &mut problems);
        if settings.waiting.is_some() {
            problems.add(unknown("waiting", "A new webhook has no queued deliveries."));
        }
        collect(&mut problems, self.check_tls(caller, &settings))?;
        let tenant = collect(&mut problems, caller.tenant_for(settings.tenant.as_deref()))?;
        let tenant = tenant.unwrap_or_else(Tenant::default_tenant);
        let name = settings.profile.get_or_insert_with(|| self.profile_for(caller).to_owned());
        collect(&mut problems, self.require_choice(caller, name))?;
        let is_paused = settings.active == Some(false);
        let created = collect(&mut problems, self.new_webhook(caller, tenant, settings))?;
        problems.end()?;
        let (mut webhook, profile) = created.expect("a webhook that could not be made is a problem");
        webhook.state = match &profile.spec().challenge {
            _ if is_paused => WebhookState::Paused,
            Some(_) => WebhookState::Unverified,
            None => WebhookState::Active,
        };
        let by_url = known_by.filter(|known_by| matches!(known_by, KnownBy::Url)).cloned();
        webhook.by_settings = by_url.is_some();
        let (auditor, limits) = (caller.clone(), self.limits());
        let webhook = self
            .store
            .write(move |tx| -> Result<_> {
                unchanged.require(None)?;
                require_staying(tx, &webhook.tenant)?;
                require_free(tx.connection(), &webhook)?;
                if let Some(by_url) = by_url
                    && webhook::by_settings(tx.connection(), &webhook.tenant, webhook.url.as_str())?.is_some()
                {
                    return Err(by_url.taken());
                }
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

    /// Default profile of the caller's webhooks.
    pub fn profile_for<'a>(&'a self, caller: &'a Caller) -> &'a str {
        caller.default_profile.as_deref().unwrap_or(&self.default_profile)
    }

    /// Makes a webhook of settings, which is not stored yet. Needs a URL; the error has all problems. Blocks for up to two
    /// seconds for a name server.
    pub(in crate::actions) fn new_webhook(
        &self,
        caller: &Caller,
        tenant: Tenant,
        mut settings: WebhookSettings,
    ) -> Result<(Webhook, Arc<Profile>)> {
        let mut problems = Problems::default();
        let url = match settings.url.take() {
            Some(text) => collect(&mut problems, self.check_url(caller, &text))?,
            None => problems.check(Err(Invalid::missing_field("url"))),
        };
        collect(&mut problems, self.check_token_url(caller, &settings))?;
        let name = settings.profile.take();
        let name = name.as_deref().unwrap_or_else(|| self.profile_for(caller));
        let profile = problems.check(find_profile(self.store.profiles(), name));
        // Without a URL or a profile, the other settings are checked beside others.
        let profile = profile.unwrap_or_else(profile::standard);
        let url = url.unwrap_or_else(|| parse_url("https://example.com/").expect("a valid URL"));
        let now = self.clock.now_ms();
        let (id, secret) = (WebhookId::generate(now, random::bits()), Secret::generate(random::bytes()));
        let mut webhook = Webhook::new(id, tenant, url, profile.name(), secret, now);
        problems.check(settings.apply(&mut webhook, &facts(&profile)));
        problems.check(check_template(&webhook, &profile));
        if problems.is_empty() {
            problems.check(check_endpoint(&webhook, &profile));
        }
        problems.end()?;
        add_key_pair(&mut webhook);
        Ok((webhook, profile))
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

/// Records the settings that a new webhook lacks.
pub(super) fn require_settings(settings: &WebhookSettings, problems: &mut Problems) {
    for (name, is_missing) in [("url", settings.url.is_none()), ("events", settings.events.is_none())] {
        if is_missing {
            problems.add(Invalid::missing_field(name));
        }
    }
}

/// Facts of a profile for the settings of its webhooks.
pub(in crate::actions) fn facts(profile: &Profile) -> ProfileFacts<'_> {
    ProfileFacts { header_names: profile.header_names(), schedule: profile.schedule() }
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
    if store::profile::exists(tx.connection(), name)? {
        return Ok(());
    }
    Err(ActionError::conflict("profile_deleted", format!("The profile {name} has just been deleted.")))
}
