//! Retrying or discarding many: those that were ticked, or all that match the filter, whose number is said first.

use super::super::confirm::Confirm;
use super::super::error::PageError;
use super::rows::Name;
use crate::actions::delivery::bulk::{MOST_IDS, Selection};
use crate::actions::{ActionError, lookup};
use crate::domain::Invalid;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::id::DeliveryId;
use crate::domain::time::rfc3339;
use crate::http::web::deliveries::filter::Criteria;
use crate::http::web::form::{Fields, Submission};
use crate::http::web::layout::Section;
use crate::http::web::session::{PageResult, Session};
use crate::text::humanize::counted;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Retry,
    Discard,
}

impl Verb {
    /// The call of the API that does the same.
    fn api(self) -> &'static str {
        match self {
            Verb::Retry => "/v1/deliveries/retry",
            Verb::Discard => "/v1/deliveries/discard",
        }
    }
}

/// `GET /deliveries/retry?…`: how many the filter meets, and what would come of it.
pub async fn ask_retry(session: Session) -> PageResult {
    ask(session, Verb::Retry).await
}

/// `GET /deliveries/discard?…`.
pub async fn ask_discard(session: Session) -> PageResult {
    ask(session, Verb::Discard).await
}

/// `POST /deliveries/retry`: what was ticked, or all that match.
pub async fn retry(submission: Submission) -> PageResult {
    act(submission, Verb::Retry).await
}

/// `POST /deliveries/discard`: the same, once it is confirmed.
pub async fn discard(submission: Submission) -> PageResult {
    act(submission, Verb::Discard).await
}

async fn ask(session: Session, verb: Verb) -> PageResult {
    let permit = session.app.bulk_permit().await?;
    session
        .show(move |session| {
            let _permit = permit;
            session.require_change()?;
            let criteria = Criteria::of(session, &session.query);
            let selection = matching(&criteria)?;
            let count = run(session, verb, &selection, true)?;
            let facts = if criteria.is_empty() {
                vec![("Filter", "none: every delivery there is".to_owned())]
            } else {
                criteria.words()
            };
            let facts = with_names(session, facts)?;
            let back = session.back(&session.query, &criteria.list());
            let fields = all_until_now(session, &criteria);
            let confirm = Confirm { facts, fields, ..confirm(session, verb, count, back) };
            let mut page = confirm.page(session, Section::Deliveries)?;
            page.frame = page.frame.with_api_body("POST", verb.api(), &criteria.api_body());
            Ok(page)
        })
        .await
}

