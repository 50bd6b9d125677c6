//! Errors as clients see them: one JSON form under every path.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;

use super::request_id::{self, RequestId};
use crate::actions::ActionError;
use crate::actions::tenant_limits::own_queue_full;
use crate::auth::users::UserError;
use crate::domain::Invalid;
use crate::store::StoreError;

/// Media type of errors (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error of the API, sent as a problem of RFC 9457.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Message without the settings of the server, for people of a tenant, if it differs.
    tenant_message: Option<String>,
    field: Option<Box<str>>,
    /// Further problems of the same request.
    others: Box<[Invalid]>,
    /// Name and value of an extra header, such as `Retry-After`.
    header: Option<Box<(&'static str, Cow<'static, str>)>>,
}

/// Error response: a problem of RFC 9457. `error` repeats the first problem for programs that read errors there.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorBody<'a> {
    /// Link to the description of the code, relative to the server's URL.
    #[serde(rename = "type")]
    kind: String,
    /// Summary of the code.
    title: String,
    /// Status of the response.
    status: u16,
    /// The problem and how to fix it, for people.
    detail: &'a str,
    /// A stable code, for programs.
    code: &'a str,
    /// The invalid field or parameter, as a path such as `headers.X-Api-Key` or `[3].type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    field: Option<&'a str>,
    /// With status 422: all problems that were found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError<'a>>,
    /// Id of the request, as in `X-Request-Id` and the server's log.
    request_id: String,
    error: FieldError<'a>,
}

/// One problem of a request.
#[derive(Serialize, JsonSchema)]
struct FieldError<'a> {
    /// A stable code, for programs.
    code: &'a str,
    /// The problem and how to fix it, for people.
    message: &'a str,
    /// The invalid field or parameter, as a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    field: Option<&'a str>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            code,
            message: shortened(message.into()),
            tenant_message: None,
            field: None,
            others: Box::default(),
            header: None,
        }
    }

    /// 400: the request could not be read.
    pub fn malformed(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 422: validation failed.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 308: the resource has another path, to which the request may be repeated as it is.
    pub fn moved(path: &str) -> ApiError {
        let location = format!("{}{path}", request_id::path_prefix());
        let message = format!("The path has no slash at its end. Send the request to {location}.");
        ApiError::new(StatusCode::PERMANENT_REDIRECT, "moved", message).with_header("Location", location)
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

    pub fn conflict(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, code, message)
    }

    pub fn unsupported(code: &'static str, message: &str) -> ApiError {
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, message)
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> ApiError {
        let message = format!("The body is too large. The limit is {limit} bytes.");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// 503: the call may succeed in a moment.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message).with_header("Retry-After", "1")
    }

    /// 503: the server is shutting down.
    pub fn stopping() -> ApiError {
        ApiError::unavailable("stopping", "Hookpost is stopping.")
    }

    /// 429: the client is at a limit.
    pub fn too_many(code: &'static str, message: impl Into<String>, retry_after_s: i64) -> ApiError {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, code, message)
            .with_header("Retry-After", retry_after_s.to_string())
    }

    /// 429: a rate limit is exceeded.
    pub fn rate_limited(message: impl Into<String>, retry_after_s: i64) -> ApiError {
        ApiError::too_many("rate_limited", message, retry_after_s)
    }

    /// 500. Logs the cause under the request's id, which the response names.
    pub fn internal(cause: &dyn fmt::Display) -> ApiError {
        let id = RequestId::current();
        log::error!(request_id:% = id; "internal error: {cause}");
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            format!("Internal error. See the server's log for request {id}."),
        )
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// Message for people of a tenant, who know nothing of the server's settings.
    pub fn tenant_message(&self) -> &str {
        self.tenant_message.as_deref().unwrap_or(&self.message)
    }

    #[must_use]
    pub fn with_tenant_message(self, message: impl Into<String>) -> ApiError {
        ApiError { tenant_message: Some(message.into()), ..self }
    }

    /// Name and value of the extra header.
    pub fn header(&self) -> Option<(&'static str, &str)> {
        self.header.as_deref().map(|(name, value)| (*name, &**value))
    }

    #[must_use]
    pub fn in_field(mut self, field: impl Into<String>) -> ApiError {
        self.field = Some(shortened(field.into()).into());
        self
    }

    /// Sets the field, if there is one.
    fn in_optional_field(self, field: Option<impl Into<String>>) -> ApiError {
        match field {
            Some(field) => self.in_field(field),
            None => self,
        }
    }

    /// Sets further problems of the same request.
    #[must_use]
    pub fn with_others(mut self, others: impl IntoIterator<Item = Invalid>) -> ApiError {
        self.others = others.into_iter().collect();
        self
    }

    /// Returns the problem without its status.
    pub(super) fn into_invalid(self) -> Invalid {
        let (field, others) = (self.field.map(String::from), self.others.into_vec());
        Invalid { code: self.code, message: self.message, field, others }
    }

    /// Prefixes the field with the path of its parent, unless the path already ends with the field.
    #[must_use]
    pub fn within(self, path: &str) -> ApiError {
        match &self.field {
            _ if path.is_empty() => self,
            Some(name) if *path != **name && !path.ends_with(&format!(".{name}")) => {
                let field = format!("{path}.{name}");
                self.in_field(field)
            }
            _ => self.in_field(path),
        }
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> ApiError {
        self.header = Some(Box::new((name, value.into())));
        self
    }
}

/// Seconds after which a client may find room in a full queue.
const QUEUE_FULL_RETRY_S: i64 = 30;

/// Largest message or field path in bytes: both may quote the request.
const MAX_TEXT_BYTES: usize = 800;

/// Shortens a long text in the middle: its beginning states the problem, its end the fix.
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
        if let Some(header) = self.header() {
            response.insert_header(header);
        }
        response.insert_header((header::CONTENT_TYPE, PROBLEM_JSON)).body(self.to_json())
    }
}

