//! Test messages to contacts, with their result.

use std::sync::Arc;

use super::{count_mail, record};
use crate::actions::audit::AuditEntry;
use crate::actions::lookup::DeliveryInFull;
use crate::actions::{ActionError, Actions, Caller, Result, lookup};
use crate::delivery::mail::Mail;
use crate::domain::audit_action::AuditAction;
use crate::domain::contact::{Channel, Contact, EmailAddress};
use crate::domain::delivery::DeliveryStatus;
use crate::random;
use crate::store::{WriteTx, contact};
use crate::text::contact::{TEST_TYPE, TestMessage};

/// Result of a test message.
#[derive(Debug, Clone)]
pub struct ContactTest {
    /// Why the message was not delivered, as a sentence.
    pub error: Option<String>,
    /// Delivery to a webhook.
    pub delivery: Option<DeliveryInFull>,
}

impl Actions {
    /// Sends a test message to a contact, whatever it is told otherwise. Blocks until the response of its endpoint or of the
    /// mail server.
    pub fn test_contact(&self, caller: &Caller, id: &str, base_url: &str) -> Result<ContactTest> {
        let contact = self.store.read(|connection| lookup::contact(connection, caller, id))?;
        let message = TestMessage::to(&contact.name, base_url);
        match &contact.channel {
            Channel::Email { address, confirmed_ms } => {
                if confirmed_ms.is_none() {
                    let message = "The address is not confirmed yet. Open the link in the e-mail that was sent to it.";
                    return Err(ActionError::conflict("address_unconfirmed", message));
                }
                let error = self.test_address(caller, &contact, address, &message)?;
                Ok(ContactTest { error, delivery: None })
            }
            Channel::Webhook { .. } => {
                let delivery = self.test_endpoint(caller, &contact, &message)?;
                let is_delivered = delivery.delivery.status == DeliveryStatus::Delivered;
                let after = self.store.read(|connection| lookup::contact(connection, caller, id))?;
                let error = after.status.error.unwrap_or_else(|| "The message was not delivered.".to_owned());
                Ok(ContactTest { error: (!is_delivered).then_some(error), delivery: Some(delivery) })
            }
        }
    }

    fn test_endpoint(&self, caller: &Caller, contact: &Contact, message: &TestMessage) -> Result<DeliveryInFull> {
        let (auditor, wanted, data) = (caller.clone(), contact.clone(), message.data());
        let prepare = move |tx: &mut WriteTx<'_>| -> Result<_> {
            let webhook = contact::webhook_of(tx.connection(), &wanted)?.ok_or(ActionError::NotFound("contact"))?;
            auditor.audit(tx, entry(&wanted))?;
            let event_type = TEST_TYPE.parse().expect("a valid event type");
            Ok((Arc::new(webhook), event_type, Some(data)))
        };
        // The deliveries to contacts are the operator's; of this one its owner sees the result.
        let reader = Caller { tenant: None, ..caller.clone() };
        self.test_with(&reader, prepare)
    }

    fn test_address(
        &self,
        caller: &Caller,
        contact: &Contact,
        address: &EmailAddress,
        message: &TestMessage,
    ) -> Result<Option<String>> {
        let (auditor, tested, to) = (caller.clone(), contact.clone(), address.clone());
        let counted = self.store.write(move |tx| -> Result<_> {
            count_mail(tx, tested.tenant.as_ref(), &to)?;
            Ok(auditor.audit(tx, entry(&tested))?)
        });
        counted.wait()?;
        let error = self.mail(address, message.subject(), message.text()).err();
        let (seq, failure) = (contact.seq, error.clone());
        let recorded = self.store.write(move |tx| -> Result<_> { Ok(record(tx, seq, failure.as_deref())?) });
        recorded.wait()?;
        Ok(error)
    }

    /// Sends an e-mail at once. The error is a sentence.
    pub(super) fn mail(&self, to: &EmailAddress, subject: String, text: String) -> Result<(), String> {
        let mail = Mail { to: to.to_string(), subject, text, id: random::text::<16>(), at_ms: self.clock.now_ms() };
        self.mailer.send(&mail).map_err(|error| error.to_string())
    }
}

fn entry(contact: &Contact) -> AuditEntry<'_> {
    let entry = AuditEntry::new(AuditAction::ContactTested, contact.id).in_tenant(contact.tenant.as_ref());
    entry.with_detail(&contact.name)
}
