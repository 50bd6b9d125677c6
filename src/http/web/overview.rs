//! `/`: what needs attention, what became of deliveries in the last 24 hours, what failed last.

use actix_web::guard;
use actix_web::http::header::Accept;
use actix_web::web::{self, ServiceConfig};
use askama::Template;

use super::chart::Chart;
use super::error::PageError;
use super::page;
use crate::actions::delivery::explain;
use crate::actions::statistics::{Statistics, Window};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::time::Millis;
use crate::domain::webhook::{Webhook, WebhookState};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::delivery::{self, Delivery, DeliveryFilter};
use crate::store::page::PageRequest;
use crate::store::stats::{self, Of};
use crate::store::webhook::{self, WebhookFilter};
use crate::store::{Connection, StoreError};
use crate::text::explanation;
use crate::text::humanize;

/// Webhooks named of each state at most.
const NAMED: u32 = 5;
/// Failures shown at most.
const FAILURES: usize = 8;
/// Dead letters counted at most.
const MOST_COUNTED: u32 = 1_000;

pub(super) fn routes(config: &mut ServiceConfig) {
    // Programs that come here by mistake are told where the API is.
    let start = page("/").guard(guard::fn_guard(|context| {
        let accepts = context.header::<Accept>();
        accepts.is_some_and(|accept| accept.iter().any(|item| item.item.essence_str() == "text/html"))
    }));
    config.service(start.route(web::get().to(show)));
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    /// Whether there is any webhook; without one there is a first step and nothing else.
    has_webhooks: bool,
    attention: Vec<Concern>,
    dead_letters: u64,
    statistics: Statistics,
    oldest_ms: Option<Millis>,
    chart: Chart,
    failures: Vec<Failure>,
    machine: Option<Machine>,
}

/// A webhook that somebody has to look at.
struct Concern {
    status: &'static str,
    word: &'static str,
    id: String,
    name: String,
    why: String,
}

/// A delivery that failed, for good or for now.
struct Failure {
    id: String,
    status: &'static str,
    event_type: String,
    webhook: String,
    what: String,
    at_ms: Millis,
}

/// What the server stands on; for operators.
struct Machine {
    database: String,
    wal: String,
    free: Option<String>,
    is_tight: bool,
}

impl OverviewPage {
    fn success_rate(&self) -> String {
        let sums = &self.statistics.sums;
        humanize::percent(sums.delivered, sums.delivered + sums.failed).unwrap_or_else(|| "–".to_owned())
    }

    fn waiting(&self) -> u64 {
        self.statistics.waiting.pending + self.statistics.waiting.retrying
    }

    fn dead_letters_text(&self) -> String {
        match self.dead_letters {
            count if count >= u64::from(MOST_COUNTED) => {
                format!("{} or more dead letters", humanize::number(count))
            }
            count => humanize::counted(count, "dead letter"),
        }
    }

