//! `/v1/events/batch`.

use std::time::Instant;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::super::extract::{BatchBody, Publisher};
use super::super::idempotent;
use super::events::{
    AMBIGUOUS, CONFLICT_CODES, EXAMPLE, EXAMPLE_IN_FULL, EventBody, EventView, INVALID_CODES, ReceiptView, WhoseQuery,
    refuse_when_stopping, show,
};
use super::{
    ApiError, ApiResult, App, Call, Caller, Preconditions, Reader, Scope, Table, blocking, erase, extract, schema,
};
use crate::actions::publish::{CheckTime, Checked, Idempotency, NewEvent};
use crate::actions::publish_batch::{Batch, BatchError, MOST_EVENTS};
use crate::domain::filter::EventWork;
use crate::domain::json;
use crate::domain::same_json;
use crate::domain::schema::CheckBudget;

pub(super) fn routes(table: &mut Table) {
    // `batch` is also a valid event id, so GET shows that event, and DELETE erases it.
    table
        .at("/v1/events/batch")
        .plain_post(create, describe_create)
        .get(show_named_batch, describe_named_batch)
        .delete(erase::named_batch, erase::describe_named_batch);
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
        .description("1 to 1,000 events, as a JSON array, or one per line with `Content-Type: application/x-ndjson`. All events are stored in one commit, or none is. An error names the invalid event by its index, counted from 0: `[3].type`. Lines of the export of dead letters are taken as they are, and so are events of `GET /v1/events`: an event that is still stored is a `duplicate`, whose deliveries can be retried, and another is published under its id. An `Idempotency-Key` applies to the whole batch, within the tenant of its first event.")
        .scope(Scope::Publish)
        .stores_for_tenant()
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
        match exported(text)? {
            Some(event) => event.into_body()?.parse(caller),
            None => extract::parse::<EventBody<'_>>(text)?.parse(caller),
        }
    };
    texts
        .into_iter()
        .enumerate()
        .map(|(index, text)| parse_one(text).map_err(|error| error.within(&format!("[{index}]"))))
        .collect()
}

fn describe_named_batch(call: &mut Call<'_>) {
    call.operation("Events", "show_event_named_batch", "Get the event with the id `batch`")
        .scope(Scope::Read)
        .query_parameters::<WhoseQuery>()
        .response::<EventView>(200, "The event.", EXAMPLE_IN_FULL)
        .errors(404, &["not_found"])
        .errors(409, AMBIGUOUS)
        .errors(422, &["invalid_tenant"]);
}

/// `GET /v1/events/batch`: `batch` is a valid event id.
async fn show_named_batch(
    app: Data<App>,
    request: HttpRequest,
    caller: Reader,
    conditions: Preconditions,
) -> ApiResult {
    show(app, request, caller, Path::from("batch".to_owned()), conditions).await
}

/// An event as `GET /v1/events` and exports write it. What the server added is left out.
#[derive(Deserialize)]
struct ExportedEvent<'a> {
    #[serde(rename = "type")]
    event_type: schema::EventTypeName,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, default)]
    previous_data: Option<&'a RawValue>,
    tenant: Option<schema::TenantName>,
    id: Option<schema::EventId>,
    created_at: Option<schema::Time>,
    #[serde(default)]
    damaged: bool,
    erased_at: Option<schema::Time>,
}

impl<'a> ExportedEvent<'a> {
    fn into_body(self) -> Result<EventBody<'a>, ApiError> {
        if self.damaged || self.erased_at.is_some() {
            let message =
                "This event has no data that could be published: it was damaged or erased when it was exported.";
            return Err(ApiError::invalid("invalid_value", message).in_field("data"));
        }
        let ExportedEvent { event_type, data, previous_data, tenant, id, created_at, .. } = self;
        Ok(EventBody { event_type, data, previous_data, tenant, id, created_at })
    }
}

/// Returns the event of a line of an export, or of its `event` alone; `None` if the text is an event to publish.
fn exported(text: &[u8]) -> Result<Option<ExportedEvent<'_>>, ApiError> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        event: Option<&'a RawValue>,
        received_at: Option<IgnoredAny>,
    }
    // Every exported event has this, and no event to publish.
    const MARK: &[u8] = b"\"received_at\"";
    if !text.windows(MARK.len()).any(|part| part == MARK) {
        return Ok(None);
    }
    let Line { event, received_at } = match serde_json::from_slice(text) {
        Ok(line) => line,
        Err(_) => return Ok(None),
    };
    match (event, received_at) {
        (Some(event), _) => extract::parse(event.get().as_bytes()).map(Some),
        (None, Some(_)) => extract::parse(text).map(Some),
        (None, None) => Ok(None),
    }
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
