//! `/failed`: dead letters by cause and age, and by webhook.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use strum::VariantArray;

use crate::actions::lookup;
use crate::domain::Invalid;
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::failure_group::FailureGroup;
use crate::domain::time::{DAY, HOUR, Millis, SECOND, rfc3339_seconds};
use crate::domain::webhook::Webhook;
use crate::http::export;
use crate::http::web::deliveries::filter::Criteria;
use crate::http::web::layout::code_label;
use crate::http::web::list_query::{Chip, below};
use crate::http::web::suggestions::Suggestions;
use crate::http::web::{Connection, Frame, PageError, PageResult, Section, Session, Template};
use crate::store::dead_letter_counts::{self, Age, Failed};
use crate::store::incident::read::{self, Condition};
use crate::store::{StoreError, webhook};
use crate::text::failure::status_words;
use crate::text::humanize;

/// Age ranges: label, and the age at the far end.
const AGES: [(&str, Option<Millis>); 6] = [
    ("Up to 1 h", Some(HOUR)),
    ("1 to 3 h", Some(3 * HOUR)),
    ("3 to 24 h", Some(DAY)),
    ("1 to 3 days", Some(3 * DAY)),
    ("3 to 7 days", Some(7 * DAY)),
    ("Older", None),
];

/// Rows of the table of causes. Some twenty causes exist, plus the response codes that receivers use.
const MAX_CAUSES: usize = 60;
/// Rows of the table of webhooks, those with the most dead letters.
const MAX_WEBHOOKS: usize = 50;

/// Dead letters of each age.
type Counts = [u64; AGES.len()];

#[derive(Template)]
#[template(path = "failed.html")]
pub struct FailedPage {
    frame: Frame,
    causes: Vec<CauseRow>,
    totals: Vec<Cell>,
    total: String,
    webhooks: Vec<WebhookRow>,
    criteria: Criteria,
    chips: Vec<Chip>,
    suggestions: Suggestions,
    /// Whether an age has more dead letters than were counted.
    is_partial: bool,
    max_counted: String,
}

impl FailedPage {
    /// Query of the list with all of these dead letters.
    fn query(&self) -> String {
        query(self.criteria.query.pairs(), None, 0)
    }
}

struct CauseRow {
    label: String,
    group: &'static str,
    cells: Vec<Cell>,
    total: String,
    /// Query of the list with these deliveries.
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
    /// `None` if the webhook was deleted.
    webhook: Option<Webhook>,
    /// `None` for a deleted webhook.
    condition: Option<Condition>,
    count: String,
    /// Most frequent cause.
    cause: String,
    query: String,
}

/// Cause of a dead letter. Causes are ordered by the steps of an investigation, as in [`FailureGroup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CauseKey {
    group: usize,
    error_code: Option<ErrorCode>,
    /// Response code; `None` for other errors.
    code: Option<u16>,
}

impl CauseKey {
    fn of(failed: &Failed) -> CauseKey {
        let code = failed.code.filter(|_| failed.error_code == Some(ErrorCode::Status));
        let group = FailureGroup::of(failed.error_code, failed.code);
        let position = FailureGroup::VARIANTS.iter().position(|known| *known == group);
        CauseKey { group: position.unwrap_or(usize::MAX), error_code: failed.error_code, code }
    }

    fn label(self) -> String {
        match (self.error_code, self.code) {
            (Some(ErrorCode::Status), Some(code)) => status_words(code),
            (Some(error), _) => code_label(error.into_str()),
            (None, _) => "No attempt logged".to_owned(),
        }
    }

    fn query(self) -> Vec<(&'static str, String)> {
        let error = self.error_code.map(|error| ("error", error.to_string()));
        let code = self.code.map(|code| ("code", code.to_string()));
        error.into_iter().chain(code).collect()
    }
}

/// `GET /failed?webhook=&type=&tenant=`.
pub fn show(session: &Session, db: &Connection) -> Result<FailedPage, PageError> {
    let criteria = Criteria::of_failed(session, &session.query);
    let own = criteria.query.pairs().to_vec();
    // Whole seconds, as in the date fields of the lists that the numbers link to.
    let now = session.now() / SECOND * SECOND;
    let age = |age| {
        let (since, until) = span(age, now);
        match criteria.problem {
            None => dead_letter_counts::of_age(db, &criteria.filter, since, until),
            Some(_) => Ok(Age { failed: Vec::new(), more: false }),
        }
    };
    let ages: Vec<Age> = (0..AGES.len()).map(age).collect::<Result<_, StoreError>>()?;
    let is_partial = ages.iter().any(|age| age.more);
    let mut counts: BTreeMap<CauseKey, Counts> = BTreeMap::new();
    let mut totals = Counts::default();
    for (index, age) in ages.iter().enumerate() {
        totals[index] = age.failed.len() as u64;
        for failed in &age.failed {
            counts.entry(CauseKey::of(failed)).or_default()[index] += 1;
        }
    }
    let row = |(key, counts): (&CauseKey, &Counts)| {
        let filter = [own.clone(), key.query()].concat();
        CauseRow {
            label: key.label(),
            group: FailureGroup::VARIANTS.get(key.group).map_or("", |group| group.label()),
            cells: cells(&ages, counts, &filter, now),
            total: at_least(counts.iter().sum(), is_partial),
            query: query(&filter, None, now),
        }
    };
    let total = at_least(totals.iter().sum(), is_partial);
    let name = |id: &str| Some(lookup::webhook(db, &session.caller(), id).ok()?.name());
    let title = if counts.is_empty() { "Failed".to_owned() } else { format!("Failed ({total})") };
    Ok(FailedPage {
        frame: session
            .frame(db, title, Section::Failed)?
            .with_api("GET", &below("/v1/dead-letters", &criteria.api_query())),
        causes: counts.iter().take(MAX_CAUSES).map(row).collect(),
        totals: cells(&ages, &totals, &own, now),
        total,
        webhooks: webhooks(db, &ages, &own)?,
        chips: criteria.chips(&format!("{}/failed", session.base()), name),
        suggestions: Suggestions::read(session, db)?,
        criteria,
        is_partial,
        max_counted: humanize::number(dead_letter_counts::MOST.into()),
    })
}

