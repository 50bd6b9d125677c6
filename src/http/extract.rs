//! What handlers ask of a request: who calls, and what the body says.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::App;
use super::error::ApiError;
use crate::actions::Caller;
use crate::auth::api_key;
use crate::domain::json::{self, Object};
use crate::store::api_key::Scope;

/// How long a body may take to arrive.
const SLOWEST_BODY: Duration = Duration::from_secs(30);

macro_rules! scoped {
    ($(#[$doc:meta])* $name:ident, $scope:expr) => {
        $(#[$doc])*
        pub struct $name(pub Caller);

        impl FromRequest for $name {
            type Error = ApiError;
            type Future = Ready<Result<$name, ApiError>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready(authorize(request, $scope).map($name))
            }
        }
    };
}

scoped!(
    /// A key that may publish.
    Publisher,
    Scope::Publish
);
scoped!(
    /// A key that may read.
    Reader,
    Scope::Read
);
scoped!(
    /// A key that may do everything.
    Administrator,
    Scope::Admin
);

fn authorize(request: &HttpRequest, needed: Scope) -> Result<Caller, ApiError> {
    let app = app(request)?;
    let text = key_text(request).ok_or_else(|| {
        ApiError::unauthorized(
            "No API key. Send it as \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\"; \"hookpost keys create\" makes one.",
        )
    })?;
    let found = app
        .actions
        .store
        .read(|connection| api_key::authenticate(connection, text))?;
    let key = found
        .ok_or_else(|| ApiError::unauthorized("This API key does not exist, or was revoked."))?;
    if !api_key::covers(key.scope, needed) {
        return Err(ApiError::forbidden(format!(
            "This key has the scope {}; the call needs {needed}.",
            key.scope
        )));
    }
    Ok(api_key::caller(&key))
}

fn key_text(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().ok()?;
        let (scheme, key) = value.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| key.trim());
    }
    headers.get("x-api-key")?.to_str().ok().map(str::trim)
}

fn app(request: &HttpRequest) -> Result<&App, ApiError> {
    request
        .app_data::<Data<App>>()
        .map(|data| &***data)
        .ok_or_else(|| ApiError::internal(&"the server was put together without its state"))
}

/// Refuses the key of one tenant, for what all tenants share.
pub fn require_all_tenants(caller: &Caller) -> Result<(), ApiError> {
    match &caller.tenant {
        None => Ok(()),
        Some(tenant) => Err(ApiError::forbidden(format!(
            "This key is for the tenant {tenant} alone; this is shared by all of them."
        ))),
    }
}

/// A JSON body: arrived whole, within its limit, UTF-8, not too deep, without lone surrogates.
pub struct JsonBody(Bytes);

impl FromRequest for JsonBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<JsonBody, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let checked = check_headers(request).and_then(|()| app(request));
        let limit = match checked {
            Ok(app) => app.limits.single,
            Err(error) => return Box::pin(ready(Err(error))),
        };
        let payload = payload.take();
        Box::pin(async move {
            let body = tokio::time::timeout(SLOWEST_BODY, read(payload, limit))
                .await
                .map_err(|_| {
                    ApiError::malformed(
                        "body_too_slow",
                        "The body did not arrive within 30 seconds.",
                    )
                })??;
            json::check(&body)?;
            Ok(JsonBody(body))
        })
    }
}

impl JsonBody {
    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The body as what it should be. An empty one counts as `{}`, where everything is optional.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse(&self.0)
    }
}

/// A JSON object as a type: 400 where it is no JSON, 422 with the field where it is another thing.
pub fn parse<'de, T: serde::Deserialize<'de>>(body: &'de [u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        explain(error.into_inner()).below(path.trim_matches(['.', '?']))
    })?;
    deserializer.end().map_err(explain)?;
    Ok(value)
}

fn explain(error: serde_json::Error) -> ApiError {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => {
            let text = error.to_string();
            let text = text
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            let quoted = text.split('`').nth(1).map(str::to_owned);
            let (code, has_name) = if text.starts_with("unknown field") {
                ("unknown_field", true)
            } else if text.starts_with("missing field") {
                ("missing_field", true)
            } else if text.starts_with("duplicate field") {
                ("duplicate_field", true)
            } else {
                ("invalid_type", false)
            };
            let mut letters = text.chars();
            let first = letters.next().unwrap_or_default().to_uppercase();
            let error = ApiError::invalid(code, format!("{first}{}.", letters.as_str()));
            match quoted {
                Some(name) if has_name => error.in_field(name),
                _ => error,
            }
        }
        Category::Syntax | Category::Eof | Category::Io => {
            ApiError::malformed("malformed_json", format!("The body is not JSON: {error}."))
        }
    }
}

fn check_headers(request: &HttpRequest) -> Result<(), ApiError> {
    let headers = request.headers();
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && encoding.as_bytes() != b"identity"
    {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_encoding",
            "Send the body without Content-Encoding.",
        ));
    }
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = content_type.to_str().unwrap_or_default().split(';').next();
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || essence.ends_with("+json") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send JSON, with Content-Type: application/json.",
    ))
}

async fn read(mut payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = next(&mut payload).await {
        let chunk = chunk.map_err(|error| {
            ApiError::malformed(
                "incomplete_body",
                format!("The body could not be read: {error}."),
            )
        })?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("A body has at most {limit} bytes here."),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

async fn next(payload: &mut Payload) -> Option<Result<Bytes, actix_web::error::PayloadError>> {
    use actix_web::dev::Payload as P;
    std::future::poll_fn(|context| {
        let payload: &mut P = payload;
        futures_core::Stream::poll_next(Pin::new(payload), context)
    })
    .await
}

/// A query string as a type whose fields are all optional text; an unknown one is a 422 that names it.
pub fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, ApiError> {
    actix_web::web::Query::<T>::from_query(request.query_string())
        .map(actix_web::web::Query::into_inner)
        .map_err(|error| {
            let text = error.to_string();
            let name = text.split('`').nth(1).unwrap_or_default().to_owned();
            ApiError::invalid(
                "unknown_parameter",
                format!("The query is refused: {text}."),
            )
            .in_field(name)
        })
}
