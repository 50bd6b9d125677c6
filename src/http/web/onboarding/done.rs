//! `/setup/done`: what came of the first delivery, as the receiver saw it where that is the built-in inbox.

use actix_web::http::StatusCode;
use askama::Template;

use crate::actions::lookup;
use crate::auth::api_key::{KeyRequest, issue, store};
use crate::domain::delivery::DeliveryStatus;
use crate::http::web::error::PageError;
use crate::http::web::form::Submission;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::store::api_key::Scope;
use crate::store::inbox::{self, InboxRequest};

#[derive(Template)]
#[template(path = "onboarding/done.html")]
struct DonePage {
    frame: Frame,
    delivery: String,
    webhook: String,
    url: String,
    outcome: TestOutcome,
    /// What arrived in the inbox, where the webhook points there.
    arrived: Option<InboxRequest>,
    /// Why the webhook takes no events yet.
    not_active: Option<String>,
    /// A key that was made just now.
    key: Option<String>,
}

/// What came of the delivery.
enum TestOutcome {
    UnderWay,
    Delivered { code: u16, duration_ms: i64 },
    Failed { why: String },
}

/// `GET /setup/done?delivery=dlv_…`.
pub async fn show(session: Session) -> PageResult {
    session
        .show(|session| {
            session.require_administrator()?;
            done_page(session, session.query.text("delivery"), None)
        })
        .await
}

fn done_page(session: &Session, delivery: &str, key: Option<String>) -> Result<DonePage, PageError> {
    let actions = &session.app.actions;
    let caller = session.caller();
    let full = actions.delivery_in_full(&caller, delivery)?;
    let delivery = &full.delivery;
    let webhook_id = delivery.webhook_id.to_string();
    let webhook = actions.store.read(|connection| lookup::webhook(connection, &caller, &webhook_id))?;
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
                .map_or_else(|| "It was not sent.".to_owned(), |failure| failure.message.clone()),
        },
    };
    let inbox = actions.inbox(&caller, Some(delivery.tenant.as_str()))?;
    let arrived = match inbox {
        Some(inbox) if webhook.url.path().ends_with(&format!("/in/{}", inbox.token)) => {
            actions.store.read(|connection| inbox::last_of_event(connection, inbox.seq, delivery.event_id.as_str()))?
        }
        _ => None,
    };
    Ok(DonePage {
        frame: session.read(|db| session.frame(db, "Your first delivery", Section::None))?,
        delivery: delivery.id.to_string(),
        webhook: webhook_id,
        url: webhook.url.as_str().to_owned(),
        outcome,
        arrived,
        not_active: (!webhook.is_sending()).then(|| {
            let why = webhook.disabled_reason;
            why.unwrap_or_else(|| "What is published waits until it is active.".to_owned())
        }),
        key,
    })
}

/// `POST /setup/key`: a key that may publish, shown on the page that this answers with and never again.
pub async fn make_key(submission: Submission) -> PageResult {
    submission
        .run(|session, fields| {
            session.require_administrator()?;
            // Looked up first: a page that cannot be shown would hide the key for good.
            let delivery = fields.text("delivery");
            done_page(session, delivery, None)?;
            let request = KeyRequest {
                name: "first key".to_owned(),
                scope: Scope::Publish,
                tenant: None,
                profile: None,
                rate_limit_per_s: None,
            };
            let (text, new) = issue(request, session.now())?;
            store(&session.app.actions.store, &session.caller(), new).wait()?;
            let page = done_page(session, delivery, Some(text))?;
            Ok(Response::page(StatusCode::OK, &page))
        })
        .await
}
