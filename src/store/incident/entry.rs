//! The time line of an incident. Each tenant's part of it has a bounded number of entries, and so has the operator's, so
//! that nobody can push out those of others.

use rusqlite::{Connection, Row, named_params};

use crate::domain::event::Tenant;
use crate::domain::incident::EntryKind;
use crate::domain::time::{MINUTE, Millis};
use crate::domain::webhook::Webhook;
use crate::store::WriteTx;
use crate::store::error::Result;
use crate::store::sql::{self, read_row};

/// Entries of one part, without notes and the first ones. The oldest beyond are deleted, and counted.
const MAX_ENTRIES: u32 = 150;
/// Notes of one part.
pub const MAX_NOTES: u64 = 50;
/// Time within which the same of several webhooks is one entry.
const TOGETHER: Millis = 5 * MINUTE;

/// Author of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// Display name; empty for Hookpost itself.
    pub name: String,
    /// `true` for the operator's people and programs. Tenants do not see their names.
    pub is_operator: bool,
}

/// Entry to add.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    incident_seq: i64,
    /// Tenant of the part; empty for the operator's.
    tenant: &'a str,
    /// `None` for now.
    at_ms: Option<Millis>,
    kind: EntryKind,
    webhook_seq: Option<i64>,
    author: Author,
    text: &'a str,
}

impl<'a> Entry<'a> {
    pub(super) fn about(incident_seq: i64, webhook: &'a Webhook, kind: EntryKind) -> Entry<'a> {
        let (tenant, webhook_seq) = (webhook.tenant.as_str(), Some(webhook.seq));
        Entry { incident_seq, tenant, at_ms: None, kind, webhook_seq, author: Author::default(), text: "" }
    }

    pub(super) fn by(self, author: &Author) -> Entry<'a> {
        Entry { author: author.clone(), ..self }
    }

    pub(super) fn at(self, at_ms: Millis) -> Entry<'a> {
        Entry { at_ms: Some(at_ms), ..self }
    }

    pub(super) fn with_text(self, text: &'a str) -> Entry<'a> {
        Entry { text, ..self }
    }
}

/// Whether a tenant's part of an incident has no entry yet.
pub(super) fn is_first_of_tenant(connection: &Connection, incident_seq: i64, tenant: &Tenant) -> Result<bool> {
    let query = "SELECT NOT EXISTS (SELECT 1 FROM incident_entry WHERE incident_seq = :incident AND tenant = :tenant)";
    sql::value(connection, query, named_params! {":incident": incident_seq, ":tenant": tenant})
}

/// Adds an entry. The same that happens to several webhooks in a row is counted in one.
pub(super) fn add(tx: &mut WriteTx<'_>, entry: &Entry<'_>) -> Result<()> {
    let now = tx.now_ms();
    let Entry { incident_seq, tenant, kind, text, .. } = *entry;
    if kind.is_counted() {
        let counted = sql::change(
            tx.connection(),
            "UPDATE incident_entry SET count = count + 1
             WHERE seq = (SELECT max(seq) FROM incident_entry WHERE incident_seq = :incident AND tenant = :tenant)
                 AND kind = :kind AND text = :text AND webhook_seq <> :webhook AND abs(:now - at_ms) < :together",
            named_params! {
                ":incident": incident_seq, ":tenant": tenant, ":kind": kind, ":text": text,
                ":webhook": entry.webhook_seq, ":now": now, ":together": TOGETHER,
            },
        )?;
        if counted > 0 {
            return Ok(());
        }
    }
    insert(tx.connection(), entry, now)?;
    let deleted = sql::change(
        tx.connection(),
        "DELETE FROM incident_entry WHERE seq IN (
             SELECT seq FROM incident_entry
             WHERE incident_seq = :incident AND tenant = :tenant
                 AND kind NOT IN ('first_failure', 'opened', 'note', 'left_out')
             ORDER BY seq DESC LIMIT -1 OFFSET :most)",
        named_params! {":incident": incident_seq, ":tenant": tenant, ":most": MAX_ENTRIES},
    )?;
    if deleted > 0 {
        count_left_out(tx.connection(), entry, deleted, now)?;
    }
    Ok(())
}

fn insert(connection: &Connection, entry: &Entry<'_>, now: Millis) -> Result<()> {
    sql::run(
        connection,
        "INSERT INTO incident_entry (incident_seq, tenant, at_ms, kind, webhook_seq, count, actor, by_operator, text)
         VALUES (:incident, :tenant, :at, :kind, :webhook, 1, :actor, :by_operator, :text)",
        named_params! {
            ":incident": entry.incident_seq, ":tenant": entry.tenant, ":at": entry.at_ms.unwrap_or(now),
            ":kind": entry.kind, ":webhook": entry.webhook_seq, ":actor": entry.author.name,
            ":by_operator": entry.author.is_operator, ":text": entry.text,
        },
    )
}

