//! Confirming the address of a tenant's contact: by a link in an e-mail, which works once.

use sha2::{Digest as _, Sha256};

use super::{count_mail, record, require_mailer};
use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Actions, Actor, Caller, Result, lookup};
use crate::domain::audit_action::AuditAction;
use crate::domain::contact::{Channel, Contact, EmailAddress};
use crate::domain::time::{HOUR, Millis};
use crate::random;
use crate::store::contact::{self, Confirmation};
use crate::store::{Connection, StoreError};
use crate::text::contact::ConfirmationMail;

/// Validity of a link.
const LINK_LASTS: Millis = HOUR;

impl Actions {
    /// Sends the link that confirms the address of a contact. One sent before no longer works. Blocks until the mail server
    /// has responded, a minute at most.
    pub fn send_confirmation(&self, caller: &Caller, id: &str, base_url: &str) -> Result<()> {
        self.store.read(|connection| unconfirmed(&lookup::contact(connection, caller, id)?))?;
        require_mailer(self, caller.tenant.is_none())?;
        let (writer, wanted) = (caller.clone(), id.to_owned());
        let token = random::text::<32>();
        let hash = hash(&token);
        let asked = self.store.write(move |tx| -> Result<_> {
            let contact = lookup::contact(tx.connection(), &writer, &wanted)?;
            let address = unconfirmed(&contact)?;
            count_mail(tx, contact.tenant.as_ref(), &address)?;
            let link = Confirmation { hash, ends_ms: tx.now_ms() + LINK_LASTS };
            contact::set_confirmation(tx.connection(), contact.seq, Some(&link))?;
            let entry = AuditEntry::new(AuditAction::ContactConfirmationSent, contact.id);
            writer.audit(tx, entry.in_tenant(contact.tenant.as_ref()).with_detail(&address))?;
            Ok((contact, address))
        });
        let (contact, address) = asked.wait()?;
        let mail = ConfirmationMail { url: format!("{base_url}/confirm-contact?token={token}") };
        let failure = self.mail(&address, mail.subject(), mail.text()).err();
        let (seq, error) = (contact.seq, failure.clone());
        let recorded = self.store.write(move |tx| -> Result<_> { Ok(record(tx, seq, error.as_deref())?) });
        recorded.wait()?;
        match failure {
            None => Ok(()),
            Some(error) => Err(ActionError::conflict("mail_failed", error)),
        }
    }

    /// Confirms an address by the token of a link, which cannot be used again. `None` if the link has expired. A token that
    /// does not exist costs no write.
    pub fn confirm_contact(&self, token: &str, actor: Actor) -> Result<Option<EmailAddress>> {
        let hash = hash(token);
        let now = self.clock.now_ms();
        if self.store.read(|connection| contact::by_confirmation(connection, &hash, now))?.is_none() {
            return Ok(None);
        }
        let confirmed = self.store.write(move |tx| -> Result<_> {
            let Some(mut contact) = contact::by_confirmation(tx.connection(), &hash, tx.now_ms())? else {
                return Ok(None);
            };
            let Ok(address) = unconfirmed(&contact) else { return Ok(None) };
            contact.channel = Channel::Email { address: address.clone(), confirmed_ms: Some(tx.now_ms()) };
            contact::update(tx.connection(), &contact)?;
            contact::set_confirmation(tx.connection(), contact.seq, None)?;
            let entry = AuditEntry::new(AuditAction::ContactConfirmed, contact.id);
            let entry = entry.in_tenant(contact.tenant.as_ref()).with_detail(&address);
            actor.audit(tx.connection(), tx.now_ms(), entry)?;
            Ok(Some(address))
        });
        confirmed.wait()
    }
}

/// Returns the contact whose address a link confirms, unless the link was used or has expired.
pub fn of_link(connection: &Connection, token: &str, now: Millis) -> Result<Option<Contact>, StoreError> {
    contact::by_confirmation(connection, &hash(token), now)
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Returns the address that a contact needs to have confirmed.
fn unconfirmed(contact: &Contact) -> Result<EmailAddress> {
    match &contact.channel {
        Channel::Email { address, confirmed_ms: None } => Ok(address.clone()),
        Channel::Email { .. } => Err(ActionError::conflict("address_confirmed", "The address is confirmed already.")),
        Channel::Webhook { .. } => {
            Err(ActionError::conflict("address_confirmed", "Only an e-mail address can be confirmed."))
        }
    }
}
