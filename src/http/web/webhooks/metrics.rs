//! `/webhooks/{id}/metrics`: what became of its deliveries lately.

use actix_web::web::Path;
use askama::Template;
use strum::VariantArray;

use super::super::error::PageError;
use super::header;
use crate::actions::statistics::{Statistics, Window};
use crate::domain::time::Millis;
use crate::http::web::chart::{Chart, formula};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::http::web::webhooks::header::{Head, Tab};
use crate::store::stats::{self, Of};
use crate::text::humanize;

#[derive(Template)]
#[template(path = "webhooks/metrics.html")]
struct MetricsPage {
    frame: Frame,
    head: Head,
    chart: Chart,
    windows: Vec<WindowRow>,
    pending: String,
    retrying: String,
    /// Since when the one that waits longest has waited.
    oldest_ms: Option<Millis>,
}

/// A window in words.
struct WindowRow {
    label: &'static str,
    delivered: String,
    failed: String,
    rate: Option<String>,
    formula: String,
    retries: String,
    average: Option<String>,
    p95: Option<String>,
}

impl WindowRow {
    fn of(statistics: &Statistics) -> WindowRow {
        let sums = &statistics.sums;
        let ms = |ms: f64| humanize::duration(ms.round() as i64);
        WindowRow {
            label: match statistics.window {
                Window::Hour => "1 hour",
                Window::Day => "24 hours",
                Window::Week => "7 days",
                Window::Month => "30 days",
            },
            delivered: humanize::number(sums.delivered),
            failed: humanize::number(sums.failed),
            rate: humanize::percent(sums.delivered, sums.delivered + sums.failed),
            formula: formula(sums.delivered, sums.failed),
            retries: humanize::number(sums.retry_attempts),
            average: sums.average_response_ms().map(ms),
            p95: sums.p95_response_ms().map(ms),
        }
    }
}

/// `GET /webhooks/{id}/metrics`.
pub async fn show(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| metrics_page(session, &id)).await
}

fn metrics_page(session: &Session, id: &str) -> Result<MetricsPage, PageError> {
    let webhook = header::find(session, id)?;
    let actions = &session.app.actions;
    let (caller, now) = (session.caller(), session.now());
    let windows = Window::VARIANTS.iter().map(|window| {
        let found = actions.webhook_statistics(&caller, id, *window)?;
        Ok(WindowRow::of(&found))
    });
    let windows = windows.collect::<Result<_, PageError>>()?;
    let from = Window::Day.begins(now);
    let of = Of::Webhook(webhook.seq);
    let (hours, waiting, oldest_ms) = actions.store.read(|connection| -> Result<_, PageError> {
        Ok((
            stats::by_hour(connection, &of, from)?,
            stats::waiting(connection, &of)?,
            stats::oldest_waiting(connection, &of)?,
        ))
    })?;
    let head = Head::of(session, &webhook, Tab::Metrics);
    let frame = session.read(|db| session.frame(db, format!("{}: metrics", head.name), Section::Webhooks))?;
    Ok(MetricsPage {
        frame: frame.with_api("GET", &format!("/v1/webhooks/{}/stats?window=24h", webhook.id)),
        head,
        chart: Chart::of(&hours, from, now),
        windows,
        pending: humanize::number(waiting.pending),
        retrying: humanize::number(waiting.retrying),
        oldest_ms,
    })
}
