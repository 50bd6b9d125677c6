//! Submitted forms: their fields, the check that this server's own page sent them, and their errors.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use serde_json::value::RawValue;

use crate::auth::role::{Action, needs_password};
use crate::auth::token;
use crate::domain::event::Tenant;
use crate::domain::{Invalid, json};
use crate::http::App;
use crate::http::error::ApiError;
use crate::http::extract::{app, read_body};
use crate::http::places::Places;
use crate::http::shares::Held;
use crate::http::web::anonymous::Anonymous;
use crate::http::web::error::PageError;
use crate::http::web::layout::Shell;
use crate::http::web::password_again;
use crate::http::web::response::{PageResult, Response};
use crate::http::web::session::Session;
use crate::store::page::{DEFAULT_LIMIT, PageRequest};

/// Bytes of a form at most, beside three for each byte of a body: percent-encoding triples a byte.
const FORM_BYTES: usize = 64 << 10;
/// Bytes of an anonymous visitor's form at most: a name, a password, a token.
const ANONYMOUS_FORM_BYTES: usize = 16 << 10;
/// Fields of a form at most.
const MAX_FIELDS: usize = 5_000;

/// Fields of a form or a query: names and values in order. A name repeats for each ticked box.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Parses `application/x-www-form-urlencoded`. Line ends become `\n`: browsers send `\r\n`.
    pub fn parse(body: &[u8]) -> Fields {
        let pairs = url::form_urlencoded::parse(body);
        let pairs = pairs.map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n")));
        Fields(pairs.collect())
    }

    /// Fields of a request's query string.
    pub fn of_query(request: &HttpRequest) -> Fields {
        Fields::parse(request.query_string().as_bytes())
    }

    /// First value of a field; empty if the field is missing.
    pub fn text(&self, name: &str) -> &str {
        let named = self.0.iter().find(|(known, _)| known == name);
        named.map_or("", |(_, value)| value)
    }

    /// First value of a field, trimmed; `None` if it is empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// JSON of a field, trimmed but otherwise as typed; `None` if the field is empty.
    pub fn json(&self, name: &str) -> Result<Option<Box<str>>, Invalid> {
        let Some(text) = self.given(name) else {
            return Ok(None);
        };
        let parsed = serde_json::from_str::<&RawValue>(text);
        parsed.map_err(|error| Invalid::new("invalid_json", format!("Invalid JSON: {error}.")).in_field(name))?;
        json::check(text.as_bytes()).map_err(|invalid| invalid.in_field(name))?;
        Ok(Some(text.into()))
    }

    /// Page of a list that the field `cursor` selects.
    pub fn page_request(&self) -> Result<PageRequest, Invalid> {
        let cursor = self.given("cursor").map(str::parse).transpose()?;
        Ok(PageRequest { limit: DEFAULT_LIMIT, cursor })
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Whether a box was ticked or a button of this name was pressed.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Fields without those whose name `is_left_out`.
    pub fn without(&self, is_left_out: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        self.0.iter().filter(|(name, _)| !is_left_out(name)).cloned().collect()
    }

    /// Query string of the fields that are not empty, without the fields in `left_out`.
    pub fn query_without(&self, left_out: &[&str]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.0 {
            if !value.is_empty() && !left_out.contains(&name.as_str()) {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

/// Reads a form that a page of this server sent; refuses one that another site may have sent.
async fn read(
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
    cookie: &str,
    tenant: Option<&Tenant>,
) -> Result<(Fields, Option<Held>), PageError> {
    let app = app(request)?;
    let outside = |error: ApiError| PageError::from(error).within(Shell::of(request, app));
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        let message = "Send a form. Programs use the API, under /v1.";
        return Err(outside(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)));
    }
    let (body, memory) = read_body(app, payload, limit, tenant).await.map_err(outside)?;
    if body.iter().filter(|byte| **byte == b'&').count() > MAX_FIELDS {
        let message = format!("A form has at most {MAX_FIELDS} fields.");
        return Err(outside(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)));
    }
    let fields = Fields::parse(&body);
    if !app.site.is_same_site(request) || !token::is_form_token(fields.text("form_token"), cookie) {
        return Err(outside(ApiError::forbidden("This form has expired. Reload and try again.")));
    }
    Ok((fields, memory))
}

/// A form of a visitor who is signed in.
pub struct Submission {
    session: Session,
    pub fields: Fields,
    memory: Option<Held>,
}

impl FromRequest for Submission {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Submission, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let session = Session::of(&request)?;
            let limit = session.app.limits.single * 3 + FORM_BYTES;
            let (fields, memory) = read(&request, payload, limit, session.cookie(), session.tenant()).await?;
            Ok(Submission { session, fields, memory })
        })
    }
}

impl Submission {
    /// Shared state of the server, for handlers that wait for a permit first.
    pub fn app(&self) -> Data<App> {
        self.session.app.clone()
    }

    /// Whether a portal visitor sent the form.
    pub fn is_portal(&self) -> bool {
        self.session.tenant().is_some()
    }

    /// Whether the visitor is a user whom a proxy's header signed in.
    pub fn is_by_proxy(&self) -> bool {
        self.session.by_proxy
    }

    /// Runs the form's work on a blocking thread. Viewers are refused.
    pub async fn run(
        self,
        work: impl FnOnce(&Session, &Fields) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        self.run_action(Action::Operate, work).await
    }

