//! The tables of incidents: streaks of failed attempts, incidents, the webhooks in them, their time lines.
//!
//! A streak and an incident change in the transaction that records the attempt, so they are true after any crash. The
//! writer's memory ([`Trouble`]) tells which webhooks are in trouble: a success of any other costs nothing here, and a
//! failed attempt writes one small row, unless it opens an incident or changes its cause.
//!
//! Webhooks in the tenant of Hookpost itself are in none: a contact that cannot be told shows that by its status, since
//! nobody would hear of it otherwise.
//!
//! A webhook is in one open incident at most, that of its host. Each tenant sees an incident as if its own webhooks were
//! the only ones in it.

pub mod certificate;
pub mod entry;
mod open;
pub mod read;
mod tend;

use std::collections::HashMap;

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::operational::{self, Fact};
use super::sql::{self, read_row};
use super::{Change, WriteTx, contact, telling};
use crate::domain::attempt::ErrorCode;
use crate::domain::failure_group::FailureGroup;
use crate::domain::incident::{EntryKind, OpenReason, Streak, is_new_cause, opens};
use crate::domain::telling::EdgeKind;
use crate::domain::time::Millis;
use crate::domain::webhook::{Webhook, WebhookState};
use entry::{Author, Entry};
use open::{Beginning, open};

pub use tend::tend;

/// Failed attempts of a webhook since its last success, and its place in an open incident.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trouble {
    pub(super) streak: Option<Streak>,
    pub(super) membership: Option<Membership>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Membership {
    incident_seq: i64,
    group: FailureGroup,
    cause_ms: Millis,
    /// Time of the first success, if the webhook has not failed again by then.
    recovered_ms: Option<Millis>,
    /// Whether the incident was opened again.
    was_reopened: bool,
    /// End of the certificate that is its only trouble.
    certificate_ends_ms: Option<Millis>,
}

impl Trouble {
    pub(super) fn is_none(&self) -> bool {
        self.streak.is_none() && self.membership.is_none()
    }

    /// Whether only a certificate that is about to end is the trouble.
    fn is_certificate_only(&self) -> bool {
        self.streak.is_none() && self.membership.is_some_and(|membership| membership.certificate_ends_ms.is_some())
    }

    /// Whether attempts failed, too few to open an incident.
    pub(super) fn is_streak_only(&self) -> bool {
        self.streak.is_some() && self.membership.is_none()
    }
}

/// Why attempts fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `None` without an attempt.
    pub error_code: Option<ErrorCode>,
    /// Status of the response.
    pub code: Option<u16>,
    /// Sentence.
    pub text: String,
}

impl Cause {
    fn group(&self) -> FailureGroup {
        FailureGroup::of(self.error_code, self.code)
    }
}

/// Consequence of a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Retried,
    Exhausted,
    /// Exhausted, and the webhook is disabled.
    Disabled,
}

/// A failed attempt of a delivery that is no test.
pub struct FailedAttempt<'a> {
    pub webhook_seq: i64,
    /// Host and port that the request was sent to.
    pub host: &'a str,
    pub is_first: bool,
    pub outcome: Outcome,
    pub cause: Cause,
}

/// Returns the troubles of all webhooks.
pub(super) fn troubles(connection: &Connection) -> Result<HashMap<i64, Trouble>> {
    let mut troubles: HashMap<i64, Trouble> = HashMap::new();
    sql::each(connection, "SELECT webhook_seq, since_ms, failures, deliveries FROM streak", [], |row| {
        let streak = read_row!(row, Streak { since_ms, failures, deliveries });
        troubles.entry(row.get("webhook_seq")?).or_default().streak = Some(streak);
        Ok(())
    })?;
    let query =
        "SELECT m.webhook_seq, m.incident_seq, m.error_code, m.code, m.cause_ms, m.recovered_ms, m.certificate_ends_ms,
                     i.reopened > 0 AS was_reopened
                 FROM incident_webhook m JOIN incident i ON i.seq = m.incident_seq WHERE m.ended_ms IS NULL";
    sql::each(connection, query, [], |row| {
        let group = FailureGroup::of(row.get("error_code")?, row.get("code")?);
        let membership = read_row!(row, Membership {
            incident_seq, cause_ms, recovered_ms, was_reopened, certificate_ends_ms;
            group
        });
        troubles.entry(row.get("webhook_seq")?).or_default().membership = Some(membership);
        Ok(())
    })?;
    Ok(troubles)
}

