//! `/webhooks/{id}/delete`: asks to type what the webhook is called.

use actix_web::web::Path;
use askama::Template;

use super::super::error::PageError;
use super::header;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{Answer, Done, Submission, Visit};
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

fn delete_page(visit: &Visit, id: &str, typed: Option<&str>) -> Result<DeletePage, PageError> {
    visit.require_change()?;
    let webhook = header::find(visit, id)?;
    let frame = visit.frame("Delete webhook", Section::Webhooks)?;
    Ok(DeletePage {
        frame: frame.with_api("DELETE", &format!("/v1/webhooks/{}", webhook.id)),
        head: Head::of(visit, &webhook, Tab::None),
        word: webhook.url.host().to_owned(),
        typed: typed.unwrap_or_default().to_owned(),
        is_wrong: typed.is_some(),
    })
}

/// `GET /webhooks/{id}/delete`.
pub async fn ask(visit: Visit, id: Path<String>) -> Answer {
    visit.show(move |visit| delete_page(visit, &id, None)).await
}

/// `POST /webhooks/{id}/delete`, with the word that was typed.
pub async fn delete(submission: Submission, id: Path<String>) -> Answer {
    submission
        .run(move |visit, fields| {
            let webhook = header::find(visit, &id)?;
            let typed = fields.text("typed").trim();
            if !typed.eq_ignore_ascii_case(webhook.url.host()) {
                return Ok(Done::again(&delete_page(visit, &id, Some(typed))?));
            }
            let actions = &visit.app.actions;
            actions.delete_webhook(&visit.caller(), &id).wait()?;
            let message = format!(
                "Deleted: {}. What waited is discarded; its log stays until retention takes it.",
                header::name(&webhook)
            );
            Ok(visit.done("/webhooks", message))
        })
        .await
}