    /// Runs the form's work on a blocking thread, if the visitor may do the action. Asks for the password first if the
    /// action needs it.
    pub async fn run_action(
        self,
        action: Action,
        work: impl FnOnce(&Session, &Fields) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        self.run_as_anybody(move |session, fields| {
            session.require(action)?;
            if needs_password(action)
                && let Some(question) = password_again::ask(session, fields)?
            {
                return Ok(question);
            }
            work(session, fields)
        })
        .await
    }

    /// Like [`Submission::run`], for work that waits for a receiver.
    pub async fn run_receiver_call(
        self,
        work: impl FnOnce(&Session, &Fields) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        let places = self.session.app.receiver_calls.clone();
        self.run_in(&places, work).await
    }

    /// Like [`Submission::run`], for bulk actions and replays.
    pub async fn run_job(
        self,
        work: impl FnOnce(&Session, &Fields) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        let places = self.session.app.jobs.clone();
        self.run_in(&places, work).await
    }

    async fn run_in(
        self,
        places: &Places,
        work: impl FnOnce(&Session, &Fields) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        let place = places.place(self.session.tenant()).await;
        self.run(move |session, fields| {
            let _place = place?;
            work(session, fields)
        })
        .await
    }

    /// Like [`Submission::run`], for viewers too: forms about their own account.
    pub async fn run_as_anybody(
        self,
        work: impl FnOnce(&Session, &Fields) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        let Submission { session, fields, memory } = self;
        session
            .run(move |session| {
                let _memory = memory;
                session.require_unchanged()?;
                work(session, &fields)
            })
            .await
    }
}

/// A form of a visitor who is not signed in.
pub struct AnonymousSubmission {
    pub visitor: Anonymous,
    pub fields: Fields,
}

impl FromRequest for AnonymousSubmission {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<AnonymousSubmission, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let visitor = Anonymous::of(&request)?;
            let (fields, _) = read(&request, payload, ANONYMOUS_FORM_BYTES, visitor.cookie(), None).await?;
            Ok(AnonymousSubmission { visitor, fields })
        })
    }
}

/// A validation error, and the field that it belongs to.
#[derive(Debug, Clone)]
pub struct Problem {
    pub message: String,
    pub field: Option<String>,
}

impl<E: Into<ApiError>> From<E> for Problem {
    fn from(error: E) -> Problem {
        let error = error.into();
        Problem { message: error.message().to_owned(), field: error.field().map(str::to_owned) }
    }
}

/// Converts an error that the visitor can correct in the form; other errors become a page of their own.
pub fn problem(error: impl Into<ApiError>) -> Result<Problem, PageError> {
    let error = error.into();
    match error.status().as_u16() {
        403 | 409 | 422 => Ok(error.into()),
        _ => Err(error.into()),
    }
}

/// Beginnings of fields whose controls are in a group with one message: `auth_token_url` for `auth.token_url`.
const GROUPS: [&str; 2] = ["auth.", "tls."];

/// Errors of a submitted form, by field. A form stops at its first error.
#[derive(Debug, Clone, Default)]
pub struct FormErrors {
    problem: Option<Problem>,
    /// Id of the wrong control, if it is not the name of the field.
    control: Option<String>,
}

impl FormErrors {
    /// Sets the control of a field that is not named like it.
    #[must_use]
    pub fn with_control(self, field: &str, id: &str) -> FormErrors {
        let is_new = self.control.is_none() && self.of(field).is_some();
        if is_new { FormErrors { control: Some(id.to_owned()), ..self } } else { self }
    }

    /// Message for a field or a part of the field, such as `events[2]` or `headers.X-Api-Key`.
    pub fn of(&self, field: &str) -> Option<&str> {
        (self.field()? == field).then(|| self.message())
    }

    /// Name of the wrong field, without the part of it.
    pub fn field(&self) -> Option<&str> {
        let named = self.problem.as_ref()?.field.as_deref()?;
        let end = named.find(['.', '[']).unwrap_or(named.len());
        Some(&named[..end])
    }

    pub fn message(&self) -> &str {
        self.problem.as_ref().map_or("", |problem| &problem.message)
    }

    /// Whether the error is about the control with this id.
    pub fn is_at(&self, id: &str) -> bool {
        self.control.as_deref().or(self.field()) == Some(id)
    }

    /// Id of the wrong control, if the error belongs to one of these fields.
    pub fn control(&self, fields: &impl AsRef<[&'static str]>) -> Option<&str> {
        let field = self.field().filter(|field| fields.as_ref().contains(field))?;
        Some(self.control.as_deref().unwrap_or(field))
    }

    /// Message that belongs to none of these fields.
    pub fn outside(&self, fields: &impl AsRef<[&'static str]>) -> Option<&str> {
        (!self.is_empty() && self.control(fields).is_none()).then(|| self.message())
    }

    pub fn is_empty(&self) -> bool {
        self.problem.is_none()
    }
}

impl<T: Into<Problem>> From<T> for FormErrors {
    fn from(problem: T) -> FormErrors {
        let problem = problem.into();
        let in_group = problem.field.as_ref().filter(|field| GROUPS.iter().any(|group| field.starts_with(group)));
        FormErrors { control: in_group.map(|field| field.replace('.', "_")), problem: Some(problem) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_a_name_as_often_as_it_was_ticked() {
        let fields = Fields::parse(b"events=a&events=b+c&note=%20x%0D%0Ay%20&empty=");
        assert_eq!(fields.all("events").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(fields.given("note"), Some("x\ny"));
        assert_eq!(fields.given("empty"), None);
        assert!(fields.has("empty") && !fields.has("other"));
        assert_eq!(fields.query_without(&["events"]), "note=+x%0Ay+");
    }
}
