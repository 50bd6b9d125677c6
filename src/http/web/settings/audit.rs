//! `/settings/audit`: changes with their actors, and failed sign-ins, newest first.

use strum::VariantArray as _;

use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::time::rfc3339_seconds;
use crate::domain::zone::{Twice, Zone};
use crate::http::web::date_field;
use crate::http::web::layout::event_path;
use crate::http::web::list_query::below;
use crate::http::web::pager::Pager;
use crate::http::web::{Connection, Fields, Frame, PageError, Section, Session, Template};
use crate::store::audit::{self, AuditFilter, AuditRecord};
use crate::store::page::Page;
use crate::text;

#[derive(Template)]
#[template(path = "settings/audit.html")]
pub struct AuditPage {
    frame: Frame,
    rows: Vec<AuditRow>,
    pager: Pager,
    actions: &'static [AuditAction],
    query: Fields,
    has_filter: bool,
    problem: Option<String>,
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
            path: action.and_then(|action| path(action, &entry)),
            entry,
        }
    }
}

/// Returns the page of the object that an action changed; `None` if the action deleted the object, or had several.
fn path(action: AuditAction, entry: &AuditRecord) -> Option<String> {
    use AuditAction as Action;
    let subject = &entry.subject;
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
        Action::EventPublished | Action::EventReplayed | Action::EventErased => {
            return Some(event_path(&subject.parse().ok()?, entry.tenant.as_ref()));
        }
        Action::DeliveryRetried | Action::DeliveryDiscarded => "/deliveries",
        Action::IncidentNoted | Action::IncidentMuted | Action::IncidentUnmuted => "/incidents",
        Action::ContactCreated
        | Action::ContactChanged
        | Action::ContactTested
        | Action::ContactConfirmationSent
        | Action::ContactConfirmed => "/contacts",
        Action::EventTypePut => "/event-types",
        Action::ProfilePut => "/profiles",
        Action::KeyCreated | Action::KeyRotated => return Some("/settings/keys".to_owned()),
        Action::UserAdded
        | Action::RoleChanged
        | Action::PasswordReset
        | Action::PasswordChanged
        | Action::SignedIn
        | Action::TotpEnabled
        | Action::TotpDisabled
        | Action::TotpReset
        | Action::RecoveryCodeUsed
        | Action::RecoveryCodesRenewed
        | Action::SessionEnded
        | Action::OtherSessionsEnded
        | Action::SignInFailed => return Some("/settings/users".to_owned()),
        Action::TargetAllowed | Action::TargetRemoved => return Some("/settings/targets".to_owned()),
        Action::TenantDeletionBegun | Action::TenantDeleted => return Some("/settings/tenants".to_owned()),
        Action::PortalLinkMade | Action::PortalLinkEnded | Action::PortalOpened => {
            return Some(format!("/settings/portal?tenant={subject}"));
        }
        Action::InboxUrlChanged | Action::InboxClosed => return Some(format!("/inbox?tenant={subject}")),
        Action::WebhookDeleted
        | Action::ContactDeleted
        | Action::EventTypeDeleted
        | Action::ProfileDeleted
        | Action::KeyRevoked
        | Action::UserRemoved
        | Action::DeliveriesRetried
        | Action::DeliveriesDiscarded
        | Action::DeliveriesPaused
        | Action::DeliveriesResumed
        | Action::BackupDownloaded => return None,
    };
    Some(format!("{folder}/{subject}"))
}

/// `GET /settings/audit?action=&actor=&tenant=&since=&until=&cursor=`.
pub fn show(session: &Session, db: &Connection) -> Result<AuditPage, PageError> {
    session.require_operator()?;
    date_field::require_exact(session, "since", "until")?;
    let query = &session.query;
    let request = query.page_request()?;
    let (filter, page, problem) = match filter(query, session.zone()) {
        Ok(filter) => {
            let page = audit::list(db, &filter, &request)?;
            (filter, page, None)
        }
        Err(invalid) => (AuditFilter::default(), Page::empty(), Some(invalid.message)),
    };
    let without_cursor = query.query_without(&["cursor", "trail"]);
    let frame = session.frame(db, "Audit", Section::Settings)?;
    Ok(AuditPage {
        pager: Pager::new(&format!("{}/settings/audit", frame.base), &without_cursor, query, page.next),
        rows: page.rows.into_iter().map(AuditRow::of).collect(),
        actions: AuditAction::VARIANTS,
        frame: frame.with_api("GET", &below("/v1/audit/export", &api_query(query, &filter))),
        query: query.clone(),
        has_filter: !without_cursor.is_empty(),
        problem,
    })
}

fn filter(query: &Fields, zone: &Zone) -> Result<AuditFilter, Invalid> {
    Ok(AuditFilter {
        action: query.given("action").map(str::parse).transpose()?,
        actor: query.given("actor").map(str::to_owned),
        tenant: query.given("tenant").map(str::parse).transpose()?,
        since: query.given("since").map(|text| date_field::parse(text, zone, Twice::First)).transpose()?,
        until: query.given("until").map(|text| date_field::parse(text, zone, Twice::Second)).transpose()?,
    })
}

/// Query string of the API, whose times are RFC 3339.
fn api_query(query: &Fields, filter: &AuditFilter) -> String {
    let text = |name: &str| query.given(name).map(str::to_owned);
    let fields = [
        ("action", text("action")),
        ("actor", text("actor")),
        ("tenant", text("tenant")),
        ("since", filter.since.map(rfc3339_seconds)),
        ("until", filter.until.map(rfc3339_seconds)),
    ];
    let given = fields.into_iter().filter_map(|(name, text)| Some((name, text?)));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish()
}
