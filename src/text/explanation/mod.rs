//! The state of a delivery in a few sentences: the outcome, the next step of the reader and of Hookpost.

pub mod filter;

use super::humanize;
use crate::domain::attempt::FailureCause;
use crate::domain::delivery::{DeliveryStatus, DiscardReason, WaitingFor};
use crate::domain::retry::{Exhausted, Gone, MAX_PANICS};
use crate::domain::time::Millis;
use crate::domain::webhook::WebhookState;
use crate::domain::zone::Zone;
use crate::text::failure::{Failed, host_and_port, status_words};

#[cfg(test)]
mod tests;

/// Facts of a delivery for its explanation.
#[derive(Debug, Clone)]
pub struct DeliveryFacts<'a> {
    pub status: DeliveryStatus,
    /// A test is attempted once and disables nothing.
    pub test: bool,
    /// Whether the data of the event was erased.
    pub erased: bool,
    pub discard_reason: Option<DiscardReason>,
    pub webhook_state: WebhookState,
    /// Reason why it is not sent while it is queued.
    pub waiting_for: Option<WaitingFor>,
    /// URL that the webhook has now.
    pub url: &'a str,
    /// Attempts in total.
    pub attempt_count: u32,
    /// Failed attempts of the current series. A manual retry of a finished delivery, or resuming the webhook, starts a
    /// new series.
    pub series_failures: u32,
    /// Attempts that the schedule allows, including the first.
    pub schedule_attempts: u32,
    pub exhausted: Exhausted,
    pub gone: Gone,
    pub last: Option<Last<'a>>,
    /// Time of the next attempt, while the webhook is active.
    pub next_ms: Option<Millis>,
    pub created_ms: Millis,
    pub finished_ms: Option<Millis>,
    pub queue: Queue,
    /// Zone of the times in sentences.
    pub zone: &'a Zone,
}

/// Reasons why a delivery that is due may not be sent yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Queue {
    /// Other deliveries of the webhook that are due before this one; `None` if not counted.
    pub others_before: Option<u64>,
    pub rate_limit_per_s: Option<u32>,
    pub ordered: bool,
}

/// The last attempt.
#[derive(Debug, Clone)]
pub struct Last<'a> {
    /// `None` if the attempt succeeded.
    pub failed: Option<Failed<'a>>,
    pub code: Option<u16>,
    pub duration_ms: Millis,
    pub started_ms: Millis,
}

/// State of a delivery as an icon and a colour show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    /// Nothing has failed or arrived yet.
    Waiting,
    /// Failing and being retried.
    Trouble,
    /// Failed for good.
    Bad,
    /// Discarded by a person.
    Neutral,
}

/// Up to three short texts of whole sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub tone: Tone,
    /// Summary of the outcome.
    pub headline: String,
    /// Advice, or further facts.
    pub detail: Option<String>,
    /// The next step, as far as one follows.
    pub next: Option<String>,
}

impl Explanation {
    /// Explains a delivery as of `now`.
    pub fn of(facts: &DeliveryFacts<'_>, now: Millis) -> Explanation {
        match facts.status {
            DeliveryStatus::Delivered => delivered(facts, now),
            DeliveryStatus::Failed => failed(facts, now),
            DeliveryStatus::Discarded => discarded(facts, now),
            DeliveryStatus::Pending => pending(facts, now),
            DeliveryStatus::Retrying => retrying(facts, now),
        }
    }
}

fn delivered(facts: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let delivered = match facts.attempt_count {
        _ if facts.test => "Test delivered".to_owned(),
        0 => "Delivered".to_owned(),
        count => format!("Delivered on the {} attempt", humanize::ordinal(count)),
    };
    let headline = match facts.last {
        Some(Last { code: Some(code), duration_ms, .. }) => {
            format!("{delivered}: {code} in {}.", humanize::duration(duration_ms))
        }
        _ => format!("{delivered}."),
    };
    let finished = facts.finished_ms.filter(|_| !facts.test);
    let detail = finished.map(|finished| {
        let after = humanize::duration(finished - facts.created_ms);
        format!("That was {}, {after} after the delivery was created.", humanize::relative(finished, now))
    });
    Explanation { tone: Tone::Good, headline, detail, next: None }
}

