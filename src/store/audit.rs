//! The audit log's table.

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::page::{Filter, Page, PageRequest};
use super::sql::{self, read_row, row_params};
use crate::domain::event::Tenant;
use crate::domain::time::Millis;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Assigned by the store.
    pub seq: i64,
    pub at_ms: Millis,
    /// Display name of the user or program that acted.
    pub actor: String,
    /// Tenant of the subject; `None` if all tenants share it.
    pub tenant: Option<Tenant>,
    /// Name of the action, such as `webhook.created`.
    pub action: String,
    /// Id or name of the object acted on.
    pub subject: String,
    /// Further details, in words.
    pub detail: String,
}

/// Writes an entry within the transaction of the action. Returns the entry's number.
pub fn insert(connection: &Connection, entry: &AuditRecord) -> Result<i64> {
    sql::run(
        connection,
        "INSERT INTO audit (at_ms, actor, tenant, action, subject, detail)
         VALUES (:at_ms, :actor, :tenant, :action, :subject, :detail)",
        row_params!(entry { at_ms, actor, tenant, action, subject, detail }),
    )?;
    Ok(connection.last_insert_rowid())
}

/// Replaces the detail of an entry. Batched actions update their entry after each step.
pub fn set_detail(connection: &Connection, seq: i64, detail: &str) -> Result<()> {
    let statement = "UPDATE audit SET detail = :detail WHERE seq = :seq";
    sql::run(connection, statement, named_params! {":detail": detail, ":seq": seq})
}

pub fn page(connection: &Connection, request: &PageRequest) -> Result<Page<AuditRecord>> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(read_row!(row, AuditRecord { seq, at_ms, actor, tenant, action, subject, detail }))
    };
    Page::read(connection, "SELECT * FROM audit", Filter::default(), request, read, |entry| entry.seq)
}
