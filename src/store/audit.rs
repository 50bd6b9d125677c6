//! The table of who did what.

use rusqlite::{Connection, named_params};

use super::error::StoreError;
use super::page::{Filter, Page, PageRequest};
use super::row::{self, parsed_option};
use crate::domain::event::Tenant;
use crate::domain::time::Millis;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    pub seq: i64,
    pub at_ms: Millis,
    /// Who did it, in words.
    pub actor: String,
    /// Whose things it was about; `None` where they are everybody's.
    pub tenant: Option<Tenant>,
    /// What was done: `webhook.created`.
    pub action: String,
    /// The id or the name of what it was done to.
    pub subject: String,
    /// What else there is to say.
    pub detail: String,
}

/// Writes an entry, in the transaction that does what it says; its number.
pub fn insert(
    connection: &Connection,
    at_ms: Millis,
    actor: &str,
    tenant: Option<&Tenant>,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<i64, StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO audit (at_ms, actor, tenant, action, subject, detail)
             VALUES (:at_ms, :actor, :tenant, :action, :subject, :detail)",
        )?
        .execute(named_params! {
            ":at_ms": at_ms,
            ":actor": actor,
            ":tenant": tenant.map(Tenant::as_str),
            ":action": action,
            ":subject": subject,
            ":detail": detail,
        })?;
    Ok(connection.last_insert_rowid())
}

/// Changes what else there is to say of an entry: what is done in steps says how far it came.
pub fn set_detail(connection: &Connection, seq: i64, detail: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE audit SET detail = :detail WHERE seq = :seq")?
        .execute(named_params! {":detail": detail, ":seq": seq})?;
    Ok(())
}

/// A page of what was done, newest first.
pub fn page(connection: &Connection, request: &PageRequest) -> Result<Page<AuditRecord>, StoreError> {
    let mut conditions = Filter::default();
    conditions.below("seq", request);
    let sql = format!("SELECT * FROM audit {} ORDER BY seq DESC LIMIT {}", conditions.sql(), request.limit + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = row::collect(&mut statement, conditions.params(), |row| {
        Ok(AuditRecord {
            seq: row.get("seq")?,
            at_ms: row.get("at_ms")?,
            actor: row.get("actor")?,
            tenant: parsed_option(row, "tenant")?,
            action: row.get("action")?,
            subject: row.get("subject")?,
            detail: row.get("detail")?,
        })
    })?;
    Ok(Page::cut(rows, request, |entry| entry.seq))
}