/// Creation times of an age range.
fn span(age: usize, now: Millis) -> (Option<Millis>, Option<Millis>) {
    let until = age.checked_sub(1).and_then(|younger| AGES[younger].1);
    let at = |ago: Millis| now - ago;
    (AGES[age].1.map(at), until.map(at))
}

fn cells(ages: &[Age], counts: &Counts, filter: &[(&'static str, String)], now: Millis) -> Vec<Cell> {
    let cells = counts.iter().enumerate().map(|(age, count)| Cell {
        label: AGES[age].0,
        count: at_least(*count, ages[age].more),
        is_zero: *count == 0 && !ages[age].more,
        query: query(filter, Some(age), now),
    });
    cells.collect()
}

/// A number, with a plus sign if there may be more.
fn at_least(count: u64, more: bool) -> String {
    format!("{}{}", humanize::number(count), if more { "+" } else { "" })
}

/// Query of the list with these dead letters. Excludes tests, as the page does.
fn query(filter: &[(&'static str, String)], age: Option<usize>, now: Millis) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("status", "failed");
    query.append_pair("test", "false");
    query.extend_pairs(filter);
    if let Some(age) = age {
        let (since, until) = span(age, now);
        for (name, at) in [("from", since), ("to", until)] {
            if let Some(at) = at {
                query.append_pair(name, &rfc3339_seconds(at));
            }
        }
    }
    query.finish()
}

/// Webhooks with the most dead letters, among those that were counted.
fn webhooks(db: &Connection, ages: &[Age], filter: &[(&'static str, String)]) -> Result<Vec<WebhookRow>, StoreError> {
    let others: Vec<_> = filter.iter().filter(|(name, _)| *name != "webhook").cloned().collect();
    let mut causes_of: BTreeMap<i64, BTreeMap<CauseKey, u64>> = BTreeMap::new();
    for failed in ages.iter().flat_map(|age| &age.failed) {
        *causes_of.entry(failed.webhook_seq).or_default().entry(CauseKey::of(failed)).or_default() += 1;
    }
    let mut counted: Vec<_> =
        causes_of.into_iter().map(|(seq, causes)| (causes.values().sum::<u64>(), seq, causes)).collect();
    counted.sort_by_key(|(count, ..)| Reverse(*count));
    counted.truncate(MAX_WEBHOOKS);
    let is_partial = ages.iter().any(|age| age.more);
    let row = |(count, seq, causes): (u64, i64, BTreeMap<CauseKey, u64>)| {
        let id = webhook::id_of(db, seq)?.to_string();
        let most_frequent = causes.iter().max_by_key(|(_, count)| **count);
        let webhook = webhook::by_seq(db, seq)?;
        Ok(WebhookRow {
            condition: if webhook.is_some() { read::condition(db, seq)? } else { None },
            webhook,
            count: at_least(count, is_partial),
            cause: most_frequent.map(|(key, _)| key.label()).unwrap_or_default(),
            query: query(&[others.clone(), vec![("webhook", id.clone())]].concat(), None, 0),
            id,
        })
    };
    counted.into_iter().map(row).collect()
}

/// `GET /failed/export?…`: the dead letters that match the filter, as NDJSON.
pub async fn download(session: Session) -> PageResult {
    let criteria = Criteria::of(&session, &session.query);
    if let Some(problem) = criteria.problem {
        return Err(PageError::from(Invalid::new("invalid_filter", problem)).within(session.shell()));
    }
    if criteria.needle.is_some() {
        let invalid = Invalid::new("invalid_filter", "An export takes no text. Use other filters.");
        return Err(PageError::from(invalid).within(session.shell()));
    }
    let mut filter = criteria.filter;
    filter.statuses = DeliveryStatus::Failed.into();
    filter.test = Some(false);
    let response = export::dead_letters(&session.app, session.caller(), filter).await;
    response.map_err(|error| PageError::from(error).within(session.shell()))
}
