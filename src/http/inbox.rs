//! `/in/{token}`: receives requests for the built-in inboxes, from anybody who knows the URL. Only the page of the
//! inbox shows them, to its owner.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::read_within;
use super::shares::Taken;
use super::{App, blocking};
use crate::actions::inbox::Arrival;
use crate::domain::token_bucket::Rate;
use crate::store::inbox;

/// Largest body in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Bytes of all bodies in memory at a time.
pub const MOST_BYTES: usize = 32 << 20;
/// Bytes of the bodies of one inbox in memory at a time.
pub const MOST_BYTES_OF_ONE: usize = 4 << 20;
/// Bytes of header names and values that are stored.
const KEPT_HEADERS: usize = 16 << 10;
/// Longest delay that a caller may request, in seconds.
const MAX_DELAY_S: u64 = 30;
/// Rate limit of an inbox. Its URL is the only credential, so it bounds the writes of anyone who knows the URL.
const RATE: Rate = Rate { per_second: 100, burst: 200 };

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/in/{token}").route(web::route().to(receive)));
}

/// Query parameters that select the response, to simulate a failing receiver.
#[derive(Deserialize)]
struct ResponseQuery {
    status: Option<String>,
    delay_s: Option<String>,
}

impl ResponseQuery {
    /// Returns the status (200 to 599) and the delay (up to 30 s).
    fn parse(request: &HttpRequest) -> Result<(StatusCode, Duration), ApiError> {
        // Other parameters belong to the sender.
        let query = web::Query::<ResponseQuery>::from_query(request.query_string())
            .map_or(ResponseQuery { status: None, delay_s: None }, web::Query::into_inner);
        let status = query.status.as_deref().unwrap_or("200");
        let status = status
            .parse()
            .ok()
            .filter(|code| (200..=599).contains(code))
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or_else(|| ApiError::invalid("invalid_status", "status must be from 200 to 599.").in_field("status"))?;
        let delay = query.delay_s.as_deref().unwrap_or("0");
        let delay = delay.parse().ok().filter(|seconds| *seconds <= MAX_DELAY_S).ok_or_else(|| {
            ApiError::invalid("invalid_delay", "delay_s must be a whole number from 0 to 30.").in_field("delay_s")
        })?;
        Ok((status, Duration::from_secs(delay)))
    }
}

/// Stores a request of any method, then responds with `{"ok":true}` under `?status=` after `?delay_s=`.
async fn receive(
    app: Data<App>,
    token: Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let (status, delay) = ResponseQuery::parse(&request)?;
    let actions = app.actions.clone();
    let found = blocking(move || actions.store.read(|connection| inbox::by_token(connection, &token)));
    let inbox = found.await??.ok_or_else(|| ApiError::not_found("No inbox has this URL."))?;
    if app.inbox_rates.count(&request, "inbox", &inbox.seq, RATE, app.actions.clock.now_ms()).is_err() {
        return Err(ApiError::too_many(
            "too_fast",
            "An inbox accepts 100 requests per second. This request was not stored; send higher volumes to your own receiver.",
            1,
        ));
    }
    let headers = headers(&request);
    let memory = app.inbox_bodies.of(&inbox.seq);
    let (body, memory) = read_within(payload.into_inner(), MAX_BYTES, &memory, refusal).await?;
    let arrival = Arrival {
        method: request.method().to_string(),
        query: request.query_string().to_owned(),
        headers,
        body: body.into(),
        code: status.as_u16(),
    };
    let actions = app.actions.clone();
    let stored = blocking(move || {
        let _memory = memory;
        actions.receive(&inbox, arrival)
    });
    let echo = stored.await??;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let mut response = HttpResponse::build(status);
    if matches!(status.as_u16(), 204 | 205 | 304) {
        return Ok(response.finish());
    }
    let mut json = serde_json::Map::new();
    json.insert("ok".to_owned(), status.is_success().into());
    if let Some((field, text)) = echo {
        json.insert(field, text.into());
    }
    Ok(response.json(json))
}

fn refusal(taken: Taken) -> ApiError {
    match taken {
        Taken::Share => ApiError::too_many(
            "too_fast",
            "An inbox receives 4 MiB at a time. This request was not stored; send fewer bodies at once.",
            1,
        ),
        Taken::All => ApiError::unavailable(
            "overloaded",
            "Too many requests are being received. Nothing was stored. Retry in a moment.",
        ),
    }
}

/// Returns the first headers as they arrived, up to the stored size. A browser that opens the URL also sends its
/// session cookie, which readers of the inbox must not see.
fn headers(request: &HttpRequest) -> Vec<(String, String)> {
    let mut room = KEPT_HEADERS;
    let mut kept = Vec::new();
    for (name, value) in request.headers() {
        let text = String::from_utf8_lossy(value.as_bytes());
        let value = match name {
            &header::COOKIE => without_own_cookies(&text),
            _ => text.into_owned(),
        };
        let Some(rest) = room.checked_sub(name.as_str().len() + value.len()) else {
            continue;
        };
        room = rest;
        kept.push((name.to_string(), value));
    }
    kept
}

fn without_own_cookies(text: &str) -> String {
    let is_own = |pair: &str| {
        let name = pair.trim_start();
        name.starts_with("hookpost_") || name.starts_with("__Host-hookpost")
    };
    let pairs = text.split(';').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_own(name) => format!("{name}=(left out)"),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookies_of_the_pages_are_left_out_and_no_others() {
        let text = "a=1; hookpost_8080=secret; hookpost_8080_flash=x; __Host-hookpost=y; b=2";
        assert_eq!(
            without_own_cookies(text),
            "a=1; hookpost_8080=(left out); hookpost_8080_flash=(left out); __Host-hookpost=(left out); b=2"
        );
    }
}
