//! `/setup/webhook`: the first webhook, to the built-in inbox or to a URL of one's own, and its first test.

use askama::Template;

use super::turn;
use crate::actions::ActionError;
use crate::actions::test_event::TestEvent;
use crate::domain::webhook::WebhookSettings;
use crate::http::web::error::PageError;
use crate::http::web::form::{Fields, Problem, Submission, problem};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};

#[derive(Template)]
#[template(path = "onboarding/webhook.html")]
struct WebhookPage {
    frame: Frame,
    /// Whether the built-in inbox is chosen.
    to_inbox: bool,
    url: String,
    events: String,
    profile: String,
    profiles: Vec<(String, String)>,
    problem: Option<Problem>,
}

impl WebhookPage {
    fn has_problem_in(&self, field: &str) -> bool {
        let named = self.problem.as_ref().and_then(|problem| problem.field.as_deref());
        named.is_some_and(|named| named == field || named.starts_with(&format!("{field}[")))
    }

    fn of(session: &Session, fields: &Fields, problem: Option<Problem>) -> Result<WebhookPage, PageError> {
        let actions = &session.app.actions;
        let all = actions.store.profiles().all();
        let known = all.iter().map(|profile| {
            let title = match profile.spec().title.as_str() {
                "" => profile.name(),
                title => title,
            };
            (profile.name().to_owned(), title.to_owned())
        });
        Ok(WebhookPage {
            frame: session.read(|db| session.frame(db, "Your first webhook", Section::None))?,
            to_inbox: fields.text("target") != "own",
            url: fields.text("url").to_owned(),
            events: fields.given("events").unwrap_or("*").to_owned(),
            profile: fields.given("profile").unwrap_or(&actions.default_profile).to_owned(),
            profiles: known.collect(),
            problem,
        })
    }
}

/// `GET /setup/webhook`.
pub async fn show(session: Session) -> PageResult {
    session
        .show(|session| {
            session.require_administrator()?;
            WebhookPage::of(session, &Fields::default(), None)
        })
        .await
}

/// `POST /setup/webhook`: makes it, sends a test, and shows what came of it.
pub async fn create(submission: Submission) -> PageResult {
    let turn = turn(&submission).await?;
    submission
        .run(move |session, fields| {
            let _turn = turn;
            session.require_administrator()?;
            match made(session, fields) {
                Ok(id) => tested(session, &id),
                Err(error) => {
                    let page = WebhookPage::of(session, fields, Some(problem(error)?))?;
                    Ok(Response::again(&page))
                }
            }
        })
        .await
}

fn made(session: &Session, fields: &Fields) -> Result<String, ActionError> {
    let actions = &session.app.actions;
    let caller = session.caller();
    let url = match fields.text("target") {
        "own" => fields.text("url").trim().to_owned(),
        _ => {
            let inbox = actions.open_inbox(&caller, None).wait()?;
            session.app.site.url(&format!("/in/{}", inbox.token))
        }
    };
    let patterns = fields.text("events").split([',', '\n', ' ']);
    let settings = WebhookSettings {
        url: Some(url),
        events: Some(patterns.map(str::trim).filter(|pattern| !pattern.is_empty()).map(str::to_owned).collect()),
        profile: fields.given("profile").map(str::to_owned),
        ..WebhookSettings::default()
    };
    Ok(actions.create_webhook(&caller, settings)?.id.to_string())
}

/// Sends a test event and goes on to what came of it.
fn tested(session: &Session, webhook_id: &str) -> Result<Response, PageError> {
    let actions = &session.app.actions;
    let sent = actions.test_webhook(&session.caller(), webhook_id, TestEvent::default())?;
    let path = format!("{}/setup/done?delivery={}", session.base(), sent.delivery.id);
    Ok(Response::To(path, None))
}

/// `POST /setup/test`: another test to the same webhook.
pub async fn test_again(submission: Submission) -> PageResult {
    let turn = turn(&submission).await?;
    submission
        .run(move |session, fields| {
            let _turn = turn;
            session.require_administrator()?;
            tested(session, fields.text("webhook"))
        })
        .await
}
