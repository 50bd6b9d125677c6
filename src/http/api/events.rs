//! `/v1/events`.

use std::time::Instant;

use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{self, JsonBody, Publisher, Reader};
use super::{blocking, list, resource, view};
use crate::actions::publish::{Idempotency, NewEvent, Receipt};
use crate::actions::{ActionError, Caller};
use crate::domain::Invalid;
use crate::domain::time::parse_rfc3339;
use crate::store::Pending;
use crate::store::event::{self, EventFilter};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(
        resource("/v1/events")
            .route(web::post().to(create))
            .route(web::get().to(index)),
    );
    config.service(resource("/v1/events/{id}").route(web::get().to(show)));
}

/// An event as it is sent. `data` stays text: it passes through as it is spelled.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventBody<'a> {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, default)]
    previous_data: Option<&'a RawValue>,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
}

impl EventBody<'_> {
    pub(super) fn parse(self, caller: &Caller) -> Result<NewEvent, ApiError> {
        let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
        Ok(NewEvent {
            event_type: self.event_type.parse().map_err(in_field("type"))?,
            tenant: caller.tenant_for(self.tenant.as_deref())?,
            id: self
                .id
                .map(|text| text.parse().map_err(in_field("id")))
                .transpose()?,
            created_ms: self
                .created_at
                .map(|text| parse_rfc3339(&text).map_err(in_field("created_at")))
                .transpose()?,
            data: self.data.get().into(),
            previous_data: self.previous_data.map(|raw| raw.get().into()),
            idempotency: None,
        })
    }
}

/// `POST /v1/events`. Answers 202 only once the event is on disk.
async fn create(
    app: Data<App>,
    request: HttpRequest,
    Publisher(caller): Publisher,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    refuse_when_stopping(&app)?;
    let mut event = extract::parse::<EventBody<'_>>(body.bytes())?.parse(&caller)?;
    event.idempotency = idempotency_key(&request)?.map(|key| idempotency(key, body.bytes()));
    let began = Instant::now();
    let receipt = publish(&app, event).await?.committed().await?;
    if !receipt.duplicate {
        app.metrics.accepted(1, began.elapsed());
    }
    Ok(HttpResponse::Accepted().json(view::receipt(&receipt)))
}

/// Bytes of data from which on a schema's check, which grows with the data, may hold up other requests.
const LARGE_BYTES: usize = 16 << 10;

async fn publish(app: &App, event: NewEvent) -> Result<Pending<Receipt, ActionError>, ApiError> {
    let actions = app.actions.clone();
    if event.data.len() < LARGE_BYTES || actions.store.schemas().find(&event.event_type).is_none() {
        return Ok(actions.publish(event));
    }
    blocking(move || Ok::<_, ApiError>(actions.publish(event))).await
}

pub(super) fn refuse_when_stopping(app: &App) -> Result<(), ApiError> {
    match app.is_stopping() {
        false => Ok(()),
        true => Err(ApiError::unavailable(
            "stopping",
            "Hookpost is stopping. Send the event again in a moment.",
        )),
    }
}

/// The `Idempotency-Key` of a request: 1 to 255 printable ASCII characters.
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| {
        ApiError::invalid(
            "invalid_idempotency_key",
            "An Idempotency-Key is 1 to 255 printable ASCII characters.",
        )
        .in_field("Idempotency-Key")
    })?;
    Ok(Some(key.to_owned()))
}

/// A key with the fingerprint of what came under it.
pub(super) fn idempotency(key: String, body: &[u8]) -> Idempotency {
    Idempotency {
        key,
        fingerprint: Sha256::digest(body).into(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    #[serde(rename = "type")]
    event_type: Option<String>,
    tenant: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /v1/events`.
async fn index(
    app: Data<App>,
    request: HttpRequest,
    Reader(caller): Reader,
) -> Result<HttpResponse, ApiError> {
    let query: EventQuery = extract::query(&request)?;
    let page = list::page(query.limit.as_deref(), query.cursor.as_deref())?;
    let filter = EventFilter {
        tenant: caller.tenant_filter(query.tenant.as_deref())?,
        event_type: list::parameter("type", query.event_type.as_deref())?,
        since: list::time("since", query.since.as_deref())?,
        until: list::time("until", query.until.as_deref())?,
    };
    let store = app.actions.store.clone();
    let found = blocking(move || store.read(|connection| event::list(connection, &filter, &page)));
    Ok(list::show(found.await?, |stored| view::event(stored, None)))
}

/// `GET /v1/events/{id}`: with its deliveries, and why each other webhook of its tenant got none: the first 250 of
/// those, oldest first, and how many there are.
async fn show(
    app: Data<App>,
    Reader(caller): Reader,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let actions = app.actions.clone();
    let full = blocking(move || actions.event_in_full(&caller, &id)).await?;
    Ok(HttpResponse::Ok().json(view::event_in_full(full)))
}
