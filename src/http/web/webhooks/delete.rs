//! `/webhooks/{id}/delete`: asks to type what the webhook is called.

use actix_web::web::Path;
use askama::Template;

use super::super::error::PageError;
use super::header;
use crate::http::web::form::Submission;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::http::web::webhooks::header::{Head, Tab};

#[derive(Template)]
#[template(path = "webhooks/delete.html")]
struct DeletePage {
    frame: Frame,
    head: Head,
    /// What is to be typed: the host of its URL, which every keyboard can type.
    word: String,
    typed: String,
    is_wrong: bool,
}

fn delete_page(session: &Session, id: &str, typed: Option<&str>) -> Result<DeletePage, PageError> {
    session.require_change()?;
    let webhook = header::find(session, id)?;
    let frame = session.read(|db| session.frame(db, "Delete webhook", Section::Webhooks))?;
    Ok(DeletePage {
        frame: frame.with_api("DELETE", &format!("/v1/webhooks/{}", webhook.id)),
        head: Head::of(session, &webhook, Tab::None),
        word: webhook.url.host().to_owned(),
        typed: typed.unwrap_or_default().to_owned(),
        is_wrong: typed.is_some(),
    })
}

/// `GET /webhooks/{id}/delete`.
pub async fn ask(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| delete_page(session, &id, None)).await
}

/// `POST /webhooks/{id}/delete`, with the word that was typed.
pub async fn delete(submission: Submission, id: Path<String>) -> PageResult {
    submission
        .run(move |session, fields| {
            let webhook = header::find(session, &id)?;
            let typed = fields.text("typed").trim();
            if !typed.eq_ignore_ascii_case(webhook.url.host()) {
                return Ok(Response::again(&delete_page(session, &id, Some(typed))?));
            }
            let actions = &session.app.actions;
            actions.delete_webhook(&session.caller(), &id).wait()?;
            let message = format!(
                "Deleted: {}. What waited is discarded; its log stays until retention takes it.",
                webhook.name()
            );
            Ok(session.done("/webhooks", message))
        })
        .await
}
