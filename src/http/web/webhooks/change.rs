//! `/webhooks/{id}/edit`.

use actix_web::web::Path;

use super::super::error::{PageError, problem};
use super::create::{FormPage, previewed};
use super::form::{Form, known_types};
use super::header;
use super::turn;
use crate::http::web::session::{Answer, Done, Submission, Visit};

/// `GET /webhooks/{id}/edit`.
pub async fn show(visit: Visit, id: Path<String>) -> Answer {
    visit.show(move |visit| edit_page(visit, &id)).await
}

fn edit_page(visit: &Visit, id: &str) -> Result<FormPage, PageError> {
    let webhook = header::find(visit, id)?;
    let profile = visit.app.actions.store.profiles().find(&webhook.profile);
    let schedule = profile.as_deref().map(|profile| profile.schedule());
    let form = Form::of_webhook(&webhook, &known_types(visit)?, schedule);
    FormPage::of(visit, Some(&webhook), form, None, false)
}

/// `POST /webhooks/{id}/edit`, with `preview` for its schedule alone. Where the URL or the profile changes under a
/// profile with a challenge, the endpoint is asked first.
pub async fn change(submission: Submission, id: Path<String>) -> Answer {
    let turn = turn(&submission.app().tests).await?;
    submission
        .run(move |visit, fields| {
            let _turn = turn;
            let webhook = header::find(visit, &id)?;
            let form = Form::of_fields(fields);
            if fields.has("preview") {
                let page = FormPage::of(visit, Some(&webhook), form, None, true)?;
                return Ok(previewed(&page));
            }
            let wrong = match form.settings() {
                Err(wrong) => wrong,
                Ok(settings) => {
                    let change = settings.change(&form);
                    match visit.app.actions.change_webhook(&visit.caller(), &id, change) {
                        Ok(webhook) => {
                            let path = format!("/webhooks/{}/settings", webhook.id);
                            return Ok(visit.done(&path, "Saved."));
                        }
                        Err(error) => problem(error)?,
                    }
                }
            };
            let page = FormPage::of(visit, Some(&webhook), form, Some(wrong), false)?;
            Ok(Done::again(&page))
        })
        .await
}
