//! Streamed downloads as NDJSON: dead letters, and the audit log. Memory holds one chunk at a time.

use std::vec::IntoIter;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::api::attempts::AttemptView;
use super::api::audit::AuditView;
use super::api::deliveries::DeliveryView;
use super::api::events::EventView;
use super::error::ApiError;
use super::stream::stream;
use super::{App, blocking};
use crate::actions::{ActionError, Actions, Caller};
use crate::store::audit::{self, AuditFilter};
use crate::store::damage;
use crate::store::delivery::{self, Delivery, DeliveryFilter};
use crate::store::page::{MAX_LIMIT, PageRequest};

/// Size of a chunk in bytes; the last line may exceed it.
const CHUNK_BYTES: usize = 64 << 10;

/// A dead letter: the event, its delivery, and the complete last attempt if there was one.
#[derive(Serialize, JsonSchema)]
pub(super) struct DeadLetter {
    event: EventView,
    delivery: DeliveryView,
    last_attempt: Option<AttemptView>,
}

/// Streams every dead letter that matches a filter, newest first.
pub(super) async fn dead_letters(app: &App, caller: Caller, filter: DeliveryFilter) -> Result<HttpResponse, ApiError> {
    let mut export = Export {
        actions: app.actions.clone(),
        caller,
        filter,
        page: Some(PageRequest { limit: MAX_LIMIT, cursor: None }),
        rows: Vec::new().into_iter(),
    };
    ndjson(app, "dead-letters.ndjson", move || export.chunk()).await
}

/// Streams every entry of the audit log that matches a filter, newest first.
pub(super) async fn audit(app: &App, filter: AuditFilter) -> Result<HttpResponse, ApiError> {
    let store = app.actions.store.clone();
    let mut page = Some(PageRequest { limit: MAX_LIMIT, cursor: None });
    let next = move || {
        let mut chunk = Vec::new();
        // A page may be empty although others follow.
        while chunk.is_empty()
            && let Some(request) = page.take()
        {
            let found = store.read(|connection| audit::list(connection, &filter, &request))?;
            page = found.next.map(|cursor| PageRequest { limit: MAX_LIMIT, cursor: Some(cursor) });
            for entry in found.rows {
                write_line(&mut chunk, &AuditView::from(entry))?;
            }
        }
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    };
    ndjson(app, "audit.ndjson", next).await
}

/// Responds with chunks of lines until `None`, as a file. An error after the first chunk breaks the response off.
async fn ndjson<N>(app: &App, file: &str, mut next: N) -> Result<HttpResponse, ApiError>
where
    N: FnMut() -> Result<Option<Bytes>, ApiError> + Send + 'static,
{
    // Read before the response starts: an error in the first chunk is returned in the usual form.
    let (mut next, first) = blocking(move || {
        let first = next();
        (next, first)
    })
    .await?;
    let mut first = Some(first?);
    let next = move || first.take().map_or_else(&mut next, Ok);
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")))
        .streaming(stream(app.write_timeout, next)))
}

fn write_line(chunk: &mut Vec<u8>, line: &impl Serialize) -> Result<(), ApiError> {
    serde_json::to_writer(&mut *chunk, line).map_err(|error| ApiError::internal(&error))?;
    chunk.push(b'\n');
    Ok(())
}

/// Progress of an export.
struct Export {
    actions: Actions,
    caller: Caller,
    filter: DeliveryFilter,
    /// Next page to read; `None` after the last.
    page: Option<PageRequest>,
    rows: IntoIter<Delivery>,
}

impl Export {
    /// Returns the next lines; `None` at the end.
    fn chunk(&mut self) -> Result<Option<Bytes>, ApiError> {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES
            && let Some(delivery) = self.next()?
        {
            // Retention may have deleted the event meanwhile.
            let found = match self.actions.last_attempt(&self.caller, &delivery) {
                Err(ActionError::Store(error)) if error.is_damage() => {
                    damage::report("delivery", delivery.seq, &error);
                    None
                }
                found => found?,
            };
            if let Some((event, mut attempt)) = found {
                if self.caller.is_in_portal()
                    && let Some(failure) = attempt.as_mut().and_then(|attempt| attempt.failure.as_mut())
                {
                    failure.message = failure.public().to_owned();
                }
                let line = DeadLetter {
                    event: event.into(),
                    delivery: (&delivery).into(),
                    last_attempt: attempt.as_ref().map(AttemptView::from),
                };
                write_line(&mut chunk, &line)?;
            }
        }
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }

    fn next(&mut self) -> Result<Option<Delivery>, ApiError> {
        loop {
            if let Some(delivery) = self.rows.next() {
                return Ok(Some(delivery));
            }
            let Some(page) = self.page.take() else {
                return Ok(None);
            };
            let store = &self.actions.store;
            let found = store.read(|connection| delivery::list(connection, &self.filter, &page))?;
            self.page = found.next.map(|cursor| PageRequest { limit: MAX_LIMIT, cursor: Some(cursor) });
            self.rows = found.rows.into_iter();
        }
    }
}
