//! `/setup/done`: result of the first delivery, with the receiver's view if that is the built-in inbox.

use crate::actions::lookup;
use crate::auth::api_key::{KeyRequest, issue, store};
use crate::domain::delivery::DeliveryStatus;
use crate::http::web::deliveries::attempt::AttemptDetail;
use crate::http::web::onboarding::publish::{self, PublishCode};
use crate::http::web::{Connection, Fields, Frame, PageError, Response, Section, Session, Template, shown_once};
use crate::store::api_key::Scope;
use crate::store::event::{self, EventFilter, EventPreview};
use crate::store::inbox::{self, InboxRequest};
use crate::store::page::PageRequest;

#[derive(Template)]
#[template(path = "onboarding/done.html")]
pub struct DonePage {
    frame: Frame,
    delivery: String,
    webhook: String,
    url: String,
    outcome: TestOutcome,
    attempt: Option<AttemptDetail>,
    /// Request in the inbox, if the webhook points there.
    arrived: Option<InboxRequest>,
    /// Why the webhook is not sending.
    not_active: Option<String>,
    /// A new API key.
    key: Option<String>,
    code: Vec<PublishCode>,
    /// Newest event that is no test.
    newest_event: Option<EventPreview>,
}

enum TestOutcome {
    UnderWay,
    Delivered { code: u16, duration_ms: i64 },
    Failed { why: String },
}

/// `GET /setup/done?delivery=dlv_…`.
pub fn show(session: &Session, db: &Connection) -> Result<DonePage, PageError> {
    session.require_shared_change()?;
    done_page(session, db, session.query.text("delivery"))
}

fn done_page(session: &Session, db: &Connection, delivery: &str) -> Result<DonePage, PageError> {
    let caller = session.caller();
    let full = lookup::delivery_in_full(db, &caller, delivery)?;
    let delivery = &full.delivery;
    let webhook_id = delivery.webhook_id.to_string();
    let webhook = lookup::webhook(db, &caller, &webhook_id)?;
    let attempt = full.attempts.last();
    let outcome = match (delivery.status, attempt) {
        (DeliveryStatus::Pending | DeliveryStatus::Retrying, _) => TestOutcome::UnderWay,
        (DeliveryStatus::Delivered, Some(attempt)) => TestOutcome::Delivered {
            code: attempt.answer.as_ref().map_or(0, |answer| answer.code),
            duration_ms: attempt.duration_ms,
        },
        (_, attempt) => TestOutcome::Failed {
            why: attempt
                .and_then(|attempt| attempt.failure.as_ref())
                .map_or_else(|| "The event was not sent.".to_owned(), |failure| failure.message.clone()),
        },
    };
    let arrived = match inbox::of_tenant(db, &delivery.tenant)? {
        Some(inbox) if webhook.url.path().ends_with(&format!("/in/{}", inbox.token)) => {
            inbox::last_of_event(db, inbox.seq, delivery.event_id.as_str())?
        }
        _ => None,
    };
    let newest = PageRequest { limit: 1, cursor: None };
    let newest_event = event::previews(db, &EventFilter::default(), &newest)?.rows.pop();
    let frame = session.frame(db, "Your first delivery", Section::None)?;
    Ok(DonePage {
        code: publish::code(&frame.url),
        newest_event,
        frame,
        delivery: delivery.id.to_string(),
        webhook: webhook_id,
        url: webhook.url.as_str().to_owned(),
        outcome,
        attempt: attempt
            .map(|attempt| AttemptDetail::of(attempt, Some(format!("/deliveries/{}", delivery.id)), session.now())),
        arrived,
        not_active: (!webhook.is_sending())
            .then(|| webhook.disabled_reason.unwrap_or_else(|| "Events are queued until it is active.".to_owned())),
        key: None,
    })
}

/// `POST /setup/key`: creates a key that can publish.
pub fn create_key(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    // Read first: if the page failed after the creation, the key would be lost.
    let page = session.read(|db| done_page(session, db, fields.text("delivery")))?;
    let request = KeyRequest {
        name: "first key".to_owned(),
        scope: Scope::Publish,
        tenant: None,
        profile: None,
        rate_limit_per_s: None,
        ends_ms: None,
    };
    let (text, new) = issue(request, session.now())?;
    store(&session.app.actions.store, &session.caller(), new).wait()?;
    let back = format!("/setup/done?delivery={}", page.delivery);
    Ok(shown_once::redirect(session, &DonePage { key: Some(text), ..page }, &back))
}
