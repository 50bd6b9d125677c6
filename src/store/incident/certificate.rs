//! Certificates about to end, as incidents: those that endpoints present, and webhooks' own.
//!
//! A new connection shows the certificate of the endpoint. It is stored only while it ends soon, by host, so a delivery
//! writes nothing about it unless it has changed. The writer's memory has a copy.

use std::collections::HashMap;

use rusqlite::{Connection, named_params};

use super::entry::{self, Entry};
use super::open::{Beginning, open};
use super::tend::STEP;
use super::{Cause, Membership, Trouble};
use crate::domain::incident::{EntryKind, OpenReason};
use crate::domain::time::{DAY, Millis};
use crate::domain::tls::{ATTENTION, Validity};
use crate::domain::webhook::Webhook;
use crate::store::directory::Directory;
use crate::store::error::Result;
use crate::store::sql::{self, read_row};
use crate::store::{Change, WriteTx, telling};
use crate::text::certificate::{Whose, cause};

/// Hosts whose certificates are stored at most.
const MAX_HOSTS: usize = 10_000;
/// Time after its end at which a certificate is deleted: deliveries have shown by then what became of it.
const KEPT: Millis = DAY;

/// A certificate that ends soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    pub ends_ms: Millis,
    /// When it should have been renewed.
    pub overdue_ms: Millis,
}

/// Certificates of endpoints that end soon, by host with the port.
#[derive(Debug, Default)]
pub struct Certificates {
    by_host: HashMap<String, Ending>,
    /// Certificates that the current job changed, as they were before.
    job: Vec<(String, Option<Ending>)>,
}

impl Certificates {
    pub(in crate::store) fn load(connection: &Connection) -> Result<Certificates> {
        let query = "SELECT host, ends_ms, overdue_ms FROM endpoint_certificate";
        let rows = sql::all(connection, query, [], |row| {
            Ok((row.get("host")?, read_row!(row, Ending { ends_ms, overdue_ms })))
        })?;
        Ok(Certificates { by_host: rows.into_iter().collect(), job: Vec::new() })
    }

    pub(in crate::store) fn get(&self, host: &str) -> Option<Ending> {
        // Mostly there are none.
        if self.by_host.is_empty() { None } else { self.by_host.get(host).copied() }
    }

    fn set(&mut self, host: &str, ending: Option<Ending>) {
        let before = self.put(host.to_owned(), ending);
        self.job.push((host.to_owned(), before));
    }

    fn put(&mut self, host: String, ending: Option<Ending>) -> Option<Ending> {
        match ending {
            Some(ending) => self.by_host.insert(host, ending),
            None => self.by_host.remove(&host),
        }
    }

    pub(in crate::store) fn undo_job(&mut self) {
        for (host, before) in std::mem::take(&mut self.job).into_iter().rev() {
            self.put(host, before);
        }
    }

    pub(in crate::store) fn end_job(&mut self) {
        self.job.clear();
    }
}

/// Records the certificate that an endpoint has shown.
pub fn seen(tx: &mut WriteTx<'_>, host: &str, validity: Validity) -> Result<()> {
    let is_soon = validity.to_ms <= tx.now_ms() + ATTENTION;
    let after = is_soon.then(|| Ending { ends_ms: validity.to_ms, overdue_ms: validity.overdue_ms() });
    let certificates = tx.directory().certificates();
    let before = certificates.get(host);
    if before == after || (before.is_none() && certificates.by_host.len() >= MAX_HOSTS) {
        return Ok(());
    }
    match after {
        Some(Ending { ends_ms, overdue_ms }) => sql::run(
            tx.connection(),
            "INSERT INTO endpoint_certificate (host, ends_ms, overdue_ms) VALUES (:host, :ends, :overdue)
             ON CONFLICT DO UPDATE SET ends_ms = :ends, overdue_ms = :overdue",
            named_params! {":host": host, ":ends": ends_ms, ":overdue": overdue_ms},
        )?,
        None => forget(tx.connection(), host)?,
    }
    tx.directory_mut().certificates_mut().set(host, after);
    Ok(())
}

