//! Retry decision: a pure function of the failure, the history, the schedule and a random number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Invalid;
use super::attempt::ErrorCode;
use super::time::{DAY, Millis, SECOND, parse_retry_after};
use super::webhook::DisabledReason;

/// Maximum number of delays in a schedule.
pub const MAX_DELAYS: usize = 100;
/// Longest delay in seconds.
pub const MAX_DELAY_S: f64 = 604_800.0;
/// Longest wait that a `Retry-After` can ask for.
const MAX_RETRY_AFTER: Millis = DAY;
/// Maximum jitter as a share of the wait.
pub const JITTER_SHARE: f64 = 0.1;
/// Longest wait between an attempt and the next: the longest delay of a schedule with its jitter. `Retry-After` and the
/// pauses after an internal fault are shorter; the limits of a lane move no due time.
pub const LONGEST_WAIT: Millis = (MAX_DELAY_S * (1.0 + JITTER_SHARE)) as Millis * SECOND;
const _: () = assert!(MAX_RETRY_AFTER <= LONGEST_WAIT);
/// Number of internal faults on one delivery after which it becomes a dead letter.
pub const MAX_PANICS: u32 = 10;

/// Start of each delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredFrom {
    /// The end of the previous attempt.
    PreviousAttempt,
    /// The end of the first failed attempt of the series.
    FirstFailure,
}

/// Action after all attempts have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exhausted {
    /// The delivery is a dead letter and the webhook is disabled.
    Disable,
    /// The delivery is a dead letter.
    DeadLetter,
}

/// Meaning of the response 410 Gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gone {
    /// The receiver is gone for good (Standard Webhooks 1.0.0).
    Disable,
    /// Treated like any other failure.
    Retry,
}

/// Delays before each retry, the `retry` field of profiles and webhooks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Retry")]
pub struct ScheduleSpec {
    /// Up to 100 delays of 0 to 604,800 seconds; fractions allowed. Delays from the first failure must not decrease.
    #[schemars(length(max = MAX_DELAYS), inner(range(min = 0, max = MAX_DELAY_S)))]
    pub delays_s: Vec<f64>,
    #[serde(default = "previous_attempt")]
    pub measured_from: MeasuredFrom,
    #[serde(default = "disable")]
    pub exhausted: Exhausted,
}

fn previous_attempt() -> MeasuredFrom {
    MeasuredFrom::PreviousAttempt
}

fn disable() -> Exhausted {
    Exhausted::Disable
}

/// The `retry` setting of a webhook. What is left out or null is as in the profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RetrySettings")]
pub struct RetrySettings {
    /// Up to 100 delays of 0 to 604,800 seconds; fractions allowed. Delays from the first failure must not decrease.
    #[schemars(length(max = MAX_DELAYS), inner(range(min = 0, max = MAX_DELAY_S)))]
    pub delays_s: Option<Vec<f64>>,
    pub measured_from: Option<MeasuredFrom>,
    pub exhausted: Option<Exhausted>,
}

impl RetrySettings {
    /// Completes the settings with the schedule of the profile.
    pub fn schedule(self, profile: &Schedule) -> Result<Schedule, Invalid> {
        let usual = profile.spec();
        Schedule::parse(&ScheduleSpec {
            delays_s: self.delays_s.unwrap_or(usual.delays_s),
            measured_from: self.measured_from.unwrap_or(usual.measured_from),
            exhausted: self.exhausted.unwrap_or(usual.exhausted),
        })
    }
}

impl From<ScheduleSpec> for RetrySettings {
    fn from(spec: ScheduleSpec) -> RetrySettings {
        let ScheduleSpec { delays_s, measured_from, exhausted } = spec;
        RetrySettings { delays_s: Some(delays_s), measured_from: Some(measured_from), exhausted: Some(exhausted) }
    }
}

/// Validated schedule. `[1 s, 2 s]` means three attempts, the first immediately.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schedule {
    delays: Vec<Millis>,
    pub measured_from: MeasuredFrom,
    pub exhausted: Exhausted,
}

impl Schedule {
    /// Checks the number, range and order of the delays.
    pub fn parse(spec: &ScheduleSpec) -> Result<Schedule, Invalid> {
        let invalid = |field: &str, message: &str| Err(Invalid::new("invalid_retry", message).in_field(field));
        if spec.delays_s.len() > MAX_DELAYS {
            return invalid("retry.delays_s", &format!("A schedule has at most {MAX_DELAYS} delays."));
        }
        let mut delays = Vec::with_capacity(spec.delays_s.len());
        for (index, delay) in spec.delays_s.iter().enumerate() {
            let field = format!("retry.delays_s[{index}]");
            if !(0.0..=MAX_DELAY_S).contains(delay) {
                return invalid(&field, "A delay must be 0 to 604800 seconds.");
            }
            let delay = (delay * SECOND as f64).round() as Millis;
            if spec.measured_from == MeasuredFrom::FirstFailure && delays.last().is_some_and(|before| *before > delay) {
                return invalid(&field, "Delays counted from the first failure must not decrease.");
            }
            delays.push(delay);
        }
        Ok(Schedule { delays, measured_from: spec.measured_from, exhausted: spec.exhausted })
    }