/// A webhook is told by its name beside its id.
fn with_names(
    session: &Session,
    mut facts: Vec<(&'static str, String)>,
) -> Result<Vec<(&'static str, String)>, PageError> {
    for (label, value) in &mut facts {
        if *label == "Webhook" {
            let store = &session.app.actions.store;
            let caller = session.caller();
            let found = store.read(|connection| lookup::webhook(connection, &caller, value));
            if let Ok(webhook) = found {
                let name = Name::of(&webhook.description, webhook.url.as_str()).name;
                *value = format!("{name} ({value})");
            }
        }
    }
    Ok(facts)
}

async fn act(submission: Submission, verb: Verb) -> PageResult {
    let permit = submission.app().bulk_permit().await?;
    submission
        .run(move |session, fields| {
            let _permit = permit;
            let back = session.back(fields, "/deliveries");
            let is_confirmed = fields.has("confirmed");
            let selection = if fields.has("all") { matching(&Criteria::of(session, fields))? } else { ticked(fields)? };
            if matches!(&selection, Selection::Ids(ids) if ids.is_empty()) {
                return Ok(session.refused(&back, "Nothing was ticked. Tick deliveries first."));
            }
            let is_asked = fields.has("all") || verb == Verb::Discard;
            if is_asked && !is_confirmed {
                let count = run(session, verb, &selection, true)?;
                let fields = carried(session, fields);
                return Confirm { fields, ..confirm(session, verb, count, back) }.show(session, Section::Deliveries);
            }
            let count = run(session, verb, &selection, false)?;
            let message = told(verb, &selection, count);
            Ok(match count {
                0 => session.refused(&back, message),
                _ => session.done(&back, message),
            })
        })
        .await
}

/// The fields that mean all that match, as of when they were counted: what comes in while somebody reads the number
/// is not meant.
fn all_until_now(session: &Session, criteria: &Criteria) -> Vec<(String, String)> {
    let mut fields = criteria.fields();
    if criteria.text("to").is_empty() {
        fields.push(("to".to_owned(), rfc3339(session.now() + 1)));
    }
    fields.push(("all".to_owned(), "yes".to_owned()));
    fields
}

/// What the form of the confirmation carries on.
fn carried(session: &Session, fields: &Fields) -> Vec<(String, String)> {
    if fields.has("all") {
        return all_until_now(session, &Criteria::of(session, fields));
    }
    let ids = fields.all("id");
    ids.map(|id| ("id".to_owned(), id.to_owned())).collect()
}

fn ticked(fields: &Fields) -> Result<Selection, PageError> {
    let ids: Vec<DeliveryId> = fields
        .all("id")
        .map(|id| id.parse().map_err(|_| Invalid::new("invalid_ids", "The id of a delivery looks like dlv_….")))
        .collect::<Result<_, Invalid>>()?;
    if ids.len() > MOST_IDS {
        let message = format!("Up to {MOST_IDS} deliveries can be ticked; use a filter for more.");
        return Err(Invalid::new("invalid_ids", message).into());
    }
    Ok(Selection::Ids(ids))
}

fn matching(criteria: &Criteria) -> Result<Selection, PageError> {
    if let Some(problem) = &criteria.problem {
        return Err(Invalid::new("invalid_filter", problem.clone()).into());
    }
    if criteria.filter.test == Some(true) {
        let message = "A test is attempted once. Send a new one on the page of its webhook.";
        return Err(Invalid::new("invalid_filter", message).into());
    }
    let mut filter = criteria.filter.clone();
    filter.test = Some(false);
    Ok(Selection::Matching(filter))
}

fn run(session: &Session, verb: Verb, selection: &Selection, dry_run: bool) -> Result<u64, ActionError> {
    let (actions, caller) = (&session.app.actions, session.caller());
    let go_on = || !session.app.is_stopping();
    match verb {
        Verb::Retry => actions.retry_all(&caller, selection, dry_run, &go_on),
        Verb::Discard => actions.discard_all(&caller, selection, dry_run, &go_on),
    }
}

fn confirm(session: &Session, verb: Verb, count: u64, back: String) -> Confirm {
    let counted = deliveries(count);
    let (name, action) = match verb {
        Verb::Retry => ("Retry", "/deliveries/retry"),
        Verb::Discard => ("Discard", "/deliveries/discard"),
    };
    let (heading, effect) = match (count, verb) {
        (0, Verb::Retry) => (
            "Nothing to retry".to_owned(),
            "No delivery here can be retried: tests, discarded deliveries, those of deleted webhooks and, unless the filter asks for them, those that got through are passed over.",
        ),
        (0, Verb::Discard) => (
            "Nothing to discard".to_owned(),
            "No delivery here waits. What was delivered or failed is finished already.",
        ),
        (_, Verb::Retry) if is_delivered(session) => (
            format!("{name} {counted}?"),
            "They got through before; their receivers get them once more. Those of inactive webhooks wait.",
        ),
        (_, Verb::Retry) => (
            format!("{name} {counted}?"),
            "Failed ones start a fresh series of attempts, waiting ones are due now. Those of inactive webhooks wait until the webhook is resumed.",
        ),
        (_, Verb::Discard) => {
            (format!("{name} {counted}?"), "They wait for an attempt now and are not sent any more. This is final.")
        }
    };
    Confirm {
        heading,
        effect: effect.to_owned(),
        action: (count > 0).then(|| action.to_owned()),
        button: format!("{name} {counted}"),
        is_danger: verb == Verb::Discard,
        back,
        ..Confirm::default()
    }
}

fn is_delivered(session: &Session) -> bool {
    session.query.given("status") == Some(DeliveryStatus::Delivered.into_str())
}

/// What became of it, and of the ticked ones that were left as they are: why, and how to retry them all the same.
fn told(verb: Verb, selection: &Selection, count: u64) -> String {
    let done = match (count, verb) {
        (0, Verb::Retry) => "Nothing was queued.".to_owned(),
        (0, Verb::Discard) => "Nothing was discarded: none of them waits any more.".to_owned(),
        (_, Verb::Retry) => format!(
            "Queued: {}. The next attempts are due now; what an inactive webhook holds back waits.",
            deliveries(count)
        ),
        (_, Verb::Discard) => format!("Discarded: {}.", deliveries(count)),
    };
    let left = match selection {
        Selection::Ids(ids) => (ids.len() as u64).saturating_sub(count),
        Selection::Matching(_) => u64::from(count == 0),
    };
    match (left, selection, verb) {
        (0, ..) | (_, _, Verb::Discard) => done,
        (_, Selection::Matching(_), _) => format!("{done} None of them can be retried."),
        (_, Selection::Ids(_), _) => format!(
            "{done} Left as they are: {}. Ticking does not send again what was delivered; open a delivery to retry it, or filter by the status Delivered and retry all that match.",
            deliveries(left)
        ),
    }
}

fn deliveries(count: u64) -> String {
    match count {
        1 => "1 delivery".to_owned(),
        _ => counted(count, "delivery").replace("deliverys", "deliveries"),
    }
}