fn forget(connection: &Connection, host: &str) -> Result<()> {
    sql::run(connection, "DELETE FROM endpoint_certificate WHERE host = :host", named_params! {":host": host})
}

/// Returns the end of the certificate of an endpoint, if that is soon.
pub fn of_host(connection: &Connection, host: &str) -> Result<Option<Millis>> {
    let query = "SELECT ends_ms FROM endpoint_certificate WHERE host = :host";
    sql::first(connection, query, named_params! {":host": host}, |row| row.get("ends_ms"))
}

/// Returns the certificate that ends first of those that a webhook depends on and that should have been renewed. The one of
/// an incident (`known_ms`: its end) stays one, whatever happens to the clock.
pub(super) fn ending(
    directory: &Directory,
    webhook: &Webhook,
    known_ms: Option<Millis>,
    now: Millis,
) -> Option<(Millis, Whose)> {
    let is_known = |ends_ms: Millis| known_ms == Some(ends_ms);
    let own = webhook.tls.as_ref().filter(|tls| is_known(tls.ends_ms) || tls.is_overdue(now));
    let own = own.map(|tls| (tls.ends_ms, Whose::Webhook));
    let of_host = directory.certificates().get(webhook.url.host_key());
    let of_host = of_host.filter(|ending| is_known(ending.ends_ms) || ending.overdue_ms <= now);
    own.into_iter().chain(of_host.map(|ending| (ending.ends_ms, Whose::Endpoint))).min_by_key(|(ends_ms, _)| *ends_ms)
}

fn cause_of(webhook: &Webhook, (ends_ms, whose): (Millis, Whose)) -> Cause {
    Cause { error_code: None, code: None, text: cause(whose, webhook.url.host_key(), ends_ms) }
}

/// Opens an incident of a webhook, and has those told who want to hear of certificates only.
pub(super) fn join(tx: &mut WriteTx<'_>, webhook: &Webhook, now: Millis) -> Result<()> {
    let Some(ending) = ending(tx.directory(), webhook, None, now) else {
        return Ok(());
    };
    let cause = cause_of(webhook, ending);
    let begin = Beginning {
        reason: OpenReason::CertificateEnding,
        since_ms: now,
        cause: &cause,
        dead_letters: 0,
        certificate_ends_ms: Some(ending.0),
    };
    let membership = open(tx, webhook, &begin)?;
    let trouble = tx.directory().trouble(webhook.seq);
    tx.directory_mut().set_trouble(webhook.seq, Trouble { membership: Some(membership), ..trouble });
    telling::certificates_of(tx, webhook, now)
}

/// Follows the certificates of webhooks that are in an incident for one, and forgets those that have ended, in one step.
/// Returns whether more remain.
pub(super) fn follow(tx: &mut WriteTx<'_>, now: Millis) -> Result<bool> {
    let certificates = tx.directory().certificates();
    let is_over = |ending: &Ending| ending.ends_ms <= now - KEPT;
    let over = certificates.by_host.iter().filter(|(_, ending)| is_over(ending)).map(|(host, _)| host.clone());
    let over: Vec<String> = over.take(STEP).collect();
    for host in &over {
        forget(tx.connection(), host)?;
        tx.directory_mut().certificates_mut().set(host, None);
    }
    let directory = tx.directory();
    let changed = directory.troubles().filter_map(|(seq, trouble)| {
        let membership = trouble.membership?;
        let before = membership.certificate_ends_ms?;
        let webhook = directory.get(seq)?;
        let ending = ending(directory, webhook, Some(before), now);
        let is_as_before = match (ending, membership.recovered_ms) {
            (Some((ends_ms, _)), None) => ends_ms == before,
            (Some(_), Some(_)) | (None, None) => false,
            (None, Some(_)) => true,
        };
        (!is_as_before).then(|| (webhook.clone(), *trouble, membership, ending))
    });
    let changed: Vec<_> = changed.take(STEP).collect();
    for (webhook, trouble, membership, ending) in &changed {
        let membership = match ending {
            Some(ending) => goes_on(tx, webhook, *membership, *ending)?,
            None => renewed(tx, webhook, *membership)?,
        };
        tx.directory_mut().set_trouble(webhook.seq, Trouble { membership: Some(membership), ..*trouble });
        tx.notify(Change::Incident { incident_seq: membership.incident_seq });
    }
    Ok(over.len() == STEP || changed.len() == STEP)
}

