//! What became of a delivery, in a sentence or two for a person.

use super::humanize;
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::retry::{Exhausted, Gone, MAX_PANICS};
use crate::domain::time::Millis;
use crate::domain::webhook::WebhookState;
use crate::text::failure::{Failed, host_and_port, status_words};

/// Everything that is told of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryFacts<'a> {
    pub status: DeliveryStatus,
    /// A test is attempted once and disables nothing.
    pub test: bool,
    pub webhook_state: WebhookState,
    /// Where the webhook points now.
    pub url: &'a str,
    /// Attempts in all.
    pub attempt_count: u32,
    /// Failed attempts of the series at hand: a retry by hand of a finished delivery, and a resumed webhook, begin a
    /// new one.
    pub series_failures: u32,
    /// Attempts of the schedule in all, the first one included.
    pub schedule_attempts: u32,
    pub exhausted: Exhausted,
    pub gone: Gone,
    pub last: Option<Last<'a>>,
    /// When it is due; of no meaning while it waits for its webhook.
    pub next_ms: Option<Millis>,
    pub created_ms: Millis,
    pub finished_ms: Option<Millis>,
    /// Why a due one may not have been sent yet.
    pub queue: Queue,
}

/// What stands before a delivery that is due.
#[derive(Debug, Clone, Copy, Default)]
pub struct Queue {
    /// Others of the webhook that are due before it; `None` where they were not counted.
    pub others_before: Option<u64>,
    pub rate_limit_per_s: Option<u32>,
    pub ordered: bool,
}

/// The last attempt.
#[derive(Debug, Clone, Copy)]
pub struct Last<'a> {
    /// `None` where it got through.
    pub failed: Option<Failed<'a>>,
    pub code: Option<u16>,
    pub duration_ms: Millis,
    /// When it began.
    pub at_ms: Millis,
}

/// How it stands, for an icon and a colour beside the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    /// Nothing failed, nothing arrived yet.
    Waiting,
    /// It failed and is tried again.
    Trouble,
    /// It failed for good.
    Bad,
    /// Given up by a person.
    Neutral,
}

/// Up to three short texts, each of whole sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub tone: Tone,
    /// What happened.
    pub headline: String,
    /// What it means and what to do.
    pub detail: Option<String>,
    /// What comes next.
    pub next: Option<String>,
}

impl Explanation {
    /// What became of a delivery, as seen at `now`.
    pub fn of(story: &DeliveryFacts<'_>, now: Millis) -> Explanation {
        match story.status {
            DeliveryStatus::Delivered => delivered(story, now),
            DeliveryStatus::Failed => failed(story, now),
            DeliveryStatus::Discarded => discarded(story, now),
            DeliveryStatus::Pending => pending(story, now),
            DeliveryStatus::Retrying => retrying(story, now),
        }
    }
}

fn delivered(story: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let what = if story.test { "Test delivered" } else { "Delivered" };
    let at = match (story.test, story.attempt_count) {
        (true, _) | (_, 0) => String::new(),
        (_, count) => format!(" at the {} attempt", humanize::ordinal(count)),
    };
    let headline = match story.last {
        Some(Last { code: Some(code), duration_ms, .. }) => {
            format!("{what}{at}: {code} in {}.", humanize::duration(duration_ms))
        }
        _ => format!("{what}{at}."),
    };
    let finished = story.finished_ms.filter(|_| !story.test);
    let detail = finished.map(|finished| {
        let after = humanize::duration(finished - story.created_ms);
        format!("That was {}, {after} after the delivery was created.", humanize::relative(finished, now))
    });
    Explanation { tone: Tone::Good, headline, detail, next: None }
}

fn failed(story: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let Some((last, fault)) = story.last_failed() else {
        return Explanation {
            tone: Tone::Bad,
            headline: "It was given up without an attempt in the log.".to_owned(),
            detail: None,
            next: Some(RETRY.to_owned()),
        };
    };
    let gone = last.code == Some(410) && fault.error_code == ErrorCode::Status && story.gone == Gone::Disable;
    let next = if story.test {
        "This was a test: it is attempted once, and changes nothing else. Send a new one after the correction."
            .to_owned()
    } else if gone {
        format!("It is a dead letter, and the webhook was disabled: 410 asks for no more deliveries. {}", story.back())
    } else if fault.error_code == ErrorCode::WorkerPanic {
        format!("It was given up after {MAX_PANICS} faults of this kind and is a dead letter. {RETRY}")
    } else {
        let count = story.series_failures.max(1);
        let used = match count {
            1 => "Its one attempt is used up".to_owned(),
            _ => format!("All {count} attempts are used up"),
        };
        match (story.webhook_state, story.exhausted) {
            (WebhookState::Disabled, Exhausted::Disable) => {
                format!("{used}: it is a dead letter, and the webhook is disabled. {}", story.back())
            }
            _ => format!("{used}: it is a dead letter. {RETRY}"),
        }
    };
    Explanation {
        tone: Tone::Bad,
        headline: fault.sentence(now),
        detail: Some(fault.advice().into_owned()),
        next: Some(next),
    }
}

const RETRY: &str = "Correct the cause, then retry it.";

fn discarded(story: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let when = story.finished_ms.map(|at| format!(" {}", humanize::relative(at, now))).unwrap_or_default();
    let headline = match story.attempt_count {
        0 => format!("Discarded{when}, before any attempt."),
        count => format!("Discarded{when}, after {}.", humanize::counted(count.into(), "attempt")),
    };
    Explanation {
        tone: Tone::Neutral,
        headline,
        detail: story.last_failed().map(|(_, fault)| format!("The last attempt: {}", fault.sentence(now))),
        next: Some("It is not sent again. Replay the event to deliver it after all.".to_owned()),
    }
}

