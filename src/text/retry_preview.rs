//! A retry schedule with dates, for a delivery whose attempts all fail.

use super::humanize;
use crate::domain::retry::{JITTER_SHARE, MeasuredFrom, Schedule};
use crate::domain::time::{DAY, Millis};
use crate::domain::zone::Zone;

/// One attempt of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// 1 for the first.
    pub attempt: u32,
    /// Delay in words: `at once`, `5 min after the attempt before`, `30 min after the first failure`.
    pub wait: String,
    /// Earliest time.
    pub at_ms: Millis,
    /// Latest time, with the longest jitter on every delay.
    pub latest_ms: Millis,
    /// Earliest time in words: `14:20 UTC`, `tomorrow 03:12 UTC`, `Friday 03:12 UTC`, or a date.
    pub at: String,
    /// Latest time in words; `None` if it is the same minute.
    pub latest: Option<String>,
    /// Earliest time relative to the start: `in 2 h`; `now` for the first attempt.
    pub relative: String,
    /// Weekday of the earliest time, if it is less than a week after the start.
    pub weekday: Option<String>,
}

/// Plans every attempt of a delivery that is due at `start` and always fails. Assumes that attempts take no time; in
/// fact each delays the next ones by its duration, up to the webhook's timeout.
pub fn schedule(schedule: &Schedule, start: Millis, zone: &Zone) -> Vec<Planned> {
    let mut planned = vec![plan(1, "at once".to_owned(), start, start, start, zone)];
    let (mut earliest, mut latest) = (start, start);
    for (attempt, delay) in (2..).zip(schedule.delays()) {
        let longest = |wait: Millis| (wait as f64 * JITTER_SHARE) as Millis;
        let from = match schedule.measured_from {
            MeasuredFrom::PreviousAttempt => {
                earliest += delay;
                latest += delay + longest(*delay);
                "the attempt before"
            }
            MeasuredFrom::FirstFailure => {
                // The wait, and so the jitter, is longest after an attempt that came as early as possible.
                let due = start + delay;
                latest = latest.max(due + longest(due - earliest));
                earliest = due;
                "the first failure"
            }
        };
        let wait = match delay {
            0 => format!("at once after {from}"),
            _ => format!("{} after {from}", humanize::duration(*delay)),
        };
        planned.push(plan(attempt, wait, earliest, latest, start, zone));
    }
    planned
}

/// Note to show with the dates.
pub fn note(schedule: &Schedule) -> String {
    let attempts = schedule.attempts();
    if attempts == 1 {
        return "There is one attempt; a failed one is not retried.".to_owned();
    }
    let from = match schedule.measured_from {
        MeasuredFrom::PreviousAttempt => "from the end of the attempt before",
        MeasuredFrom::FirstFailure => "from the end of the first failed attempt",
    };
    format!(
        "{attempts} attempts in all. Each wait counts {from} and may be up to 10 % longer, never shorter; a Retry-After of \
         the receiver can move an attempt later, by a day at most."
    )
}

