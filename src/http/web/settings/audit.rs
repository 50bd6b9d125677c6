//! `/settings/audit`: changes and their actors, newest first.

use crate::domain::audit_action::{AuditAction, Subject};
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::audit::{self, AuditRecord};
use crate::store::page::{DEFAULT_LIMIT, PageRequest};

#[derive(Template)]
#[template(path = "settings/audit.html")]
pub struct AuditPage {
    frame: Frame,
    rows: Vec<AuditRow>,
    next: Option<String>,
    is_further: bool,
}

struct AuditRow {
    entry: AuditRecord,
    words: String,
    /// Page of the subject, below the server's prefix.
    path: Option<String>,
}

impl AuditRow {
    fn of(entry: AuditRecord) -> AuditRow {
        let action: Option<AuditAction> = entry.action.parse().ok();
        AuditRow {
            // An action of another version is shown by its code.
            words: action.map_or_else(|| entry.action.clone(), |action| action.subject_and_words().1.to_owned()),
            path: action.and_then(|action| path(action, &entry.subject)),
            entry,
        }
    }
}

fn path(action: AuditAction, subject: &str) -> Option<String> {
    let folder = match action.subject_and_words().0 {
        _ if action.is_deletion() => return None,
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
pub fn show(session: &Session, db: &Connection) -> Result<AuditPage, PageError> {
    session.require_operator()?;
    let cursor = session.query.given("cursor");
    let request = PageRequest { limit: DEFAULT_LIMIT, cursor: cursor.map(str::parse).transpose()? };
    let page = audit::page(db, &request)?;
    let frame = session.frame(db, "Audit", Section::Settings)?;
    Ok(AuditPage {
        next: page.next.map(|cursor| format!("{}/settings/audit?cursor={cursor}", frame.base)),
        rows: page.rows.into_iter().map(AuditRow::of).collect(),
        is_further: cursor.is_some(),
        frame,
    })
}
