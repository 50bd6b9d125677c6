//! `/webhooks/new`: the form, and what is shown after it: the secret, once, and the next step.

use actix_web::http::StatusCode;
use askama::Template;

use super::super::error::PageError;
use super::form::{KnownProfile, KnownType, SchedulePreview, WebhookForm, known_profiles, known_types};
use super::header;
use super::turn;
use crate::domain::webhook::Webhook;
use crate::http::web::form::{Problem, Submission, problem};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::http::web::webhooks::header::{Head, Tab};

/// The form, for a new webhook or one that is there.
#[derive(Template)]
#[template(path = "webhooks/form.html")]
pub struct FormPage {
    frame: Frame,
    /// The webhook that is changed.
    head: Option<Head>,
    form: WebhookForm,
    types: Vec<KnownType>,
    profiles: Vec<KnownProfile>,
    preview: Option<SchedulePreview>,
    problem: Option<Problem>,
    /// What was not copied from another webhook, in a sentence.
    note: Option<String>,
    is_advanced: bool,
}

impl FormPage {
    /// The form with what is wrong in it. `previews` shows its schedule.
    pub fn of(
        session: &Session,
        changed: Option<&Webhook>,
        form: WebhookForm,
        problem: Option<Problem>,
        previews: bool,
    ) -> Result<FormPage, PageError> {
        session.require_change()?;
        let (preview, problem) = match form.preview(session) {
            Ok(preview) => (Some(preview), problem),
            Err(wrong) if previews => (None, problem.or(Some(wrong))),
            Err(_) => (None, problem),
        };
        let title = match changed {
            Some(_) => "Edit webhook",
            None => "Create webhook",
        };
        let frame = session.read(|db| session.frame(db, title, Section::Webhooks))?;
        let mut page = FormPage {
            frame: match changed {
                Some(webhook) => frame.with_api_body(
                    "PATCH",
                    &format!("/v1/webhooks/{}", webhook.id),
                    r#"{"description": "…", "events": ["content.*"]}"#,
                ),
                None => frame.with_api_body(
                    "POST",
                    "/v1/webhooks",
                    r#"{"url": "https://example.com/webhooks", "events": ["content.*"]}"#,
                ),
            },
            head: changed.map(|webhook| Head::of(session, webhook, Tab::None)),
            types: known_types(session)?,
            profiles: known_profiles(session),
            is_advanced: previews || form.is_advanced(),
            preview,
            problem,
            note: None,
            form,
        };
        page.is_advanced |= ["headers", "timeout_s", "max_in_flight", "rate_limit_per_s", "retry"]
            .iter()
            .any(|field| page.problem_in(field).is_some());
        Ok(page)
    }

    /// What is wrong in a field, where the field or a part of it (`events[2]`, `headers.X-A`) is named.
    fn problem_in(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        let named = problem.field.as_deref()?;
        let end = named.find(['.', '[']).unwrap_or(named.len());
        (named[..end] == *field).then_some(problem.message.as_str())
    }

    /// Whether what is wrong belongs to no field that is shown.
    fn is_elsewhere(&self) -> bool {
        const SHOWN: [&str; 11] = [
            "url",
            "events",
            "profile",
            "description",
            "tenant",
            "secret",
            "headers",
            "timeout_s",
            "max_in_flight",
            "rate_limit_per_s",
            "retry",
        ];
        self.problem.is_some() && !SHOWN.iter().any(|field| self.problem_in(field).is_some())
    }

    fn is_new(&self) -> bool {
        self.head.is_none()
    }

    /// Where the form goes.
    fn action(&self) -> String {
        match &self.head {
            Some(head) => format!("{}/edit", head.path()),
            None => "/webhooks/new".to_owned(),
        }
    }
}

/// `GET /webhooks/new?from=wh_…&event=`.
pub async fn show(session: Session) -> PageResult {
    session.show(new_page).await
}

fn new_page(session: &Session) -> Result<FormPage, PageError> {
    let Some(id) = session.query.given("from") else {
        let mut form = WebhookForm::blank(&session.app.actions.default_profile);
        form.patterns = session.query.text("event").to_owned();
        form.url = session.query.text("url").to_owned();
        return FormPage::of(session, None, form, None, false);
    };
    let webhook = header::find(session, id)?;
    let profile = session.app.actions.store.profiles().find(&webhook.profile);
    let types = known_types(session)?;
    let mut form = WebhookForm::of_webhook(&webhook, &types, profile.as_deref().map(|profile| profile.schedule()));
    let masked = form.drop_masked();
    let mut page = FormPage::of(session, None, form, None, false)?;
    let headers = if masked.is_empty() { String::new() } else { format!(" and the values of {}", masked.join(", ")) };
    page.note = Some(format!("Everything is as in {}, but its secret{headers}: those are not copied.", webhook.name()));
    Ok(page)
}

/// The new webhook, its secret, and what to do next.
#[derive(Template)]
#[template(path = "webhooks/created.html")]
struct CreatedPage {
    frame: Frame,
    head: Head,
    secret: String,
    /// Where it is not the same: the spelling that off-the-shelf libraries take.
    standard_secret: Option<String>,
}

/// `POST /webhooks/new`, with `preview` for its schedule alone.
pub async fn create(submission: Submission) -> PageResult {
    let turn = turn(&submission.app().tests).await?;
    submission
        .run(move |session, fields| {
            let _turn = turn;
            let form = WebhookForm::of_fields(fields);
            if fields.has("preview") {
                return Ok(previewed(&FormPage::of(session, None, form, None, true)?));
            }
            let wrong = match form.new_settings(session.tenant().is_none()) {
                Err(wrong) => wrong,
                Ok(settings) => match session.app.actions.create_webhook(&session.caller(), settings) {
                    Ok(webhook) => return created_page(session, &webhook),
                    Err(error) => problem(error)?,
                },
            };
            Ok(Response::again(&FormPage::of(session, None, form, Some(wrong), false)?))
        })
        .await
}

/// A form whose schedule was asked for.
pub fn previewed(page: &FormPage) -> Response {
    match page.problem {
        Some(_) => Response::again(page),
        None => Response::page(StatusCode::OK, page),
    }
}

fn created_page(session: &Session, webhook: &Webhook) -> Result<Response, PageError> {
    let head = Head::of(session, webhook, Tab::None);
    let secret = webhook.secret.as_str().to_owned();
    let page = CreatedPage {
        frame: session.read(|db| session.frame(db, "Webhook created", Section::Webhooks))?,
        head,
        standard_secret: Some(webhook.secret.standard_form()).filter(|standard| *standard != secret),
        secret,
    };
    Ok(Response::page(StatusCode::OK, &page))
}
