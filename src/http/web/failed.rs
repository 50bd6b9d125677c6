//! `/failed`: dead letters by cause and age, and by webhook.

use std::collections::BTreeMap;

use actix_web::web::{self, ServiceConfig};
use askama::Template;
use strum::VariantArray;

use super::deliveries::rows::{Name, Names};
use super::error::PageError;
use super::page;
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::failure_group::FailureGroup;
use crate::domain::time::{DAY, HOUR, Millis, SECOND};
use crate::http::export;
use crate::http::web::deliveries::filter::{Criteria, field_time};
use crate::http::web::layout::{Frame, Section, code_label};
use crate::http::web::session::{PageResult, Session};
use crate::store::dead_letter_counts;
use crate::store::dead_letter_counts::{Age, Failed};
use crate::store::{Connection, StoreError, webhook};
use crate::text::failure::status_words;
use crate::text::humanize;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(page("/failed").route(web::get().to(show)));
    config.service(page("/failed/export").route(web::get().to(download)));
}

/// The ages, and how long ago each ends.
const AGES: [(&str, Option<Millis>); 6] = [
    ("Up to 1 h", Some(HOUR)),
    ("1 to 3 h", Some(3 * HOUR)),
    ("3 to 24 h", Some(DAY)),
    ("1 to 3 days", Some(3 * DAY)),
    ("3 to 7 days", Some(7 * DAY)),
    ("Older", None),
];

/// Causes on the page at most; there are some twenty that anybody ever saw.
const MOST_CAUSES: usize = 60;
/// Webhooks on the page at most, those with the most failures.
const MOST_WEBHOOKS: usize = 50;

#[derive(Template)]
#[template(path = "failed.html")]
struct FailedPage {
    frame: Frame,
    ages: Vec<&'static str>,
    causes: Vec<CauseRow>,
    totals: Vec<Cell>,
    total: String,
    webhooks: Vec<WebhookRow>,
    /// Whether of some age more failed than was looked at.
    is_partial: bool,
    looked_at: String,
}

/// Dead letters that failed for the same reason.
struct CauseRow {
    label: String,
    group: &'static str,
    cells: Vec<Cell>,
    total: String,
    /// The filter that shows them all.
    query: String,
}

struct Cell {
    label: &'static str,
    count: String,
    is_zero: bool,
    query: String,
}

struct WebhookRow {
    id: String,
    name: Name,
    state: Option<&'static str>,
    tenant: String,
    count: String,
    /// What most of them failed for.
    cause: String,
    query: String,
}

/// Why a delivery failed, in the order in which a person looks for the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CauseKey {
    group: usize,
    error_code: Option<ErrorCode>,
    /// Of an answer; of other errors it does not matter.
    code: Option<u16>,
}

impl CauseKey {
    fn of(failed: &Failed) -> CauseKey {
        let code = failed.code.filter(|_| failed.error_code == Some(ErrorCode::Status));
        let group = FailureGroup::of(failed.error_code, failed.code);
        let place = FailureGroup::VARIANTS.iter().position(|known| *known == group);
        CauseKey { group: place.unwrap_or(usize::MAX), error_code: failed.error_code, code }
    }

    fn label(self) -> String {
        match (self.error_code, self.code) {
            (Some(ErrorCode::Status), Some(code)) => status_words(code),
            (Some(error), _) => code_label(error.into_str()),
            (None, _) => "No attempt in the log".to_owned(),
        }
    }

    fn query(self) -> Vec<(&'static str, String)> {
        let error = self.error_code.map(|error| ("error", error.to_string()));
        let code = self.code.map(|code| ("code", code.to_string()));
        error.into_iter().chain(code).collect()
    }
}

/// `GET /failed`.
async fn show(session: Session) -> PageResult {
    session.show(failed_page).await
}