    fn number(&self, count: impl std::borrow::Borrow<u64>) -> String {
        humanize::number(*count.borrow())
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// `GET /`.
async fn show(session: Session) -> PageResult {
    session.show(overview).await
}

fn overview(session: &Session) -> Result<OverviewPage, PageError> {
    let actions = &session.app.actions;
    let now = session.now();
    let tenant = session.tenant();
    let of = tenant.cloned().map_or(Of::All, Of::Tenant);
    let statistics = actions.overall_statistics(tenant.cloned(), Window::Day)?;
    let since_ms = statistics.since_ms;
    // Before the read: one that waits for another inside of it would hold a reader that others wait for.
    let frame = session.frame("Overview", Section::Overview)?;
    let store = &actions.store;
    store.read(|connection| -> Result<_, PageError> {
        let hours = stats::by_hour(connection, &of, since_ms)?;
        Ok(OverviewPage {
            has_webhooks: !webhooks(connection, session, None, 1)?.is_empty(),
            attention: attention(connection, session)?,
            dead_letters: delivery::count_dead_letters(connection, tenant, MOST_COUNTED)?,
            oldest_ms: stats::oldest_waiting(connection, &of)?,
            chart: Chart::of(&hours, since_ms, now),
            failures: failures(connection, session)?,
            machine: tenant.is_none().then(|| machine(session)),
            statistics,
            frame: frame.with_api("GET", "/v1/stats?window=24h"),
        })
    })
}

fn webhooks(
    connection: &Connection,
    session: &Session,
    state: Option<WebhookState>,
    limit: u32,
) -> Result<Vec<Webhook>, StoreError> {
    let filter = WebhookFilter { tenant: session.tenant().cloned(), state, ..WebhookFilter::default() };
    let request = PageRequest { limit, cursor: None };
    Ok(webhook::list(connection, &filter, &request)?.rows)
}

/// What needs somebody, the worst first.
fn attention(connection: &Connection, session: &Session) -> Result<Vec<Concern>, StoreError> {
    let mut found = Vec::new();
    for webhook in webhooks(connection, session, Some(WebhookState::Disabled), NAMED)? {
        let reason = webhook.disabled_reason.clone();
        found.push(Concern::of(&webhook, "disabled", "Disabled", reason));
    }
    for (webhook, retrying) in webhook::failing(connection, session.tenant(), NAMED)? {
        let why = match retrying {
            1 => "1 delivery failed so far and is tried again.".to_owned(),
            many => format!("{} deliveries failed so far and are tried again.", humanize::number(many)),
        };
        found.push(Concern::of(&webhook, "retrying", "Failing", Some(why)));
    }
    for webhook in webhooks(connection, session, Some(WebhookState::Unverified), NAMED)? {
        let reason = webhook.disabled_reason.clone();
        let why = reason.unwrap_or_else(|| "It has not answered its challenge.".to_owned());
        found.push(Concern::of(&webhook, "unverified", "Unverified", Some(why)));
    }
    Ok(found)
}

impl Concern {
    fn of(webhook: &Webhook, status: &'static str, word: &'static str, why: Option<String>) -> Concern {
        Concern { status, word, id: webhook.id.to_string(), name: name(webhook), why: why.unwrap_or_default() }
    }
}

/// What people call a webhook.
fn name(webhook: &Webhook) -> String {
    match webhook.description.trim() {
        "" => webhook.url.as_str().to_owned(),
        description => description.to_owned(),
    }
}

/// The newest that failed for good, and the newest that are tried again, by their last attempt.
fn failures(connection: &Connection, session: &Session) -> Result<Vec<Failure>, StoreError> {
    let mut found: Vec<Delivery> = Vec::new();
    for status in [DeliveryStatus::Failed, DeliveryStatus::Retrying] {
        let filter = DeliveryFilter {
            status: Some(status),
            tenant: session.tenant().cloned(),
            test: Some(false),
            ..DeliveryFilter::default()
        };
        let request = PageRequest { limit: FAILURES as u32, cursor: None };
        found.extend(delivery::list(connection, &filter, &request)?.rows);
    }
    found.sort_by_key(|delivery| delivery.last.as_ref().map(|last| -last.at_ms));
    found.truncate(FAILURES);
    let now = session.now();
    found.into_iter().map(|delivery| failure(connection, delivery, now)).collect()
}

fn failure(connection: &Connection, delivery: Delivery, now: Millis) -> Result<Failure, StoreError> {
    let webhook = webhook::by_seq(connection, delivery.webhook_seq)?;
    let url = webhook.as_ref().map(|webhook| webhook.url.as_str());
    let last = delivery.last.as_ref();
    let last = last.map(|last| explain::last_of(last, url.unwrap_or_default()));
    let what = match (&last, url) {
        (Some(last), Some(_)) if last.failed.is_some() => last.failed.as_ref().map(|failed| failed.sentence(now)),
        (Some(last), _) => Some(explanation::short(last)),
        (None, _) => None,
    };
    Ok(Failure {
        status: delivery.status.into_str(),
        event_type: delivery.event_type.to_string(),
        webhook: webhook.as_ref().map_or_else(|| "a deleted webhook".to_owned(), name),
        what: what.unwrap_or_else(|| "It was given up without an attempt.".to_owned()),
        at_ms: last.map_or(delivery.created_ms, |last| last.started_ms),
        id: delivery.id.to_string(),
    })
}

fn machine(session: &Session) -> Machine {
    let store = &session.app.actions.store;
    let (database, wal) = store.sizes();
    let free = store.free_bytes();
    Machine {
        database: humanize::bytes(database),
        wal: humanize::bytes(wal),
        // A prune or an upgrade may need as much again as the file has.
        is_tight: free.is_some_and(|free| free < (database + wal).max(256 << 20)),
        free: free.map(humanize::bytes),
    }
}
