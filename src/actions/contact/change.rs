//! Changing and deleting a contact.

use super::{ContactInFull, error_in_webhook, require_mailer};
use crate::actions::audit::AuditEntry;
use crate::actions::unchanged::Unchanged;
use crate::actions::webhook::change::apply;
use crate::actions::webhook::create::{require_profile, unknown};
use crate::actions::{ActionError, Actions, Caller, Pending, Result, collect, lookup};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::contact::{Channel, Contact, ContactSettings, EmailAddress};
use crate::domain::problems::Problems;
use crate::domain::webhook::{Webhook, WebhookSettings};
use crate::store::incident::entry::Author;
use crate::store::profile::Profiles;
use crate::store::{WriteTx, contact, incident, webhook};

impl Actions {
    /// Changes a contact. Blocks for up to two seconds for a name server. A changed address of a tenant has to be confirmed;
    /// otherwise like [`Actions::create_contact`].
    pub fn change_contact(
        &self,
        caller: &Caller,
        id: &str,
        settings: ContactSettings,
        base_url: &str,
    ) -> Result<ContactInFull> {
        self.change_contact_by(caller, id, move |_| Ok(settings.clone()), Unchanged::default(), base_url)
    }

    /// Like [`Actions::change_contact`], of a contact that meets a condition, with settings that are made of it.
    pub fn change_contact_by(
        &self,
        caller: &Caller,
        id: &str,
        settings_for: impl Fn(&ContactInFull) -> Result<ContactSettings, Invalid> + Send + 'static,
        unchanged: Unchanged<ContactInFull>,
        base_url: &str,
    ) -> Result<ContactInFull> {
        let before = self.store.read(|connection| lookup::contact_in_full(connection, caller, id))?;
        let settings = settings_for(&before)?;
        if settings.tenant.is_some() {
            return Err(unknown("tenant", "The owner of a contact cannot be changed.").into());
        }
        let mut problems = Problems::default();
        problems.check(settings.apply(&mut before.contact.clone()));
        if let Some(given) = settings.webhook.clone() {
            let checked = self.check_given(caller, before.webhook.as_deref(), given.into());
            collect(&mut problems, checked.map_err(error_in_webhook))?;
        }
        if settings.email.is_some() {
            problems.check(require_mailer(self, caller.tenant.is_none()));
        }
        problems.end()?;
        let (writer, wanted) = (caller.clone(), id.to_owned());
        let profiles = self.store.profiles().clone();
        let (is_moved, is_reachable) = self
            .store
            .write(move |tx| -> Result<_> {
                let stored = lookup::contact_in_full(tx.connection(), &writer, &wanted)?;
                unchanged.require(Some(&stored))?;
                let settings = settings_for(&stored)?;
                let names = settings.names();
                let mut contact = stored.contact;
                if names.is_empty() {
                    return Ok((false, contact.is_reachable()));
                }
                settings.apply(&mut contact)?;
                contact.touch(tx.now_ms());
                let given = settings.webhook.clone().map(Into::into);
                let is_moved = change_channel(tx, &mut contact, &settings, given, &profiles, &writer.author())?;
                contact::update(tx.connection(), &contact)?;
                if is_moved {
                    contact::recovered(tx.connection(), contact.seq)?;
                }
                let entry = AuditEntry::new(AuditAction::ContactChanged, contact.id).in_tenant(contact.tenant.as_ref());
                writer.audit(tx, entry.with_detail(names.join(", ")))?;
                Ok((is_moved, contact.is_reachable()))
            })
            .wait()?;
        if is_moved && !is_reachable {
            match self.send_confirmation(caller, id, base_url) {
                // The change stays, and the mail can be requested again.
                Ok(_) | Err(ActionError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.store.read(|connection| lookup::contact_in_full(connection, caller, id))
    }

    /// Checks settings of a contact's webhook, which may be that of an e-mail contact, and have none.
    fn check_given(&self, caller: &Caller, stored: Option<&Webhook>, given: WebhookSettings) -> Result<()> {
        let mut problems = Problems::default();
        if let Some(url) = &given.url {
            collect(&mut problems, self.check_url(caller, url))?;
        }
        collect(&mut problems, self.check_token_url(caller, &given))?;
        if let Some(name) = given.profile.as_ref().filter(|name| stored.is_none_or(|stored| stored.profile != **name)) {
            collect(&mut problems, self.require_choice(caller, name))?;
        }
        if let Some(stored) = stored {
            problems.check(apply(self.store.profiles(), stored.clone(), given));
        }
        Ok(problems.end()?)
    }

    /// Deletes a contact with its webhook. What waits for it is discarded.
    pub fn delete_contact(&self, caller: &Caller, id: &str, unchanged: Unchanged<ContactInFull>) -> Pending<()> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.store.write(move |tx| {
            let stored = lookup::contact_in_full(tx.connection(), &caller, &id)?;
            unchanged.require(Some(&stored))?;
            let contact = stored.contact;
            contact::delete(tx, &contact)?;
            let entry = AuditEntry::new(AuditAction::ContactDeleted, contact.id).in_tenant(contact.tenant.as_ref());
            Ok(caller.audit(tx, entry.with_detail(&contact.name))?)
        })
    }
}

/// Applies the settings of the address or the webhook. Returns whether messages go elsewhere now.
fn change_channel(
    tx: &mut WriteTx<'_>,
    contact: &mut Contact,
    settings: &ContactSettings,
    given: Option<WebhookSettings>,
    profiles: &Profiles,
    author: &Author,
) -> Result<bool> {
    let now = tx.now_ms();
    match (&mut contact.channel, &settings.email, given) {
        (Channel::Email { .. }, _, Some(_)) => Err(other_channel("webhook").into()),
        (Channel::Webhook { .. }, Some(_), _) => Err(other_channel("email").into()),
        (Channel::Email { .. }, None, None) => Ok(false),
        (Channel::Email { address, confirmed_ms }, Some(text), None) => {
            let new: EmailAddress = text.parse()?;
            if new == *address {
                return Ok(false);
            }
            *address = new;
            *confirmed_ms = contact.tenant.is_none().then_some(now);
            contact::set_confirmation(tx.connection(), contact.seq, None)?;
            Ok(true)
        }
        (Channel::Webhook { webhook_seq }, None, given) => {
            let stored = webhook::by_seq(tx.connection(), *webhook_seq)?.ok_or(ActionError::NotFound("webhook"))?;
            let mut changed = match given {
                Some(given) => apply(profiles, stored.clone(), given).map_err(|invalid| invalid.within("webhook"))?,
                None => stored.clone(),
            };
            require_profile(tx, &changed.profile)?;
            changed.description.clone_from(&contact.name);
            if changed == stored {
                return Ok(false);
            }
            changed.updated_ms = now;
            let changed = webhook::update(tx, changed)?;
            incident::changed(tx, &stored, &changed, author)?;
            Ok(changed.url != stored.url)
        }
    }
}

fn other_channel(field: &str) -> Invalid {
    let message = "A contact keeps its kind: e-mail or webhook. Create another contact, and delete this one.";
    Invalid::new("invalid_channel", message).in_field(field)
}
