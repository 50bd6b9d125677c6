//! `/webhooks`: every webhook with its state and why, where it points, and how it fares.

use askama::Template;
use strum::VariantArray;

use super::super::error::PageError;
use crate::actions::ActionError;
use crate::actions::statistics::Window;
use crate::domain::Invalid;
use crate::domain::time::Millis;
use crate::domain::webhook::{Webhook, WebhookState};
use crate::http::web::chart::Chart;
use crate::http::web::form::Problem;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::StoreError;
use crate::store::page::{DEFAULT_LIMIT, Page, PageRequest};
use crate::store::stats;
use crate::store::webhook::{self, WebhookFilter};
use crate::text::humanize;

#[derive(Template)]
#[template(path = "webhooks/list.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<WebhookRow>,
    states: &'static [WebhookState],
    text: String,
    state: String,
    tenant: String,
    /// The event type that the webhooks shown subscribe to.
    event: String,
    /// The list without that one filter.
    without_event: String,
    /// Why there is no list.
    problem: Option<Problem>,
    /// The address of this page, to try again.
    here: String,
    /// The address of the next page.
    next: Option<String>,
    has_filter: bool,
}

struct WebhookRow {
    id: String,
    url: String,
    /// The first line of its description, or its URL.
    name: String,
    is_described: bool,
    tenant: String,
    events: Events,
    state: &'static str,
    reason: Option<String>,
    bars: Chart,
    /// When a delivery to it last got through or failed for good.
    last_ms: Option<Millis>,
}

/// The patterns of a webhook, as far as a row has room.
struct Events {
    text: String,
    more: Option<String>,
    all: String,
}

/// Patterns in a row at most.
const PATTERNS: usize = 3;

impl Events {
    fn of(webhook: &Webhook) -> Events {
        let all: Vec<String> = webhook.events.iter().map(ToString::to_string).collect();
        let more = all.len().saturating_sub(PATTERNS);
        Events {
            text: all[..all.len() - more].join(", "),
            more: (more > 0).then(|| format!("and {} more", humanize::number(more as u64))),
            all: all.join(", "),
        }
    }
}

impl WebhookRow {
    /// The tenant as far as a column has room.
    fn shown_tenant(&self) -> String {
        match self.tenant.char_indices().nth(16) {
            Some((end, _)) => format!("{}…", &self.tenant[..end]),
            None => self.tenant.clone(),
        }
    }

    fn of(webhook: &Webhook, bars: Chart, last_ms: Option<Millis>) -> WebhookRow {
        WebhookRow {
            id: webhook.id.to_string(),
            url: webhook.url.as_str().to_owned(),
            name: webhook.name(),
            is_described: !webhook.description.trim().is_empty(),
            tenant: webhook.tenant.to_string(),
            events: Events::of(webhook),
            state: webhook.state.into_str(),
            reason: webhook.disabled_reason.clone(),
            bars,
            last_ms,
        }
    }
}

/// `GET /webhooks?q=&state=&tenant=&event=&cursor=`.
pub async fn show(session: Session) -> PageResult {
    session.show(list_page).await
}

fn list_page(session: &Session) -> Result<ListPage, PageError> {
    let query = &session.query;
    let found = load(session);
    let (page, problem) = match found {
        Ok(page) => (page, None),
        Err(ActionError::Invalid(invalid)) => (empty(), Some(invalid.into())),
        Err(ActionError::Store(error)) => (empty(), Some(error.into())),
        Err(other) => return Err(other.into()),
    };
    let frame = session.read(|db| session.frame(db, "Webhooks", Section::Webhooks))?;
    let without_cursor = query.query_without(&["cursor"]);
    let base = &frame.base;
    Ok(ListPage {
        next: page.next.map(|cursor| format!("{base}/webhooks?{without_cursor}&cursor={cursor}")),
        rows: rows(session, &page.rows)?,
        states: WebhookState::VARIANTS,
        text: query.text("q").to_owned(),
        state: query.text("state").to_owned(),
        tenant: query.text("tenant").to_owned(),
        event: query.text("event").to_owned(),
        without_event: format!("{base}/webhooks?{}", query.query_without(&["cursor", "event"])),
        problem,
        here: format!("{base}{}", session.here),
        has_filter: !without_cursor.is_empty(),
        // The API's list has no search for a text.
        frame: frame.with_api("GET", &format!("/v1/webhooks?{}", query.query_without(&["cursor", "q"]))),
    })
}

fn load(session: &Session) -> Result<Page<Webhook>, ActionError> {
    let query = &session.query;
    let named = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
    let filter = WebhookFilter {
        tenant: match session.tenant() {
            Some(own) => Some(own.clone()),
            None => query.given("tenant").map(str::parse).transpose().map_err(named("tenant"))?,
        },
        state: query.given("state").map(str::parse).transpose().map_err(named("state"))?,
        event: query.given("event").map(str::parse).transpose().map_err(named("event"))?,
        text: query.given("q").map(str::to_owned),
    };
    let request = PageRequest { limit: DEFAULT_LIMIT, cursor: query.given("cursor").map(str::parse).transpose()? };
    let store = &session.app.actions.store;
    Ok(store.read(|connection| webhook::list(connection, &filter, &request))?)
}

/// Rows with how each fares, from two queries for all of them.
fn rows(session: &Session, webhooks: &[Webhook]) -> Result<Vec<WebhookRow>, StoreError> {
    let numbers: Vec<i64> = webhooks.iter().map(|webhook| webhook.seq).collect();
    let now = session.now();
    let from = Window::Day.begins(now);
    let store = &session.app.actions.store;
    let (hours, last) = store.read(|connection| -> Result<_, StoreError> {
        Ok((stats::by_hour_of_each(connection, &numbers, from)?, stats::last_finished(connection, &numbers)?))
    })?;
    let row = |webhook: &Webhook| {
        let hours = hours.get(&webhook.seq).map_or(&[][..], Vec::as_slice);
        let last = last.get(&webhook.seq).copied();
        WebhookRow::of(webhook, Chart::of(hours, from, now), last)
    };
    Ok(webhooks.iter().map(row).collect())
}

fn empty() -> Page<Webhook> {
    Page { rows: Vec::new(), next: None }
}
