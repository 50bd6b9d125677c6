//! `/profiles/new` and `/profiles/{name}/edit`: a profile as JSON, with a preview; and its deletion.

use std::sync::Arc;

use actix_web::http::StatusCode;
use serde_json::{Map, Value};

use super::show::Preview;
use crate::actions::profiles::Sample;
use crate::actions::unchanged::Unchanged;
use crate::http::error::ApiError;
use crate::http::etag;
use crate::http::extract;
use crate::http::web::form::Problem;
use crate::http::web::made_of::{self, ChangedPart, MadeOf, Part};
use crate::http::web::sample::{self, Samples};
use crate::http::web::{Confirm, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem};
use crate::profile::{self, Profile, ProfileSpec};
use crate::store::Pending;

#[derive(Template)]
#[template(path = "profiles/edit.html")]
pub struct ProfileForm {
    frame: Frame,
    /// `None` for a new profile.
    name: Option<String>,
    typed_name: String,
    /// Without the template, which has a field of its own.
    json: String,
    template: String,
    errors: FormErrors,
    /// Values that the form was made of.
    made_of: MadeOf,
    conflict: Option<Vec<ChangedPart>>,
    preview: Option<Preview>,
    samples: Samples,
    /// Profiles that a new one can start from, and the one it started from.
    bases: Vec<String>,
    from: String,
}

impl ProfileForm {
    const FIELDS: &[&str] = &["name", "json", "template"];

