//! Retrying or discarding one delivery.

use actix_web::web::Path;

use crate::actions::{ActionError, lookup};
use crate::http::web::confirm::Confirm;
use crate::http::web::form::Submission;
use crate::http::web::layout::Section;
use crate::http::web::session::PageResult;
use crate::store::delivery::Delivery;

/// `POST /deliveries/{id}/retry`.
pub async fn retry(submission: Submission, id: Path<String>) -> PageResult {
    submission
        .run(move |session, fields| {
            let caller = session.caller();
            let store = &session.app.actions.store;
            let before = store.read(|connection| lookup::delivery(connection, &caller, &id))?;
            let back = session.back(fields, &format!("/deliveries/{}", before.id));
            match session.app.actions.retry(&caller, &id).wait() {
                Ok(after) => Ok(session.done(&back, queued(&before, &after))),
                Err(ActionError::Conflict { message, .. }) => Ok(session.refused(&back, message)),
                Err(other) => Err(other.into()),
            }
        })
        .await
}

/// What a retry did, which is no word on whether it gets through.
fn queued(before: &Delivery, after: &Delivery) -> &'static str {
    match (after.webhook_state.waiting_for(), before.status.is_finished()) {
        (Some(_), _) => "Queued: it is sent once its webhook is active.",
        (None, true) => "Queued: a fresh series of attempts begins, and the next attempt is due now.",
        (None, false) => "Queued: the next attempt is due now.",
    }
}

/// `POST /deliveries/{id}/discard`, once it is confirmed.
pub async fn discard(submission: Submission, id: Path<String>) -> PageResult {
    submission
        .run(move |session, fields| {
            let caller = session.caller();
            let store = &session.app.actions.store;
            let delivery = store.read(|connection| lookup::delivery(connection, &caller, &id))?;
            let own = format!("/deliveries/{}", delivery.id);
            let back = session.back(fields, &own);
            if !fields.has("confirmed") {
                return Confirm {
                    heading: "Discard this delivery?".to_owned(),
                    facts: vec![("Delivery", delivery.id.to_string()), ("Event type", delivery.event_type.to_string())],
                    effect: "It is not sent any more. This is final.".to_owned(),
                    action: Some(format!("{own}/discard")),
                    button: "Discard".to_owned(),
                    is_danger: true,
                    back,
                    ..Confirm::default()
                }
                .show(session, Section::Deliveries);
            }
            match session.app.actions.discard(&caller, &id).wait() {
                Ok(_) => Ok(session.done(&back, "Discarded: it is not sent any more.")),
                Err(ActionError::Conflict { message, .. }) => Ok(session.refused(&back, message)),
                Err(other) => Err(other.into()),
            }
        })
        .await
}
