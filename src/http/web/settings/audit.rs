//! `/settings/audit`: changes and their actors, newest first.

use crate::domain::audit_action::AuditAction;
use crate::http::web::pager::Pager;
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::audit::{self, AuditRecord};
use crate::text;

#[derive(Template)]
#[template(path = "settings/audit.html")]
pub struct AuditPage {
    frame: Frame,
    rows: Vec<AuditRow>,
    pager: Pager,
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
            words: action.map_or_else(|| entry.action.clone(), |action| text::audit::words(action).to_owned()),
            path: action.and_then(|action| path(action, &entry.subject)),
            entry,
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
        Action::KeyCreated | Action::KeyRotated => return Some("/settings/keys".to_owned()),
        Action::UserAdded
        | Action::RoleChanged
        | Action::PasswordReset
        | Action::PasswordChanged
        | Action::SignedIn
        | Action::SessionEnded
        | Action::OtherSessionsEnded => return Some("/settings/users".to_owned()),
        Action::PortalLinkMade | Action::PortalLinkEnded => {
            return Some(format!("/settings/portal?tenant={subject}"));
        }
        Action::InboxUrlChanged | Action::InboxClosed => return Some(format!("/inbox?tenant={subject}")),
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
pub fn show(session: &Session, db: &Connection) -> Result<AuditPage, PageError> {
    session.require_operator()?;
    let page = audit::page(db, &session.query.page_request()?)?;
    let frame = session.frame(db, "Audit", Section::Settings)?;
    Ok(AuditPage {
        pager: Pager::new(&format!("{}/settings/audit", frame.base), "", &session.query, page.next),
        rows: page.rows.into_iter().map(AuditRow::of).collect(),
        frame,
    })
}
