//! Records an attempt in the database: in the log, the delivery, and sometimes the webhook. Runs inside the writer's
//! transaction, which also decides on the next attempt.

use crate::delivery::endpoint::Endpoint;
use crate::delivery::sender::AttemptResult;
use crate::domain::attempt::{ErrorCode, FailureCause};
use crate::domain::delivery::{DeliveryStatus, Trigger};
use crate::domain::retry::{self, AnswerHints, History, Next};
use crate::domain::webhook::{DisabledReason, WebhookState};
use crate::store::attempt::Attempt;
use crate::store::delivery::{self, DeliveryRef, LastAttempt, Series};
use crate::store::incident::{self, Cause, FailedAttempt, Outcome, certificate};
use crate::store::{Change, DueDelivery, StoreError, WriteTx, attempt, webhook};
use crate::text::failure::describe;

/// Logs an attempt and schedules the next one, or finishes the delivery. `jitter` is in 0.0..1.0.
pub fn record(
    tx: &mut WriteTx<'_>,
    endpoint: &Endpoint,
    job: &DueDelivery,
    result: &AttemptResult,
    jitter: f64,
) -> Result<(), StoreError> {
    see_certificate(tx, endpoint, result)?;
    let next_due_ms = if result.is_success() {
        succeeded(tx, endpoint, job, result)?
    } else {
        failed(tx, endpoint, job, result, jitter)?
    };
    tx.notify(Change::Recorded { webhook_seq: job.webhook_seq, delivery_seq: job.seq, next_due_ms });
    Ok(())
}

/// Logs the only attempt of a test and finishes it. Beyond that, tests change only the incident that the webhook is in, and
/// what is known about the certificate of the endpoint.
pub fn record_test(
    tx: &mut WriteTx<'_>,
    endpoint: &Endpoint,
    job: &DueDelivery,
    result: &AttemptResult,
) -> Result<(), StoreError> {
    let status = if result.is_success() { DeliveryStatus::Delivered } else { DeliveryStatus::Failed };
    if delivery::finish_test(tx, job.seq, status, &last_attempt(result))? {
        attempt::insert(tx, job.seq, &result.attempt, result.body_format.as_deref())?;
        let failure = result.attempt.failure.as_ref().map(|failure| failure.message.as_str());
        see_certificate(tx, endpoint, result)?;
        incident::tested(tx, job.webhook_seq, &endpoint.host, failure)?;
    }
    Ok(())
}

fn see_certificate(tx: &mut WriteTx<'_>, endpoint: &Endpoint, result: &AttemptResult) -> Result<(), StoreError> {
    result.certificate.map_or(Ok(()), |validity| certificate::seen(tx, &endpoint.host, validity))
}

fn succeeded(
    tx: &mut WriteTx<'_>,
    endpoint: &Endpoint,
    job: &DueDelivery,
    result: &AttemptResult,
) -> Result<Option<i64>, StoreError> {
    let before = if job.attempt_count == 0 { DeliveryStatus::Pending } else { DeliveryStatus::Retrying };
    if delivery::finish(tx, place(job, before), DeliveryStatus::Delivered, &last_attempt(result))? {
        log(tx, job, result)?;
        delivery::count_success(tx, job.webhook_seq);
        incident::succeeded(tx, job.webhook_seq, &endpoint.host)?;
    }
    Ok(None)
}

fn failed(
    tx: &mut WriteTx<'_>,
    endpoint: &Endpoint,
    job: &DueDelivery,
    result: &AttemptResult,
    jitter: f64,
) -> Result<Option<i64>, StoreError> {
    let Some(mut series) = delivery::series(tx.connection(), job.seq)? else {
        return Ok(None);
    };
    log(tx, job, result)?;
    let before = place(job, series.status);
    if series.status.is_finished() {
        // Discarded by a person during the attempt: it stays discarded.
        delivery::count_failure(tx, before, &series, &last_attempt(result))?;
        return Ok(None);
    }
    count(tx, job, result, &mut series);
    match decide(tx, endpoint, job, result, &series, jitter) {
        Next::RetryAt { due_ms, origin_ms } => {
            series.status = DeliveryStatus::Retrying;
            series.due_ms = Some(due_ms);
            series.origin_ms = origin_ms;
            delivery::count_failure(tx, before, &series, &last_attempt(result))?;
            follow(tx, endpoint, job, result, Outcome::Retried)?;
            Ok(Some(due_ms))
        }
        next @ (Next::DeadLetter | Next::Disable(_)) => {
            delivery::finish(tx, before, DeliveryStatus::Failed, &last_attempt(result))?;
            let is_disabled = matches!(next, Next::Disable(_));
            follow(tx, endpoint, job, result, if is_disabled { Outcome::Disabled } else { Outcome::Exhausted })?;
            if let Next::Disable(reason) = next {
                disable(tx, job.webhook_seq, reason, series.failures)?;
            }
            Ok(None)
        }
    }
}