const RETRY: &str = "Fix the cause, then retry.";

fn failed(facts: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let Some(failure) = facts.last_failure() else {
        return Explanation {
            tone: Tone::Bad,
            headline: "The delivery failed, and its log holds no attempt.".to_owned(),
            detail: None,
            next: Some(RETRY.to_owned()),
        };
    };
    // The way back for a dead letter.
    let retry = match facts.webhook_state {
        WebhookState::Active => RETRY,
        _ => "Fix the cause, resume the webhook, then retry.",
    };
    let next = match failure.cause {
        _ if facts.test => {
            "Tests are attempted once and change nothing else. Fix the cause, then send another test.".to_owned()
        }
        FailureCause::Status { code: 410 } if facts.gone == Gone::Disable => {
            format!(
                "The delivery is a dead letter, and the webhook was disabled: 410 asks for no more deliveries. {retry}"
            )
        }
        FailureCause::EventDamaged => "The delivery is a dead letter: a damaged event is never sent.".to_owned(),
        _ if failure.cause.code().is_internal() => {
            format!("The delivery is a dead letter after {MAX_PANICS} faults of this kind. {RETRY}")
        }
        _ => {
            let attempts = match facts.series_failures {
                0 | 1 => "The only attempt failed".to_owned(),
                count => format!("All {count} attempts failed"),
            };
            match (facts.webhook_state, facts.exhausted) {
                (WebhookState::Disabled, Exhausted::Disable) => {
                    format!("{attempts}: the delivery is a dead letter, and the webhook is disabled. {retry}")
                }
                _ => format!("{attempts}: the delivery is a dead letter. {RETRY}"),
            }
        }
    };
    explain_failure(failure, Tone::Bad, Some(next), now)
}

fn explain_failure(failure: &Failed<'_>, tone: Tone, next: Option<String>, now: Millis) -> Explanation {
    Explanation { tone, headline: failure.sentence(now), detail: Some(failure.advice().into_owned()), next }
}

fn discarded(facts: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let when = facts.finished_ms.map(|at| format!(" {}", humanize::relative(at, now))).unwrap_or_default();
    if facts.discard_reason == Some(DiscardReason::EventErased) {
        return Explanation {
            tone: Tone::Neutral,
            headline: format!("Discarded{when}, because the data of its event was erased."),
            detail: None,
            next: Some("It will not be sent.".to_owned()),
        };
    }
    let next = match facts.erased {
        true => "It will not be sent. The data of its event was erased later.",
        false => "It will not be sent. Replay the event to deliver it after all.",
    };
    let headline = match facts.attempt_count {
        0 => format!("Discarded{when}, before any attempt."),
        count => format!("Discarded{when}, after {}.", humanize::counted(count.into(), "attempt")),
    };
    Explanation {
        tone: Tone::Neutral,
        headline,
        detail: facts.last_failure().map(|failure| format!("Last attempt: {}", failure.sentence(now))),
        next: Some(next.to_owned()),
    }
}

/// No attempt of the current series has failed; those of an earlier series may have.
fn pending(facts: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let earlier = facts.last.as_ref().filter(|_| facts.attempt_count > 0);
    let headline = match earlier {
        None if facts.test => "The test is being sent.",
        None => "No attempt has been made yet.",
        Some(_) => "Queued to be sent again.",
    }
    .to_owned();
    let detail = earlier.map(|last| {
        let ago = humanize::relative(last.started_ms, now);
        match &last.failed {
            None => format!(
                "The receiver accepted it before ({}, {ago}).",
                last.code.map_or_else(|| "2xx".to_owned(), status_words)
            ),
            Some(failure) => format!("Last attempt, {ago}: {}", failure.sentence(now)),
        }
    });
    match facts.hold() {
        Some((hold, next)) => Explanation {
            tone: Tone::Waiting,
            headline: hold.to_owned(),
            detail: detail.or(Some(headline)),
            next: Some(next.to_owned()),
        },
        None => Explanation { tone: Tone::Waiting, headline, detail, next: facts.due(now) },
    }
}

