//! Certificates about to end, as facts that are told.

use std::collections::HashMap;

use rusqlite::{Connection, named_params};

use super::{STEP, insert};
use crate::domain::telling::EdgeKind;
use crate::domain::telling::daily::certificate_days;
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::store::directory::Directory;
use crate::store::error::Result;
use crate::store::{WriteTx, operational, sql};

/// Certificates that are told by webhook: its own, and that of its endpoint.
#[derive(Clone, Copy)]
enum Notices {
    Own,
    Endpoint,
}

impl Notices {
    /// Returns the end of a webhook's certificate that may have to be told. That of an endpoint is mostly renewed by a
    /// program, so nobody hears of it before somebody has to do something.
    fn ends_ms(self, directory: &Directory, webhook: &Webhook, now: Millis) -> Option<Millis> {
        match self {
            Notices::Own => Some(webhook.tls.as_ref()?.ends_ms),
            Notices::Endpoint => {
                let ending = directory.certificates().get(webhook.url.host_key())?;
                (ending.overdue_ms <= now && !webhook.tenant.is_hookpost()).then_some(ending.ends_ms)
            }
        }
    }

    /// Returns what was told: the end of each webhook's certificate, and how many days before.
    fn noticed(self, connection: &Connection) -> Result<HashMap<i64, (Millis, i64)>> {
        let query = match self {
            Notices::Own => "SELECT webhook_seq, ends_ms, days FROM certificate_notice",
            Notices::Endpoint => "SELECT webhook_seq, ends_ms, days FROM endpoint_certificate_notice",
        };
        let rows = sql::all(connection, query, [], |row| {
            Ok((row.get("webhook_seq")?, (row.get("ends_ms")?, row.get("days")?)))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Like [`Notices::noticed`], of one webhook.
    fn noticed_of(self, connection: &Connection, webhook_seq: i64) -> Result<Option<(Millis, i64)>> {
        let query = match self {
            Notices::Own => "SELECT ends_ms, days FROM certificate_notice WHERE webhook_seq = :webhook",
            Notices::Endpoint => "SELECT ends_ms, days FROM endpoint_certificate_notice WHERE webhook_seq = :webhook",
        };
        let key = named_params! {":webhook": webhook_seq};
        sql::first(connection, query, key, |row| Ok((row.get("ends_ms")?, row.get("days")?)))
    }

    /// Writes the edge of a certificate.
    fn tell(self, tx: &mut WriteTx<'_>, notice: &DueNotice) -> Result<()> {
        let DueNotice { webhook_seq, ends_ms, days } = *notice;
        let statement = match self {
            Notices::Own => {
                "INSERT INTO certificate_notice (webhook_seq, ends_ms, days) VALUES (:webhook, :ends, :days)
                 ON CONFLICT DO UPDATE SET ends_ms = :ends, days = :days"
            }
            Notices::Endpoint => {
                "INSERT INTO endpoint_certificate_notice (webhook_seq, ends_ms, days) VALUES (:webhook, :ends, :days)
                 ON CONFLICT DO UPDATE SET ends_ms = :ends, days = :days"
            }
        };
        let params = named_params! {":webhook": webhook_seq, ":ends": ends_ms, ":days": days};
        sql::run(tx.connection(), statement, params)?;
        insert(tx, EdgeKind::Certificate, (None, Some(webhook_seq), None), "")?;
        operational::certificate(tx, webhook_seq, ends_ms)
    }
}

/// A certificate to tell of.
struct DueNotice {
    webhook_seq: i64,
    ends_ms: Millis,
    days: i64,
}

/// Returns the notice of a certificate, unless it was told before. `noticed` is its end as it was told, and the days.
fn due(webhook_seq: i64, ends_ms: Millis, noticed: Option<(Millis, i64)>, now: Millis) -> Option<DueNotice> {
    let before = noticed.filter(|(end, _)| *end == ends_ms).map(|(_, days)| days);
    Some(DueNotice { webhook_seq, ends_ms, days: certificate_days(ends_ms, before, now)? })
}

/// Writes edges about certificates that are about to end, in one step. Returns whether more remain.
pub fn certificates(tx: &mut WriteTx<'_>, now: Millis) -> Result<bool> {
    let mut has_more = false;
    for notices in [Notices::Own, Notices::Endpoint] {
        let noticed = notices.noticed(tx.connection())?;
        let directory = tx.directory();
        let found = directory.iter().filter_map(|webhook| {
            let ends_ms = notices.ends_ms(directory, webhook, now)?;
            due(webhook.seq, ends_ms, noticed.get(&webhook.seq).copied(), now)
        });
        let found: Vec<DueNotice> = found.take(STEP).collect();
        found.iter().try_for_each(|notice| notices.tell(tx, notice))?;
        has_more |= found.len() == STEP;
    }
    Ok(has_more)
}

/// Like [`certificates`], of one webhook.
pub(in crate::store) fn certificates_of(tx: &mut WriteTx<'_>, webhook: &Webhook, now: Millis) -> Result<()> {
    for notices in [Notices::Own, Notices::Endpoint] {
        let Some(ends_ms) = notices.ends_ms(tx.directory(), webhook, now) else { continue };
        let noticed = notices.noticed_of(tx.connection(), webhook.seq)?;
        due(webhook.seq, ends_ms, noticed, now).map_or(Ok(()), |notice| notices.tell(tx, &notice))?;
    }
    Ok(())
}