pub(super) fn forget_streak(connection: &Connection, webhook_seq: i64) -> Result<()> {
    sql::run(connection, "DELETE FROM streak WHERE webhook_seq = :seq", named_params! {":seq": webhook_seq})
}

/// Counts a failed attempt, and opens an incident if a rule says so. An attempt at another host than the webhook's, which
/// was changed meanwhile, says nothing about it.
pub fn failed(tx: &mut WriteTx<'_>, attempt: &FailedAttempt<'_>) -> Result<()> {
    let (seq, now) = (attempt.webhook_seq, tx.now_ms());
    let Some(webhook) = tx.directory().get(seq).filter(|webhook| webhook.url.host_key() == attempt.host).cloned()
    else {
        return Ok(());
    };
    if let Some(contact_seq) = webhook.contact_seq {
        let is_lost = attempt.outcome != Outcome::Retried;
        contact::failed(tx.connection(), contact_seq, &attempt.cause.text, is_lost, now)?;
    }
    let before = tx.directory().trouble(seq);
    let streak = Streak::after(before.streak, attempt.is_first, now);
    sql::run(
        tx.connection(),
        "INSERT INTO streak (webhook_seq, since_ms, failures, deliveries)
         VALUES (:seq, :since, :failures, :deliveries)
         ON CONFLICT DO UPDATE SET since_ms = :since, failures = :failures, deliveries = :deliveries",
        named_params! {
            ":seq": seq, ":since": streak.since_ms, ":failures": streak.failures, ":deliveries": streak.deliveries,
        },
    )?;
    let dead_letters = u32::from(attempt.outcome != Outcome::Retried);
    let membership = match before.membership {
        Some(membership) if membership.recovered_ms.is_none() && membership.certificate_ends_ms.is_none() => {
            Some(go_on(tx, &webhook, membership, attempt, dead_letters)?)
        }
        earlier => {
            let reason = match attempt.outcome {
                Outcome::Disabled => Some(OpenReason::Disabled),
                outcome => opens(&streak, outcome == Outcome::Exhausted, now),
            };
            match reason.filter(|_| !webhook.tenant.is_hookpost()) {
                Some(reason) => {
                    let (since_ms, cause) = (streak.since_ms, &attempt.cause);
                    let begin = Beginning { reason, since_ms, cause, dead_letters, certificate_ends_ms: None };
                    Some(open(tx, &webhook, &begin)?)
                }
                None => earlier,
            }
        }
    };
    tx.directory_mut().set_trouble(seq, Trouble { streak: Some(streak), membership });
    Ok(())
}

/// Records a further failure of a webhook in an open incident.
fn go_on(
    tx: &mut WriteTx<'_>,
    webhook: &Webhook,
    mut membership: Membership,
    attempt: &FailedAttempt<'_>,
    dead_letters: u32,
) -> Result<Membership> {
    let now = tx.now_ms();
    let Membership { incident_seq, group, cause_ms, .. } = membership;
    if attempt.cause.group() != group && is_new_cause(cause_ms, now) {
        membership = Membership { group: attempt.cause.group(), cause_ms: now, ..membership };
        set_cause(tx, incident_seq, webhook.seq, &attempt.cause)?;
        entry::add(tx, &Entry::about(incident_seq, webhook, EntryKind::CauseChanged).with_text(&attempt.cause.text))?;
    }
    if dead_letters > 0 {
        let statement = "UPDATE incident_webhook SET dead_letters = dead_letters + 1
                         WHERE incident_seq = :incident AND webhook_seq = :webhook";
        sql::run(tx.connection(), statement, named_params! {":incident": incident_seq, ":webhook": webhook.seq})?;
    }
    if attempt.outcome == Outcome::Disabled {
        entry::add(tx, &Entry::about(incident_seq, webhook, EntryKind::Disabled))?;
        operational::publish(tx, &Fact::WebhookDisabled { webhook, incident_seq })?;
    }
    Ok(membership)
}

