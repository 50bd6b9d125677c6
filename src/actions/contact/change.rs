//! Changing and deleting a contact.

use super::{ContactInFull, error_in_webhook, in_webhook, require_mailer};
use crate::actions::audit::AuditEntry;
use crate::actions::webhook::change::apply;
use crate::actions::webhook::create::{require_profile, unknown};
use crate::actions::{ActionError, Actions, Caller, Pending, Result, lookup};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::contact::{Channel, Contact, ContactSettings, EmailAddress};
use crate::domain::webhook::WebhookSettings;
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
        if settings.tenant.is_some() {
            return Err(unknown("tenant", "The owner of a contact cannot be changed.").into());
        }
        let given: Option<WebhookSettings> = settings.webhook.clone().map(Into::into);
        if let Some(given) = &given {
            self.check_given(caller, given).map_err(error_in_webhook)?;
        }
        if settings.email.is_some() {
            require_mailer(self, caller.tenant.is_none())?;
        }
        let (writer, wanted) = (caller.clone(), id.to_owned());
        let profiles = self.store.profiles().clone();
        let (is_moved, is_reachable) = self
            .store
            .write(move |tx| -> Result<_> {
                let mut contact = lookup::contact(tx.connection(), &writer, &wanted)?;
                settings.apply(&mut contact)?;
                contact.updated_ms = tx.now_ms();
                let is_moved = change_channel(tx, &mut contact, &settings, given, &profiles, &writer.author())?;
                contact::update(tx.connection(), &contact)?;
                if is_moved {
                    contact::recovered(tx.connection(), contact.seq)?;
                }
                let entry = AuditEntry::new(AuditAction::ContactChanged, contact.id).in_tenant(contact.tenant.as_ref());
                writer.audit(tx, entry.with_detail(settings.names().join(", ")))?;
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

    fn check_given(&self, caller: &Caller, given: &WebhookSettings) -> Result<()> {
        if let Some(url) = &given.url {
            self.check_url(caller, url)?;
        }
        self.check_token_url(caller, given)
    }

    /// Deletes a contact with its webhook. What waits for it is discarded.
    pub fn delete_contact(&self, caller: &Caller, id: &str) -> Pending<()> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.store.write(move |tx| {
            let contact = lookup::contact(tx.connection(), &caller, &id)?;
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
                Some(given) => apply(profiles, stored.clone(), given).map_err(in_webhook)?,
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
