//! `Idempotency-Key` of calls that change something: the answer is stored, and repeated to a repeated call.
//!
//! A key belongs to the API key that sends it, so nobody gets an answer that another API key was given. The call begins with a
//! row, and ends with its answer in it: if the server stops in between, nobody knows whether the call was made, and a
//! repeated one is refused. It goes on if its client leaves, since clients that lost the answer repeat the call. Errors are not
//! stored: nothing was changed, and the call may be repeated with the same key.

use actix_http::h1;
use actix_web::HttpMessage as _;
use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError as _};
use sha2::{Digest as _, Sha256};

use super::App;
use super::error::ApiError;
use super::extract::{app, find_key, read_body};
use super::request_id;
use crate::domain::same_json;
use crate::store::answer::{self, Answer, Begun, MAX_BODY, Made};
use crate::store::{Store, StoreError};

/// Marks an answer that is repeated.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Headers of an answer that are kept.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];

/// Returns the `Idempotency-Key` of a request: 1 to 255 printable ASCII characters.
pub(super) fn key_of(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()) && !key.contains('\t'));
    let key = key.ok_or_else(|| {
        ApiError::invalid("invalid_idempotency_key", "An Idempotency-Key must be 1 to 255 printable ASCII characters.")
            .in_field("Idempotency-Key")
    })?;
    Ok(Some(key.to_owned()))
}

/// Returns the error of a key that was used for another call.
fn reused() -> ApiError {
    ApiError::conflict(
        "idempotency_key_reused",
        "This Idempotency-Key was used for a different request in the last 24 hours. Use a new key for a new request.",
    )
}

/// Serves a call, or repeats the answer of the same call before.
pub(super) async fn serve(mut request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    let (app, seq) = match begin(&mut request).await {
        Ok(Start::Plain) => return next.call(request).await,
        Ok(Start::New(app, seq)) => (*app, seq),
        Ok(Start::Repeated(response)) => return Ok(request.into_response(response)),
        Err(error) => return Ok(request.into_response(error.error_response())),
    };
    let in_progress = app.begin_request();
    let work = request_id::spawn(async move {
        let _in_progress = in_progress;
        finish(&app.actions.store, seq, next.call(request).await).await
    });
    work.await.unwrap_or_else(|error| Err(ApiError::internal(&error).into()))
}

enum Start {
    /// A call without a key, or of nobody.
    Plain,
    /// A new call, by its number.
    New(Box<App>, i64),
    Repeated(HttpResponse),
}

async fn begin(request: &mut ServiceRequest) -> Result<Start, ApiError> {
    let Some(key) = key_of(request.request())? else {
        return Ok(Start::Plain);
    };
    // The handler refuses those who may not call, too.
    let Ok(api_key) = find_key(request.request()) else {
        return Ok(Start::Plain);
    };
    let app = App::clone(app(request.request())?);
    let payload = request.take_payload();
    let (body, memory) = read_body(&app, payload, app.limits.single, api_key.tenant.as_ref()).await?;
    // The handler reads the body again, and counts it itself.
    drop(memory);
    let call = Made { api_key_seq: api_key.seq, key, fingerprint: fingerprint(request.request(), &body) };
    let (_, mut payload) = h1::Payload::create(true);
    payload.unread_data(body);
    request.set_payload(payload.into());
    let begun = app.actions.store.write(move |tx| answer::begin(tx, &call)).committed().await?;
    if let Begun::New(seq) = begun {
        return Ok(Start::New(Box::new(app), seq));
    }
    app.rate_limits.take(request.request(), &api_key, app.actions.clock.now_ms())?;
    match begun {
        Begun::New(seq) => Ok(Start::New(Box::new(app), seq)),
        Begun::Made(answer) => repeated(answer).map(Start::Repeated),
        Begun::Different => Err(reused()),
        Begun::Unknown => Err(ApiError::conflict(
            "idempotency_key_in_use",
            "A request with this Idempotency-Key is under way, or the server stopped while it was. Repeat it in a moment; if it stays so, look whether it was done, and use a new key.",
        )
        .with_header("Retry-After", "1")),
    }
}

/// Returns a hash of what a call asks for.
fn fingerprint(request: &HttpRequest, body: &[u8]) -> [u8; 32] {
    let (path, query) = (request.path().as_bytes(), request.query_string().as_bytes());
    let parts = [path, b"?", query, b"\n", &same_json::digest(if body.is_empty() { b"{}" } else { body })];
    Sha256::digest(parts.concat()).into()
}

fn repeated(answer: Answer) -> Result<HttpResponse, ApiError> {
    let Some(body) = answer.body else {
        return Err(ApiError::conflict(
            "answer_not_kept",
            "The request with this Idempotency-Key was done, but its response was too long to keep. Nothing was done again.",
        ));
    };
    let status = StatusCode::from_u16(answer.status).map_err(|error| ApiError::internal(&error))?;
    let mut response = HttpResponse::build(status);
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    Ok(response.insert_header((REPLAYED, HeaderValue::from_static("true"))).body(body))
}

/// Stores the answer of a call if it succeeded; otherwise the call can be made again.
async fn finish(
    store: &Store,
    seq: i64,
    response: Result<ServiceResponse<BoxBody>, Error>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let kept = match response {
        Ok(response) if response.status().is_success() => {
            let (request, response) = response.into_parts();
            let (head, body) = response.into_parts();
            let body = to_bytes(body).await.map_err(|_| ApiError::internal(&"a response has no body"))?;
            let answer = answer_of(&head, &body);
            let stored = store.write(move |tx| answer::finish(tx.connection(), seq, &answer)).committed().await;
            note(stored);
            return Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(body))));
        }
        other => other,
    };
    note(store.write(move |tx| answer::release(tx.connection(), seq)).committed().await);
    kept
}

/// Logs that an answer was not stored. The call was made all the same.
fn note(stored: Result<(), StoreError>) {
    if let Err(error) = stored {
        log::warn!("the answer to an Idempotency-Key was not stored, so a repeated call is refused: {error}");
    }
}

fn answer_of(head: &HttpResponse<()>, body: &Bytes) -> Answer {
    let header = |name: &HeaderName| {
        let value = head.headers().get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    Answer {
        status: head.status().as_u16(),
        headers: KEPT.iter().filter_map(header).collect(),
        body: (body.len() <= MAX_BODY).then(|| body.to_vec()),
    }
}
