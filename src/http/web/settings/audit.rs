//! `/settings/audit`: changes and their actors, newest first.

use askama::Template;

use super::super::error::PageError;
use crate::domain::audit_action::AuditAction;
use crate::domain::time::Millis;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::Connection;
use crate::store::audit::{self, AuditRecord};
use crate::store::page::{DEFAULT_LIMIT, PageRequest};
use crate::text;

#[derive(Template)]
#[template(path = "settings/audit.html")]
struct AuditPage {
    frame: Frame,
    rows: Vec<AuditRow>,
    next: Option<String>,
    is_further: bool,
}

struct AuditRow {
    at_ms: Millis,
    actor: String,
    words: String,
    subject: String,
    /// Page of the subject, below the server's prefix.
    path: Option<String>,
    detail: String,
    tenant: String,
}

impl AuditRow {
    fn of(entry: AuditRecord) -> AuditRow {
        let action: Option<AuditAction> = entry.action.parse().ok();
        AuditRow {
            at_ms: entry.at_ms,
            actor: entry.actor,
            // An action of another version is shown by its code.
            words: action.map_or(entry.action, |action| text::audit::words(action).to_owned()),
            path: action.and_then(|action| path(action, &entry.subject)),
            subject: entry.subject,
            detail: entry.detail,
            tenant: entry.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        }
    }
}

/// Returns the page of the object that an action changed; `None` if the action deleted the object, or had several.
fn path(action: AuditAction, subject: &str) -> Option<String> {
    use AuditAction as Action;
    let folder = match action {
        Action::WebhookCreated
        | Action::WebhookChanged
        | Action::WebhookPaused
        | Action::WebhookResumed
        | Action::WebhookVerified
        | Action::WebhookReplayed
        | Action::SecretRotated
        | Action::SecretRevealed
        | Action::TestSent => "/webhooks",
        Action::EventPublished | Action::EventReplayed => "/events",
        Action::DeliveryRetried | Action::DeliveryDiscarded => "/deliveries",
        Action::EventTypePut => "/event-types",
        Action::ProfilePut => "/profiles",
        Action::KeyCreated => return Some("/settings/keys".to_owned()),
        Action::UserAdded
        | Action::RoleChanged
        | Action::PasswordReset
        | Action::PasswordChanged
        | Action::SignedIn => return Some("/settings/users".to_owned()),
        Action::PortalLinkMade => return Some(format!("/webhooks?tenant={subject}")),
        Action::WebhookDeleted
        | Action::EventTypeDeleted
        | Action::ProfileDeleted
        | Action::KeyRevoked
        | Action::UserRemoved
        | Action::DeliveriesRetried
        | Action::DeliveriesDiscarded
        | Action::BackupDownloaded => return None,
    };
    Some(format!("{folder}/{subject}"))
}

/// `GET /settings/audit?cursor=`.
pub async fn show(session: Session) -> PageResult {
    session.show(|session| session.read(|db| audit_page(session, db))).await
}

fn audit_page(session: &Session, db: &Connection) -> Result<AuditPage, PageError> {
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
