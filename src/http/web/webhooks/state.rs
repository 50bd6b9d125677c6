//! Pausing, resuming and verifying a webhook.

use actix_web::web::Path;
use askama::Template;

use super::super::error::PageError;
use super::header;
use super::turn;
use crate::domain::webhook::{WebhookSettings, WebhookState};
use crate::http::web::deliveries::attempt::AttemptDetail;
use crate::http::web::form::{Submission, problem};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::http::web::webhooks::header::{Head, Tab};
use crate::store::stats::{self, Of};
use crate::text::humanize;

/// `POST /webhooks/{id}/pause`.
pub async fn pause(submission: Submission, id: Path<String>) -> PageResult {
    submission
        .run(move |session, fields| {
            let change = WebhookSettings { active: Some(false), ..WebhookSettings::default() };
            let webhook = session.app.actions.change_webhook(&session.caller(), &id, change)?;
            let back = session.back(fields, &format!("/webhooks/{}", webhook.id));
            Ok(session.done(&back, "Paused. Its events wait until you resume it."))
        })
        .await
}

#[derive(Template)]
#[template(path = "webhooks/resume.html")]
struct ResumePage {
    frame: Frame,
    head: Head,
    /// How many deliveries wait, in words; `None` where none does.
    waiting: Option<String>,
    /// Why it was refused.
    problem: Option<String>,
}

impl ResumePage {
    fn of(session: &Session, id: &str, problem: Option<String>) -> Result<ResumePage, PageError> {
        let webhook = header::find(session, id)?;
        let of = Of::Webhook(webhook.seq);
        let store = &session.app.actions.store;
        let waiting = store.read(|connection| stats::waiting(connection, &of))?;
        let waiting = waiting.pending + waiting.retrying;
        let frame = session.read(|db| session.frame(db, "Resume", Section::Webhooks))?;
        Ok(ResumePage {
            frame: frame.with_api_body(
                "PATCH",
                &format!("/v1/webhooks/{}", webhook.id),
                r#"{"active": true, "waiting": "resume"}"#,
            ),
            head: Head::of(session, &webhook, Tab::None),
            waiting: (waiting > 0).then(|| match waiting {
                1 => "1 delivery waits".to_owned(),
                _ => format!("{} deliveries wait", humanize::number(waiting)),
            }),
            problem,
        })
    }
}

/// `GET /webhooks/{id}/resume`: what becomes of what waits.
pub async fn ask(session: Session, id: Path<String>) -> PageResult {
    session
        .show(move |session| {
            session.require_change()?;
            ResumePage::of(session, &id, None)
        })
        .await
}

/// `POST /webhooks/{id}/resume` with `waiting`, `resume` or `discard`. Runs the challenge first where there is one to
/// be answered.
pub async fn resume(submission: Submission, id: Path<String>) -> PageResult {
    let turn = turn(&submission.app().tests).await?;
    submission
        .run(move |session, fields| {
            let _turn = turn;
            let change = WebhookSettings {
                active: Some(true),
                waiting: Some(fields.given("waiting").unwrap_or("resume").to_owned()),
                ..WebhookSettings::default()
            };
            match session.app.actions.change_webhook(&session.caller(), &id, change) {
                Ok(webhook) => {
                    let message = match fields.text("waiting") {
                        "discard" => "Resumed. What waited is discarded; new events are sent.",
                        _ => "Resumed. What waited is sent now.",
                    };
                    Ok(session.done(&format!("/webhooks/{}", webhook.id), message))
                }
                Err(error) => {
                    let problem = problem(error)?.message;
                    Ok(Response::again(&ResumePage::of(session, &id, Some(problem))?))
                }
            }
        })
        .await
}

#[derive(Template)]
#[template(path = "webhooks/verified.html")]
struct VerifiedPage {
    frame: Frame,
    head: Head,
    refusal: Option<String>,
    detail: AttemptDetail,
}

/// `POST /webhooks/{id}/verify`: the challenge, now; what was sent and what came back.
pub async fn verify(submission: Submission, id: Path<String>) -> PageResult {
    let turn = turn(&submission.app().tests).await?;
    submission
        .run(move |session, _| {
            let _turn = turn;
            let verified = session.app.actions.verify_webhook(&session.caller(), &id)?;
            let webhook = &verified.webhook;
            let path = format!("/webhooks/{}", webhook.id);
            if verified.refusal.is_none() && webhook.state == WebhookState::Active {
                return Ok(session.done(&path, "Verified. It is active, and what waited is sent."));
            }
            let frame = session.read(|db| session.frame(db, "Verification", Section::Webhooks))?;
            let page = VerifiedPage {
                frame: frame.with_api("POST", &format!("/v1{path}/verify")),
                head: Head::of(session, webhook, Tab::None),
                refusal: verified.refusal,
                detail: AttemptDetail::of(&verified.attempt, None, session.now()),
            };
            Ok(Response::page(actix_web::http::StatusCode::OK, &page))
        })
        .await
}
