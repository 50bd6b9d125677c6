//! `/`: what needs attention, the deliveries of the last 24 hours, the latest failures.

use actix_web::guard;
use actix_web::http::header::Accept;
use actix_web::web::{self, ServiceConfig};

use super::chart::Chart;
use crate::actions::Actions;
use crate::actions::delivery::explain;
use crate::actions::statistics::Window;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::incident::Health;
use crate::domain::time::Millis;
use crate::domain::tls::ATTENTION;
use crate::domain::webhook::{Webhook, WebhookState};
use crate::http::tenant_use::tenant_use;
use crate::http::web::deliveries::filter::finished;
use crate::http::web::limits::{self, LimitRow};
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::delivery::{self, Delivery, DeliveryFilter};
use crate::store::incident::{self, read, read::Condition};
use crate::store::page::PageRequest;
use crate::store::stats::{self, Of};
use crate::store::webhook::{self, Attention, WebhookFilter};
use crate::store::{StoreError, contact};
use crate::text::{certificate, explanation, humanize};

/// Webhooks listed for each state.
const MAX_WEBHOOKS: u32 = 5;
/// Failures listed.
const MAX_FAILURES: u32 = 8;
/// Dead letters counted.
const MAX_DEAD_LETTERS: u32 = 1_000;

pub(super) fn routes(config: &mut ServiceConfig) {
    // A program that calls the server's root gets a 404 that names the API.
    let start = web::resource("/").guard(guard::fn_guard(|context| {
        let accepts = context.header::<Accept>();
        accepts.is_some_and(|accept| accept.iter().any(|item| item.item.essence_str() == "text/html"))
    }));
    config.service(start.route(super::read(show)));
}

#[derive(Template)]
#[template(path = "overview.html")]
pub struct OverviewPage {
    frame: Frame,
    /// Without a webhook, the page shows the first step only.
    has_webhooks: bool,
    /// Whether anybody is told about incidents.
    has_contacts: bool,
    attention: Vec<Concern>,
    /// `None` if there are none.
    dead_letters: Option<String>,
    since_ms: Millis,
    delivered: String,
    delivered_query: String,
    failed: String,
    failed_query: String,
    waiting: String,
    oldest_ms: Option<Millis>,
    success_rate: Option<String>,
    chart: Chart,
    failures: Vec<FailureRow>,
    /// For operators only.
    machine: Option<Machine>,
    /// In the portal only; else empty.
    limits: Vec<LimitRow>,
}

/// A webhook that needs attention.
struct Concern {
    webhook: Webhook,
    /// `None` if it is about a certificate.
    condition: Option<Condition>,
    reason: String,
    /// Number of deliveries that are retried; empty if there are none.
    retrying: String,
}

/// A delivery that failed or is being retried.
struct FailureRow {
    delivery: Delivery,
    webhook: Option<Webhook>,
    reason: String,
    at_ms: Millis,
}

struct Machine {
    database: String,
    wal: String,
    free: Option<String>,
    is_low: bool,
    /// When the newest scheduled backup was made, if backups are scheduled and there is one.
    backup_ms: Option<Millis>,
    /// The trouble of scheduled backups, as a sentence.
    backup_fault: Option<String>,
}

/// `GET /`.
pub fn show(session: &Session, db: &Connection) -> Result<OverviewPage, PageError> {
    let now = session.now();
    let tenant = session.tenant();
    let of = tenant.cloned().map_or(Of::All, Of::Tenant);
    let since_ms = Window::Day.begins(now);
    let sums = stats::since(db, &of, since_ms)?;
    let waiting = stats::waiting(db, &of)?;
    let dead_letters = match delivery::count_dead_letters(db, tenant, MAX_DEAD_LETTERS)? {
        0 => None,
        count if count >= u64::from(MAX_DEAD_LETTERS) => {
            Some(format!("{} or more dead letters", humanize::number(count)))
        }
        count => Some(humanize::counted(count, "dead letter")),
    };
    let frame = session.frame(db, "Overview", Section::Overview)?.with_api("GET", "/v1/stats?window=24h");
    Ok(OverviewPage {
        has_webhooks: !webhooks(session, db, None, 1)?.is_empty(),
        has_contacts: contact::has_any(db, session.tenant())?,
        attention: attention(session, db)?,
        since_ms,
        delivered: humanize::number(sums.delivered),
        failed: humanize::number(sums.failed),
        waiting: humanize::number(waiting.pending + waiting.retrying),
        oldest_ms: stats::oldest_waiting(db, &of)?,
        success_rate: humanize::percent(sums.delivered, sums.delivered + sums.failed),
        chart: Chart::of(&stats::by_hour(db, &of, since_ms)?, since_ms, now, session.zone())
            .with_latency(&stats::latency_by_hour(db, &of, since_ms)?),
        delivered_query: finished(None, "delivered", since_ms, None),
        failed_query: finished(None, "failed", since_ms, None),
        failures: failures(session, db)?,
        machine: tenant.is_none().then(|| machine(&session.app.actions, now)),
        limits: match tenant {
            Some(tenant) => limits::of_tenant(&session.app, &tenant_use(&session.app, db, tenant)?),
            None => Vec::new(),
        },
        frame: Frame { title: title(frame.attention, dead_letters.as_deref()), ..frame },
        dead_letters,
    })
}

/// Title with what is wrong first, which the tab shows while the page is in the background.
fn title(attention: Attention, dead_letters: Option<&str>) -> String {
    let disabled = (attention.disabled > 0).then(|| format!("{} disabled", attention.disabled));
    let unverified = (attention.unverified > 0).then(|| format!("{} unverified", attention.unverified));
    let wrong: Vec<String> = [disabled, unverified, dead_letters.map(str::to_owned)].into_iter().flatten().collect();
    if wrong.is_empty() { "Overview".to_owned() } else { format!("{} · Overview", wrong.join(", ")) }
}