fn count_left_out(connection: &Connection, entry: &Entry<'_>, count: usize, now: Millis) -> Result<()> {
    let key = named_params! {":incident": entry.incident_seq, ":tenant": entry.tenant, ":count": count, ":now": now};
    let statement = "UPDATE incident_entry SET count = count + :count, at_ms = :now
                     WHERE incident_seq = :incident AND tenant = :tenant AND kind = 'left_out'";
    if sql::change(connection, statement, key)? == 0 {
        let statement =
            "INSERT INTO incident_entry (incident_seq, tenant, at_ms, kind, count, actor, by_operator, text)
                         VALUES (:incident, :tenant, :now, 'left_out', :count, '', 0, '')";
        sql::run(connection, statement, key)?;
    }
    Ok(())
}

/// Adds an entry of a person to the part of a tenant, or of the operator (`None`).
pub fn add_of_person(
    tx: &mut WriteTx<'_>,
    incident_seq: i64,
    tenant: Option<&Tenant>,
    kind: EntryKind,
    author: &Author,
    text: &str,
) -> Result<()> {
    let tenant = tenant.map_or("", Tenant::as_str);
    let author = author.clone();
    add(tx, &Entry { incident_seq, tenant, at_ms: None, kind, webhook_seq: None, author, text })
}

/// Counts the notes in the part of a tenant, or of the operator.
pub fn count_notes(connection: &Connection, incident_seq: i64, tenant: Option<&Tenant>) -> Result<u64> {
    let query = "SELECT count(*) FROM incident_entry
                 WHERE incident_seq = :incident AND tenant = :tenant AND kind = 'note'";
    let tenant = tenant.map_or("", Tenant::as_str);
    sql::value(connection, query, named_params! {":incident": incident_seq, ":tenant": tenant})
}

/// Mutes or unmutes an incident for a tenant, or for the operator. Returns whether that changed anything.
pub fn set_muted(tx: &mut WriteTx<'_>, incident_seq: i64, tenant: Option<&Tenant>, is_muted: bool) -> Result<bool> {
    let statement = match is_muted {
        true => "INSERT INTO incident_mute (incident_seq, tenant) VALUES (:incident, :tenant) ON CONFLICT DO NOTHING",
        false => "DELETE FROM incident_mute WHERE incident_seq = :incident AND tenant = :tenant",
    };
    let tenant = tenant.map_or("", Tenant::as_str);
    let params = named_params! {":incident": incident_seq, ":tenant": tenant};
    Ok(sql::change(tx.connection(), statement, params)? > 0)
}

/// Entry of a time line, as its reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    pub at_ms: Millis,
    pub kind: EntryKind,
    /// Webhook that it is about, unless its row is deleted.
    pub webhook: Option<super::read::Named>,
    /// Webhooks that it happened to, or entries left out.
    pub count: u64,
    pub author: Author,
    pub text: String,
}

/// Entries of one page at most.
const MAX_SHOWN: u32 = 1_000;

/// Returns the time line, oldest first: that of all tenants for the operator, or the part of a tenant. Of very many
/// entries only the newest, after one without a count that says so.
pub fn timeline(connection: &Connection, incident_seq: i64, tenant: Option<&Tenant>) -> Result<Vec<TimelineEntry>> {
    let read = |row: &Row<'_>| {
        let webhook = super::read::Named::of_row(row)?;
        let author = Author { name: row.get("actor")?, is_operator: row.get("by_operator")? };
        Ok(read_row!(row, TimelineEntry { at_ms, kind, count, text; webhook, author }))
    };
    let mut entries = match tenant {
        Some(tenant) => {
            let query = "SELECT e.at_ms, e.kind, e.count, e.actor, e.by_operator, e.text, w.id, w.url, w.description
                         FROM incident_entry e INDEXED BY incident_entry_tenant
                         LEFT JOIN webhook w ON w.seq = e.webhook_seq
                         WHERE e.incident_seq = :incident AND e.tenant = :tenant ORDER BY e.seq DESC";
            sql::all(connection, query, named_params! {":incident": incident_seq, ":tenant": tenant}, read)?
        }
        None => {
            let query = "SELECT e.at_ms, e.kind, e.count, e.actor, e.by_operator, e.text, w.id, w.url, w.description
                         FROM incident_entry e INDEXED BY incident_entry_incident
                         LEFT JOIN webhook w ON w.seq = e.webhook_seq
                         WHERE e.incident_seq = :incident ORDER BY e.seq DESC LIMIT :limit";
            sql::all(connection, query, named_params! {":incident": incident_seq, ":limit": MAX_SHOWN}, read)?
        }
    };
    if entries.len() == MAX_SHOWN as usize {
        let at_ms = entries.last().map_or(0, |oldest| oldest.at_ms);
        let (author, text) = (Author::default(), String::new());
        entries.push(TimelineEntry { at_ms, kind: EntryKind::LeftOut, webhook: None, count: 0, author, text });
    }
    entries.reverse();
    entries.sort_by_key(|entry| entry.at_ms);
    Ok(entries)
}
