//! Pausing, resuming and verifying a webhook.

use super::header::{self, Head, Tab};
use crate::actions::unchanged::Unchanged;
use crate::domain::webhook::{WebhookSettings, WebhookState};
use crate::http::web::deliveries::attempt::AttemptDetail;
use crate::http::web::{Fields, Frame, PageError, Response, Section, Session, Template, problem};
use crate::store::stats::{self, Of};
use crate::text::humanize;

/// `POST /webhooks/{id}/pause`.
pub fn pause(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let change = WebhookSettings { active: Some(false), ..WebhookSettings::default() };
    let webhook = session.app.actions.change_webhook(&session.caller(), id, change, Unchanged::default())?;
    let back = session.back(fields, &format!("/webhooks/{}", webhook.id));
    Ok(session.done(&back, "Paused. New events are queued until you resume."))
}

#[derive(Template)]
#[template(path = "webhooks/resume.html")]
pub struct ResumePage {
    frame: Frame,
    head: Head,
    question: String,
    problem: Option<String>,
}

fn resume_page(session: &Session, id: &str, problem: Option<String>) -> Result<ResumePage, PageError> {
    session.read(|db| {
        let webhook = header::find(session, db, id)?;
        let counts = stats::waiting(db, &Of::Webhook(webhook.seq))?;
        let frame =
            session.frame(db, header::title(&webhook.name(), &webhook.id.to_string(), "Resume"), Section::Webhooks)?;
        Ok(ResumePage {
            frame: frame.with_api_body(
                "PATCH",
                &format!("/v1/webhooks/{}", webhook.id),
                r#"{"active": true, "waiting": "resume"}"#,
            ),
            head: Head::of(session, &webhook, Tab::None),
            question: match counts.pending + counts.retrying {
                0 => "What should happen to events queued before you resume?".to_owned(),
                1 => "1 delivery is queued. What should happen to it?".to_owned(),
                many => format!("{} deliveries are queued. What should happen to them?", humanize::number(many)),
            },
            problem,
        })
    })
}

/// `GET /webhooks/{id}/resume`.
pub fn ask(session: &Session, id: &str) -> Result<ResumePage, PageError> {
    session.require_change()?;
    resume_page(session, id, None)
}

/// `POST /webhooks/{id}/resume` with `waiting`, `resume` or `discard`. If the profile has a challenge and the webhook
/// is unverified, the endpoint is challenged first.
pub fn resume(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let change = WebhookSettings {
        active: Some(true),
        waiting: Some(fields.given("waiting").unwrap_or("resume").to_owned()),
        ..WebhookSettings::default()
    };
    match session.app.actions.change_webhook(&session.caller(), id, change, Unchanged::default()) {
        Ok(webhook) => {
            let message = match fields.text("waiting") {
                "discard" => "Resumed. Queued deliveries are discarded; new events are sent.",
                _ => "Resumed. Queued deliveries are sent now.",
            };
            let back = session.back(fields, &format!("/webhooks/{}", webhook.id));
            Ok(session.done(&back, message))
        }
        Err(error) => Ok(Response::again(&resume_page(session, id, Some(problem(error)?.message))?)),
    }
}

#[derive(Template)]
#[template(path = "webhooks/verified.html")]
struct VerifiedPage {
    frame: Frame,
    head: Head,
    refusal: Option<String>,
    detail: AttemptDetail,
}

/// `POST /webhooks/{id}/verify`: sends the challenge now and shows the request and the response; with `back`, shows the
/// result on that page.
pub fn verify(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let verified = session.app.actions.verify_webhook(&session.caller(), id)?;
    let webhook = &verified.webhook;
    let path = format!("/webhooks/{}", webhook.id);
    if verified.refusal.is_none() && webhook.state == WebhookState::Active {
        let back = session.back(fields, &path);
        return Ok(session.done(&back, "Verified. The webhook is active; queued deliveries are sent now."));
    }
    let back = session.back(fields, "");
    if let Some(refusal) = verified.refusal.as_ref().filter(|_| !back.is_empty()) {
        return Ok(session.refused(&back, refusal.clone()));
    }
    let frame = session.read(|db| {
        session.frame(db, header::title(&webhook.name(), &webhook.id.to_string(), "Verification"), Section::Webhooks)
    })?;
    let page = VerifiedPage {
        frame: frame.with_api("POST", &format!("/v1{path}/verify")),
        head: Head::of(session, webhook, Tab::None),
        refusal: verified.refusal,
        detail: AttemptDetail::of(&verified.attempt, None, session.now()),
    };
    Ok(Response::ok(&page))
}
