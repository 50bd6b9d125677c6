//! `/profiles/new` and `/profiles/{name}/edit`: a profile as JSON, with a preview before it is saved.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;
use serde_json::{Map, Value};

use super::super::super::error::ApiError;
use super::super::super::extract;
use super::super::error::PageError;
use super::preview::Preview;
use crate::http::web::form::{Fields, Problem, Submission};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::profile::{self, Profile, ProfileSpec};

#[derive(Template)]
#[template(path = "profiles/edit.html")]
struct EditPage {
    frame: Frame,
    /// The profile that is changed; `None` for a new one.
    name: Option<String>,
    typed_name: String,
    json: String,
    problem: Option<Problem>,
    preview: Option<Preview>,
    /// What a new one can begin as, and what this one began as.
    bases: Vec<String>,
    from: String,
}

impl EditPage {
    fn of(session: &Session, name: Option<&str>, json: String) -> Result<EditPage, PageError> {
        session.require_administrator()?;
        let title = match name {
            Some(name) => format!("Profile {name}"),
            None => "Create profile".to_owned(),
        };
        let profiles = session.app.actions.store.profiles().all();
        let frame = session.read(|db| session.frame(db, title, Section::Profiles))?;
        let path = format!("/v1/profiles/{}", name.unwrap_or("NAME"));
        Ok(EditPage {
            frame: frame.with_api("PUT", &path),
            name: name.map(str::to_owned),
            typed_name: String::new(),
            json,
            problem: None,
            preview: None,
            from: profile::DEFAULT.to_owned(),
            bases: profiles.iter().map(|profile| profile.name().to_owned()).collect(),
        })
    }

    fn action(&self) -> String {
        match &self.name {
            Some(name) => format!("/profiles/{name}/edit"),
            None => "/profiles/new".to_owned(),
        }
    }

    /// Where the problem belongs: the name, or else the text.
    fn is_about_name(&self) -> bool {
        let problem = self.problem.as_ref();
        problem.is_some_and(|problem| problem.field.as_deref() == Some("name"))
    }

    /// What is wrong, with the path of the field in the text.
    fn problem_text(&self) -> Option<String> {
        let problem = self.problem.as_ref()?;
        Some(match problem.field.as_deref() {
            Some(field) if field != "name" => format!("{field}: {}", problem.message),
            _ => problem.message.clone(),
        })
    }
}

/// A profile as the text that is edited: without its name, which stands beside it.
fn text_of(profile: &Profile) -> String {
    let mut spec = serde_json::to_value(profile.spec()).unwrap_or_default();
    if let Value::Object(fields) = &mut spec {
        // Not `remove`, which would change the order of the rest.
        fields.shift_remove("name");
    }
    serde_json::to_string_pretty(&spec).unwrap_or_default()
}

/// `GET /profiles/new?from=`.
pub async fn blank(session: Session) -> PageResult {
    session
        .show(|session| {
            let from = session.query.given("from").unwrap_or(profile::DEFAULT);
            let base = session.app.actions.profile(from)?;
            Ok(EditPage { from: base.name().to_owned(), ..EditPage::of(session, None, text_of(&base))? })
        })
        .await
}

/// `GET /profiles/{name}/edit`.
pub async fn show(session: Session, name: Path<String>) -> PageResult {
    session
        .show(move |session| {
            let profile = own(session, &name)?;
            EditPage::of(session, Some(profile.name()), text_of(&profile))
        })
        .await
}

/// One that can be changed.
fn own(session: &Session, name: &str) -> Result<std::sync::Arc<Profile>, PageError> {
    session.require_administrator()?;
    match profile::find(name) {
        Some(_) => Err(PageError::forbidden(format!(
            "{name} is built in and cannot be changed. Create one of your own from it."
        ))),
        None => Ok(session.app.actions.profile(name)?),
    }
}

/// `POST /profiles/new`.
pub async fn create(form: Submission) -> PageResult {
    form.run(|session, fields| {
        session.require_administrator()?;
        let name = fields.text("name").trim();
        let is_taken = session.app.actions.profile(name).is_ok();
        let checked = if is_taken {
            Err(ApiError::invalid("name_taken", format!("There is a profile {name} already.")).in_field("name"))
        } else {
            parse(session, name, fields)
        };
        go_on(session, None, fields, checked)
    })
    .await
}

/// `POST /profiles/{name}/edit`.
pub async fn change(form: Submission, name: Path<String>) -> PageResult {
    form.run(move |session, fields| {
        let profile = own(session, &name)?;
        let checked = parse(session, profile.name(), fields);
        go_on(session, Some(profile.name()), fields, checked)
    })
    .await
}

/// What was typed, checked as the API checks it.
fn parse(session: &Session, name: &str, fields: &Fields) -> Result<ProfileSpec, ApiError> {
    let mut given: Map<String, Value> = extract::parse(fields.text("json").as_bytes())?;
    given.shift_remove("built_in");
    given.insert("name".to_owned(), Value::from(name));
    let complete = session.app.actions.complete_spec(given)?;
    let spec: ProfileSpec = extract::parse(complete.to_string().as_bytes())?;
    Profile::parse(spec.clone())?;
    Ok(spec)
}

/// Previews or saves; the form again with what is wrong.
fn go_on(
    session: &Session,
    name: Option<&str>,
    fields: &Fields,
    checked: Result<ProfileSpec, ApiError>,
) -> Result<Response, PageError> {
    let wants_preview = fields.has("preview");
    let saved = checked.and_then(|spec| {
        if wants_preview {
            return Ok(spec);
        }
        let caller = session.caller();
        session.app.actions.put_profile(&caller, spec.clone())?.wait()?;
        Ok(spec)
    });
    let page = EditPage {
        typed_name: fields.text("name").to_owned(),
        ..EditPage::of(session, name, fields.text("json").to_owned())?
    };
    match saved {
        Ok(spec) if wants_preview => {
            let profile = Profile::parse(spec)?;
            let preview = Some(Preview::of(session, &profile, &Fields::default())?);
            Ok(Response::page(StatusCode::OK, &EditPage { preview, ..page }))
        }
        Ok(spec) => {
            let message = format!("The profile {} was saved.", spec.name);
            Ok(session.done(&format!("/profiles/{}", spec.name), message))
        }
        Err(error) if error.status().is_client_error() => {
            let problem =
                Some(Problem { message: error.message().to_owned(), field: error.field().map(str::to_owned) });
            Ok(Response::again(&EditPage { problem, ..page }))
        }
        Err(error) => Err(error.into()),
    }
}
