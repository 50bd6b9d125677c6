//! The table of messages to contacts.
//!
//! A message is stored in the transaction that moves its contact past the edges it tells of, so it is neither lost nor made
//! twice. To a webhook it is an event in the tenant of Hookpost, with one delivery that the engine sends and retries. An
//! e-mail is sent from here, at least once: only one that was being sent when the process died can be sent again.

use std::sync::Arc;

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::sql::{self, read_row};
use super::sql_types::Json;
use super::used_seq::{self, Numbered};
use super::{WriteTx, contact, delivery, event};
use crate::domain::contact::{Channel, Contact, EmailAddress, Topic};
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::event::{Event, EventId, EventType, Tenant};
use crate::domain::id::DeliveryId;
use crate::domain::time::{DAY, HOUR, MINUTE, Millis};
use crate::random;

/// Incidents that are recorded with one message.
const MAX_INCIDENTS: usize = 500;
/// Time for which an e-mail is retried.
const RETRIED: Millis = 2 * DAY;
/// Messages that one step of the writer changes.
const STEP: usize = 500;

/// Message to store.
#[derive(Debug, Clone)]
pub struct NewMessage {
    pub topic: Topic,
    pub event_type: EventType,
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// JSON for webhooks.
    pub data: Box<str>,
    pub incidents: Vec<i64>,
}

/// Stores a message, and addresses it to the contact's webhook if it has one.
pub fn insert(tx: &mut WriteTx<'_>, contact: &Contact, message: NewMessage) -> Result<()> {
    let now = tx.now_ms();
    let (channel, due_ms, delivery_seq) = match contact.channel {
        Channel::Email { .. } => ("email", Some(now), None),
        Channel::Webhook { webhook_seq } => ("webhook", None, address(tx, webhook_seq, &message)?),
    };
    sql::run(
        tx.connection(),
        "INSERT INTO message (seq, contact_seq, tenant, contact_name, channel, topic, subject, text, created_ms, due_ms,
             delivery_seq)
         VALUES (:seq, :contact, :tenant, :name, :channel, :topic, :subject, :text, :now, :due, :delivery)",
        named_params! {
            ":seq": used_seq::next(tx, Numbered::Message)?, ":contact": contact.seq, ":tenant": contact.tenant, ":name": contact.name, ":channel": channel,
            ":topic": message.topic.into_str(), ":subject": message.subject, ":text": message.text, ":now": now,
            ":due": due_ms, ":delivery": delivery_seq,
        },
    )?;
    let message_seq = tx.connection().last_insert_rowid();
    let incidents = &message.incidents[..message.incidents.len().min(MAX_INCIDENTS)];
    sql::run(
        tx.connection(),
        "INSERT INTO message_incident (incident_seq, message_seq)
         SELECT value, :message FROM json_each(:incidents) WHERE true ON CONFLICT DO NOTHING",
        named_params! {":incidents": Json(incidents), ":message": message_seq},
    )
}

/// Stores the event of a message with one delivery. Returns its number; `None` if the webhook is gone.
fn address(tx: &mut WriteTx<'_>, webhook_seq: i64, message: &NewMessage) -> Result<Option<i64>> {
    if tx.directory().get(webhook_seq).is_none() {
        return Ok(None);
    }
    let now = tx.now_ms();
    let event = Arc::new(Event {
        id: EventId::generate(now, random::bits()),
        tenant: Tenant::hookpost(),
        event_type: message.event_type.clone(),
        created_ms: now,
        received_ms: now,
        data: message.data.clone(),
        previous_data: None,
        test: false,
    });
    let event_seq = event::insert(tx, &event)?;
    let id = DeliveryId::generate(now, random::bits());
    Ok(Some(delivery::insert(tx, event_seq, &event, webhook_seq, id, Cause::Event)?.seq))
}

/// E-mail to send.
#[derive(Debug, Clone)]
pub struct DueMail {
    pub seq: i64,
    pub contact_seq: i64,
    /// `None` if the contact is deleted, has another channel now, or its address is not confirmed.
    pub to: Option<EmailAddress>,
    pub subject: String,
    pub text: String,
    pub created_ms: Millis,
}

/// Returns the e-mail that has been due longest.
pub fn due_mail(connection: &Connection, now: Millis) -> Result<Option<DueMail>> {
    let query = "SELECT m.seq, m.contact_seq, m.subject, m.text, m.created_ms,
                     CASE WHEN c.confirmed_ms IS NOT NULL THEN c.email END AS recipient
                 FROM message m INDEXED BY message_due LEFT JOIN contact c ON c.seq = m.contact_seq
                 WHERE m.due_ms IS NOT NULL AND m.due_ms <= :now ORDER BY m.due_ms, m.seq LIMIT 1";
    sql::first(connection, query, named_params! {":now": now}, |row| {
        Ok(read_row!(row, DueMail { seq, contact_seq, subject, text, created_ms; to: row.get("recipient")? }))
    })
}

/// Records that an e-mail was sent.
pub fn sent(tx: &mut WriteTx<'_>, mail: &DueMail) -> Result<()> {
    let statement = "UPDATE message SET due_ms = NULL, sent_ms = :now, error = NULL WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":seq": mail.seq, ":now": tx.now_ms()})?;
    contact::told(tx.connection(), mail.contact_seq, tx.now_ms())
}

/// Gives up an e-mail without a recipient.
pub fn drop_mail(tx: &mut WriteTx<'_>, mail: &DueMail, error: &str) -> Result<()> {
    let statement = "UPDATE message SET due_ms = NULL, error = :error WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":seq": mail.seq, ":error": error})
}

