//! The audit log's table.

use rusqlite::{Connection, Row, named_params};

use super::bounds::Bounds;
use super::error::Result;
use super::index_scan::{self, List, Source};
use super::page::{Filter, Page, PageRequest};
use super::sql::{self, read_row, row_params};
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::domain::time::{MINUTE, Millis};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Assigned by the store.
    pub seq: i64,
    pub at_ms: Millis,
    /// Display name of the user or program that acted.
    pub actor: String,
    /// Address of the client; `None` for commands, for entries before this field, and for a count over many addresses.
    pub address: Option<String>,
    /// Tenant of the subject; `None` if all tenants share it.
    pub tenant: Option<Tenant>,
    /// Name of the action, such as `webhook.created`.
    pub action: String,
    /// Id or name of the object acted on.
    pub subject: String,
    /// Further details, in words.
    pub detail: String,
    /// How often it happened, from `at_ms` on within a minute.
    pub count: u32,
}

/// Conditions of a list of entries.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub action: Option<AuditAction>,
    /// Display name of the actor.
    pub actor: Option<String>,
    pub tenant: Option<Tenant>,
    /// At or after.
    pub since: Option<Millis>,
    /// Before.
    pub until: Option<Millis>,
}

/// Writes an entry within the transaction of the action. Returns the entry's number.
pub fn insert(connection: &Connection, entry: &AuditRecord) -> Result<i64> {
    sql::run(
        connection,
        "INSERT INTO audit (at_ms, actor, address, tenant, action, subject, detail, count)
         VALUES (:at_ms, :actor, :address, :tenant, :action, :subject, :detail, :count)",
        row_params!(entry { at_ms, actor, address, tenant, action, subject, detail, count }),
    )?;
    Ok(connection.last_insert_rowid())
}

/// Replaces the detail of an entry. Batched actions update their entry after each step.
pub fn set_detail(connection: &Connection, seq: i64, detail: &str) -> Result<()> {
    let statement = "UPDATE audit SET detail = :detail WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":detail": detail, ":seq": seq})
}

/// Newest entries among which an earlier one of the same minute is looked for.
const RECENT: i64 = 1_000;
/// Entries of one action in a minute, beyond which further addresses share one entry.
const ADDRESSES: u32 = 60;
/// Subject of an entry that counts several.
const SEVERAL: &str = "several";

/// Adds an entry to the count of one with its action and address in the last minute, or writes it.
pub fn insert_or_count(connection: &Connection, mut entry: AuditRecord) -> Result<()> {
    if count(connection, &entry)? {
        return Ok(());
    }
    let query = "SELECT count(*) FROM audit WHERE seq > (SELECT max(seq) FROM audit) - :recent
                     AND action = :action AND at_ms > :since AND at_ms <= :now";
    let since = entry.at_ms - MINUTE;
    let params = named_params! {":recent": RECENT, ":action": entry.action, ":since": since, ":now": entry.at_ms};
    if sql::value::<u32>(connection, query, params)? >= ADDRESSES {
        entry.address = None;
        if count(connection, &entry)? {
            return Ok(());
        }
    }
    insert(connection, &entry).map(drop)
}

/// Counts an entry in an earlier one of the same minute. Returns whether there is one.
fn count(connection: &Connection, entry: &AuditRecord) -> Result<bool> {
    let statement = "UPDATE audit SET count = count + 1, subject = iif(subject = :subject, subject, :several)
                     WHERE seq = (SELECT max(seq) FROM audit WHERE seq > (SELECT max(seq) FROM audit) - :recent
                                      AND action = :action AND address IS :address AND at_ms > :since AND at_ms <= :now)";
    let since = entry.at_ms - MINUTE;
    let params = named_params! {
        ":subject": entry.subject, ":several": SEVERAL, ":recent": RECENT, ":action": entry.action,
        ":address": entry.address, ":since": since, ":now": entry.at_ms,
    };
    Ok(sql::change(connection, statement, params)? > 0)
}

/// Maximum entries examined per page.
const BUDGET: usize = 5_000;

/// Returns a page of entries, newest first.
pub fn list(connection: &Connection, filter: &AuditFilter, request: &PageRequest) -> Result<Page<AuditRecord>> {
    let list = List {
        select: LIST,
        conditions: &conditions(filter),
        bounds: Bounds::of_page(request).within(connection, ("audit", "at_ms"), filter.since, filter.until)?,
        budget: BUDGET,
    };
    index_scan::page(connection, &[Source::table("audit")], &list, request, |row| from_row(row).map(Some))
}

pub(super) const LIST: &str = "SELECT audit.* FROM {numbers} AS wanted CROSS JOIN audit ON audit.seq = wanted.value";

pub(super) fn conditions(filter: &AuditFilter) -> Filter {
    let mut conditions = Filter::default();
    conditions.and_some("audit.action = ?", filter.action.map(|action| action.to_string()));
    conditions.and_some("audit.actor = ?", filter.actor.clone());
    conditions.and_some("audit.tenant = ?", filter.tenant.clone());
    conditions.and_some("audit.at_ms >= ?", filter.since);
    conditions.and_some("audit.at_ms < ?", filter.until);
    conditions
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    Ok(read_row!(row, AuditRecord { seq, at_ms, actor, address, tenant, action, subject, detail, count }))
}
