//! `/settings/audit`: who audit what, newest first.

use askama::Template;

use super::super::error::PageError;
use crate::domain::audit_action::{AuditAction, Subject};
use crate::domain::time::Millis;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::audit::{self, AuditRecord};
use crate::store::page::{DEFAULT_LIMIT, PageRequest};

#[derive(Template)]
#[template(path = "settings/audit.html")]
struct AuditPage {
    frame: Frame,
    rows: Vec<AuditRow>,
    next: Option<String>,
    /// Whether this is not the first page.
    is_further: bool,
}

struct AuditRow {
    at_ms: Millis,
    actor: String,
    words: String,
    subject: String,
    /// Where the subject is shown, below the server's prefix.
    path: Option<String>,
    detail: String,
    tenant: String,
}

impl AuditRow {
    fn of(entry: AuditRecord) -> AuditRow {
        let deed: Option<AuditAction> = entry.action.parse().ok();
        AuditRow {
            at_ms: entry.at_ms,
            actor: entry.actor,
            // What an earlier or later version wrote is shown as it stands.
            words: deed.map_or(entry.action, |deed| deed.subject_and_words().1.to_owned()),
            path: deed.and_then(|deed| path(deed, &entry.subject)),
            subject: entry.subject,
            detail: entry.detail,
            tenant: entry.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        }
    }
}

fn path(deed: AuditAction, subject: &str) -> Option<String> {
    let folder = match deed.subject_and_words().0 {
        _ if deed.is_deletion() => return None,
        Subject::Webhook => "/webhooks",
        Subject::Event => "/events",
        Subject::Delivery => "/deliveries",
        Subject::EventType => "/event-types",
        Subject::Profile => "/profiles",
        Subject::Key => return Some("/settings/keys".to_owned()),
        Subject::User => return Some("/settings/users".to_owned()),
        Subject::Tenant => return Some(format!("/webhooks?tenant={subject}")),
        Subject::Other => return None,
    };
    Some(format!("{folder}/{subject}"))
}

/// `GET /settings/audit?cursor=`.
pub async fn show(session: Session) -> PageResult {
    session.show(audit_page).await
}

fn audit_page(session: &Session) -> Result<AuditPage, PageError> {
    session.require_operator()?;
    let cursor = session.query.given("cursor");
    let request = PageRequest { limit: DEFAULT_LIMIT, cursor: cursor.map(str::parse).transpose()? };
    let store = &session.app.actions.store;
    let page = store.read(|connection| audit::page(connection, &request))?;
    let frame = session.read(|db| session.frame(db, "Audit", Section::Settings))?;
    Ok(AuditPage {
        next: page.next.map(|cursor| format!("{}/settings/audit?cursor={cursor}", frame.base)),
        rows: page.rows.into_iter().map(AuditRow::of).collect(),
        is_further: cursor.is_some(),
        frame,
    })
}
