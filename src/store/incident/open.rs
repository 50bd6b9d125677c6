//! The beginning of a webhook's trouble: it joins the open incident of its host, or opens one.

use rusqlite::named_params;

use super::entry::{self, Entry};
use super::{Cause, Membership};
use crate::domain::id::IncidentId;
use crate::domain::incident::{EntryKind, OpenReason, REOPENS};
use crate::domain::telling::EdgeKind;
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::random;
use crate::store::error::Result;
use crate::store::operational::{self, Fact};
use crate::store::used_seq::{self, Numbered};
use crate::store::{Change, WriteTx, sql, telling};

/// How a webhook comes into an incident.
pub(super) struct Beginning<'a> {
    pub(super) reason: OpenReason,
    pub(super) since_ms: Millis,
    pub(super) cause: &'a Cause,
    pub(super) dead_letters: u32,
    /// End of the certificate that is the trouble.
    pub(super) certificate_ends_ms: Option<Millis>,
}

/// Adds a webhook to the open incident of its host, or opens one. A webhook that was in it before is failing again, or fails
/// now beside having a certificate that is about to end.
pub(super) fn open(tx: &mut WriteTx<'_>, webhook: &Webhook, begin: &Beginning<'_>) -> Result<Membership> {
    let now = tx.now_ms();
    let Found { seq: incident_seq, opening, was_reopened } = incident_of(tx, webhook.url.host_key())?;
    let key = named_params! {":incident": incident_seq, ":webhook": webhook.seq};
    let query = "SELECT ended_ms IS NOT NULL, certificate_ends_ms IS NOT NULL FROM incident_webhook
                 WHERE incident_seq = :incident AND webhook_seq = :webhook";
    let before: Option<(bool, bool)> = sql::first(tx.connection(), query, key, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let last_success_ms = tx.directory().last_success_ms(webhook.seq);
    let Beginning { reason, since_ms, cause, dead_letters, certificate_ends_ms } = *begin;
    let is_certificate = certificate_ends_ms.is_some();
    if !is_certificate && opening == Opening::None {
        unmute(tx, incident_seq)?;
    }
    sql::run(
        tx.connection(),
        "INSERT INTO incident_webhook (incident_seq, webhook_seq, tenant, reason, since_ms, last_success_ms, opened_ms,
             error_code, code, cause, cause_ms, failures, deliveries, dead_letters, certificate_ends_ms)
         VALUES (:incident, :webhook, :tenant, :reason, :since, :last_success, :now, :error_code, :code, :cause, :now,
             0, 0, :dead_letters, :certificate_ends)
         ON CONFLICT (incident_seq, webhook_seq) DO UPDATE SET error_code = :error_code, code = :code, cause = :cause, cause_ms = :now,
             since_ms = iif((certificate_ends_ms IS NULL) = (:certificate_ends IS NULL), since_ms, :since),
             certificate_ends_ms = :certificate_ends, dead_letters = dead_letters + :dead_letters, recovered_ms = NULL, ended_ms = NULL",
        named_params! {
            ":incident": incident_seq, ":webhook": webhook.seq, ":tenant": webhook.tenant, ":reason": reason,
            ":since": since_ms, ":last_success": last_success_ms, ":now": now, ":error_code": cause.error_code,
            ":code": cause.code, ":cause": cause.text, ":dead_letters": dead_letters,
            ":certificate_ends": certificate_ends_ms,
        },
    )?;
    let about = |kind| Entry::about(incident_seq, webhook, kind).with_text(&cause.text);
    let is_first = entry::is_first_of_tenant(tx.connection(), incident_seq, &webhook.tenant)?;
    let is_worse = before == Some((false, true)) && !is_certificate;
    if !is_certificate && (is_first || is_worse) {
        entry::add(tx, &Entry::about(incident_seq, webhook, EntryKind::FirstFailure).at(since_ms))?;
    }
    entry::add(
        tx,
        &about(match () {
            () if opening == Opening::Again => EntryKind::Reopened,
            () if is_worse => EntryKind::CauseChanged,
            () if is_first => EntryKind::Opened,
            () if is_certificate => EntryKind::CertificateEnding,
            () if before.is_some() => EntryKind::FailingAgain,
            () => EntryKind::Joined,
        }),
    )?;
    let edge = match before {
        Some((false, true)) => Some(EdgeKind::Worsened),
        // A webhook that is failing again before its trouble had settled was in the incident all the time.
        Some((false, false)) => None,
        Some((true, _)) | None if is_certificate => Some(EdgeKind::CertificateBegan),
        Some((true, _)) | None => Some(EdgeKind::Began),
    };
    if let Some(edge) = edge {
        telling::add(tx, edge, Some(incident_seq), Some(webhook.seq))?;
    }
    let word = match opening {
        Opening::None => None,
        Opening::First => Some("opened"),
        Opening::Again => Some("was opened again"),
    };
    if let Some(word) = word {
        log::warn!(webhook_id:% = webhook.id; "an incident of {} {word}: {}", webhook.url.host_key(), cause.text);
        let is_again = opening == Opening::Again;
        operational::publish(
            tx,
            &Fact::IncidentOpened { webhook, incident_seq, is_again, since_ms, cause: &cause.text },
        )?;
    }
    match reason {
        OpenReason::Disabled => {
            entry::add(tx, &Entry::about(incident_seq, webhook, EntryKind::Disabled))?;
            operational::publish(tx, &Fact::WebhookDisabled { webhook, incident_seq })?;
        }
        OpenReason::Unverified => operational::publish(tx, &Fact::WebhookUnverified { webhook, incident_seq })?,
        OpenReason::Exhausted
        | OpenReason::ManyFailures
        | OpenReason::HourOfFailures
        | OpenReason::CertificateEnding => {}
    }
    tx.notify(Change::Incident { incident_seq });
    Ok(Membership {
        incident_seq,
        group: cause.group(),
        cause_ms: now,
        recovered_ms: None,
        was_reopened,
        certificate_ends_ms,
    })
}