fn set_cause(tx: &mut WriteTx<'_>, incident_seq: i64, webhook_seq: i64, cause: &Cause) -> Result<()> {
    sql::run(
        tx.connection(),
        "UPDATE incident_webhook SET error_code = :error_code, code = :code, cause = :cause, cause_ms = :now
         WHERE incident_seq = :incident AND webhook_seq = :webhook",
        named_params! {
            ":error_code": cause.error_code, ":code": cause.code, ":cause": cause.text, ":now": tx.now_ms(),
            ":incident": incident_seq, ":webhook": webhook_seq,
        },
    )
}

/// Ends the streak of a webhook after a successful delivery. In an incident, its trouble is over once that settles.
pub fn succeeded(tx: &mut WriteTx<'_>, webhook_seq: i64, host: &str) -> Result<()> {
    if let Some(contact_seq) = tx.directory().get(webhook_seq).and_then(|webhook| webhook.contact_seq) {
        contact::told(tx.connection(), contact_seq, tx.now_ms())?;
    }
    let trouble = tx.directory().trouble(webhook_seq);
    if trouble.is_none() || trouble.is_certificate_only() {
        return Ok(());
    }
    match tx.directory().get(webhook_seq).filter(|webhook| webhook.url.host_key() == host).cloned() {
        Some(webhook) => recover(tx, &webhook, trouble),
        None => Ok(()),
    }
}

fn recover(tx: &mut WriteTx<'_>, webhook: &Webhook, mut trouble: Trouble) -> Result<()> {
    let now = tx.now_ms();
    let streak = trouble.streak.take();
    if streak.is_some() {
        forget_streak(tx.connection(), webhook.seq)?;
    }
    let is_failing =
        |membership: &&mut Membership| membership.recovered_ms.is_none() && membership.certificate_ends_ms.is_none();
    if let Some(membership) = trouble.membership.as_mut().filter(is_failing) {
        membership.recovered_ms = Some(now);
        let incident_seq = membership.incident_seq;
        sql::run(
            tx.connection(),
            "UPDATE incident_webhook SET recovered_ms = :now,
                 failures = failures + :failures, deliveries = deliveries + :deliveries
             WHERE incident_seq = :incident AND webhook_seq = :webhook",
            named_params! {
                ":now": now, ":incident": incident_seq, ":webhook": webhook.seq,
                ":failures": streak.map_or(0, |streak| streak.failures),
                ":deliveries": streak.map_or(0, |streak| streak.deliveries),
            },
        )?;
        entry::add(tx, &Entry::about(incident_seq, webhook, EntryKind::Recovered))?;
        tx.notify(Change::Incident { incident_seq });
    }
    tx.directory_mut().set_trouble(webhook.seq, trouble);
    Ok(())
}

/// Records a test in the time line. A successful one ends the trouble of an active webhook that has nothing queued, since
/// no delivery can show that it has recovered.
pub fn tested(tx: &mut WriteTx<'_>, webhook_seq: i64, host: &str, failure: Option<&str>) -> Result<()> {
    let trouble = tx.directory().trouble(webhook_seq);
    let webhook = tx.directory().get(webhook_seq).filter(|webhook| webhook.url.host_key() == host).cloned();
    if let Some(contact_seq) = webhook.as_ref().and_then(|webhook| webhook.contact_seq) {
        return match failure {
            Some(error) => contact::failed(tx.connection(), contact_seq, error, true, tx.now_ms()),
            None => contact::recovered(tx.connection(), contact_seq),
        };
    }
    let (Some(membership), Some(webhook)) = (trouble.membership, webhook) else {
        return Ok(());
    };
    let kind = if failure.is_some() { EntryKind::TestFailed } else { EntryKind::TestDelivered };
    entry::add(tx, &Entry::about(membership.incident_seq, &webhook, kind).with_text(failure.unwrap_or_default()))?;
    if failure.is_none() && webhook.is_sending() && !tx.directory().has_queue(webhook_seq) {
        recover(tx, &webhook, trouble)?;
    }
    Ok(())
}

