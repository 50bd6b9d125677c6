//! `/v1/search`.

use actix_web::HttpRequest;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deliveries::DeliveryView;
use super::openapi::schema::{Cursor, EventId, EventTypeName, Limit, SearchText, TenantName, Time};
use super::webhooks::view::WebhookView;
use super::{ApiError, ApiResult, App, Call, Reader, Scope, Table, extract, list, respond_in};
use crate::actions::find::Named;
use crate::domain::Invalid;
use crate::domain::needle::Needle;
use crate::store::event::{self, EventFilter, EventPreview};

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/search").get(search, describe);
}

const EXAMPLE: &str = r#"{"webhooks": [], "deliveries": [], "event_types": [], "tenants": [],
    "events": [{"id": "evt_01KF0AVD80A4NYB3X1YPR2TZ8H", "type": "order.paid", "tenant": "default",
        "created_at": "2026-01-15T10:00:00.000Z", "received_at": "2026-01-15T10:00:00.000Z",
        "excerpt": "{\"order_id\": 1001, \"total\": 25}"}],
    "next_cursor": null}"#;

fn describe(call: &mut Call<'_>) {
    call.operation("Search", "search", "Search everything")
        .description("Finds webhooks by id, URL and description, deliveries and events by the beginning of their id, event types, tenants, and events that contain the text: up to 10 of each kind, and a page of events. Events are searched from the newest back for up to 0.3 seconds. If some are left then, `searched_back_to` says how far the search came, and `next_cursor` goes on with events alone.")
        .scope(Scope::Read)
        .query_parameters::<SearchQuery>()
        .requires("q")
        .response::<FoundView>(200, "What was found, by kind.", EXAMPLE)
        .errors(422, &["invalid_search", "invalid_limit", "invalid_cursor"]);
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchQuery {
    /// The text.
    q: Option<SearchText>,
    /// Largest number of events that contain the text.
    limit: Option<Limit>,
    /// Where to go on with the events.
    cursor: Option<Cursor>,
}

/// Results of a search, by kind.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SearchResults")]
struct FoundView {
    /// Up to 10, newest first.
    webhooks: Vec<WebhookView>,
    /// Up to 10 whose id begins with the text.
    deliveries: Vec<DeliveryView>,
    /// Up to 10, in alphabetical order.
    event_types: Vec<EventTypeName>,
    /// Up to 10, in alphabetical order. Keys of one tenant find none.
    tenants: Vec<TenantName>,
    /// Events whose id, `data` or `previous_data` contains the text, newest first, then up to 10 older ones whose id
    /// begins with it.
    events: Vec<FoundEvent>,
    /// `cursor` to go on with the events; null if all were searched.
    next_cursor: Option<Cursor>,
    /// Time of the oldest event searched. Present if older ones are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    searched_back_to: Option<Time>,
}

/// An event that a search found.
#[derive(Serialize, JsonSchema)]
struct FoundEvent {
    id: EventId,
    #[serde(rename = "type")]
    event_type: EventTypeName,
    tenant: TenantName,
    /// When the event happened.
    created_at: Time,
    /// When Hookpost stored the event.
    received_at: Time,
    /// Part of the data, around the text.
    excerpt: String,
}

impl From<EventPreview> for FoundEvent {
    fn from(event: EventPreview) -> FoundEvent {
        FoundEvent {
            id: event.id.into(),
            event_type: event.event_type.into(),
            tenant: event.tenant.into(),
            created_at: Time::at(event.created_ms),
            received_at: Time::at(event.received_ms),
            excerpt: event.data,
        }
    }
}

async fn search(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> ApiResult {
    let query: SearchQuery = extract::query(&request)?;
    let needle: Needle =
        query.q.as_deref().unwrap_or_default().parse().map_err(|invalid: Invalid| invalid.in_field("q"))?;
    let page = list::page(&request, query.limit.as_deref(), query.cursor.as_deref())?;
    let place = app.reads.search_place(caller.tenant.as_ref()).await?;
    respond_in(place, move || {
        let store = &app.actions.store;
        let (names, text) = (app.search_names(needle.clone()), app.search(needle));
        let named = match page.cursor {
            None => store.read(|db| Named::find(db, &caller, &names))?,
            Some(_) => Named::default(),
        };
        let filter = EventFilter { tenant: caller.tenant.clone(), ..EventFilter::default() };
        let hits = store.read(|db| event::search_previews(db, &filter, &text, &page))?;
        let events = hits.with_older(named.events);
        Ok::<_, ApiError>(FoundView {
            webhooks: store.read(|db| WebhookView::read_all(db, &named.webhooks))?,
            deliveries: named.deliveries.iter().map(DeliveryView::from).collect(),
            event_types: named.event_types.into_iter().map(EventTypeName::from).collect(),
            tenants: named.tenants.into_iter().map(TenantName::from).collect(),
            events: events.page.rows.into_iter().map(FoundEvent::from).collect(),
            next_cursor: page.next(events.page.next),
            searched_back_to: events.back_to_ms.map(Time::at),
        })
    })
    .await
}
