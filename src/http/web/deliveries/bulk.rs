//! Retrying or discarding many deliveries: the selected ones, or all that match a filter, which are counted first.

use super::filter::Criteria;
use crate::actions::delivery::bulk::{BulkAction, MOST_IDS, Selection};
use crate::actions::{ActionError, lookup};
use crate::domain::Invalid;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::id::DeliveryId;
use crate::domain::time::rfc3339;
use crate::http::web::{Confirm, Fields, PageError, PageResult, Section, Session, Submission};
use crate::text::humanize::{counted, number};

/// Path below the server's prefix; the API has the same one below `/v1`.
fn path(action: BulkAction) -> &'static str {
    match action {
        BulkAction::Retry => "/deliveries/retry",
        BulkAction::Discard => "/deliveries/discard",
    }
}

/// `GET /deliveries/retry?…` and `…/discard?…`: counts the matches and asks for confirmation.
pub async fn ask(session: Session, action: BulkAction) -> PageResult {
    let place = session.app.jobs.place(session.tenant()).await;
    session
        .show(move |session| {
            let _place = place?;
            session.require_change()?;
            let criteria = Criteria::of(session, &session.query);
            let count = run(session, action, &matching(&criteria)?, true)?;
            let confirm = Confirm {
                facts: facts(session, &criteria),
                fields: all_until_now(session, &criteria),
                ..confirm(session, action, count, session.back(&session.query, &criteria.list()))
            };
            let mut page = confirm.page(session, Section::Deliveries)?;
            page.frame = page.frame.with_api_body("POST", &format!("/v1{}", path(action)), &criteria.api_body());
            Ok(page)
        })
        .await
}

/// The filter in words, with the webhook's name.
fn facts(session: &Session, criteria: &Criteria) -> Vec<(&'static str, String)> {
    if criteria.is_empty() {
        return vec![("Filter", "none: all deliveries".to_owned())];
    }
    criteria.facts(|id| {
        let webhook = session.read(|db| Ok(lookup::webhook(db, &session.caller(), id)?)).ok()?;
        Some(format!("{} ({id})", webhook.name()))
    })
}

/// `POST /deliveries/retry` and `…/discard`. Asks for confirmation, except to retry selected deliveries of which none was
/// delivered: a repeated request cannot be taken back.
pub async fn submit(submission: Submission, action: BulkAction) -> PageResult {
    submission
        .run_job(move |session, fields| {
            let back = session.back(fields, "/deliveries");
            let ids = if fields.has("all") { None } else { Some(selected(fields)?) };
            if ids.as_ref().is_some_and(Vec::is_empty) {
                return Ok(session.refused(&back, "Select at least one delivery."));
            }
            let delivered = match &ids {
                Some(ids) if action == BulkAction::Retry => {
                    session.app.actions.count_delivered(&session.caller(), ids)?
                }
                _ => 0,
            };
            let is_confirmed = fields.has("confirmed");
            let asks = ids.is_none() || delivered > 0 || action == BulkAction::Discard;
            let selection = match ids {
                None => matching(&Criteria::of(session, fields))?,
                Some(ids) if asks || is_confirmed => Selection::Ids(ids),
                Some(ids) => Selection::Undelivered(ids),
            };
            if asks && !is_confirmed {
                let count = run(session, action, &selection, true)?;
                let fields = match &selection {
                    Selection::Matching(_) => all_until_now(session, &Criteria::of(session, fields)),
                    Selection::Ids(ids) | Selection::Undelivered(ids) => {
                        ids.iter().map(|id| ("id".to_owned(), id.to_string())).collect()
                    }
                };
                let mut confirm = Confirm { fields, ..confirm(session, action, count, back) };
                if delivered > 0 {
                    confirm.effect = effect_of_repeating(delivered, count);
                }
                return confirm.show(session, Section::Deliveries);
            }
            let count = run(session, action, &selection, false)?;
            let message = result(action, &selection, count);
            Ok(if count == 0 { session.refused(&back, message) } else { session.done(&back, message) })
        })
        .await
}

/// Effect of retrying selected deliveries of which some were delivered.
fn effect_of_repeating(delivered: u64, count: u64) -> String {
    let repeated = match (delivered, count) {
        (1, 1) => "It was delivered before and will be sent again.".to_owned(),
        (1, _) => "1 of them was delivered before and will be sent again.".to_owned(),
        (delivered, count) if delivered == count => "They were delivered before and will be sent again.".to_owned(),
        _ => format!("{} of them were delivered before and will be sent again.", number(delivered)),
    };
    format!("{repeated} Deliveries of inactive webhooks are queued until the webhook is resumed.")
}