/// Follows the change of a webhook by a person.
pub fn changed(tx: &mut WriteTx<'_>, before: &Webhook, after: &Webhook, author: &Author) -> Result<()> {
    if before.url.host_key() != after.url.host_key() {
        return left(tx, after.seq, EntryKind::Moved);
    }
    let kind = match after.state {
        state if state == before.state => return Ok(()),
        WebhookState::Active => EntryKind::Resumed,
        WebhookState::Paused => EntryKind::Paused,
        WebhookState::Disabled | WebhookState::Unverified => return Ok(()),
    };
    let Some(membership) = tx.directory().trouble(after.seq).membership else {
        return Ok(());
    };
    entry::add(tx, &Entry::about(membership.incident_seq, after, kind).by(author))
}

/// Takes a webhook that was deleted, or moved to another host, out of its incident.
pub(super) fn left(tx: &mut WriteTx<'_>, webhook_seq: i64, kind: EntryKind) -> Result<()> {
    let trouble = tx.directory().trouble(webhook_seq);
    if trouble.is_none() {
        return Ok(());
    }
    forget_streak(tx.connection(), webhook_seq)?;
    tx.directory_mut().set_trouble(webhook_seq, Trouble::default());
    let (Some(membership), Some(webhook)) = (trouble.membership, tx.directory().get(webhook_seq).cloned()) else {
        return Ok(());
    };
    if let Some(streak) = trouble.streak.filter(|_| membership.recovered_ms.is_none()) {
        let statement =
            "UPDATE incident_webhook SET failures = failures + :failures, deliveries = deliveries + :deliveries
                         WHERE incident_seq = :incident AND webhook_seq = :webhook";
        let params = named_params! {
            ":failures": streak.failures, ":deliveries": streak.deliveries,
            ":incident": membership.incident_seq, ":webhook": webhook_seq,
        };
        sql::run(tx.connection(), statement, params)?;
    }
    entry::add(tx, &Entry::about(membership.incident_seq, &webhook, kind))?;
    end(tx, &membership, webhook_seq)
}

/// Ends the part of a webhook in an incident, and closes the incident with the last one.
fn end(tx: &mut WriteTx<'_>, membership: &Membership, webhook_seq: i64) -> Result<()> {
    let Membership { incident_seq, certificate_ends_ms, .. } = *membership;
    let now = tx.now_ms();
    sql::run(
        tx.connection(),
        "UPDATE incident_webhook SET ended_ms = :now WHERE incident_seq = :incident AND webhook_seq = :webhook",
        named_params! {":now": now, ":incident": incident_seq, ":webhook": webhook_seq},
    )?;
    let edge = if certificate_ends_ms.is_some() { EdgeKind::CertificateOver } else { EdgeKind::Ended };
    telling::add(tx, edge, Some(incident_seq), Some(webhook_seq))?;
    let closed = sql::change(
        tx.connection(),
        "UPDATE incident SET closed_ms = :now
         WHERE seq = :incident AND closed_ms IS NULL AND NOT EXISTS (
             SELECT 1 FROM incident_webhook INDEXED BY incident_webhook_open
             WHERE incident_seq = :incident AND ended_ms IS NULL)",
        named_params! {":now": now, ":incident": incident_seq},
    )?;
    if closed > 0 {
        let id = operational::incident_id(tx, incident_seq)?.unwrap_or_default();
        log::info!(incident_id = id; "an incident is closed");
        operational::publish(tx, &Fact::IncidentClosed { incident_seq })?;
    }
    tx.notify(Change::Incident { incident_seq });
    Ok(())
}