fn webhooks(
    session: &Session,
    db: &Connection,
    state: Option<WebhookState>,
    limit: u32,
) -> Result<Vec<Webhook>, StoreError> {
    let filter = WebhookFilter {
        tenant: session.tenant().cloned(),
        states: state.into_iter().collect(),
        ..WebhookFilter::default()
    };
    Ok(webhook::list(db, &filter, &PageRequest { limit, cursor: None })?.rows)
}

/// Webhooks that need attention, worst first.
fn attention(session: &Session, db: &Connection) -> Result<Vec<Concern>, StoreError> {
    let mut found = webhooks(session, db, Some(WebhookState::Disabled), MAX_WEBHOOKS)?;
    for seq in read::failing(db, session.tenant(), MAX_WEBHOOKS)? {
        found.extend(webhook::by_seq(db, seq)?.filter(|webhook| webhook.contact_seq.is_none()));
    }
    found.extend(webhooks(session, db, Some(WebhookState::Unverified), MAX_WEBHOOKS)?);
    let seqs: Vec<i64> = found.iter().map(|webhook| webhook.seq).collect();
    let conditions = read::conditions(db, &seqs)?;
    let concern = |webhook: Webhook| {
        let condition = conditions.get(&webhook.seq).copied()?;
        Some((webhook, condition))
    };
    let concerns = found.into_iter().filter_map(concern).map(|(webhook, condition)| {
        let mut retrying = String::new();
        let reason = match condition.verdict.health {
            Health::Failing => {
                let count = stats::waiting(db, &Of::Webhook(webhook.seq))?.retrying;
                if count > 0 {
                    retrying = humanize::counted(count, "delivery");
                }
                match count {
                    0 => String::new(),
                    1 => "is failing and being retried.".to_owned(),
                    _ => "are failing and being retried.".to_owned(),
                }
            }
            Health::Unverified if webhook.disabled_reason.is_none() => {
                "The endpoint has not answered its challenge.".to_owned()
            }
            _ => webhook.disabled_reason.clone().unwrap_or_default(),
        };
        Ok(Concern { webhook, condition: Some(condition), reason, retrying })
    });
    let mut concerns: Vec<Concern> = concerns.collect::<Result<_, StoreError>>()?;
    for webhook in webhook::expiring(db, session.tenant(), session.now() + ATTENTION, MAX_WEBHOOKS)? {
        let warning = webhook.tls.as_deref().and_then(|tls| certificate::warning(tls, session.now(), session.zone()));
        let reason = warning.unwrap_or_default();
        concerns.push(Concern { webhook, condition: None, reason, retrying: String::new() });
    }
    for seq in read::with_certificate_ending(db, session.tenant(), MAX_WEBHOOKS)? {
        let is_shown = concerns.iter().any(|concern| concern.webhook.seq == seq);
        let Some(webhook) = webhook::by_seq(db, seq)?.filter(|_| !is_shown) else { continue };
        let Some(ends_ms) = incident::certificate::of_host(db, webhook.url.host_key())? else { continue };
        let reason = certificate::endpoint_warning(ends_ms, session.now(), session.zone());
        concerns.push(Concern { webhook, condition: None, reason, retrying: String::new() });
    }
    Ok(concerns)
}

/// Dead letters and retrying deliveries, latest attempt first.
fn failures(session: &Session, db: &Connection) -> Result<Vec<FailureRow>, StoreError> {
    let mut deliveries: Vec<Delivery> = Vec::new();
    for status in [DeliveryStatus::Failed, DeliveryStatus::Retrying] {
        let filter = DeliveryFilter {
            statuses: status.into(),
            tenant: session.tenant().cloned(),
            test: Some(false),
            ..DeliveryFilter::default()
        };
        deliveries.extend(delivery::list(db, &filter, &PageRequest { limit: MAX_FAILURES, cursor: None })?.rows);
    }
    deliveries.sort_by_key(|delivery| delivery.last.as_ref().map(|last| -last.at_ms));
    deliveries.truncate(MAX_FAILURES as usize);
    deliveries.into_iter().map(|delivery| failure(db, delivery, session.now())).collect()
}

fn failure(db: &Connection, delivery: Delivery, now: Millis) -> Result<FailureRow, StoreError> {
    let webhook = webhook::by_seq(db, delivery.webhook_seq)?;
    let url = webhook.as_ref().map(|webhook| webhook.url.as_str());
    let last = delivery.last.as_ref().map(|last| explain::last_of(last, url.unwrap_or_default()));
    let reason = match &last {
        // A sentence names the host, which is unknown for a deleted webhook.
        Some(last) => match &last.failed {
            Some(failed) if url.is_some() => failed.sentence(now),
            _ => explanation::short(last),
        },
        None => "It was given up without an attempt.".to_owned(),
    };
    let at_ms = last.map_or(delivery.created_ms, |last| last.started_ms);
    Ok(FailureRow { at_ms, reason, webhook, delivery })
}

fn machine(actions: &Actions, now: Millis) -> Machine {
    let Actions { store, backups, .. } = actions;
    let (database, wal) = store.sizes();
    let free = store.free_bytes();
    Machine {
        database: humanize::bytes(database),
        wal: humanize::bytes(wal),
        // A prune or an upgrade may need as much space again as the file takes.
        is_low: free.is_some_and(|free| free < (database + wal).max(256 << 20)),
        free: free.map(humanize::bytes),
        backup_ms: backups.newest_ms(),
        backup_fault: backups.fault(now),
    }
}
