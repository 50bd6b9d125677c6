//! Contacts: creating, changing and deleting them, testing them, and confirming the addresses of tenants.
//!
//! A tenant must not make Hookpost send to strangers, or to more of its own than it may: its addresses are confirmed first,
//! what it can have sent at will is bounded by the hour, and no text of a tenant is in a mail to an unconfirmed address.

pub mod change;
pub mod confirm;
pub mod create;
pub mod test;

use std::sync::Arc;

use super::{Actions, Result};
use crate::actions::ActionError;
use crate::domain::Invalid;
use crate::domain::contact::{Contact, EmailAddress};
use crate::domain::event::Tenant;
use crate::domain::webhook::Webhook;
use crate::store::{Connection, StoreError, WriteTx, contact};
use crate::text::humanize;

/// Contact with its webhook, if it has one.
#[derive(Debug, Clone)]
pub struct ContactInFull {
    pub contact: Contact,
    pub webhook: Option<Arc<Webhook>>,
}

impl ContactInFull {
    /// Adds the webhook of a contact.
    pub fn read(connection: &Connection, contact: Contact) -> Result<ContactInFull, StoreError> {
        Ok(ContactInFull { webhook: contact::webhook_of(connection, &contact)?.map(Arc::new), contact })
    }
}

/// E-mails of an hour that a tenant can have sent at will: confirmations and tests.
const MAILS_OF_TENANT: u64 = 10;
/// Those of all tenants to one address.
const MAILS_TO_ADDRESS: u64 = 3;
/// Those of all tenants.
const MAILS_OF_ALL: u64 = 100;

/// Counts an e-mail that a tenant has sent, or refuses it. The operator's are not counted.
fn count_mail(tx: &mut WriteTx<'_>, owner: Option<&Tenant>, to: &EmailAddress) -> Result<()> {
    let Some(tenant) = owner else { return Ok(()) };
    let now = tx.now_ms();
    let asked = contact::asked_mail(tx.connection(), tenant, to, now)?;
    let refused = [
        (asked.of_tenant >= MAILS_OF_TENANT, MAILS_OF_TENANT, "for one tenant"),
        (asked.to_address >= MAILS_TO_ADDRESS, MAILS_TO_ADDRESS, "to one address"),
        (asked.of_all >= MAILS_OF_ALL, MAILS_OF_ALL, "for all tenants"),
    ];
    if let Some((_, most, whose)) = refused.into_iter().find(|(is_reached, ..)| *is_reached) {
        let mails = humanize::counted(most, "e-mail");
        let message = format!("No more than {mails} {whose} can be requested in an hour. Try again later.");
        return Err(ActionError::conflict("mail_limit", message));
    }
    Ok(contact::count_asked_mail(tx.connection(), tenant, to, now)?)
}

/// Records the result of an e-mail that a person asked for.
fn record(tx: &WriteTx<'_>, contact_seq: i64, failure: Option<&str>) -> Result<(), StoreError> {
    match failure {
        Some(error) => contact::failed(tx.connection(), contact_seq, error, true, tx.now_ms()),
        None => contact::recovered(tx.connection(), contact_seq),
    }
}

/// Refuses e-mails if no mail server is set. A tenant is not told how the server is configured.
fn require_mailer(actions: &Actions, is_operator: bool) -> Result<(), Invalid> {
    if actions.mailer.is_configured() {
        return Ok(());
    }
    let message = match is_operator {
        true => "No mail server is configured. Start the server with --smtp-url and --smtp-from, or use a webhook.",
        false => "E-mail is not available. Use a webhook.",
    };
    Err(Invalid::new("email_not_configured", message).in_field("email"))
}

/// Names the fields of a contact's webhook as fields of the contact.
fn error_in_webhook(error: ActionError) -> ActionError {
    match error {
        ActionError::Invalid(invalid) => ActionError::Invalid(invalid.within("webhook")),
        other => other,
    }
}
