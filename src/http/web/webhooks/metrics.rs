//! `/webhooks/{id}/metrics`: deliveries and response times of the last hours and days.

use strum::VariantArray;

use super::header::{self, Head, Tab};
use crate::actions::statistics::{Statistics, Window};
use crate::domain::time::Millis;
use crate::http::web::chart::{self, Chart};
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::StoreError;
use crate::store::stats::{self, Of};
use crate::text::humanize;

#[derive(Template)]
#[template(path = "webhooks/metrics.html")]
pub struct MetricsPage {
    frame: Frame,
    head: Head,
    chart: Chart,
    windows: Vec<Statistics>,
    pending: String,
    retrying: String,
    /// Time at which the oldest queued delivery was created.
    oldest_ms: Option<Millis>,
}

impl MetricsPage {
    fn label(statistics: &Statistics) -> &'static str {
        match statistics.window {
            Window::Hour => "1 hour",
            Window::Day => "24 hours",
            Window::Week => "7 days",
            Window::Month => "30 days",
        }
    }

    fn success_rate(statistics: &Statistics) -> Option<String> {
        let sums = &statistics.sums;
        humanize::percent(sums.delivered, sums.delivered + sums.failed)
    }

    fn duration(ms: &f64) -> String {
        humanize::duration(ms.round() as i64)
    }
}

/// `GET /webhooks/{id}/metrics`.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<MetricsPage, PageError> {
    let webhook = header::find(session, db, id)?;
    let (of, now) = (Of::Webhook(webhook.seq), session.now());
    let from = Window::Day.begins(now);
    let windows = Window::VARIANTS.iter().map(|window| Statistics::read(db, &of, *window, now));
    let waiting = stats::waiting(db, &of)?;
    let head = Head::read(session, db, &webhook, Tab::Metrics)?;
    let frame = session.frame(db, head.title("Metrics"), Section::Webhooks)?;
    Ok(MetricsPage {
        frame: frame.with_api("GET", &format!("/v1/webhooks/{}/stats?window=24h", webhook.id)),
        head,
        chart: Chart::of(&stats::by_hour(db, &of, from)?, from, now, session.zone()),
        windows: windows.collect::<Result<_, StoreError>>()?,
        pending: humanize::number(waiting.pending),
        retrying: humanize::number(waiting.retrying),
        oldest_ms: stats::oldest_waiting(db, &of)?,
    })
}