fn retrying(facts: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let Some(failure) = facts.last_failure() else {
        return pending(facts, now);
    };
    let next = match (facts.hold(), facts.due(now)) {
        (Some((hold, next)), _) => format!("{hold} {next}"),
        (None, Some(due)) if facts.next_ms.is_some_and(|at| at <= now) && facts.series_failures > 0 => {
            format!("{}. {due}", facts.attempt_of())
        }
        (None, due) => due.unwrap_or_default(),
    };
    explain_failure(failure, Tone::Trouble, Some(next), now)
}

impl<'a> DeliveryFacts<'a> {
    fn last_failure(&self) -> Option<&Failed<'a>> {
        self.last.as_ref()?.failed.as_ref()
    }

    /// Reason that holds the delivery back, and its end.
    fn hold(&self) -> Option<(&'static str, &'static str)> {
        let resumed = "It will be sent when the webhook is resumed.";
        Some(match self.waiting_for? {
            WaitingFor::WebhookPaused => ("Queued: the webhook is paused.", resumed),
            WaitingFor::WebhookDisabled => ("Queued: Hookpost disabled the webhook after failures.", resumed),
            WaitingFor::WebhookUnverified => (
                "Queued: the endpoint has not passed its challenge yet.",
                "It will be sent when the webhook is verified.",
            ),
            WaitingFor::DeliveriesPaused => {
                ("Queued: all deliveries are paused.", "It will be sent when deliveries are resumed.")
            }
        })
    }

    /// `Attempt 4 of 5`.
    fn attempt_of(&self) -> String {
        format!("Attempt {} of {}", self.series_failures, self.schedule_attempts.max(self.series_failures))
    }

    fn scheduled(&self, at: Millis, now: Millis) -> String {
        let when = humanize::when(at, now, self.zone);
        let at_word = if when.starts_with(|c: char| c.is_ascii_digit()) { "at " } else { "" };
        let next = format!("{at_word}{when}, {}.", humanize::relative(at, now));
        let series = match self.attempt_count.saturating_sub(self.series_failures) {
            0 => String::new(),
            count => format!(" (after {} before this series)", humanize::counted(count.into(), "other")),
        };
        match self.series_failures {
            0 => format!("Next attempt {next}"),
            _ => format!("{}{series}, next {next}", self.attempt_of()),
        }
    }

    /// Time of the next attempt; if it is due, the reason for the wait.
    fn due(&self, now: Millis) -> Option<String> {
        let at = self.next_ms.filter(|_| !self.test)?;
        if at > now {
            return Some(self.scheduled(at, now));
        }
        let mut text = match self.queue.others_before {
            Some(0) | None => "Due now.".to_owned(),
            Some(count) => format!("Due now, behind {}.", humanize::counted(count, "other")),
        };
        if self.queue.ordered {
            text.push_str(" The webhook receives its events strictly in order.");
        }
        if let Some(rate) = self.queue.rate_limit_per_s {
            let limit = humanize::counted(rate.into(), "request");
            text.push_str(&format!(" The webhook's rate limit is {limit} per second."));
        }
        Some(text)
    }
}

/// The last attempt in a few words, for lists: `200 in 48 ms`, `503`, `TLS expired`.
pub fn short(last: &Last<'_>) -> String {
    match (&last.failed, last.code) {
        (Some(failure), _) => failure.short(),
        (None, Some(code)) => format!("{code} in {}", humanize::duration(last.duration_ms)),
        (None, None) => "delivered".to_owned(),
    }
}

/// Host of a URL, without the port.
pub fn host(url: &str) -> &str {
    host_and_port(url).0
}
