//! `/in/{token}`: where the built-in inboxes take requests in, from anybody who knows the URL. It shows nothing of
//! what arrived; the page does, to those whose inbox it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::read_in_time;
use super::{App, blocking};
use crate::actions::inbox::Arrival;
use crate::domain::time::{Millis, SECOND};
use crate::store::inbox;

/// Bytes of a body at most.
const MOST_BYTES: usize = 1 << 20;
/// Bytes of headers, names and values, that are kept.
const KEPT_HEADERS: usize = 16 << 10;
/// The longest wait that a caller may ask for, in seconds.
const LONGEST_DELAY_S: u64 = 30;
/// Requests that an inbox takes in a second.
const PER_SECOND: i64 = 100;
/// Requests that it takes at once.
const AT_ONCE: i64 = 200;
/// Inboxes whose pace is known at a time.
const KNOWN: usize = 4096;

/// The route, for every method.
pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/in/{token}").route(web::route().to(receive)));
}

/// How a request is to be answered, so that people can see what a failing receiver leads to.
#[derive(Deserialize)]
struct Wanted {
    status: Option<String>,
    delay_s: Option<String>,
}

impl Wanted {
    /// The status, 200 to 599, and the wait, 30 s at most.
    fn parse(request: &HttpRequest) -> Result<(StatusCode, Duration), ApiError> {
        // Other parameters are the sender's own business.
        let wanted = web::Query::<Wanted>::from_query(request.query_string())
            .map_or(Wanted { status: None, delay_s: None }, web::Query::into_inner);
        let status = wanted.status.as_deref().unwrap_or("200");
        let status = status
            .parse()
            .ok()
            .filter(|code| (200..=599).contains(code))
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or_else(|| {
                ApiError::invalid("invalid_status", "status is a number from 200 to 599.").in_field("status")
            })?;
        let delay = wanted.delay_s.as_deref().unwrap_or("0");
        let delay = delay.parse().ok().filter(|seconds| *seconds <= LONGEST_DELAY_S).ok_or_else(|| {
            ApiError::invalid("invalid_delay", "delay_s is a whole number from 0 to 30.").in_field("delay_s")
        })?;
        Ok((status, Duration::from_secs(delay)))
    }
}

/// Any method: 200 with `{"ok":true}`, or what `?status=` and `?delay_s=` say, once it is stored.
async fn receive(
    app: Data<App>,
    token: Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let (status, delay) = Wanted::parse(&request)?;
    let actions = app.actions.clone();
    let found = blocking(move || actions.store.read(|connection| inbox::by_token(connection, &token)));
    let inbox = found.await??.ok_or_else(|| ApiError::not_found("There is no inbox at this address."))?;
    if !app.inbox_pace.take(inbox.seq, app.actions.clock.now_ms()) {
        return Err(ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_fast",
            "An inbox takes 100 requests a second; this one is not in it. Point what sends more at a receiver of your own.",
        )
        .with_header("Retry-After", "1"));
    }
    let headers = headers(&request);
    let body = read_in_time(payload.into_inner(), MOST_BYTES).await?;
    let arrival = Arrival {
        method: request.method().to_string(),
        query: request.query_string().to_owned(),
        headers,
        body: body.into(),
        code: status.as_u16(),
    };
    let actions = app.actions.clone();
    let echo = blocking(move || actions.take_in(&inbox, arrival)).await??;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let mut answer = HttpResponse::build(status);
    if matches!(status.as_u16(), 204 | 205 | 304) {
        return Ok(answer.finish());
    }
    let mut json = serde_json::Map::new();
    json.insert("ok".to_owned(), status.is_success().into());
    if let Some((field, text)) = echo {
        json.insert(field, text.into());
    }
    Ok(answer.json(json))
}

/// The headers as they came, as many as are kept. A browser that opens the URL sends the cookie of its session
/// along, which is not for those who read the inbox.
fn headers(request: &HttpRequest) -> Vec<(String, String)> {
    let mut left = KEPT_HEADERS;
    let mut kept = Vec::new();
    for (name, value) in request.headers() {
        let text = String::from_utf8_lossy(value.as_bytes());
        let value = match name {
            &header::COOKIE => without_own_cookies(&text),
            _ => text.into_owned(),
        };
        let Some(rest) = left.checked_sub(name.as_str().len() + value.len()) else {
            continue;
        };
        left = rest;
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

/// How many more requests each inbox takes now, so that nobody fills the disk faster than people read. Cheap to
/// clone.
#[derive(Clone, Default)]
pub struct Pace(Arc<Mutex<HashMap<i64, Room>>>);

#[derive(Clone, Copy)]
struct Room {
    left: i64,
    at_ms: Millis,
}

impl Pace {
    /// Takes a request's place in an inbox; `false` where there is none now.
    fn take(&self, inbox_seq: i64, now: Millis) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN && !known.contains_key(&inbox_seq) {
            known.retain(|_, room| (now - room.at_ms).abs() < 10 * SECOND);
            if known.len() >= KNOWN {
                return false;
            }
        }
        let room = known.entry(inbox_seq).or_insert(Room { left: AT_ONCE, at_ms: now });
        let gained = (now - room.at_ms).clamp(0, 10 * SECOND) * PER_SECOND / SECOND;
        if gained > 0 || now < room.at_ms {
            room.left = (room.left + gained).min(AT_ONCE);
            room.at_ms = now;
        }
        let has_room = room.left > 0;
        room.left -= i64::from(has_room);
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_takes_some_at_once_and_then_so_many_a_second() {
        let pace = Pace::default();
        let taken = |now| (0..1000).filter(|_| pace.take(1, now)).count();
        assert_eq!(taken(0), 200);
        assert_eq!(taken(9), 0);
        assert_eq!(taken(20), 2);
        assert_eq!(taken(1_020), 100);
        assert_eq!(taken(60_000), 200);
        // A clock that was set back starts again from there.
        assert_eq!(taken(0), 0);
        assert_eq!(taken(1_000), 100);
        assert!(pace.take(2, 1_000));
    }

    #[test]
    fn the_cookies_of_the_pages_are_left_out_and_no_others() {
        let text = "a=1; hookpost_8080=secret; hookpost_8080_flash=x; __Host-hookpost=y; b=2";
        assert_eq!(
            without_own_cookies(text),
            "a=1; hookpost_8080=(left out); hookpost_8080_flash=(left out); __Host-hookpost=(left out); b=2"
        );
    }
}
