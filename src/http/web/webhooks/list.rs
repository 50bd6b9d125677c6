//! `/webhooks`: every webhook with its state, its events and its success rate.

use strum::VariantArray;

use crate::actions::ActionError;
use crate::actions::statistics::Window;
use crate::domain::Invalid;
use crate::domain::incident::Verdict;
use crate::domain::needle::Needle;
use crate::domain::time::Millis;
use crate::domain::webhook::{Webhook, WebhookState};
use crate::http::web::chart::Chart;
use crate::http::web::form::Problem;
use crate::http::web::list_query::{self, Chip, ListQuery, Parameter, below, total, total_words};
use crate::http::web::pager::Pager;
use crate::http::web::suggestions::Suggestions;
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::incident::read;
use crate::store::page::Page;
use crate::store::webhook::{self, WebhookFilter};
use crate::store::{StoreError, stats};
use crate::text::humanize;

/// Event patterns in a row at most.
const MAX_PATTERNS: usize = 3;
/// Characters of a tenant in a row at most.
const MAX_TENANT_CHARS: usize = 16;

#[derive(Template)]
#[template(path = "webhooks/list.html")]
pub struct ListPage {
    frame: Frame,
    rows: Vec<WebhookRow>,
    query: ListQuery,
    chips: Vec<Chip>,
    /// Number of matches in words; empty for a search.
    total: String,
    suggestions: Suggestions,
    problem: Option<Problem>,
    /// Path of this page, to try again.
    here: String,
    pager: Pager,
}

struct WebhookRow {
    webhook: Webhook,
    short_tenant: String,
    /// The first event patterns.
    events: String,
    more_events: Option<String>,
    all_events: String,
    verdict: Option<Verdict>,
    chart: Chart,
    /// Time at which a delivery was last delivered, or failed for good.
    last_ms: Option<Millis>,
}

impl WebhookRow {
    fn of(webhook: Webhook, verdict: Option<Verdict>, chart: Chart, last_ms: Option<Millis>) -> WebhookRow {
        let events: Vec<String> = webhook.events.iter().map(ToString::to_string).collect();
        let more = events.len().saturating_sub(MAX_PATTERNS);
        let tenant = webhook.tenant.as_str();
        WebhookRow {
            short_tenant: match tenant.char_indices().nth(MAX_TENANT_CHARS) {
                Some((end, _)) => format!("{}…", &tenant[..end]),
                None => tenant.to_owned(),
            },
            events: events[..events.len() - more].join(", "),
            more_events: (more > 0).then(|| format!("and {} more", humanize::number(more as u64))),
            all_events: events.join(", "),
            webhook,
            verdict,
            chart,
            last_ms,
        }
    }

    fn is_described(&self) -> bool {
        !self.webhook.description.trim().is_empty()
    }
}

const PARAMETERS: &[Parameter] = &[
    Parameter::one("q", "q", "Text"),
    Parameter::several("state", "state", "State"),
    Parameter::one("tenant", "tenant", "Tenant"),
    Parameter::several("event", "event", "Subscribed to"),
];

/// `GET /webhooks?q=&state=&tenant=&event=&cursor=`.
pub fn show(session: &Session) -> Result<ListPage, PageError> {
    let query = ListQuery::of(&session.query, PARAMETERS, session.tenant().is_some());
    let (page, total, problem) = match load(session, &query) {
        Ok((page, total)) => (page, total, None),
        Err(error) => (Page::empty(), String::new(), Some(error.into())),
    };
    let path = format!("{}/webhooks", session.base());
    let chips = query.chips(&path, |_, value| value.to_owned());
    let (frame, suggestions) = session.read(|db| {
        let frame = session.frame(db, list_query::title(&chips, "Webhooks"), Section::Webhooks)?;
        Ok((frame, Suggestions::read(session, db)?))
    })?;
    let api_query = query.query();
    Ok(ListPage {
        pager: Pager::new(&path, &api_query, &session.query, page.next),
        rows: session.read(|db| Ok(rows(session, db, page.rows)?))?,
        chips,
        total,
        suggestions,
        problem,
        here: format!("{}{}", frame.base, session.here),
        query,
        frame: frame.with_api("GET", &below("/v1/webhooks", &api_query)),
    })
}

/// Webhooks of the page, and the number of matches in words.
fn load(session: &Session, query: &ListQuery) -> Result<(Page<Webhook>, String), ActionError> {
    let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
    let filter = WebhookFilter {
        tenant: match session.tenant() {
            Some(own) => Some(own.clone()),
            None => query.given("tenant").map(str::parse).transpose().map_err(in_field("tenant"))?,
        },
        states: query.given("state").map(str::parse).transpose().map_err(in_field("state"))?.unwrap_or_default(),
        events: query.given("event").map(str::parse).transpose().map_err(in_field("event"))?.unwrap_or_default(),
    };
    let needle: Option<Needle> = query.given("q").map(str::parse).transpose().map_err(in_field("q"))?;
    let request = session.query.page_request()?;
    let store = &session.app.actions.store;
    match needle.map(|needle| session.app.search(needle)) {
        Some(text) => Ok((store.read(|db| webhook::search(db, &filter, &text, &request))?, String::new())),
        None => Ok(store.read(|db| {
            let page = webhook::list(db, &filter, &request)?;
            let total = total(&page, &request, || webhook::count_matching(db, &filter))?;
            Ok::<_, StoreError>((page, total_words(total, "webhook")))
        })?),
    }
}

/// Rows with their conditions and statistics, which three queries read for all of them.
fn rows(session: &Session, db: &Connection, webhooks: Vec<Webhook>) -> Result<Vec<WebhookRow>, StoreError> {
    let seqs: Vec<i64> = webhooks.iter().map(|webhook| webhook.seq).collect();
    let now = session.now();
    let from = Window::Day.begins(now);
    let hours = stats::by_hour_of_each(db, &seqs, from)?;
    let last = stats::last_finished(db, &seqs)?;
    let conditions = read::conditions(db, &seqs)?;
    let row = |webhook: Webhook| {
        let hours = hours.get(&webhook.seq).map_or(&[][..], Vec::as_slice);
        let last_ms = last.get(&webhook.seq).copied();
        let verdict = conditions.get(&webhook.seq).map(|condition| condition.verdict);
        WebhookRow::of(webhook, verdict, Chart::of(hours, from, now, session.zone()), last_ms)
    };
    Ok(webhooks.into_iter().map(row).collect())
}
