//! `/webhooks`: every webhook with its state and why, where it points, and how it fares.

use askama::Template;

use super::super::error::PageError;
use super::super::frame::{Frame, Section};
use super::super::visit::{Answer, Visit};
use crate::domain::event::Tenant;
use crate::domain::webhook::{Webhook, WebhookState};
use crate::store::page::{DEFAULT_LIMIT, PageRequest};
use crate::store::webhook::{self, WebhookFilter};

#[derive(Template)]
#[template(path = "webhooks/list.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    states: &'static [WebhookState],
    state: String,
    tenant: String,
    /// The address of the next page.
    next: Option<String>,
    has_filter: bool,
}

struct Row {
    id: String,
    url: String,
    description: String,
    tenant: String,
    events: String,
    profile: String,
    state: &'static str,
    reason: Option<String>,
    created_ms: i64,
}

impl Row {
    fn of(webhook: Webhook) -> Row {
        let events: Vec<String> = webhook.events.iter().map(ToString::to_string).collect();
        Row {
            id: webhook.id.to_string(),
            url: webhook.url.as_str().to_owned(),
            description: webhook.description,
            tenant: webhook.tenant.to_string(),
            events: events.join(", "),
            profile: webhook.profile,
            state: webhook.state.as_str(),
            reason: webhook.disabled_reason,
            created_ms: webhook.created_ms,
        }
    }
}

/// `GET /webhooks?state=&tenant=&cursor=`.
pub async fn show(visit: Visit) -> Answer {
    visit.show(|visit| list_page(visit)).await
}

fn list_page(visit: &Visit) -> Result<ListPage, PageError> {
    let query = &visit.query;
    let filter = WebhookFilter {
        tenant: match visit.tenant() {
            Some(own) => Some(own.clone()),
            None => query
                .given("tenant")
                .map(str::parse::<Tenant>)
                .transpose()?,
        },
        state: query.given("state").map(str::parse).transpose()?,
        event: None,
    };
    let request = PageRequest {
        limit: DEFAULT_LIMIT,
        cursor: query.given("cursor").map(str::parse).transpose()?,
    };
    let page = visit
        .app
        .actions
        .store
        .read(|connection| webhook::list(connection, &filter, &request))?;
    let frame = visit.frame("Webhooks", Section::Webhooks)?;
    let without_cursor = query.query_without(&["cursor"]);
    Ok(ListPage {
        next: page
            .next
            .map(|cursor| format!("{}/webhooks?{without_cursor}&cursor={cursor}", frame.base)),
        rows: page.rows.into_iter().map(Row::of).collect(),
        states: WebhookState::ALL,
        state: query.text("state").to_owned(),
        tenant: query.text("tenant").to_owned(),
        has_filter: !without_cursor.is_empty(),
        frame: frame.with_api("GET", &format!("/v1/webhooks?{without_cursor}")),
    })
}