    /// Returns the schedule in the form of the API.
    pub fn spec(&self) -> ScheduleSpec {
        ScheduleSpec {
            delays_s: self.delays.iter().map(|delay| *delay as f64 / SECOND as f64).collect(),
            measured_from: self.measured_from,
            exhausted: self.exhausted,
        }
    }

    /// Delays before each retry, in milliseconds.
    pub fn delays(&self) -> &[Millis] {
        &self.delays
    }

    /// Number of attempts, including the first.
    pub fn attempts(&self) -> usize {
        self.delays.len() + 1
    }
}

/// A delivery's series of attempts, after one of them failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Failed attempts of the series, including the current one: 1 or more.
    pub failures: u32,
    /// Due time of the current attempt.
    pub due_ms: Millis,
    pub started_ms: Millis,
    pub ended_ms: Millis,
    /// Start of `first_failure` delays; `None` before the first failure.
    pub origin_ms: Option<Millis>,
    /// Whether another delivery of the webhook succeeded since this one first failed.
    pub endpoint_is_alive: bool,
    /// An inactive webhook is not disabled again.
    pub webhook_is_active: bool,
    /// Internal faults on this delivery, including the current one.
    pub panics: u32,
}

/// Next step after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    RetryAt {
        due_ms: Millis,
        /// Start of later `first_failure` delays; `None` if only internal faults came before.
        origin_ms: Option<Millis>,
    },
    /// The delivery becomes a dead letter.
    DeadLetter,
    /// The delivery becomes a dead letter and the webhook is disabled.
    Disable(DisabledReason),
}

/// Rules of the webhook and its profile.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub schedule: &'a Schedule,
    pub gone: Gone,
}

/// Status of the response, and its `Retry-After` header if there is exactly one.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnswerHints<'a> {
    pub status: Option<u16>,
    pub retry_after: Option<&'a str>,
}

/// Decides what follows a failed attempt. `jitter` is in 0.0..=1.0 and only delays, by up to 10 % of the wait.
pub fn after_failure(
    failure: ErrorCode,
    answer: AnswerHints<'_>,
    history: &History,
    rules: Rules<'_>,
    jitter: f64,
) -> Next {
    if failure.is_internal() {
        return after_panic(history);
    }
    // The template fails with this event until a person changes it, and the endpoint has no part in that.
    if failure == ErrorCode::TemplateFailed {
        return Next::DeadLetter;
    }
    if answer.status == Some(410) && rules.gone == Gone::Disable {
        return if history.webhook_is_active { Next::Disable(DisabledReason::Gone) } else { Next::DeadLetter };
    }
    match next_due(answer, history, rules.schedule, jitter) {
        Some(next) => next,
        None if history.endpoint_is_alive || !history.webhook_is_active => Next::DeadLetter,
        None => match rules.schedule.exhausted {
            Exhausted::Disable => Next::Disable(DisabledReason::Exhausted),
            Exhausted::DeadLetter => Next::DeadLetter,
        },
    }
}

/// An internal fault uses up no attempt of the schedule, but does not repeat forever.
fn after_panic(history: &History) -> Next {
    if history.panics >= MAX_PANICS {
        return Next::DeadLetter;
    }
    let due_ms = history.ended_ms + Millis::from(history.panics) * SECOND;
    // The delivery could not be attempted in this time.
    let lost = (due_ms - history.due_ms).max(0);
    Next::RetryAt { due_ms, origin_ms: history.origin_ms.map(|origin| origin + lost) }
}

/// Returns the next attempt, or `None` after the last one.
fn next_due(answer: AnswerHints<'_>, history: &History, schedule: &Schedule, jitter: f64) -> Option<Next> {
    let delay = *schedule.delays.get(history.failures.max(1) as usize - 1)?;
    // Time in which the delivery could not be attempted moves the origin: overdue retries after an outage keep
    // their delays instead of firing in a burst.
    let late = (history.started_ms - history.due_ms).max(0);
    let origin = history.origin_ms.map_or(history.ended_ms, |origin| origin + late);
    let from = match schedule.measured_from {
        MeasuredFrom::PreviousAttempt => history.ended_ms,
        MeasuredFrom::FirstFailure => origin,
    };
    let scheduled = (from + delay).max(history.ended_ms);
    let wait = scheduled - history.ended_ms;
    let jittered = scheduled + (wait as f64 * JITTER_SHARE * jitter.clamp(0.0, 1.0)) as Millis;
    let due_ms = retry_after(answer, history.ended_ms).map_or(jittered, |wait| jittered.max(history.ended_ms + wait));
    Some(Next::RetryAt { due_ms, origin_ms: Some(origin + (due_ms - jittered)) })
}

/// Returns the wait that a 429 or 503 response asks for (RFC 9110 10.2.3, RFC 6585 4).
fn retry_after(answer: AnswerHints<'_>, now: Millis) -> Option<Millis> {
    if !matches!(answer.status, Some(429 | 503)) {
        return None;
    }
    let wait = parse_retry_after(answer.retry_after?, now)?;
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
