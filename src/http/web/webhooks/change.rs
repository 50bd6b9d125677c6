//! `/webhooks/{id}/edit`.

use actix_web::web::Path;

use super::super::error::PageError;
use super::create::{FormPage, previewed};
use super::form::{WebhookForm, known_types};
use super::header;
use super::turn;
use crate::http::web::form::{Submission, problem};
use crate::http::web::session::{PageResult, Response, Session};

/// `GET /webhooks/{id}/edit`.
pub async fn show(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| edit_page(session, &id)).await
}

fn edit_page(session: &Session, id: &str) -> Result<FormPage, PageError> {
    let webhook = header::find(session, id)?;
    let profile = session.app.actions.store.profiles().find(&webhook.profile);
    let schedule = profile.as_deref().map(|profile| profile.schedule());
    let form = WebhookForm::of_webhook(&webhook, &known_types(session)?, schedule);
    FormPage::of(session, Some(&webhook), form, None, false)
}

/// `POST /webhooks/{id}/edit`, with `preview` for its schedule alone. Where the URL or the profile changes under a
/// profile with a challenge, the endpoint is asked first.
pub async fn change(submission: Submission, id: Path<String>) -> PageResult {
    let turn = turn(&submission.app().tests).await?;
    submission
        .run(move |session, fields| {
            let _turn = turn;
            let webhook = header::find(session, &id)?;
            let form = WebhookForm::of_fields(fields);
            if fields.has("preview") {
                let page = FormPage::of(session, Some(&webhook), form, None, true)?;
                return Ok(previewed(&page));
            }
            let wrong = match form.settings() {
                Err(wrong) => wrong,
                Ok(settings) => match session.app.actions.change_webhook(&session.caller(), &id, settings) {
                    Ok(webhook) => {
                        let path = format!("/webhooks/{}/settings", webhook.id);
                        return Ok(session.done(&path, "Saved."));
                    }
                    Err(error) => problem(error)?,
                },
            };
            let page = FormPage::of(session, Some(&webhook), form, Some(wrong), false)?;
            Ok(Response::again(&page))
        })
        .await
}
