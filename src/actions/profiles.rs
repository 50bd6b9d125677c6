//! Storing, deleting and previewing custom profiles.

use std::sync::Arc;

use serde_json::Value;

use super::audit::AuditEntry;
use super::unchanged::Unchanged;
use super::{ActionError, Actions, Caller, Pending, Result};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::secret::Secret;
use crate::domain::time::Millis;
use crate::profile::body_format::ComposeError;
use crate::profile::sign::Signed;
use crate::profile::template::{Scope, Template, Use, WebhookFacts};
use crate::profile::{self, BodyFormat, Profile, ProfileSpec, Signer};
use crate::random;
use crate::store::{Connection, profile as table};

/// Request composed by a profile from an event.
#[derive(Debug, Clone)]
pub struct Preview {
    pub content_type: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Actions {
    /// Stores a profile under its name, replacing any earlier one.
    pub fn put_profile(
        &self,
        caller: &Caller,
        spec: ProfileSpec,
        unchanged: Unchanged<Profile>,
    ) -> Result<Pending<Arc<Profile>>> {
        let profile = Profile::parse(spec)?;
        if profile::find(profile.name()).is_some() {
            return Err(built_in(profile.name()));
        }
        let caller = caller.clone();
        Ok(self.store.write(move |tx| {
            unchanged.require(table::get(tx.connection(), profile.name())?.as_ref())?;
            caller.audit(tx, AuditEntry::new(AuditAction::ProfilePut, profile.name()))?;
            Ok(table::put(tx, profile)?)
        }))
    }

    /// Deletes a profile that no webhook uses.
    pub fn delete_profile(&self, caller: &Caller, name: &str, unchanged: Unchanged<Profile>) -> Result<Pending<()>> {
        if profile::find(name).is_some() {
            return Err(built_in(name));
        }
        let (caller, name) = (caller.clone(), name.to_owned());
        let is_default = *name == *self.default_profile;
        Ok(self.store.write(move |tx| {
            if let Some(stored) = table::get(tx.connection(), &name)? {
                unchanged.require(Some(&stored))?;
            }
            let webhooks = table::uses(tx.connection(), &name)?;
            let keys = table::keys(tx.connection(), &name)?;
            if webhooks > 0 || keys > 0 || is_default {
                let server = if is_default { ", and so does the server" } else { "" };
                let uses = format!("{webhooks} webhooks and {keys} API keys use the profile {name}{server}.");
                let message = format!("{uses} Give them another one first.");
                return Err(ActionError::conflict("profile_in_use", message));
            }
            if !table::delete(tx, &name)? {
                return Err(ActionError::NotFound("profile"));
            }
            Ok(caller.audit(tx, AuditEntry::new(AuditAction::ProfileDeleted, &name))?)
        }))
    }

    pub fn profile(&self, name: &str) -> Result<Arc<Profile>> {
        self.store.profiles().find(name).ok_or(ActionError::NotFound("profile"))
    }

    /// Whether a caller may choose a profile.
    pub fn may_choose(&self, connection: &Connection, caller: &Caller, name: &str) -> Result<bool> {
        let (Some(allowed), Some(tenant)) = (&caller.profiles, &caller.tenant) else { return Ok(true) };
        let is_listed = allowed.iter().any(|allowed| allowed == name);
        Ok(is_listed || table::of_tenant(connection, tenant)?.iter().any(|own| own == name))
    }

    /// Refuses a profile that the caller may not choose, as one that does not exist.
    pub(super) fn require_choice(&self, caller: &Caller, name: &str) -> Result<()> {
        if self.store.read(|connection| self.may_choose(connection, caller, name))? {
            return Ok(());
        }
        let message = format!("There is no profile {name:?}. Choose another one.");
        Err(Invalid::new("unknown_profile", message).in_field("profile").into())
    }

    /// Completes a profile given as JSON with the fields of the profile that it is `based_on`.
    pub fn complete_spec(&self, mut given: serde_json::Map<String, Value>) -> Result<Value> {
        let Some(base) = given.remove("based_on") else {
            return Ok(Value::Object(given));
        };
        let unknown =
            |text: &str| Invalid::new("unknown_profile", format!("There is no profile {text:?}.")).in_field("based_on");
        let name = base.as_str().ok_or_else(|| unknown(&base.to_string()))?;
        let base = self.store.profiles().find(name).ok_or_else(|| unknown(name))?;
        let mut spec = serde_json::to_value(base.spec()).unwrap_or_default();
        if let Value::Object(fields) = &mut spec {
            fields.remove("name");
            // A body is an envelope or a template: the one that is given replaces the other.
            if given.get("body").is_some_and(|body| body == "template") {
                fields.remove("envelope");
            } else if given.contains_key("envelope") {
                for name in ["body", "template", "content_type"] {
                    fields.remove(name);
                }
            }
            // A schedule in part keeps the rest of the other profile's.
            if let (Some(Value::Object(retry)), Some(Value::Object(changed))) =
                (fields.get("retry"), given.get("retry"))
            {
                let mut whole = retry.clone();
                whole.extend(changed.clone());
                given.insert("retry".to_owned(), Value::Object(whole));
            }
            fields.extend(given);
        }
        Ok(spec)
    }
}

/// Source of a previewed request.
pub struct Sample<'a> {
    pub profile: &'a Profile,
    /// Template in place of the profile's format.
    pub template: Option<&'a str>,
    /// Webhook for the templates; `None` for an example.
    pub webhook: Option<WebhookFacts>,
}

/// Composes the request of a profile for an event, signed with a secret at a time.
pub fn preview(profile: &Profile, event: &Event, secret: &Secret, at_ms: Millis) -> Result<Preview> {
    Sample { profile, template: None, webhook: None }.request(event, secret, at_ms)
}

impl Sample<'_> {
    /// Composes the request for an event, signed with a secret at a time. Without the headers of a webhook.
    pub fn request(&self, event: &Event, secret: &Secret, at_ms: Millis) -> Result<Preview> {
        let Sample { profile, template, webhook } = self;
        let content_type = &profile.spec().content_type;
        let example = || WebhookFacts {
            id: WebhookId::generate(at_ms, random::bits()).to_string(),
            description: "Example".to_owned(),
        };
        let facts = webhook.clone().unwrap_or_else(example);
        let format = match template {
            Some(source) => {
                let template = Template::parse(source, Use::Body).map_err(|error| error.invalid("template"))?;
                BodyFormat::template(template, content_type, Some(facts.clone()))
            }
            None => profile.form().for_webhook(&facts),
        };
        let body = format.compose(event).map_err(Invalid::from)?;
        let standard = profile::standard();
        let signer = Signer::new(profile, Some(&standard), secret, None);
        let signed = Signed {
            event_id: &event.id,
            event_type: &event.event_type,
            delivery_id: DeliveryId::generate(at_ms, random::bits()),
            at_ms,
            body: &body,
        };
        let scope = Scope { event, webhook: Some(&facts), attempt: None };
        let headers = signer.headers_with(&signed, Some(&scope)).map_err(ComposeError::from).map_err(Invalid::from)?;
        Ok(Preview { content_type: content_type.clone(), headers, body })
    }
}

fn built_in(name: &str) -> ActionError {
    ActionError::conflict(
        "profile_built_in",
        format!("{name} is built in and cannot be changed. Create your own profile with \"based_on\": \"{name}\"."),
    )
}