/// Fields that select all matches created before the count, so that a later delivery is not changed unseen.
fn all_until_now(session: &Session, criteria: &Criteria) -> Vec<(String, String)> {
    let mut fields = criteria.fields();
    if criteria.text("to").is_empty() {
        fields.push(("to".to_owned(), rfc3339(session.now() + 1)));
    }
    fields.push(("all".to_owned(), "yes".to_owned()));
    fields
}

fn selected(fields: &Fields) -> Result<Vec<DeliveryId>, PageError> {
    let parse = |id: &str| id.parse().map_err(|_| Invalid::new("invalid_ids", "Enter delivery IDs such as dlv_…."));
    let ids: Vec<DeliveryId> = fields.all("id").map(parse).collect::<Result<_, Invalid>>()?;
    if ids.len() > MOST_IDS {
        let message = format!("Select at most {MOST_IDS} deliveries, or use a filter.");
        return Err(Invalid::new("invalid_ids", message).into());
    }
    Ok(ids)
}

fn matching(criteria: &Criteria) -> Result<Selection, PageError> {
    if let Some(problem) = &criteria.problem {
        return Err(Invalid::new("invalid_filter", problem.clone()).into());
    }
    if criteria.needle.is_some() {
        let message =
            "All matches of a text cannot be changed at once. Select deliveries in the list, or use another filter.";
        return Err(Invalid::new("invalid_filter", message).into());
    }
    if criteria.filter.test == Some(true) {
        let message = "Tests are sent once. Send a new one from the page of the webhook.";
        return Err(Invalid::new("invalid_filter", message).into());
    }
    let mut filter = criteria.filter.clone();
    filter.test = Some(false);
    Ok(Selection::Matching(filter))
}

fn run(session: &Session, action: BulkAction, selection: &Selection, dry_run: bool) -> Result<u64, ActionError> {
    let go_on = || !session.app.is_stopping();
    session.app.actions.bulk(&session.caller(), action, selection, dry_run, &go_on)
}

fn confirm(session: &Session, action: BulkAction, count: u64, back: String) -> Confirm {
    let verb = match action {
        BulkAction::Retry => "Retry",
        BulkAction::Discard => "Discard",
    };
    let is_delivered = session.query.given("status") == Some(DeliveryStatus::Delivered.into_str());
    let effect = match (count, action) {
        (0, BulkAction::Retry) => {
            "None of these deliveries can be retried. Tests, discarded deliveries and deliveries of deleted webhooks are skipped; delivered ones too, unless you filter by that status."
        }
        (0, BulkAction::Discard) => "None of these deliveries is pending or retrying.",
        (_, BulkAction::Retry) if is_delivered => {
            "They were delivered before and will be sent again. Deliveries of inactive webhooks are queued."
        }
        (_, BulkAction::Retry) => {
            "Failed deliveries start a new series of attempts; pending ones are sent now. Deliveries of inactive webhooks are queued until the webhook is resumed."
        }
        (_, BulkAction::Discard) => "They are queued and will not be sent. This can't be undone.",
    };
    let button = format!("{verb} {}", counted(count, "delivery"));
    let heading = if count == 0 { format!("Nothing to {}", verb.to_lowercase()) } else { format!("{button}?") };
    Confirm {
        heading,
        effect: effect.to_owned(),
        action: (count > 0).then(|| path(action).to_owned()),
        button,
        is_danger: action == BulkAction::Discard,
        back,
        ..Confirm::default()
    }
}

/// Message after the action: the number changed, and why selected deliveries were skipped.
fn result(action: BulkAction, selection: &Selection, count: u64) -> String {
    let changed = counted(count, "delivery");
    match (action, count) {
        (BulkAction::Discard, 0) => return "Nothing was discarded: no delivery is pending or retrying.".to_owned(),
        (BulkAction::Discard, _) => return format!("Discarded: {changed}."),
        (BulkAction::Retry, _) => {}
    }
    let queued = if count == 0 {
        "Nothing was queued.".to_owned()
    } else {
        format!("Queued for retry: {changed}. Deliveries of inactive webhooks are sent when the webhook is resumed.")
    };
    match selection {
        Selection::Ids(ids) | Selection::Undelivered(ids) if ids.len() as u64 > count => format!(
            "{queued} Skipped: {}. Tests, discarded deliveries, those of deleted webhooks or erased events, and those delivered in the meantime are not sent again.",
            counted(ids.len() as u64 - count, "delivery")
        ),
        Selection::Matching(_) if count == 0 => format!("{queued} None of the matches can be retried."),
        _ => queued,
    }
}