impl ApiError {
    /// Returns the body of the response.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let (code, message, field) = (self.code, self.message.as_str(), self.field.as_deref());
        let mut errors = Vec::new();
        if self.status == StatusCode::UNPROCESSABLE_ENTITY {
            errors.push(FieldError { code, message, field });
            errors.extend(self.others.iter().map(|other| FieldError {
                code: other.code,
                message: &other.message,
                field: other.field.as_deref(),
            }));
        }
        let body = ErrorBody {
            kind: format!("{}/docs/errors#{code}", request_id::path_prefix()),
            title: title(code),
            status: self.status.as_u16(),
            detail: message,
            code,
            field,
            errors,
            request_id: RequestId::current().to_string(),
            error: FieldError { code, message, field },
        };
        serde_json::to_vec(&body).expect("an error is texts and numbers")
    }
}

/// Returns the summary of a code: `invalid_url` is "Invalid URL".
fn title(code: &str) -> String {
    let words = code.split('_').enumerate().map(|(index, word)| match word {
        "api" | "id" | "json" | "tls" | "url" => word.to_uppercase(),
        "ids" => "IDs".to_owned(),
        _ if index == 0 => word[..1].to_uppercase() + &word[1..],
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> ApiError {
        ApiError::invalid(invalid.code, invalid.message).in_optional_field(invalid.field).with_others(invalid.others)
    }
}

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> ApiError {
        match error {
            ActionError::Invalid(invalid) => invalid.into(),
            ActionError::NotFound(resource) => ApiError::not_found(format!("No such {resource}.")),
            ActionError::Conflict { code, message, field } => {
                ApiError::conflict(code, message).in_optional_field(field)
            }
            ActionError::Changed => {
                ApiError::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", error.to_string())
            }
            ActionError::Forbidden(message) => ApiError::forbidden(message),
            ActionError::QueueFull { most, done, .. } => {
                ApiError::too_many("queue_full", error.to_string(), QUEUE_FULL_RETRY_S)
                    .with_tenant_message(own_queue_full(most, done))
            }
            ActionError::Store(error) => error.into(),
            ActionError::Partly { done, cause } => ApiError::unavailable(
                "interrupted",
                format!(
                    "Interrupted after {done}, which are stored: {cause}. Count the rest with \"dry_run\": true before you call again."
                ),
            ),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        let (code, message) = match &error {
            StoreError::Full => {
                ("disk_full", "The disk of the database is full. Nothing was stored. Free some space, then retry.")
            }
            StoreError::Busy => {
                ("database_busy", "Another program has locked the database. Nothing was stored. Retry in a moment.")
            }
            StoreError::Undone => (
                "database_busy",
                "Another change met a damaged page of the database. Nothing was stored. Retry in a moment.",
            ),
            StoreError::Overloaded => {
                ("overloaded", "Too many writes are queued. Nothing was stored. Retry in a moment.")
            }
            StoreError::Stopping => ("stopping", "Hookpost is stopping. Nothing was stored. Retry in a moment."),
            StoreError::Unavailable(_) => (
                "store_unavailable",
                "The database is unavailable. The request may have been stored; retry with the same id.",
            ),
            StoreError::Panicked | StoreError::DamagedPage(_) | StoreError::Corrupt(_) | StoreError::Sqlite(_) => {
                return ApiError::internal(&error);
            }
        };
        log::warn!("a request is refused for now: {error}");
        ApiError::unavailable(code, message)
    }
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> ApiError {
        match error {
            UserError::Invalid(invalid) => invalid.into(),
            UserError::Store(error) => error.into(),
            UserError::Taken(name) => {
                ApiError::conflict("name_taken", format!("A user named {name} already exists.")).in_field("name")
            }
            UserError::Unknown(name) => ApiError::not_found(format!("No such user: {name}.")),
            UserError::LastAdministrator(name) => ApiError::conflict(
                "last_administrator",
                format!("{name} is the only administrator. Make another user an administrator first."),
            ),
            UserError::WrongCode => ApiError::invalid(
                "wrong_code",
                "Wrong code. Each code works once; wait for the next one. The clocks of the phone and the server must be right.",
            )
            .in_field("code"),
            UserError::LinkEnded => {
                ApiError::new(StatusCode::GONE, "link_ended", "This link has expired or was already used.")
            }
        }
    }
}
