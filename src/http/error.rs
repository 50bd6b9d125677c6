//! Errors as clients see them: one form, under every path.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;

use super::request_id::RequestId;
use crate::actions::ActionError;
use crate::auth::users::UserError;
use crate::domain::Invalid;
use crate::store::StoreError;

/// An error of the API: `{"error": {"code", "message", "field"?}}`.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
    /// Name and value of a header that goes with it.
    header: Option<(&'static str, Cow<'static, str>)>,
}

/// The one form of errors.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorBody<'a> {
    error: Inner<'a>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Inner<'a> {
    /// A stable word, for programs.
    code: &'a str,
    /// What happened and what to do, for people.
    message: &'a str,
    /// The field or parameter that is wrong, as a path such as `headers.X-Api-Key` or `[3].type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    field: Option<&'a str>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: shortened(message.into()), field: None, header: None }
    }

    /// 400: what came is not even JSON.
    pub fn malformed(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 422: understood, and wrong.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub fn unauthorized(message: &str) -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message).with_header("WWW-Authenticate", "Bearer")
    }

    pub fn forbidden(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 503: it may work in a moment.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message).with_header("Retry-After", "1")
    }

    /// 503: the server is shutting down.
    pub fn stopping() -> ApiError {
        ApiError::unavailable("stopping", "Hookpost is stopping.")
    }

    /// 429: more requests than the key may make.
    pub fn rate_limited(retry_after_s: i64) -> ApiError {
        ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            format!("This key makes more requests a second than it may. Wait {retry_after_s} s and send it again."),
        )
        .with_header("Retry-After", retry_after_s.to_string())
    }

    /// 500. The cause goes to the log, under the request's id, which the answer names.
    pub fn internal(cause: &dyn fmt::Display) -> ApiError {
        let id = RequestId::current();
        log::error!("request {id}: internal error: {cause}");
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            format!("An internal error. The log of the server tells more under {id}."),
        )
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The field that is at fault, where one is.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    #[must_use]
    pub fn in_field(mut self, field: impl Into<String>) -> ApiError {
        self.field = Some(shortened(field.into()));
        self
    }

    /// The same, where it is at or below this path: a field that is missing or unknown in it is named already.
    #[must_use]
    pub fn below(self, path: &str) -> ApiError {
        match &self.field {
            _ if path.is_empty() => self,
            Some(name) if path != name && !path.ends_with(&format!(".{name}")) => {
                let field = format!("{path}.{name}");
                self.in_field(field)
            }
            _ => self.in_field(path),
        }
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> ApiError {
        self.header = Some((name, value.into()));
        self
    }
}

/// Bytes of a message or of a field's path at most: both may quote what was sent.
const MAX_TEXT_BYTES: usize = 800;

/// Cuts a text that quotes too much in the middle: its beginning says what it is about, its end what to do.
fn shortened(text: String) -> String {
    if text.len() <= MAX_TEXT_BYTES {
        return text;
    }
    let head = text.floor_char_boundary(MAX_TEXT_BYTES / 2);
    let tail = text.ceil_char_boundary(text.len() - MAX_TEXT_BYTES / 2);
    format!("{}…{}", &text[..head], &text[tail..])
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some((name, value)) = &self.header {
            response.insert_header((*name, &**value));
        }
        response
            .json(ErrorBody { error: Inner { code: self.code, message: &self.message, field: self.field.as_deref() } })
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> ApiError {
        let error = ApiError::invalid(invalid.code, invalid.message);
        match invalid.field {
            Some(field) => error.in_field(field),
            None => error,
        }
    }
}

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> ApiError {
        match error {
            ActionError::Invalid(invalid) => invalid.into(),
            ActionError::NotFound(what) => ApiError::not_found(format!("There is no such {what}.")),
            ActionError::Conflict { code, message, field } => {
                let error = ApiError::new(StatusCode::CONFLICT, code, message);
                match field {
                    Some(field) => error.in_field(field),
                    None => error,
                }
            }
            ActionError::Forbidden(message) => ApiError::forbidden(message),
            ActionError::Store(error) => error.into(),
            ActionError::Partly { done, cause } => ApiError::unavailable(
                "interrupted",
                format!(
                    "{done} were done and stay so. Then it ended early: {cause}. Count what is left with \"dry_run\": true before you call it again."
                ),
            ),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        let (code, message) = match &error {
            StoreError::Full => (
                "disk_full",
                "The disk that holds the database is full. Nothing was stored; send it again once there is room.",
            ),
            StoreError::Busy => {
                ("database_busy", "Another program holds the database. Nothing was stored; send it again in a moment.")
            }
            StoreError::Overloaded => (
                "overloaded",
                "More events wait for the disk than can be taken. Nothing was stored; send it again in a moment.",
            ),
            StoreError::Stopping => {
                ("stopping", "Hookpost is stopping. Nothing was stored; send it again in a moment.")
            }
            StoreError::Unavailable(_) => (
                "store_unavailable",
                "The database cannot be reached. Whether this was stored is not known; send it again with the same id.",
            ),
            StoreError::Corrupt(_) | StoreError::Sqlite(_) => return ApiError::internal(&error),
        };
        log::warn!("request {}: refused for now: {error}", RequestId::current());
        ApiError::unavailable(code, message)
    }
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> ApiError {
        match error {
            UserError::Invalid(invalid) => invalid.into(),
            UserError::Store(error) => error.into(),
            UserError::Taken(name) => {
                ApiError::new(StatusCode::CONFLICT, "name_taken", format!("There is a user {name} already."))
                    .in_field("name")
            }
            UserError::Unknown(name) => ApiError::not_found(format!("There is no user {name}.")),
            UserError::LastAdministrator(name) => ApiError::new(
                StatusCode::CONFLICT,
                "last_administrator",
                format!("{name} is the only administrator. Make another one first."),
            ),
            UserError::LinkEnded => ApiError::new(StatusCode::GONE, "link_ended", "This link was used, or has ended."),
        }
    }
}
