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
            let before = session.read(|db| Ok(lookup::delivery(db, &caller, &id)?))?;
            let back = session.back(fields, &format!("/deliveries/{}", before.id));
            match session.app.actions.retry(&caller, &id).wait() {
                Ok(after) => Ok(session.done(&back, queued(&before, &after))),
                Err(ActionError::Conflict { message, .. }) => Ok(session.refused(&back, message)),
                Err(other) => Err(other.into()),
            }
        })
        .await
}

/// Message after a retry. Says that the delivery is queued, not that it succeeded.
fn queued(before: &Delivery, after: &Delivery) -> &'static str {
    match (after.webhook_state.waiting_for(), before.status.is_finished()) {
        (Some(_), _) => "Queued until the webhook is active.",
        (None, true) => "Queued for retry now. A new series of attempts starts.",
        (None, false) => "Queued for retry now.",
    }
}

/// `POST /deliveries/{id}/discard`. Asks for confirmation first.
pub async fn discard(submission: Submission, id: Path<String>) -> PageResult {
    submission
        .run(move |session, fields| {
            let caller = session.caller();
            let delivery = session.read(|db| Ok(lookup::delivery(db, &caller, &id)?))?;
            let path = format!("/deliveries/{}", delivery.id);
            let back = session.back(fields, &path);
            if !fields.has("confirmed") {
                return Confirm {
                    heading: "Discard this delivery?".to_owned(),
                    facts: vec![("Delivery", delivery.id.to_string()), ("Event type", delivery.event_type.to_string())],
                    effect: "It will not be sent. This can't be undone.".to_owned(),
                    action: Some(format!("{path}/discard")),
                    button: "Discard".to_owned(),
                    is_danger: true,
                    back,
                    ..Confirm::default()
                }
                .show(session, Section::Deliveries);
            }
            match session.app.actions.discard(&caller, &id).wait() {
                Ok(_) => Ok(session.done(&back, "Discarded. It will not be sent.")),
                Err(ActionError::Conflict { message, .. }) => Ok(session.refused(&back, message)),
                Err(other) => Err(other.into()),
            }
        })
        .await
}