/// Records that an e-mail was not sent, and when it is tried again. After two days it is given up.
pub fn failed(tx: &mut WriteTx<'_>, mail: &DueMail, error: &str) -> Result<()> {
    let now = tx.now_ms();
    let due_ms = retry_at(mail.created_ms, now);
    let statement = "UPDATE message SET due_ms = :due, error = :error WHERE seq = :seq";
    sql::run(tx.connection(), statement, named_params! {":seq": mail.seq, ":due": due_ms, ":error": error})?;
    contact::failed(tx.connection(), mail.contact_seq, error, due_ms.is_none(), now)
}

/// Puts off further e-mails that are due, because the mail server cannot be used.
pub fn put_off(tx: &mut WriteTx<'_>, error: &str) -> Result<()> {
    let now = tx.now_ms();
    let params = named_params! {":now": now, ":limit": STEP};
    let query = "SELECT m.seq, m.contact_seq, m.created_ms FROM message m INDEXED BY message_due
                 WHERE m.due_ms IS NOT NULL AND m.due_ms <= :now ORDER BY m.due_ms LIMIT :limit";
    let due: Vec<(i64, i64, Millis)> = sql::all(tx.connection(), query, params, |row| {
        Ok((row.get("seq")?, row.get("contact_seq")?, row.get("created_ms")?))
    })?;
    for (seq, contact_seq, created_ms) in due {
        let mail = DueMail { seq, contact_seq, to: None, subject: String::new(), text: String::new(), created_ms };
        failed(tx, &mail, error)?;
    }
    Ok(())
}

/// Returns when an e-mail is tried again: after half its age, a minute at least and an hour at most. `None` after two days.
fn retry_at(created_ms: Millis, now: Millis) -> Option<Millis> {
    // A clock that was set back must not put it off.
    let age = (now - created_ms).max(0);
    (age < RETRIED).then(|| now + (age / 2).clamp(MINUTE, HOUR))
}

/// Message about an incident, for its time line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldOf {
    pub at_ms: Millis,
    pub contact_name: String,
    /// `email` or `webhook`.
    pub channel: String,
    pub topic: Topic,
    pub result: ToldResult,
}

/// Outcome of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToldResult {
    Sent {
        at_ms: Option<Millis>,
    },
    /// Not yet sent; the reason if an attempt failed.
    Waiting {
        error: Option<String>,
    },
    Failed {
        error: String,
    },
}

/// Returns the newest messages about an incident to contacts of a tenant, or of all, oldest first.
pub fn told_of(connection: &Connection, incident_seq: i64, tenant: Option<&Tenant>, limit: u32) -> Result<Vec<ToldOf>> {
    let query = "SELECT m.created_ms, m.contact_name, m.channel, m.topic, m.due_ms, m.sent_ms, m.error,
                     d.status, d.finished_ms, c.error AS contact_error
                 FROM message_incident i JOIN message m ON m.seq = i.message_seq
                 LEFT JOIN delivery d ON d.seq = m.delivery_seq LEFT JOIN contact c ON c.seq = m.contact_seq
                 WHERE i.incident_seq = :incident AND (:tenant IS NULL OR m.tenant = :tenant)
                 ORDER BY i.message_seq DESC LIMIT :limit";
    let params = named_params! {":incident": incident_seq, ":tenant": tenant, ":limit": limit};
    let mut told = sql::all(connection, query, params, |row| {
        let error: Option<String> = row.get("error")?;
        let contact_error: Option<String> = row.get("contact_error")?;
        let (due_ms, sent_ms): (Option<Millis>, Option<Millis>) = (row.get("due_ms")?, row.get("sent_ms")?);
        let is_email = row.get::<_, String>("channel")? == "email";
        let lost = || "The message was not delivered.".to_owned();
        let result = match row.get::<_, Option<DeliveryStatus>>("status")? {
            _ if sent_ms.is_some() => ToldResult::Sent { at_ms: sent_ms },
            _ if due_ms.is_some() => ToldResult::Waiting { error },
            _ if is_email => ToldResult::Failed { error: error.unwrap_or_else(lost) },
            Some(DeliveryStatus::Delivered) => ToldResult::Sent { at_ms: row.get("finished_ms")? },
            Some(DeliveryStatus::Pending) => ToldResult::Waiting { error: None },
            Some(DeliveryStatus::Retrying) => ToldResult::Waiting { error: contact_error },
            Some(DeliveryStatus::Failed | DeliveryStatus::Discarded) => {
                ToldResult::Failed { error: contact_error.unwrap_or_else(lost) }
            }
            // Retention deletes deliveries earlier than messages.
            None => ToldResult::Sent { at_ms: None },
        };
        let topic: String = row.get("topic")?;
        let topic = topic.parse().unwrap_or(Topic::Opened);
        Ok(read_row!(row, ToldOf { contact_name, channel; at_ms: row.get("created_ms")?, topic, result }))
    })?;
    told.reverse();
    Ok(told)
}

/// Counts the e-mails that wait to be sent.
pub fn count_waiting(connection: &Connection) -> Result<u64> {
    sql::value(connection, "SELECT count(*) FROM message INDEXED BY message_due WHERE due_ms IS NOT NULL", [])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_e_mail_is_retried_with_growing_waits_for_two_days() {
        assert_eq!(retry_at(0, 0), Some(MINUTE));
        assert_eq!(retry_at(0, 10 * MINUTE), Some(15 * MINUTE));
        assert_eq!(retry_at(0, DAY), Some(DAY + HOUR));
        assert_eq!(retry_at(0, 2 * DAY), None);
        assert_eq!(retry_at(DAY, 0), Some(MINUTE));
        let (mut now, mut tries) = (0, 0);
        while let Some(next) = retry_at(0, now) {
            (now, tries) = (next, tries + 1);
        }
        assert!((50..70).contains(&tries), "{tries}");
    }
}
