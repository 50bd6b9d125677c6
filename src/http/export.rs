//! Dead letters as lines: a stream as long as there are dead letters, in memory a piece at a time. The API and the
//! pages answer with it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc;

use super::api::view;
use super::error::ApiError;
use super::request_id::RequestId;
use super::{App, blocking};
use crate::actions::Actions;
use crate::store::delivery::{self, Delivery, DeliveryFilter};
use crate::store::page::{MAX_LIMIT, PageRequest};

/// Bytes of a piece, about: a line more at most.
const PIECE_BYTES: usize = 64 << 10;

/// A dead letter: the event that did not get through, the delivery, and its last attempt whole, where there was one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeadLetter")]
pub(super) struct Line {
    event: view::EventView,
    delivery: view::DeliveryView,
    last_attempt: Option<view::AttemptView>,
}

/// Every dead letter that a filter meets, newest first, one JSON object a line. An error in the middle cuts the
/// answer off without its proper end, so that no client takes it for whole.
pub(super) async fn dead_letters(app: &App, filter: DeliveryFilter) -> Result<HttpResponse, ApiError> {
    let mut letters = Letters::new(app.actions.clone(), filter);
    // Before the answer begins, so that what is wrong from the start is an error in the usual form.
    let mut piece = piece_of(&mut letters).await?;
    // One piece waits while the next is read. No thread does while the client is slow.
    let (sender, pieces) = mpsc::channel(1);
    let id = RequestId::current();
    actix_web::rt::spawn(async move {
        while let Some(bytes) = piece {
            if sender.send(Ok(bytes)).await.is_err() {
                return;
            }
            piece = match piece_of(&mut letters).await {
                Ok(next) => next,
                Err(error) => {
                    log::warn!("request {id}: an export of dead letters was cut off: {error}");
                    // Where nobody reads any more, nobody has to be told.
                    let _ = sender.send(Err(io::Error::other(error.to_string()))).await;
                    return;
                }
            };
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"dead-letters.ndjson\""))
        .streaming(Pieces(pieces)))
}

/// The next piece, read off the threads that serve requests.
async fn piece_of(letters: &mut Option<Letters>) -> Result<Option<Bytes>, ApiError> {
    let Some(mut taken) = letters.take() else {
        return Ok(None);
    };
    let (taken, piece) = blocking(move || {
        let piece = taken.piece()?;
        Ok::<_, ApiError>((taken, piece))
    })
    .await??;
    *letters = piece.is_some().then_some(taken);
    Ok(piece)
}

/// Where an export is.
struct Letters {
    actions: Actions,
    filter: DeliveryFilter,
    /// `None` once every page was read.
    page: Option<PageRequest>,
    rows: IntoIter<Delivery>,
}

impl Letters {
    fn new(actions: Actions, filter: DeliveryFilter) -> Option<Letters> {
        Some(Letters {
            actions,
            filter,
            page: Some(PageRequest { limit: MAX_LIMIT, cursor: None }),
            rows: Vec::new().into_iter(),
        })
    }

    /// Some further lines; `None` at the end.
    fn piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        let mut piece = Vec::new();
        while piece.len() < PIECE_BYTES
            && let Some(delivery) = self.next()?
        {
            // An event that retention took meanwhile is left out.
            if let Some((event, attempt)) = self.actions.last_attempt(&delivery)? {
                let line = Line {
                    event: view::event(event, None),
                    delivery: view::delivery(&delivery),
                    last_attempt: attempt.as_ref().map(view::attempt),
                };
                serde_json::to_writer(&mut piece, &line).map_err(|error| ApiError::internal(&error))?;
                piece.push(b'\n');
            }
        }
        Ok((!piece.is_empty()).then(|| piece.into()))
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

struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl futures_core::Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
