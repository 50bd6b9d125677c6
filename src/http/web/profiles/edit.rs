//! `/profiles/new` and `/profiles/{name}/edit`: a profile as JSON, with a preview; and its deletion.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::show::Preview;
use crate::http::error::ApiError;
use crate::http::extract;
use crate::http::web::form::Problem;
use crate::http::web::{Confirm, Fields, Frame, PageError, Response, Section, Session, Template, problem};
use crate::profile::{self, Profile, ProfileSpec};
use crate::store::Pending;

#[derive(Template)]
#[template(path = "profiles/edit.html")]
pub struct ProfileForm {
    frame: Frame,
    /// `None` for a new profile.
    name: Option<String>,
    typed_name: String,
    json: String,
    problem: Option<Problem>,
    preview: Option<Preview>,
    /// Profiles that a new one can start from, and the one it started from.
    bases: Vec<String>,
    from: String,
}

impl ProfileForm {
    fn of(session: &Session, name: Option<&str>, json: String) -> Result<ProfileForm, PageError> {
        session.require_shared_change()?;
        let title = name.map_or_else(|| "Create profile".to_owned(), |name| format!("Profile {name}"));
        let frame = session.read(|db| session.frame(db, title, Section::Profiles))?;
        let profiles = session.app.actions.store.profiles().all();
        Ok(ProfileForm {
            frame: frame.with_api("PUT", &format!("/v1/profiles/{}", name.unwrap_or("NAME"))),
            name: name.map(str::to_owned),
            typed_name: String::new(),
            json,
            problem: None,
            preview: None,
            bases: profiles.iter().map(|profile| profile.name().to_owned()).collect(),
            from: profile::DEFAULT.to_owned(),
        })
    }

    fn action(&self) -> String {
        match &self.name {
            Some(name) => format!("/profiles/{name}/edit"),
            None => "/profiles/new".to_owned(),
        }
    }

    fn name_problem(&self) -> Option<&str> {
        let problem = self.problem.as_ref().filter(|problem| problem.field.as_deref() == Some("name"))?;
        (self.name.is_none()).then_some(&problem.message)
    }

    /// Error of any other field, with the path of the field in the JSON.
    fn json_problem(&self) -> Option<String> {
        let problem = self.problem.as_ref().filter(|_| self.name_problem().is_none())?;
        Some(match problem.field.as_deref() {
            Some(field) if field != "name" => format!("{field}: {}", problem.message),
            _ => problem.message.clone(),
        })
    }
}

/// JSON of a profile without its name, which is a field of the form.
fn json_of(profile: &Profile) -> String {
    let mut spec = serde_json::to_value(profile.spec()).unwrap_or_default();
    if let Value::Object(fields) = &mut spec {
        // Not `remove`, which would change the order of the rest.
        fields.shift_remove("name");
    }
    serde_json::to_string_pretty(&spec).unwrap_or_default()
}

/// `GET /profiles/new?from=`.
pub fn blank(session: &Session) -> Result<ProfileForm, PageError> {
    let base = session.app.actions.profile(session.query.given("from").unwrap_or(profile::DEFAULT))?;
    Ok(ProfileForm { from: base.name().to_owned(), ..ProfileForm::of(session, None, json_of(&base))? })
}

/// `GET /profiles/{name}/edit`.
pub fn show(session: &Session, name: &str) -> Result<ProfileForm, PageError> {
    let profile = custom(session, name)?;
    ProfileForm::of(session, Some(profile.name()), json_of(&profile))
}

/// The profile with this name, which must not be built in.
fn custom(session: &Session, name: &str) -> Result<Arc<Profile>, PageError> {
    session.require_shared_change()?;
    if profile::find(name).is_some() {
        let message = format!("The profile {name} is built in and can't be changed. Create a copy of it.");
        return Err(PageError::forbidden(message));
    }
    Ok(session.app.actions.profile(name)?)
}

/// `POST /profiles/new`.
pub fn create(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    session.require_shared_change()?;
    let name = fields.text("name").trim();
    let spec = if session.app.actions.profile(name).is_ok() {
        let message = format!("The profile {name} already exists.");
        Err(ApiError::invalid("name_taken", message).in_field("name"))
    } else {
        parse(session, name, fields)
    };
    save_or_preview(session, None, fields, spec)
}

/// `POST /profiles/{name}/edit`.
pub fn change(session: &Session, fields: &Fields, name: &str) -> Result<Response, PageError> {
    let profile = custom(session, name)?;
    let spec = parse(session, profile.name(), fields);
    save_or_preview(session, Some(profile.name()), fields, spec)
}

/// Validates the JSON as the API does.
fn parse(session: &Session, name: &str, fields: &Fields) -> Result<ProfileSpec, ApiError> {
    let mut given: Map<String, Value> = extract::parse(fields.text("json").as_bytes())?;
    given.shift_remove("built_in");
    given.insert("name".to_owned(), Value::from(name));
    let complete = session.app.actions.complete_spec(given)?;
    let spec: ProfileSpec = extract::parse(complete.to_string().as_bytes())?;
    Profile::parse(spec.clone())?;
    Ok(spec)
}

fn save_or_preview(
    session: &Session,
    name: Option<&str>,
    fields: &Fields,
    spec: Result<ProfileSpec, ApiError>,
) -> Result<Response, PageError> {
    let is_preview = fields.has("preview");
    let spec = spec.and_then(|spec| {
        if !is_preview {
            session.app.actions.put_profile(&session.caller(), spec.clone())?.wait()?;
        }
        Ok(spec)
    });
    let mut form = ProfileForm::of(session, name, fields.text("json").to_owned())?;
    form.typed_name = fields.text("name").to_owned();
    match spec {
        Ok(spec) if is_preview => {
            let profile = Profile::parse(spec)?;
            let (preview, _) = session.read(|db| Preview::of(session, db, &profile, &Fields::default()))?;
            form.preview = Some(preview);
            Ok(Response::ok(&form))
        }
        Ok(spec) => {
            let message = format!("The profile {} was saved.", spec.name);
            Ok(session.done(&format!("/profiles/{}", spec.name), message))
        }
        Err(error) if error.status().is_client_error() => {
            form.problem = Some(error.into());
            Ok(Response::again(&form))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /profiles/{name}/delete`.
pub fn delete(session: &Session, fields: &Fields, name: &str) -> Result<Response, PageError> {
    session.require_shared_change()?;
    let actions = &session.app.actions;
    let profile = actions.profile(name)?;
    let name = profile.name();
    let path = format!("/profiles/{name}");
    if !fields.has("confirmed") {
        return Confirm {
            heading: format!("Delete the profile {name}?"),
            effect: "This can't be undone.".to_owned(),
            action: Some(format!("{path}/delete")),
            back: path,
            button: "Delete profile".to_owned(),
            is_danger: true,
            ..Confirm::default()
        }
        .show(session, Section::Profiles);
    }
    match actions.delete_profile(&session.caller(), name).and_then(Pending::wait) {
        Ok(()) => Ok(session.done("/profiles", format!("The profile {name} was deleted."))),
        Err(error) => Ok(session.refused(&path, problem(error)?.message)),
    }
}
