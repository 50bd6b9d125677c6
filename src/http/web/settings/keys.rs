//! `/settings/keys`: the API keys. One is shown in clear on the page that answers its creation, and never again.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;

use super::super::confirm::ConfirmPage;
use super::super::error::{PageError, Problem, problem};
use crate::actions::ActionError;
use crate::auth::api_key::{self as auth, KeyRequest, issue};
use crate::domain::Invalid;
use crate::http::web::form::Fields;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session, Submission};
use crate::store::api_key::{self, ApiKey, Scope};
use crate::store::page::{DEFAULT_LIMIT, PageRequest};

#[derive(Template)]
#[template(path = "settings/keys.html")]
struct KeysPage {
    frame: Frame,
    keys: Vec<ApiKey>,
    next: Option<String>,
    is_further: bool,
    /// A key that was just made, in clear.
    made: Option<CreatedKey>,
    /// What was typed into the form.
    typed: Fields,
    problem: Option<Problem>,
    scopes: [(Scope, &'static str); 3],
    profiles: Vec<String>,
}

struct CreatedKey {
    name: String,
    text: String,
}

impl KeysPage {
    fn of(session: &Session) -> Result<KeysPage, PageError> {
        session.require_operator()?;
        let cursor = session.query.given("cursor");
        let request = PageRequest { limit: DEFAULT_LIMIT, cursor: cursor.map(str::parse).transpose()? };
        let store = &session.app.actions.store;
        let page = store.read(|connection| api_key::page(connection, &request))?;
        let frame = session.frame("API keys", Section::Settings)?;
        let profiles = store.profiles().all();
        Ok(KeysPage {
            next: page.next.map(|cursor| format!("{}/settings/keys?cursor={cursor}", frame.base)),
            keys: page.rows,
            is_further: cursor.is_some(),
            frame: frame.with_api("GET", "/v1/api-keys"),
            made: None,
            typed: Fields::default(),
            problem: None,
            scopes: [
                (Scope::Publish, "publishes events, singly and in batches"),
                (Scope::Read, "reads everything but secrets and backups"),
                (Scope::Admin, "does everything"),
            ],
            profiles: profiles.iter().map(|profile| profile.name().to_owned()).collect(),
        })
    }

    fn problem_in(&self, field: &str) -> Option<&str> {
        let problem = self.problem.as_ref()?;
        (problem.field.as_deref() == Some(field)).then_some(problem.message.as_str())
    }

    /// What is wrong with none of the fields that the form has.
    fn other_problem(&self) -> Option<&str> {
        let fields = ["name", "scope", "tenant", "profile", "rate_limit_per_s"];
        let problem = self.problem.as_ref()?;
        let is_shown = |field: &str| fields.contains(&field);
        let is_elsewhere = problem.field.as_deref().is_some_and(is_shown);
        (!is_elsewhere).then_some(problem.message.as_str())
    }
}

/// `GET /settings/keys?cursor=`.
pub async fn show(session: Session) -> PageResult {
    session.show(KeysPage::of).await
}

/// `POST /settings/keys`: answers with the key, which stands in no redirect, log or cookie.
pub async fn create(form: Submission) -> PageResult {
    form.run(|session, fields| {
        session.require_administrator()?;
        let made = parse(fields).map_err(ActionError::from).and_then(|request| {
            let name = request.name.clone();
            let (text, new) = issue(request, session.now())?;
            auth::store(&session.app.actions.store, &session.caller(), new).wait()?;
            Ok(CreatedKey { name, text })
        });
        let page = KeysPage::of(session)?;
        match made {
            Ok(made) => {
                let made = Some(made);
                Ok(Response::page(StatusCode::OK, &KeysPage { made, ..page }))
            }
            Err(error) => {
                Ok(Response::again(&KeysPage { problem: Some(problem(error)?), typed: fields.clone(), ..page }))
            }
        }
    })
    .await
}

fn parse(fields: &Fields) -> Result<KeyRequest, Invalid> {
    let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
    let tenant = fields.given("tenant").map(str::parse).transpose();
    let limit = fields.given("rate_limit_per_s").map(str::parse).transpose();
    Ok(KeyRequest {
        name: fields.text("name").trim().to_owned(),
        scope: fields.text("scope").parse().map_err(in_field("scope"))?,
        tenant: tenant.map_err(in_field("tenant"))?,
        profile: fields.given("profile").map(str::to_owned),
        rate_limit_per_s: limit.map_err(|_| {
            Invalid::new("invalid_rate_limit", "A limit is 1 to 100000 requests a second.").in_field("rate_limit_per_s")
        })?,
    })
}

/// `POST /settings/keys/{id}/revoke`.
pub async fn revoke(form: Submission, id: Path<String>) -> PageResult {
    form.run(move |session, fields| {
        session.require_administrator()?;
        if fields.text("confirmed") != "yes" {
            let frame = session.frame("Revoke an API key", Section::Settings)?;
            return Ok(Response::page(
                StatusCode::OK,
                &ConfirmPage {
                    frame,
                    heading: "Revoke this API key?".to_owned(),
                    effect: "No request with it is taken from then on. There is no way back; make a new key instead."
                        .to_owned(),
                    action: Some(format!("/settings/keys/{id}/revoke")),
                    back: "/settings/keys".to_owned(),
                    button: "Revoke key".to_owned(),
                    is_danger: true,
                    facts: Vec::new(),
                    fields: Vec::new(),
                },
            ));
        }
        auth::revoke(&session.app.actions.store, &session.caller(), &id).wait()?;
        Ok(session.done("/settings/keys", "The key was revoked. No request with it is taken any more."))
    })
    .await
}