    fn of(session: &Session, name: Option<&str>, (json, template): (String, String)) -> Result<ProfileForm, PageError> {
        session.require_shared_change()?;
        let title = name.map_or_else(|| "Create profile".to_owned(), |name| format!("Profile {name}"));
        let (frame, samples) = session.read(|db| -> Result<_, PageError> {
            let (samples, _) = sample::choose(session, db, None, None, "")?;
            Ok((session.frame(db, title, Section::Profiles)?, samples))
        })?;
        let profiles = session.app.actions.store.profiles().all();
        Ok(ProfileForm {
            frame: frame.with_api("PUT", &format!("/v1/profiles/{}", name.unwrap_or("NAME"))),
            name: name.map(str::to_owned),
            typed_name: String::new(),
            errors: FormErrors::default(),
            made_of: MadeOf::of(&parts(&json, &template)),
            conflict: None,
            preview: None,
            json,
            template,
            samples,
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

    /// Errors at the fields of the form. What is wrong elsewhere in the profile is in the JSON, and the message names the
    /// place.
    fn at_fields(&self, problem: Problem) -> FormErrors {
        let message = match problem.field.as_deref() {
            Some("name") if self.name.is_none() => return problem.into(),
            Some("template") => return problem.into(),
            Some(field) if field != "name" => format!("{field}: {}", problem.message),
            _ => problem.message,
        };
        Problem { message, field: Some("json".to_owned()) }.into()
    }
}

fn parts(json: &str, template: &str) -> Vec<Part> {
    made_of::parts(&[("json", "Profile (JSON)", json), ("template", "Template of the body", template)])
}

/// JSON of a profile without its name and template, which are fields of the form, and the template.
fn json_of(profile: &Profile) -> (String, String) {
    let mut spec = serde_json::to_value(profile.spec()).unwrap_or_default();
    if let Value::Object(fields) = &mut spec {
        // Not `remove`, which would change the order of the rest.
        fields.shift_remove("name");
        fields.shift_remove("template");
    }
    let template = profile.spec().template.clone().unwrap_or_default();
    (serde_json::to_string_pretty(&spec).unwrap_or_default(), template)
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
    let changed = changed_meanwhile(&profile, fields);
    if !fields.has("preview") && !changed.is_empty() {
        return conflict(session, &profile, fields, changed);
    }
    let spec = parse(session, profile.name(), fields);
    save_or_preview(session, Some(&profile), fields, spec)
}

fn changed_meanwhile(stored: &Profile, fields: &Fields) -> Vec<ChangedPart> {
    let (json, template) = json_of(stored);
    let typed = parts(fields.text("json"), fields.text("template"));
    made_of::changed_meanwhile(&MadeOf::of_fields(fields), parts(&json, &template), typed)
}

/// Responds with the form and what was changed after it was made.
fn conflict(
    session: &Session,
    stored: &Profile,
    fields: &Fields,
    changed: Vec<ChangedPart>,
) -> Result<Response, PageError> {
    let form = ProfileForm::of(session, Some(stored.name()), json_of(stored))?;
    let text = |field: &str| made_of::taken(&changed, field).unwrap_or(fields.text(field)).to_owned();
    let (json, template) = (text("json"), text("template"));
    Ok(Response::page(StatusCode::CONFLICT, &ProfileForm { json, template, conflict: Some(changed), ..form }))
}

/// Validates the JSON as the API does.
fn parse(session: &Session, name: &str, fields: &Fields) -> Result<ProfileSpec, ApiError> {
    let mut given: Map<String, Value> = extract::parse(fields.text("json").as_bytes())?;
    given.shift_remove("built_in");
    given.insert("name".to_owned(), Value::from(name));
    let template = fields.text("template");
    if !template.trim().is_empty() {
        if given.contains_key("template") {
            let message = "The JSON has a template too. Write it in one of the two places.";
            return Err(ApiError::invalid("ignored_value", message).in_field("template"));
        }
        // It takes the place of an envelope.
        given.insert("template".to_owned(), Value::from(template));
        given.insert("body".to_owned(), Value::from("template"));
        given.shift_remove("envelope");
    }
    let complete = session.app.actions.complete_spec(given)?;
    let spec: ProfileSpec = extract::parse(complete.to_string().as_bytes())?;
    Profile::parse(spec.clone())?;
    Ok(spec)
}

/// Saves the profile in place of the stored one; `None` for a new one.
fn save_or_preview(
    session: &Session,
    stored: Option<&Profile>,
    fields: &Fields,
    spec: Result<ProfileSpec, ApiError>,
) -> Result<Response, PageError> {
    let is_preview = fields.has("preview");
    let spec = spec.and_then(|spec| {
        if !is_preview {
            let unchanged = stored.map_or_else(|| Unchanged::when(|stored| stored.is_none()), etag::still);
            session.app.actions.put_profile(&session.caller(), spec.clone(), unchanged)?.wait()?;
        }
        Ok(spec)
    });
    let typed = (fields.text("json").to_owned(), fields.text("template").to_owned());
    let mut form = ProfileForm::of(session, stored.map(Profile::name), typed)?;
    form.made_of = MadeOf::of_fields(fields);
    form.typed_name = fields.text("name").to_owned();
    match spec {
        Ok(spec) if is_preview => {
            let profile = Profile::parse(spec)?;
            let (samples, event) =
                session.read(|db| sample::choose(session, db, None, Some(&profile), fields.text("sample")))?;
            form.samples = samples;
            match Preview::compose(session, &Sample { profile: &profile, template: None, webhook: None }, &event) {
                Ok(preview) => form.preview = Some(preview),
                Err(error) => {
                    let message = problem(error)?.message;
                    form.errors = Problem { message, field: Some("template".to_owned()) }.into();
                    return Ok(Response::again(&form));
                }
            }
            Ok(Response::ok(&form))
        }
        Ok(spec) => {
            let message = format!("The profile {} was saved.", spec.name);
            Ok(session.done(&format!("/profiles/{}", spec.name), message))
        }
        Err(error) if error.status() == StatusCode::PRECONDITION_FAILED => {
            let profile = session.app.actions.profile(stored.map_or(fields.text("name").trim(), Profile::name))?;
            let changed = changed_meanwhile(&profile, fields);
            conflict(session, &profile, fields, changed)
        }
        Err(error) if error.status().is_client_error() => {
            form.errors = form.at_fields(error.into());
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
    match actions.delete_profile(&session.caller(), name, Unchanged::default()).and_then(Pending::wait) {
        Ok(()) => Ok(session.done("/profiles", format!("The profile {name} was deleted."))),
        Err(error) => Ok(session.refused(&path, problem(error)?.message)),
    }
}
