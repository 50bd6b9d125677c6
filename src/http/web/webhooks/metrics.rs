//! `/webhooks/{id}/metrics`: deliveries and response times of the last hours and days.

use actix_web::web::Path;
use askama::Template;
use strum::VariantArray;

use super::header::{self, Head, Tab};
use crate::actions::statistics::{Statistics, Window};
use crate::domain::time::Millis;
use crate::http::web::chart::{Chart, formula};
use crate::http::web::error::PageError;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::Connection;
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
    /// Time at which the oldest queued delivery was created.
    oldest_ms: Option<Millis>,
}

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
    session.show(move |session| session.read(|db| metrics_page(session, db, &id))).await
}

fn metrics_page(session: &Session, db: &Connection, id: &str) -> Result<MetricsPage, PageError> {
    let webhook = header::find(session, db, id)?;
    let (of, now) = (Of::Webhook(webhook.seq), session.now());
    let from = Window::Day.begins(now);
    let windows = Window::VARIANTS.iter().map(|window| Ok(WindowRow::of(&Statistics::read(db, &of, *window, now)?)));
    let waiting = stats::waiting(db, &of)?;
    let head = Head::of(session, &webhook, Tab::Metrics);
    let frame = session.frame(db, format!("{}: metrics", head.name), Section::Webhooks)?;
    Ok(MetricsPage {
        frame: frame.with_api("GET", &format!("/v1/webhooks/{}/stats?window=24h", webhook.id)),
        head,
        chart: Chart::of(&stats::by_hour(db, &of, from)?, from, now),
        windows: windows.collect::<Result<_, PageError>>()?,
        pending: humanize::number(waiting.pending),
        retrying: humanize::number(waiting.retrying),
        oldest_ms: stats::oldest_waiting(db, &of)?,
    })
}