/// Records that a webhook depends on a certificate that is about to end no longer. Its trouble is over once that settles: of
/// several servers behind one name, others may still have the old certificate.
fn renewed(tx: &mut WriteTx<'_>, webhook: &Webhook, membership: Membership) -> Result<Membership> {
    let (now, incident_seq) = (tx.now_ms(), membership.incident_seq);
    let statement = "UPDATE incident_webhook SET recovered_ms = :now
                     WHERE incident_seq = :incident AND webhook_seq = :webhook";
    let params = named_params! {":now": now, ":incident": incident_seq, ":webhook": webhook.seq};
    sql::run(tx.connection(), statement, params)?;
    entry::add(tx, &Entry::about(incident_seq, webhook, EntryKind::CertificateRenewed))?;
    Ok(Membership { recovered_ms: Some(now), ..membership })
}

/// Records that a webhook depends on another certificate that is about to end, or on the former one again.
fn goes_on(
    tx: &mut WriteTx<'_>,
    webhook: &Webhook,
    membership: Membership,
    ending: (Millis, Whose),
) -> Result<Membership> {
    let (now, incident_seq) = (tx.now_ms(), membership.incident_seq);
    let cause = cause_of(webhook, ending);
    sql::run(
        tx.connection(),
        "UPDATE incident_webhook SET cause = :cause, cause_ms = :now, certificate_ends_ms = :ends, recovered_ms = NULL
         WHERE incident_seq = :incident AND webhook_seq = :webhook",
        named_params! {
            ":cause": cause.text, ":now": now, ":ends": ending.0, ":incident": incident_seq, ":webhook": webhook.seq,
        },
    )?;
    entry::add(tx, &Entry::about(incident_seq, webhook, EntryKind::CertificateEnding).with_text(&cause.text))?;
    Ok(Membership { recovered_ms: None, cause_ms: now, certificate_ends_ms: Some(ending.0), ..membership })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrate;

    fn until(to_ms: Millis) -> Validity {
        Validity { from_ms: to_ms - 90 * DAY, to_ms }
    }

    #[test]
    fn a_certificate_is_written_when_it_ends_soon_and_changes_and_the_number_of_hosts_is_bounded() {
        let connection = migrate::in_memory();
        let mut directory = Directory::default();
        let tx = &mut WriteTx::of_test(&connection, &mut directory, DAY);
        let mut rows = |host: &str, to_ms| {
            let before = connection.total_changes();
            seen(tx, host, until(to_ms)).unwrap();
            connection.total_changes() - before
        };
        assert_eq!(rows("a:443", DAY + ATTENTION + 1), 0, "it ends later");
        assert_eq!((rows("a:443", 5 * DAY), rows("a:443", 5 * DAY), rows("a:443", 6 * DAY)), (1, 0, 1));
        assert_eq!(of_host(&connection, "a:443").unwrap(), Some(6 * DAY));
        assert_eq!((rows("a:443", 90 * DAY), rows("a:443", 90 * DAY)), (1, 0));
        assert_eq!(of_host(&connection, "a:443").unwrap(), None);
        let written: u64 = (0..MAX_HOSTS + 5).map(|number| rows(&format!("h{number}:443"), 5 * DAY)).sum();
        assert_eq!(written, MAX_HOSTS as u64);
        tx.directory_mut().certificates_mut().undo_job();
        assert!(tx.directory().certificates().get("h0:443").is_none(), "as before the job");
        let loaded = Certificates::load(&connection).unwrap();
        assert_eq!(loaded.get("h0:443"), Some(Ending { ends_ms: 5 * DAY, overdue_ms: -2 * DAY }));
    }
}