fn failed_page(session: &Session) -> Result<FailedPage, PageError> {
    // Whole seconds: so the fields of the filter hold the same bounds.
    let now = session.now() / SECOND * SECOND;
    let tenant = session.tenant();
    let store = &session.app.actions.store;
    let (ages, webhooks) = store.read(|connection| -> Result<_, PageError> {
        let ages = (0..AGES.len()).map(|age| {
            let (since, until) = span(age, now);
            dead_letter_counts::of_age(connection, tenant, since, until)
        });
        let ages: Vec<Age> = ages.collect::<Result<_, StoreError>>()?;
        let webhooks = webhooks(connection, &ages)?;
        Ok((ages, webhooks))
    })?;
    let is_partial = ages.iter().any(|age| age.more);
    let mut counts: BTreeMap<CauseKey, [u64; AGES.len()]> = BTreeMap::new();
    for (index, age) in ages.iter().enumerate() {
        for failed in &age.failed {
            counts.entry(CauseKey::of(failed)).or_default()[index] += 1;
        }
    }
    let row = |(key, counts): (&CauseKey, &[u64; AGES.len()])| {
        let filter = key.query();
        CauseRow {
            label: key.label(),
            group: FailureGroup::VARIANTS.get(key.group).map_or("", |group| group.label()),
            cells: cells(&ages, counts, &filter, now),
            total: plus(counts.iter().sum(), is_partial),
            query: query(&filter, None, now),
        }
    };
    let mut totals = [0; AGES.len()];
    for (index, age) in ages.iter().enumerate() {
        totals[index] = age.failed.len() as u64;
    }
    let frame = session.read(|db| session.frame(db, "Failed", Section::Failed))?;
    Ok(FailedPage {
        frame: frame.with_api("GET", "/v1/dead-letters"),
        ages: AGES.iter().map(|(label, _)| *label).collect(),
        causes: counts.iter().take(MOST_CAUSES).map(row).collect(),
        totals: cells(&ages, &totals, &[], now),
        total: plus(totals.iter().sum(), is_partial),
        webhooks,
        is_partial,
        looked_at: humanize::number(dead_letter_counts::MOST.into()),
    })
}

/// When the deliveries of an age were created.
fn span(age: usize, now: Millis) -> (Option<Millis>, Option<Millis>) {
    let until = age.checked_sub(1).and_then(|before| AGES[before].1);
    let at = |ago: Millis| now - ago;
    (AGES[age].1.map(at), until.map(at))
}

fn cells(ages: &[Age], counts: &[u64; AGES.len()], filter: &[(&'static str, String)], now: Millis) -> Vec<Cell> {
    let cells = counts.iter().enumerate().map(|(age, count)| Cell {
        label: AGES[age].0,
        count: plus(*count, ages[age].more),
        is_zero: *count == 0 && !ages[age].more,
        query: query(filter, Some(age), now),
    });
    cells.collect()
}

/// A number; with a plus where there may be more.
fn plus(count: u64, more: bool) -> String {
    format!("{}{}", humanize::number(count), if more { "+" } else { "" })
}

/// The filter of the list that shows the same; tests are left out, as they are here.
fn query(filter: &[(&'static str, String)], age: Option<usize>, now: Millis) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("status", "failed");
    query.append_pair("test", "false");
    query.extend_pairs(filter);
    if let Some(age) = age {
        let (since, until) = span(age, now);
        for (name, at) in [("from", since), ("to", until)] {
            if let Some(at) = at {
                query.append_pair(name, &field_time(at));
            }
        }
    }
    query.finish()
}

/// The webhooks with the most failures among those looked at.
fn webhooks(connection: &Connection, ages: &[Age]) -> Result<Vec<WebhookRow>, StoreError> {
    let mut found: BTreeMap<i64, BTreeMap<CauseKey, u64>> = BTreeMap::new();
    for failed in ages.iter().flat_map(|age| &age.failed) {
        let causes = found.entry(failed.webhook_seq).or_default();
        *causes.entry(CauseKey::of(failed)).or_default() += 1;
    }
    let sum = |causes: &BTreeMap<CauseKey, u64>| causes.values().sum::<u64>();
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, causes)| std::cmp::Reverse(sum(causes)));
    found.truncate(MOST_WEBHOOKS);
    let is_partial = ages.iter().any(|age| age.more);
    let mut names = Names::default();
    let mut rows = Vec::with_capacity(found.len());
    for (seq, causes) in found {
        let webhook = webhook::by_seq(connection, seq)?;
        let id = webhook::id_of(connection, seq)?.to_string();
        let most = causes.iter().max_by_key(|(_, count)| **count);
        rows.push(WebhookRow {
            name: names.of(connection, seq)?,
            state: webhook.as_ref().map(|webhook| webhook.state.into_str()),
            tenant: webhook.map(|webhook| webhook.tenant.to_string()).unwrap_or_default(),
            count: plus(sum(&causes), is_partial),
            cause: most.map(|(key, _)| key.label()).unwrap_or_default(),
            query: query(&[("webhook", id.clone())], None, 0),
            id,
        });
    }
    Ok(rows)
}

/// `GET /failed/export?…`: what the filter meets of the dead letters, as lines of JSON.
async fn download(session: Session) -> PageResult {
    let criteria = Criteria::of(&session, &session.query);
    if let Some(problem) = criteria.problem {
        let error = crate::domain::Invalid::new("invalid_filter", problem);
        return Err(PageError::from(error).below(session.base()));
    }
    let mut filter = criteria.filter;
    filter.status = Some(DeliveryStatus::Failed);
    filter.test = Some(false);
    let answer = export::dead_letters(&session.app, filter).await;
    answer.map_err(|error| PageError::from(error).below(session.base()))
}
