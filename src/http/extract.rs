//! Extractors: the caller of a request, its body and its query.

use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Data, Query};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_core::Stream as _;
use serde::Deserializer as _;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::App;
use super::error::ApiError;
use super::json_error;
use super::shares::{Held, Share, Taken};
use crate::actions::Caller;
use crate::auth::api_key;
use crate::domain::event::Tenant;
use crate::domain::json::{self, Object};
use crate::domain::time::rfc3339_seconds;
use crate::store::api_key::{ApiKey, Scope};

/// Time within which a body has to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

macro_rules! scoped {
    ($($(#[$doc:meta])* $name:ident = $scope:expr;)+) => {$(
        $(#[$doc])*
        pub struct $name(pub Caller);

        impl FromRequest for $name {
            type Error = ApiError;
            type Future = Ready<Result<$name, ApiError>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready(authorize(request, $scope).map($name))
            }
        }
    )+};
}

scoped! {
    /// Caller whose key has the scope `publish`.
    Publisher = Scope::Publish;
    /// Caller whose key has the scope `read`.
    Reader = Scope::Read;
    /// Caller whose key has the scope `admin`.
    Administrator = Scope::Admin;
}

/// Returns the API key of a request, which exists and has not ended.
pub(super) fn find_key(request: &HttpRequest) -> Result<ApiKey, ApiError> {
    let app = app(request)?;
    let text = key_in_headers(request).ok_or_else(|| {
        ApiError::unauthorized(
            "Missing API key. Send \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\"; \"hookpost keys create\" creates a key.",
        )
    })?;
    let unknown = || ApiError::unauthorized("This API key does not exist or was revoked.");
    // A made-up key costs no look-up.
    if !api_key::is_well_formed(text) {
        return Err(unknown());
    }
    let found = app.actions.store.read_for_auth(|connection| api_key::authenticate(connection, text))?;
    let key = found.ok_or_else(unknown)?;
    let now = app.actions.clock.now_ms();
    if let Some(ends_ms) = key.ends_ms.filter(|_| key.has_ended(now)) {
        let ended = rfc3339_seconds(ends_ms);
        return Err(ApiError::unauthorized(&format!("This API key expired at {ended}. Use a new one.")));
    }
    Ok(key)
}

fn authorize(request: &HttpRequest, needed: Scope) -> Result<Caller, ApiError> {
    let app = app(request)?;
    let key = find_key(request)?;
    let now = app.actions.clock.now_ms();
    app.rate_limits.take(request, &key, now)?;
    if !api_key::covers(key.scope, needed) {
        return Err(ApiError::forbidden(format!("This key has the scope {}; this call requires {needed}.", key.scope)));
    }
    app.key_last_used.record(&app.actions.store, &key, now);
    if let Some(tenant) = &key.tenant {
        request.extensions_mut().insert(BodyOwner(tenant.clone()));
    }
    Ok(api_key::caller(&key).at(app.site.client_address(request)))
}

fn key_in_headers(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = value.to_str().ok()?;
        let (scheme, key) = value.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| key.trim());
    }
    headers.get("x-api-key")?.to_str().ok().map(str::trim)
}

pub fn app(request: &HttpRequest) -> Result<&Data<App>, ApiError> {
    request.app_data().ok_or_else(|| ApiError::internal(&"the server has no App state"))
}

/// Refuses a key of one tenant, for resources shared by all tenants.
pub fn require_all_tenants(caller: &Caller) -> Result<(), ApiError> {
    match &caller.tenant {
        None => Ok(()),
        Some(tenant) => Err(ApiError::forbidden(format!(
            "This key is limited to the tenant {tenant}; this call requires a key for all tenants."
        ))),
    }
}

/// Tenant in whose share of the memory the body of a request is read.
struct BodyOwner(Tenant);

/// Complete JSON body: within the size and nesting limits, UTF-8, without lone surrogates. Comes after the caller.
pub struct JsonBody {
    bytes: Bytes,
    _memory: Option<Held>,
}

