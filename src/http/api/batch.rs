//! `/v1/events/batch`.

use std::time::Instant;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::super::extract::{BatchBody, Publisher};
use super::super::idempotent;
use super::events::{
    CONFLICT_CODES, EXAMPLE, EventBody, INVALID_CODES, ReceiptView, describe_named_batch, refuse_when_stopping,
    show_named_batch,
};
use super::{ApiError, ApiResult, App, Call, Caller, Scope, Table, blocking, extract, schema};
use crate::actions::publish::{CheckTime, Checked, Idempotency, NewEvent};
use crate::actions::publish_batch::{Batch, BatchError, MOST_EVENTS};
use crate::domain::filter::EventWork;
use crate::domain::json;
use crate::domain::same_json;
use crate::domain::schema::CheckBudget;

pub(super) fn routes(table: &mut Table) {
    // `batch` is also a valid event id, so GET shows that event.
    table.at("/v1/events/batch").plain_post(create, describe_create).get(show_named_batch, describe_named_batch);
}

/// 1 to 1,000 events.
// Declared for its schema; requests are parsed event by event.
#[derive(JsonSchema)]
#[schemars(rename = "Batch")]
struct BatchOfEvents<'a>(
    #[expect(dead_code, reason = "declared for its schema")]
    #[schemars(length(min = 1, max = MOST_EVENTS))]
    Vec<EventBody<'a>>,
);

fn describe_create(call: &mut Call<'_>) {
    call.operation("Events", "publish_batch", "Publish a batch of events")
        .description("1 to 1,000 events, as a JSON array, or one per line with `Content-Type: application/x-ndjson`. All events are stored in one commit, or none is. An error names the invalid event by its index, counted from 0: `[3].type`. An `Idempotency-Key` applies to the whole batch, within the tenant of its first event.")
        .scope(Scope::Publish)
        .header_parameter::<schema::IdempotencyKey>("Idempotency-Key", "Makes the call safe to retry for 24 hours.")
        .request_body::<BatchOfEvents<'_>>(&format!("[{EXAMPLE}]"))
        .request_ndjson()
        .response::<BatchView>(202, "All events are on disk.", r#"{"data": [{"id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H", "duplicate": false, "deliveries": []}]}"#)
        .errors(409, CONFLICT_CODES)
        .errors(422, INVALID_CODES)
        .errors(422, &["invalid_batch"])
        .queues_deliveries();
}

/// Receipts in the order of the events.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Receipts")]
struct BatchView {
    data: Vec<ReceiptView>,
}

async fn create(app: Data<App>, request: HttpRequest, Publisher(caller): Publisher, payload: Payload) -> ApiResult {
    refuse_when_stopping(&app)?;
    let body = BatchBody::read(&app, &request, &caller, payload.into_inner()).await?;
    let key = idempotent::key_of(&request)?;
    let began = Instant::now();
    let (BatchBody { bytes, is_lines, memory }, largest) = (body, app.limits.single);
    let parsed = blocking(move || {
        let events = parse(&bytes, is_lines, largest, &caller)?;
        // Held by the work too, which goes on if the client goes away.
        Ok::<_, ApiError>((
            events,
            key.map(|key| Idempotency { key, fingerprint: fingerprint(&bytes, is_lines) }),
            memory,
        ))
    });
    let (events, idempotency, _memory) = parsed.await??;
    let events = check(&app, events).await?;
    let receipts = app.actions.publish_batch(Batch { events, idempotency }).committed().await?;
    let new = receipts.iter().filter(|receipt| !receipt.duplicate).count();
    if new > 0 {
        app.metrics.accepted(new as u64, began.elapsed());
    }
    Ok(HttpResponse::Accepted().json(BatchView { data: receipts.iter().map(ReceiptView::from).collect() }))
}

/// Checks the events against the schemas of their types, all within one budget, and applies the filters of webhooks.
async fn check(app: &App, events: Vec<NewEvent>) -> Result<Vec<Checked>, ApiError> {
    let actions = app.actions.clone();
    let longest = events.iter().map(|event| (actions.check_time(event), &event.tenant)).max_by_key(|(time, _)| *time);
    let permit = match longest {
        None | Some((CheckTime::None, _)) => return Ok(events.into_iter().map(Checked::unchecked).collect()),
        // Many brief checks are a long one.
        Some((time, tenant)) => app.check_permit(time.max(CheckTime::Long), tenant).await?,
    };
    blocking(move || {
        let _permit = permit;
        let mut budget = CheckBudget::default();
        let work = EventWork::in_batch(events.len());
        events.into_iter().map(|event| actions.check(event, &mut budget, work.clone())).collect()
    })
    .await
}

fn parse(body: &[u8], is_lines: bool, largest: usize, caller: &Caller) -> Result<Vec<NewEvent>, ApiError> {
    let (texts, count) = if is_lines {
        lines(body)
    } else {
        let (elements, count) = extract::elements(body, MOST_EVENTS)?;
        let bytes = elements.iter().map(|element| element.get().as_bytes());
        (bytes.collect(), count)
    };
    if !(1..=MOST_EVENTS).contains(&count) {
        let message = format!("A batch must hold 1 to {MOST_EVENTS} events, not {count}.");
        return Err(ApiError::invalid("invalid_batch", message));
    }
    let parse_one = |text: &[u8]| {
        if text.len() > largest {
            return Err(ApiError::too_large(largest));
        }
        json::check(text)?;
        extract::parse::<EventBody<'_>>(text)?.parse(caller)
    };
    texts
        .into_iter()
        .enumerate()
        .map(|(index, text)| parse_one(text).map_err(|error| error.within(&format!("[{index}]"))))
        .collect()
}

/// Returns a hash that the same batch has in any spelling.
fn fingerprint(body: &[u8], is_lines: bool) -> [u8; 32] {
    if !is_lines {
        return same_json::digest(body);
    }
    let mut all = Sha256::new();
    lines(body).0.into_iter().for_each(|line| all.update(same_json::digest(line)));
    all.finalize().into()
}

/// Returns the first 1,000 lines that are not empty, and the count of all.
fn lines(body: &[u8]) -> (Vec<&[u8]>, usize) {
    let filled = || body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    (filled().take(MOST_EVENTS).collect(), filled().count())
}

impl From<BatchError> for ApiError {
    fn from(BatchError { index, error }: BatchError) -> ApiError {
        let error = ApiError::from(error);
        match index {
            Some(index) => error.within(&format!("[{index}]")),
            None => error,
        }
    }
}