/// Has the incidents follow a failed attempt. A fault of Hookpost itself says nothing about the endpoint.
fn follow(
    tx: &mut WriteTx<'_>,
    endpoint: &Endpoint,
    job: &DueDelivery,
    result: &AttemptResult,
    outcome: Outcome,
) -> Result<(), StoreError> {
    let Some(failure) = result.attempt.failure.as_ref().filter(|failure| !failure.code().is_internal()) else {
        return Ok(());
    };
    let code = result.attempt.answer.as_ref().map(|answer| answer.code);
    let cause = Cause { error_code: Some(failure.code()), code, text: failure.public().to_owned() };
    let (webhook_seq, is_first) = (job.webhook_seq, result.attempt.number == 1);
    incident::failed(tx, &FailedAttempt { webhook_seq, host: &endpoint.host, is_first, outcome, cause })
}

/// Counts a failure. A fault in Hookpost itself uses up no attempt of the schedule.
fn count(tx: &WriteTx<'_>, job: &DueDelivery, result: &AttemptResult, series: &mut Series) {
    if result.error_code().is_some_and(ErrorCode::is_internal) {
        series.panics += 1;
        return;
    }
    series.failures += 1;
    if series.success_mark.is_none() {
        series.success_mark = Some(tx.directory().successes(job.webhook_seq));
    }
}

fn decide(
    tx: &WriteTx<'_>,
    endpoint: &Endpoint,
    job: &DueDelivery,
    result: &AttemptResult,
    series: &Series,
    jitter: f64,
) -> Next {
    let failure = result.error_code().expect("the attempt failed");
    let answer = result.attempt.answer.as_ref();
    let mut retry_after = answer
        .into_iter()
        .flat_map(|answer| &answer.headers)
        .filter(|(name, _)| name == "retry-after")
        .map(|(_, value)| value.as_str());
    let hints = AnswerHints {
        status: answer.map(|answer| answer.code),
        // Two headers contradict each other, so neither counts.
        retry_after: retry_after.next().filter(|_| retry_after.next().is_none()),
    };
    let successes = tx.directory().successes(job.webhook_seq);
    let state = tx.directory().get(job.webhook_seq).map(|webhook| webhook.state);
    let history = History {
        failures: series.failures,
        due_ms: job.due_ms,
        started_ms: result.attempt.started_ms,
        ended_ms: result.ended_ms,
        origin_ms: series.origin_ms,
        endpoint_is_alive: series.success_mark.is_some_and(|mark| successes > mark),
        webhook_is_active: state == Some(WebhookState::Active),
        panics: series.panics,
    };
    retry::after_failure(failure, hints, &history, endpoint.rules(), jitter)
}

fn disable(tx: &mut WriteTx<'_>, webhook_seq: i64, reason: DisabledReason, failures: u32) -> Result<(), StoreError> {
    let Some(webhook) = tx.directory().get(webhook_seq) else {
        return Ok(());
    };
    let mut changed = (**webhook).clone();
    let sentence = reason.sentence(failures);
    log::warn!(webhook_id:% = changed.id; "the webhook to {} is disabled: {sentence}", changed.url.masked());
    changed.state = WebhookState::Disabled;
    changed.disabled_ms = Some(tx.now_ms());
    changed.disabled_reason = Some(sentence);
    changed.touch(tx.now_ms());
    webhook::update(tx, changed)?;
    Ok(())
}

fn place(job: &DueDelivery, status: DeliveryStatus) -> DeliveryRef {
    DeliveryRef { seq: job.seq, webhook_seq: job.webhook_seq, status }
}

fn log(tx: &mut WriteTx<'_>, job: &DueDelivery, result: &AttemptResult) -> Result<(), StoreError> {
    let answer = result.attempt.answer.as_ref();
    let answer_ms = answer.map(|_| result.attempt.duration_ms.max(0) as u64);
    delivery::count_attempt(tx, job.webhook_seq, result.attempt.number > 1, answer_ms);
    attempt::insert(tx, job.seq, &result.attempt, result.body_format.as_deref())
}

fn last_attempt(result: &AttemptResult) -> LastAttempt {
    LastAttempt {
        number: result.attempt.number,
        code: result.attempt.answer.as_ref().map(|answer| answer.code),
        error_code: result.error_code(),
        duration_ms: result.attempt.duration_ms,
        at_ms: result.ended_ms,
    }
}

/// Makes a delivery that cannot be read, or whose event cannot, a dead letter, with the reason in its log.
pub fn give_up_damaged(tx: &mut WriteTx<'_>, webhook_seq: i64, delivery_seq: i64) -> Result<(), StoreError> {
    let Some(webhook) = tx.directory().get(webhook_seq).cloned() else {
        return Ok(());
    };
    let now = tx.now_ms();
    let number = attempt::next_number(tx.connection(), delivery_seq)?;
    let url = webhook.url.as_str();
    let failure = describe(FailureCause::EventDamaged, url);
    let attempt = Attempt::unsent(now, number, Trigger::Automatic, url, Some(failure));
    let error_code = Some(ErrorCode::EventDamaged);
    let last = LastAttempt { number, code: None, error_code, duration_ms: 0, at_ms: now };
    if delivery::give_up(tx, delivery_seq, webhook_seq, &last)? {
        attempt::insert(tx, delivery_seq, &attempt, None)?;
    }
    Ok(())
}