/// Unmutes an incident that was about certificates only: whoever muted it did not know that deliveries would fail.
fn unmute(tx: &mut WriteTx<'_>, incident_seq: i64) -> Result<()> {
    let statement = "DELETE FROM incident_mute WHERE incident_seq = :incident AND NOT EXISTS (
                         SELECT 1 FROM incident_webhook INDEXED BY incident_webhook_open
                         WHERE incident_seq = :incident AND ended_ms IS NULL AND certificate_ends_ms IS NULL)";
    sql::run(tx.connection(), statement, named_params! {":incident": incident_seq})
}

/// Open incident of a host.
struct Found {
    seq: i64,
    opening: Opening,
    was_reopened: bool,
}

/// Whether an incident was opened just now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    None,
    First,
    Again,
}

/// Returns the open incident of a host. Opens the one that closed last again, if that is not long ago, or a new one.
fn incident_of(tx: &mut WriteTx<'_>, host: &str) -> Result<Found> {
    let now = tx.now_ms();
    let query = "SELECT seq, reopened > 0 FROM incident WHERE host = :host AND closed_ms IS NULL";
    let found =
        sql::first(tx.connection(), query, named_params! {":host": host}, |row| Ok((row.get(0)?, row.get(1)?)))?;
    if let Some((seq, was_reopened)) = found {
        return Ok(Found { seq, opening: Opening::None, was_reopened });
    }
    let query = "SELECT seq FROM incident INDEXED BY incident_host_closed
                 WHERE host = :host AND closed_ms IS NOT NULL AND closed_ms > :after ORDER BY closed_ms DESC LIMIT 1";
    let params = named_params! {":host": host, ":after": now - REOPENS};
    if let Some(seq) = sql::first(tx.connection(), query, params, |row| row.get(0))? {
        let statement = "UPDATE incident SET closed_ms = NULL, reopened = reopened + 1 WHERE seq = :seq";
        sql::run(tx.connection(), statement, named_params! {":seq": seq})?;
        return Ok(Found { seq, opening: Opening::Again, was_reopened: true });
    }
    let id = IncidentId::generate(now, random::bits());
    let statement = "INSERT INTO incident (seq, id, host, opened_ms) VALUES (:seq, :id, :host, :now)";
    let params = named_params! {":seq": used_seq::next(tx, Numbered::Incident)?, ":id": id, ":host": host, ":now": now};
    sql::run(tx.connection(), statement, params)?;
    Ok(Found { seq: tx.connection().last_insert_rowid(), opening: Opening::First, was_reopened: false })
}