impl FromRequest for JsonBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<JsonBody, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            check_headers(&request)?;
            let app = app(&request)?;
            let owner = request.extensions_mut().remove::<BodyOwner>();
            let tenant = owner.as_ref().map(|BodyOwner(tenant)| tenant);
            let (bytes, memory) = read_body(app, payload, app.limits.single, tenant).await?;
            json::check(&bytes)?;
            Ok(JsonBody { bytes, _memory: memory })
        })
    }
}

impl JsonBody {
    /// The bytes as they arrived.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Parses the body. An empty one counts as `{}`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse(&self.bytes)
    }
}

/// Parses a JSON object: 400 if the text is not JSON, 422 with all fields that do not fit.
pub fn parse<'de, T: serde::Deserialize<'de>>(body: &'de [u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let first = json_error::of_body(error.inner(), &error.path().to_string());
        first.with_others(json_error::all_of_body::<T>(body).into_iter().skip(1))
    })?;
    deserializer.end().map_err(|error| json_error::of_body(&error, ""))?;
    Ok(value)
}

fn check_headers(request: &HttpRequest) -> Result<(), ApiError> {
    check_encoding(request)?;
    match media_type(request) {
        None => Ok(()),
        Some(essence) if is_json(&essence) => Ok(()),
        Some(_) => {
            Err(ApiError::unsupported("unsupported_media_type", "Send JSON with Content-Type: application/json."))
        }
    }
}

fn check_encoding(request: &HttpRequest) -> Result<(), ApiError> {
    let headers = request.headers();
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && encoding.as_bytes() != b"identity"
    {
        return Err(ApiError::unsupported("unsupported_encoding", "Send the body without Content-Encoding."));
    }
    Ok(())
}

/// Returns the media type of the body, in lower case and without parameters.
fn media_type(request: &HttpRequest) -> Option<String> {
    let content_type = request.headers().get(header::CONTENT_TYPE)?;
    let essence = content_type.to_str().unwrap_or_default().split(';').next();
    Some(essence.unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json")
}

/// Complete body of a batch, within its limit. Holds permits for its memory until dropped.
pub struct BatchBody {
    pub bytes: Bytes,
    /// Whether the body is newline-delimited JSON rather than an array.
    pub is_lines: bool,
    pub memory: Held,
}

impl BatchBody {
    /// Reads the body of a caller's request once there is memory for it: in the share of the caller's tenant, or for
    /// operators in all of it.
    pub async fn read(
        app: &App,
        request: &HttpRequest,
        caller: &Caller,
        payload: Payload,
    ) -> Result<BatchBody, ApiError> {
        let is_lines = check_batch_headers(request)?;
        let limit = app.limits.batch;
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|text| text.to_str().ok()?.parse::<usize>().ok());
        let bytes = length.unwrap_or(limit);
        if bytes > limit {
            return Err(ApiError::too_large(limit));
        }
        let share = caller.tenant.as_ref().map_or_else(|| app.batches.whole(), |tenant| app.batches.of(tenant));
        let mib = bytes.div_ceil(1 << 20).max(1) as u32;
        let Ok(Ok(memory)) = tokio::time::timeout(BODY_TIMEOUT, share.permits(mib)).await else {
            return Err(ApiError::unavailable(
                "overloaded",
                "Too many batches are in progress. Nothing was stored. Retry in a moment.",
            ));
        };
        Ok(BatchBody { bytes: read_in_time(payload, limit).await?, is_lines, memory })
    }
}

/// Returns whether a batch is newline-delimited JSON; 415 if it is neither that nor JSON.
fn check_batch_headers(request: &HttpRequest) -> Result<bool, ApiError> {
    check_encoding(request)?;
    match media_type(request).as_deref() {
        None => Ok(false),
        Some("application/x-ndjson" | "application/ndjson") => Ok(true),
        Some(essence) if is_json(essence) => Ok(false),
        Some(_) => Err(ApiError::unsupported(
            "unsupported_media_type",
            "Send a JSON array with Content-Type: application/json, or one event per line with Content-Type: application/x-ndjson.",
        )),
    }
}