fn plan(attempt: u32, wait: String, at_ms: Millis, latest_ms: Millis, start: Millis, zone: &Zone) -> Planned {
    let (at, latest) = (humanize::when(at_ms, start, zone), humanize::when(latest_ms, start, zone));
    Planned {
        attempt,
        wait,
        at_ms,
        latest_ms,
        latest: Some(latest).filter(|latest| *latest != at),
        at,
        relative: humanize::relative(at_ms, start),
        weekday: (at_ms - start < 7 * DAY).then(|| humanize::weekday(at_ms, zone)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attempt::ErrorCode;
    use crate::domain::retry::{AnswerHints, Exhausted, Gone, History, Next, Rules, ScheduleSpec, after_failure};
    use crate::domain::time::{HOUR, MINUTE, SECOND};

    /// Thursday, 2026-01-15 10:00 UTC.
    const NOW: Millis = 1_768_471_200_000;

    fn spec(delays_s: &[f64], measured_from: MeasuredFrom) -> Schedule {
        Schedule::parse(&ScheduleSpec { delays_s: delays_s.to_vec(), measured_from, exhausted: Exhausted::DeadLetter })
            .unwrap()
    }

    /// The engine's own decisions, attempt by attempt, with this jitter.
    fn decided(schedule: &Schedule, jitter: f64) -> Vec<Millis> {
        let mut due = vec![NOW];
        let mut origin_ms = None;
        loop {
            let at = due[due.len() - 1];
            let history = History {
                failures: due.len() as u32,
                due_ms: at,
                started_ms: at,
                ended_ms: at,
                origin_ms,
                endpoint_is_alive: false,
                webhook_is_active: true,
                panics: 0,
            };
            let gone = Gone::Retry;
            let rules = Rules { schedule, gone };
            match after_failure(ErrorCode::Timeout, AnswerHints::default(), &history, rules, jitter) {
                Next::RetryAt { due_ms, origin_ms: origin } => {
                    due.push(due_ms);
                    origin_ms = origin;
                }
                _ => return due,
            }
        }
    }

    #[test]
    fn the_dates_are_those_that_the_engine_would_decide() {
        for schedule_of in [
            spec(&[60.0, 300.0, 1800.0, 7200.0], MeasuredFrom::PreviousAttempt),
            spec(&[300.0, 1800.0, 7200.0, 18000.0, 36000.0], MeasuredFrom::FirstFailure),
            spec(&[300.0, 301.0, 302.0], MeasuredFrom::FirstFailure),
            spec(&[0.0, 0.0, 1.0], MeasuredFrom::PreviousAttempt),
            spec(&[], MeasuredFrom::PreviousAttempt),
        ] {
            let planned = schedule(&schedule_of, NOW, &Zone::UTC);
            let earliest: Vec<Millis> = planned.iter().map(|plan| plan.at_ms).collect();
            assert_eq!(earliest, decided(&schedule_of, 0.0));
            for jitter in [0.0, 0.3, 1.0] {
                for (plan, due) in planned.iter().zip(decided(&schedule_of, jitter)) {
                    assert!((plan.at_ms..=plan.latest_ms).contains(&due), "{plan:?} {due}");
                }
            }
        }
        let longest = spec(&[60.0, 300.0], MeasuredFrom::PreviousAttempt);
        let latest: Vec<Millis> = schedule(&longest, NOW, &Zone::UTC).iter().map(|plan| plan.latest_ms).collect();
        assert_eq!(latest, decided(&longest, 1.0));
    }

    #[test]
    fn a_schedule_is_said_in_words() {
        let generic = spec(&[60.0, 61200.0, 86400.0], MeasuredFrom::PreviousAttempt);
        let planned = schedule(&generic, NOW, &Zone::UTC);
        let words: Vec<(u32, &str, &str, &str)> = planned
            .iter()
            .map(|plan| (plan.attempt, plan.wait.as_str(), plan.at.as_str(), plan.relative.as_str()))
            .collect();
        assert_eq!(
            words,
            [
                (1, "at once", "10:00 UTC", "now"),
                (2, "1 min after the attempt before", "10:01 UTC", "in 1 min"),
                (3, "17 h after the attempt before", "tomorrow 03:01 UTC", "in 17 h"),
                (4, "1 day after the attempt before", "Saturday 03:01 UTC", "in 1 day 17 h"),
            ]
        );
        assert_eq!(planned[0].weekday.as_deref(), Some("Thursday"));
        assert_eq!(planned[3].weekday.as_deref(), Some("Saturday"));
        assert_eq!(planned[1].latest, None);
        assert_eq!(planned[2].latest.as_deref(), Some("tomorrow 04:43 UTC"));
        let week = spec(&[604_800.0], MeasuredFrom::PreviousAttempt);
        assert_eq!(schedule(&week, NOW, &Zone::UTC)[1].weekday, None);
        assert_eq!(schedule(&week, NOW, &Zone::UTC)[1].at, "22 Jan 2026 10:00 UTC");
    }

    #[test]
    fn waits_from_the_first_failure_say_so() {
        let irisync = spec(&[300.0, 1800.0], MeasuredFrom::FirstFailure);
        let planned = schedule(&irisync, NOW, &Zone::UTC);
        assert_eq!(planned[2].wait, "30 min after the first failure");
        assert_eq!(planned[2].at_ms, NOW + 30 * MINUTE);
        assert_eq!(planned[2].latest_ms, NOW + 32 * MINUTE + 30 * SECOND);
        assert!(note(&irisync).contains("from the end of the first failed attempt"));
        assert!(note(&irisync).starts_with("3 attempts in all."));
        let once = spec(&[], MeasuredFrom::PreviousAttempt);
        assert_eq!(note(&once), "There is one attempt; a failed one is not retried.");
        let at_once = spec(&[0.0], MeasuredFrom::PreviousAttempt);
        assert_eq!(schedule(&at_once, NOW + HOUR, &Zone::UTC)[1].wait, "at once after the attempt before");
    }
}