/// No attempt of the series at hand has failed, which says nothing of those before it.
fn pending(story: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let before = story.last.filter(|_| story.attempt_count > 0);
    let (headline, detail) = match before {
        None if story.test => ("The test is being sent.".to_owned(), None),
        None => ("No attempt was made yet.".to_owned(), None),
        Some(last) => {
            let ago = humanize::relative(last.at_ms, now);
            let earlier = match last.failed {
                None => format!(
                    "The receiver took it before ({}, {ago}) and gets it once more.",
                    last.code.map_or_else(|| "2xx".to_owned(), status_words)
                ),
                Some(fault) => format!("The last attempt, {ago}: {}", fault.sentence(now)),
            };
            ("It is sent again and has not arrived yet.".to_owned(), Some(earlier))
        }
    };
    let waits = story.waits();
    Explanation {
        tone: Tone::Waiting,
        headline: waits.map_or(headline.clone(), |(waits, _)| waits.to_owned()),
        detail: match (waits, detail) {
            (Some(_), None) => Some(headline),
            (_, detail) => detail,
        },
        next: waits.map(|(_, next)| next.to_owned()).or_else(|| story.due(now)),
    }
}

fn retrying(story: &DeliveryFacts<'_>, now: Millis) -> Explanation {
    let Some((_, fault)) = story.last_failed() else {
        return pending(story, now);
    };
    let next = match story.waits() {
        Some((waits, next)) => Some(format!("{waits} {next}")),
        None if story.next_ms.is_some_and(|at| at > now) => Some(story.scheduled(now)),
        None => {
            let due = story.due(now).unwrap_or_default();
            Some(format!("{} {due}", story.attempts()).trim_end().to_owned())
        }
    };
    Explanation { tone: Tone::Trouble, headline: fault.sentence(now), detail: Some(fault.advice().into_owned()), next }
}

impl<'a> DeliveryFacts<'a> {
    fn last_failed(&self) -> Option<(Last<'a>, Failed<'a>)> {
        let last = self.last?;
        Some((last, last.failed?))
    }

    /// What a delivery of an inactive webhook waits for, and until when. Tests go out all the same.
    fn waits(&self) -> Option<(&'static str, &'static str)> {
        if self.test {
            return None;
        }
        match self.webhook_state {
            WebhookState::Active => None,
            WebhookState::Paused => Some(("Waits: the webhook is paused.", "It is sent when somebody resumes it.")),
            WebhookState::Disabled => Some((
                "Waits: Hookpost disabled the webhook after failures.",
                "It is sent when somebody resumes the webhook.",
            )),
            WebhookState::Unverified => Some((
                "Waits: the endpoint has not answered its challenge yet.",
                "It is sent once the webhook is verified.",
            )),
        }
    }

    /// How a dead letter of a disabled webhook gets on its way again.
    fn back(&self) -> &'static str {
        match self.webhook_state {
            WebhookState::Active => RETRY,
            _ => "Correct the cause, resume the webhook, then retry it.",
        }
    }

    /// `Attempt 4 of 5` with a full stop.
    fn attempts(&self) -> String {
        match self.series_failures {
            0 => String::new(),
            made => format!("Attempt {made} of {}.", self.schedule_attempts.max(made)),
        }
    }

    fn scheduled(&self, now: Millis) -> String {
        let at = self.next_ms.unwrap_or(now);
        let next = format!("next at {}, {}.", humanize::when(at, now), humanize::relative(at, now));
        let next = next.replacen("next at tomorrow", "next tomorrow", 1);
        let earlier = self.attempt_count.saturating_sub(self.series_failures);
        let series = match earlier {
            0 => String::new(),
            count => format!(" (after {} before this series)", humanize::counted(count.into(), "other")),
        };
        match self.series_failures {
            0 => format!("The {next}").replacen("The next", "The next attempt", 1),
            made => format!("Attempt {made} of {}{series}, {next}", self.schedule_attempts.max(made)),
        }
    }

    /// What a delivery that is due waits for; when it is due, if it is not.
    fn due(&self, now: Millis) -> Option<String> {
        if self.test {
            return None;
        }
        let at = self.next_ms?;
        if at > now {
            return Some(self.scheduled(now));
        }
        let mut text = match self.queue.others_before {
            Some(0) | None => "It is due now.".to_owned(),
            Some(1) => "It is due; 1 other waits before it.".to_owned(),
            Some(count) => format!("It is due; {} others wait before it.", humanize::number(count)),
        };
        if self.queue.ordered {
            text.push_str(" The webhook takes its events strictly one after the other.");
        }
        if let Some(rate) = self.queue.rate_limit_per_s {
            let limit = humanize::counted(rate.into(), "request");
            text.push_str(&format!(" The webhook's rate limit is {limit} a second."));
        }
        Some(text)
    }
}

/// The last attempt in a few words, for lists: `200 in 48 ms`, `503`, `TLS expired`.
pub fn short(last: &Last<'_>) -> String {
    match (&last.failed, last.code) {
        (Some(failed), _) => failed.short(),
        (None, Some(code)) => format!("{code} in {}", humanize::duration(last.duration_ms)),
        (None, None) => "delivered".to_owned(),
    }
}

/// The host that a list names beside the few words.
pub fn host(url: &str) -> &str {
    host_and_port(url).0
}

#[cfg(test)]
mod tests;