/// Returns the unparsed elements of a JSON array, at most `most`, and the count of all.
pub fn elements(body: &[u8], most: usize) -> Result<(Vec<&RawValue>, usize), ApiError> {
    struct Elements(usize);
    impl<'de> Visitor<'de> for Elements {
        type Value = (Vec<&'de RawValue>, usize);

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut kept = Vec::new();
            while kept.len() < self.0
                && let Some(element) = seq.next_element()?
            {
                kept.push(element);
            }
            let mut count = kept.len();
            while count >= self.0 && seq.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok((kept, count))
        }
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let found = deserializer.deserialize_seq(Elements(most)).map_err(|error| json_error::of_body(&error, ""))?;
    deserializer.end().map_err(|error| json_error::of_body(&error, ""))?;
    Ok(found)
}

/// Reads a body of at most `limit` bytes within 30 seconds.
pub async fn read_in_time(payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    in_time(read(payload, limit)).await
}

async fn in_time(read: impl Future<Output = Result<Bytes, ApiError>>) -> Result<Bytes, ApiError> {
    tokio::time::timeout(BODY_TIMEOUT, read)
        .await
        .map_err(|_| ApiError::malformed("body_too_slow", "The body did not arrive within 30 seconds."))?
}

async fn read(payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    read_counted(payload, limit, |_| Ok(())).await
}

/// Like [`read_in_time`]. The body of a tenant's request is read within the tenant's share of the memory for bodies.
pub async fn read_body(
    app: &App,
    payload: Payload,
    limit: usize,
    tenant: Option<&Tenant>,
) -> Result<(Bytes, Option<Held>), ApiError> {
    match tenant {
        Some(tenant) => read_within(payload, limit, &app.bodies.of(tenant), too_much).await,
        None => Ok((read_in_time(payload, limit).await?, None)),
    }
}

fn too_much(taken: Taken) -> ApiError {
    match taken {
        Taken::Share => ApiError::rate_limited(
            "The requests of this tenant have bodies of 16 MiB at a time. Nothing was stored. Retry in 1 s.",
            1,
        ),
        Taken::All => ApiError::unavailable(
            "overloaded",
            "Too many requests are being received. Nothing was stored. Retry in a moment.",
        ),
    }
}

/// Reads a body of at most `limit` bytes within 30 seconds. Takes a permit of `memory` for each byte as it arrives, so that
/// a slow sender holds no more than it sent; `refused` makes the error if there are none left.
pub async fn read_within(
    payload: Payload,
    limit: usize,
    memory: &Share,
    refused: fn(Taken) -> ApiError,
) -> Result<(Bytes, Option<Held>), ApiError> {
    let mut held: Option<Held> = None;
    let take = |bytes: usize| {
        let more = memory.take(bytes as u32).map_err(refused)?;
        match &mut held {
            Some(held) => held.add(more),
            None => held = Some(more),
        }
        Ok(())
    };
    let body = in_time(read_counted(payload, limit, take)).await?;
    Ok((body, held))
}

async fn read_counted(
    mut payload: Payload,
    limit: usize,
    mut take: impl FnMut(usize) -> Result<(), ApiError>,
) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = std::future::poll_fn(|context| Pin::new(&mut payload).poll_next(context)).await {
        let chunk = chunk
            .map_err(|error| ApiError::malformed("incomplete_body", format!("Could not read the body: {error}.")))?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::too_large(limit));
        }
        take(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Parses a query string into a type whose fields are all optional texts; 422 names an unknown one.
pub fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, ApiError> {
    Query::<T>::from_query(request.query_string())
        .map(Query::into_inner)
        .map_err(|error| json_error::of_query(&error.to_string()))
}
