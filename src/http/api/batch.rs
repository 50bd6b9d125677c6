//! `/v1/events/batch`.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, BatchBody, Publisher};
use super::events::{
    EXAMPLE, EventBody, REFUSED, REUSED, describe_named_batch, idempotency, idempotency_key, refuse_when_stopping,
    show_named_batch,
};
use super::table::Table;
use super::{blocking, view};
use crate::actions::Caller;
use crate::actions::publish::NewEvent;
use crate::actions::publish_batch::{Batch, BatchError, MOST_EVENTS};
use crate::domain::json;
use crate::http::api::openapi::{Call, schema};
use crate::store::api_key::Scope;

pub(super) fn routes(table: &mut Table) {
    // An event may have the id `batch`: the method decides which is meant.
    table.at("/v1/events/batch").post(create, describe_create).get(show_named_batch, describe_named_batch);
}

/// The events of a batch, as its schema names them.
enum BatchOfEvents {}

impl JsonSchema for BatchOfEvents {
    fn schema_name() -> Cow<'static, str> {
        "Batch".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let event = schemas.subschema_for::<EventBody<'_>>();
        json_schema!({"type": "array", "items": event, "minItems": 1, "maxItems": MOST_EVENTS})
    }
}

fn describe_create(call: &mut Call<'_>) {
    call.named("publish_batch", "Publish many events")
        .of("Events")
        .says("1 to 1,000 of them, as a JSON array, or as a line each with `Content-Type: application/x-ndjson`. Stored in one commit, all or nothing; an error names the event at fault by its index, counted from 0: `[3].type`. An `Idempotency-Key` holds for the whole batch.")
        .needs(Scope::Publish)
        .header::<schema::IdempotencyKey>("Idempotency-Key", "Makes the call safe to repeat for 24 hours.")
        .takes::<BatchOfEvents>(&format!("[{EXAMPLE}]"))
        .takes_lines_too()
        .answers::<BatchView<'_>>(202, "All of them are on disk.", r#"{"data": [{"id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H", "duplicate": false, "deliveries": []}]}"#)
        .fails(409, REUSED)
        .fails(422, REFUSED)
        .fails(422, &["invalid_batch"]);
}

/// A receipt for each event, in their order.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Receipts")]
struct BatchView<'a> {
    data: Vec<view::ReceiptView<'a>>,
}

/// `POST /v1/events/batch`: 1 to 1,000 events, as a JSON array or a line each, 16 MiB at most and each within the
/// limit of a single one. Stored in one commit, all or nothing; an error names the event at fault by its index,
/// counted from 0: `[3].type`. An `Idempotency-Key` holds for the whole batch, within the tenant of its first event.
async fn create(
    app: Data<App>,
    request: HttpRequest,
    Publisher(caller): Publisher,
    body: BatchBody,
) -> Result<HttpResponse, ApiError> {
    refuse_when_stopping(&app)?;
    let key = idempotency_key(&request)?;
    let began = Instant::now();
    let (bytes, is_lines, largest) = (body.bytes.clone(), body.is_lines, app.limits.single);
    let actions = app.actions.clone();
    let batch = blocking(move || {
        let events = parse(&bytes, is_lines, largest, &caller)?;
        Ok::<_, ApiError>(Batch {
            events: events.into_iter().map(|event| actions.check(event)).collect(),
            idempotency: key.map(|key| idempotency(key, &bytes)),
        })
    });
    let receipts = app.actions.publish_batch(batch.await??).committed().await?;
    let new = receipts.iter().filter(|receipt| !receipt.duplicate).count();
    if new > 0 {
        app.metrics.accepted(new as u64, began.elapsed());
    }
    Ok(HttpResponse::Accepted().json(BatchView { data: receipts.iter().map(view::receipt).collect() }))
}

fn parse(body: &[u8], is_lines: bool, largest: usize, caller: &Caller) -> Result<Vec<NewEvent>, ApiError> {
    let (spelled, count) = if is_lines {
        lines(body)
    } else {
        let (elements, count) = extract::elements(body, MOST_EVENTS)?;
        let bytes = elements.iter().map(|element| element.get().as_bytes());
        (bytes.collect(), count)
    };
    if !(1..=MOST_EVENTS).contains(&count) {
        return Err(ApiError::invalid(
            "invalid_batch",
            format!("A batch holds 1 to {MOST_EVENTS} events; this one holds {count}."),
        ));
    }
    let one = |text: &[u8]| {
        if text.len() > largest {
            return Err(extract::too_large(largest));
        }
        json::check(text)?;
        extract::parse::<EventBody<'_>>(text)?.parse(caller)
    };
    spelled
        .into_iter()
        .enumerate()
        .map(|(index, text)| one(text).map_err(|error| error.below(&format!("[{index}]"))))
        .collect()
}

/// The lines that hold anything, the first 1,000 of them, and how many there are.
fn lines(body: &[u8]) -> (Vec<&[u8]>, usize) {
    let filled = || body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    (filled().take(MOST_EVENTS).collect(), filled().count())
}

impl From<BatchError> for ApiError {
    fn from(BatchError { index, error }: BatchError) -> ApiError {
        let error = ApiError::from(error);
        match index {
            Some(index) => error.below(&format!("[{index}]")),
            None => error,
        }
    }
}
