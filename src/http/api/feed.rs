//! `GET /v1/events?after=…&wait_s=…`: the events in the order in which they were stored, for programs that poll.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::events::EventView;
use super::list::{ListResponse, Part};
use super::{ApiError, ApiResult, App, Caller, blocking};
use crate::actions::{ActionError, lookup};
use crate::store::Connection;
use crate::store::event::{self, EventFilter};
use crate::store::page::Cursor;

/// Longest wait in seconds.
pub const MOST_WAIT_S: u64 = 60;
/// Least time between two reads of one request, whatever is published that it does not ask for.
const PACE: Duration = Duration::from_millis(250);

pub(super) const DESCRIPTION: &str = "With `after` or `wait_s`, the response has the events that were stored after a place, oldest first, and `next_cursor` is always the place to go on from: pass it as `after`. No event is left out or comes twice. `wait_s` waits for the first event up to so many seconds; up to 16 requests of a tenant, or of a key for all tenants, wait at a time.";

/// A request that follows the events.
pub(super) struct Following {
    pub filter: EventFilter,
    pub part: Part,
    /// Id of an event, or a cursor; `None` for the newest event.
    pub after: Option<String>,
    pub wait: Duration,
}

/// Parses the parameter `wait_s`.
pub(super) fn parse_wait(text: Option<&str>) -> Result<Duration, ApiError> {
    text.map_or(Ok(Duration::ZERO), |text| {
        let seconds = text.parse().ok().filter(|seconds| *seconds <= MOST_WAIT_S).ok_or_else(|| {
            let message = format!("wait_s must be a whole number from 0 to {MOST_WAIT_S}.");
            ApiError::invalid("invalid_wait", message).in_field("wait_s")
        })?;
        Ok(Duration::from_secs(seconds))
    })
}

/// Responds with the events after a place, once there is one or the wait is over.
pub(super) async fn follow(app: Data<App>, caller: Caller, following: Following) -> ApiResult {
    let Following { filter, part, after, wait } = following;
    let mut committed = app.actions.store.events_committed();
    let ends = Instant::now() + wait;
    let reader = caller.clone();
    let mut place = read(&app, &caller, move |db| first_place(db, &reader, part, after.as_deref())).await?;
    // A request counts as waiting once its place is known: whatever is published from then on, it gets.
    let _waiting = if wait.is_zero() { None } else { Some(app.waits.place(&caller)?) };
    loop {
        committed.borrow_and_update();
        let began = Instant::now();
        let is_last = began >= ends || app.is_stopping();
        let filter = filter.clone();
        let found = read(&app, &caller, move |db| -> Result<_, ApiError> {
            let (events, next) = event::following(db, &filter, place, part.limit)?;
            if events.is_empty() && !is_last {
                return Ok((None, next));
            }
            let data: Vec<EventView> = events.into_iter().map(EventView::from).collect();
            let page = ListResponse::going_on(data, part.list().cursor(Cursor::after(next)));
            Ok((Some(serde_json::to_vec(&page).map_err(|error| ApiError::internal(&error))?), next))
        });
        let (text, next) = found.await?;
        if let Some(text) = text {
            return Ok(HttpResponse::Ok().insert_header(ContentType::json()).body(text));
        }
        place = next;
        // An end of the time leads to a last read.
        let _ = timeout_at(ends, committed.changed()).await;
        if !app.is_stopping() {
            sleep_until(ends.min(began + PACE)).await;
        }
    }
}

/// Reads off the threads that serve requests, in a place for reads.
async fn read<T: Send + 'static>(
    app: &App,
    caller: &Caller,
    read: impl FnOnce(&Connection) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let place = app.reads.place(caller.tenant.as_ref()).await?;
    let store = app.actions.store.clone();
    blocking(move || {
        let _place = place;
        store.read(read)
    })
    .await?
}

/// Returns the number of the event after which a request begins.
fn first_place(db: &Connection, caller: &Caller, part: Part, after: Option<&str>) -> Result<i64, ApiError> {
    let Some(text) = after else {
        return Ok(event::newest(db)?);
    };
    // A cursor could be an id too, but nobody chooses one with its checksum.
    if let Ok(number) = part.list().parse(text) {
        return Ok(number);
    }
    match lookup::event(db, caller, text, None) {
        Ok(event) => Ok(event.seq),
        Err(ActionError::NotFound(_)) => Err(ApiError::invalid(
            "unknown_event",
            "after is neither the id of a stored event nor a next_cursor of a request with these filters. Begin without after, or with order=asc.",
        )
        .in_field("after")),
        Err(error) => Err(error.into()),
    }
}
