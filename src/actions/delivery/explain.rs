//! Explaining the state of a delivery from the stored facts.

use crate::domain::attempt::FailureCause;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::domain::zone::Zone;
use crate::profile::Profile;
use crate::store::attempt::Attempt;
use crate::store::delivery::{Delivery, LastAttempt};
use crate::text::explanation::{DeliveryFacts, Explanation, Last, Queue};
use crate::text::failure::Failed;

/// Explains a delivery, given its webhook and profile. `attempt` is the last one in its log.
pub fn explain(
    delivery: &Delivery,
    attempt: Option<&Attempt>,
    webhook: &Webhook,
    profile: &Profile,
    others_before: Option<u64>,
    now: Millis,
    zone: &Zone,
) -> Explanation {
    let schedule = webhook.retry.as_ref().unwrap_or(profile.schedule());
    let url = webhook.url.as_str();
    let facts = DeliveryFacts {
        status: delivery.status,
        test: delivery.cause == Cause::Test,
        erased: delivery.is_erased,
        discard_reason: delivery.discard_reason,
        webhook_state: delivery.webhook_state,
        waiting_for: delivery.waiting_for(),
        url,
        attempt_count: delivery.attempt_count,
        series_failures: series_failures(delivery),
        schedule_attempts: u32::try_from(schedule.attempts()).unwrap_or(u32::MAX),
        exhausted: schedule.exhausted,
        gone: profile.gone(),
        last: match attempt {
            Some(attempt) => Some(last_in_full(attempt)),
            None => delivery.last.as_ref().map(|last| last_of(last, url)),
        },
        next_ms: delivery.due_ms,
        created_ms: delivery.created_ms,
        finished_ms: delivery.finished_ms,
        queue: Queue { others_before, rate_limit_per_s: webhook.limits.rate_limit_per_s, ordered: webhook.ordered },
        zone,
    };
    Explanation::of(&facts, now)
}

/// Counts the failure that ended the series, which the store does not.
fn series_failures(delivery: &Delivery) -> u32 {
    match delivery.status {
        DeliveryStatus::Failed => delivery.series_failures + 1,
        _ => delivery.series_failures,
    }
}

/// Returns the facts of the last attempt in the log.
pub fn last_in_full(attempt: &Attempt) -> Last<'_> {
    let answer = attempt.answer.as_ref();
    let retry_after = answer.and_then(|answer| {
        let mut headers = answer.headers.iter();
        let found = headers.find(|(name, _)| name == "retry-after")?;
        Some(found.1.as_str())
    });
    let code = answer.map(|answer| answer.code);
    Last {
        failed: attempt.failure.as_ref().map(|failure| Failed {
            cause: failure.cause.clone(),
            retry_after,
            ended_ms: attempt.started_ms + attempt.duration_ms,
            url: &attempt.url,
        }),
        code,
        duration_ms: attempt.duration_ms,
        started_ms: attempt.started_ms,
    }
}

/// Returns the facts of the last attempt in lists. `url` is the webhook's current URL.
pub fn last_of<'a>(last: &LastAttempt, url: &'a str) -> Last<'a> {
    Last {
        failed: last.error_code.map(|error_code| Failed {
            cause: FailureCause::of_code(error_code, last.code, last.duration_ms),
            retry_after: None,
            ended_ms: last.at_ms,
            url,
        }),
        code: last.code,
        duration_ms: last.duration_ms,
        started_ms: last.at_ms,
    }
}
