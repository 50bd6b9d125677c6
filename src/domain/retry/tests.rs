use super::*;
use crate::domain::time::{HOUR, MINUTE};

fn schedule(delays_s: &[f64], measured_from: MeasuredFrom, exhausted: Exhausted) -> Schedule {
    Schedule::parse(&ScheduleSpec { delays_s: delays_s.to_vec(), measured_from, exhausted }).unwrap()
}

fn history(failures: u32, at: Millis, origin_ms: Option<Millis>) -> History {
    History {
        failures,
        due_ms: at,
        started_ms: at,
        ended_ms: at,
        origin_ms,
        endpoint_is_alive: false,
        webhook_is_active: true,
        panics: 0,
    }
}

fn status(code: u16) -> AnswerHints<'static> {
    AnswerHints { status: Some(code), retry_after: None }
}

fn decide(code: u16, history: &History, schedule: &Schedule, jitter: f64) -> Next {
    let rules = Rules { schedule, gone: Gone::Disable };
    after_failure(ErrorCode::Status, status(code), history, rules, jitter)
}

#[test]
fn delays_count_from_the_previous_attempt_or_from_the_first_failure() {
    let previous = schedule(&[60.0, 300.0], MeasuredFrom::PreviousAttempt, Exhausted::Disable);
    let first = schedule(&[300.0, 1800.0], MeasuredFrom::FirstFailure, Exhausted::Disable);
    let due = |next| match next {
        Next::RetryAt { due_ms, .. } => due_ms,
        other => panic!("{other:?}"),
    };
    assert_eq!(due(decide(500, &history(1, 0, None), &previous, 0.0)), MINUTE);
    assert_eq!(due(decide(500, &history(2, MINUTE, Some(0)), &previous, 0.0)), 6 * MINUTE);
    assert_eq!(due(decide(500, &history(1, 0, None), &first, 0.0)), 5 * MINUTE);
    assert_eq!(due(decide(500, &history(2, 5 * MINUTE, Some(0)), &first, 0.0)), 30 * MINUTE);
}

#[test]
fn jitter_only_delays_and_by_a_tenth_of_the_wait_at_most() {
    let schedule = schedule(&[60.0], MeasuredFrom::PreviousAttempt, Exhausted::Disable);
    for jitter in [0.0, 0.5, 1.0, 7.0] {
        let Next::RetryAt { due_ms, .. } = decide(500, &history(1, 0, None), &schedule, jitter) else {
            panic!("a retry was expected");
        };
        assert!((MINUTE..=MINUTE + 6 * SECOND).contains(&due_ms), "{due_ms}");
    }
}

#[test]
fn lateness_moves_the_origin_so_that_overdue_retries_do_not_burst() {
    let schedule = schedule(&[300.0, 1800.0], MeasuredFrom::FirstFailure, Exhausted::Disable);
    let mut second = history(2, 5 * MINUTE, Some(0));
    second.started_ms += 10 * HOUR;
    second.ended_ms += 10 * HOUR;
    assert_eq!(
        decide(500, &second, &schedule, 0.0),
        Next::RetryAt { due_ms: 10 * HOUR + 30 * MINUTE, origin_ms: Some(10 * HOUR) }
    );
}

#[test]
fn retry_after_moves_later_never_earlier_and_a_day_at_most() {
    let schedule = schedule(&[60.0, 120.0], MeasuredFrom::FirstFailure, Exhausted::Disable);
    for (code, value, due, origin) in [
        (429, "5", MINUTE, 0),
        (503, "600", 10 * MINUTE, 9 * MINUTE),
        (503, "99999999999", DAY, DAY - MINUTE),
        (429, "soon", MINUTE, 0),
        (500, "600", MINUTE, 0),
    ] {
        let answer = AnswerHints { status: Some(code), retry_after: Some(value) };
        let rules = Rules { schedule: &schedule, gone: Gone::Disable };
        assert_eq!(
            after_failure(ErrorCode::Status, answer, &history(1, 0, None), rules, 0.0),
            Next::RetryAt { due_ms: due, origin_ms: Some(origin) },
            "{code} {value}"
        );
    }
}

#[test]
fn exhaustion_disables_unless_the_endpoint_is_alive_or_the_profile_says_otherwise() {
    let disable = schedule(&[1.0], MeasuredFrom::PreviousAttempt, Exhausted::Disable);
    let dead_letter = schedule(&[1.0], MeasuredFrom::PreviousAttempt, Exhausted::DeadLetter);
    let last = history(2, 0, Some(0));
    let alive = History { endpoint_is_alive: true, ..last };
    let inactive = History { webhook_is_active: false, ..last };
    assert_eq!(decide(500, &last, &disable, 0.0), Next::Disable(DisabledReason::Exhausted));
    assert_eq!(decide(500, &last, &dead_letter, 0.0), Next::DeadLetter);
    assert_eq!(decide(500, &alive, &disable, 0.0), Next::DeadLetter);
    assert_eq!(decide(500, &inactive, &disable, 0.0), Next::DeadLetter);
}

#[test]
fn a_410_disables_at_once_where_the_profile_says_so() {
    let schedule = schedule(&[1.0], MeasuredFrom::PreviousAttempt, Exhausted::Disable);
    let first = history(1, 0, None);
    assert_eq!(decide(410, &first, &schedule, 0.0), Next::Disable(DisabledReason::Gone));
    let answer = status(410);
    let rules = Rules { schedule: &schedule, gone: Gone::Retry };
    assert!(matches!(after_failure(ErrorCode::Status, answer, &first, rules, 0.0), Next::RetryAt { .. }));
}

#[test]
fn ten_panics_end_a_delivery_and_fewer_use_up_nothing() {
    let schedule = schedule(&[], MeasuredFrom::PreviousAttempt, Exhausted::Disable);
    let rules = Rules { schedule: &schedule, gone: Gone::Disable };
    for (panics, ends) in [(1, false), (9, false), (10, true)] {
        let history = History { panics, ..history(1, 0, None) };
        let next = after_failure(ErrorCode::WorkerPanic, AnswerHints::default(), &history, rules, 0.0);
        assert_eq!(next == Next::DeadLetter, ends, "{panics}");
    }
}

#[test]
fn a_schedule_out_of_bounds_is_refused_with_its_field() {
    for (delays_s, from, field) in [
        (vec![-1.0], MeasuredFrom::PreviousAttempt, "retry.delays_s[0]"),
        (vec![1.0, 604_801.0], MeasuredFrom::PreviousAttempt, "retry.delays_s[1]"),
        (vec![f64::NAN], MeasuredFrom::PreviousAttempt, "retry.delays_s[0]"),
        (vec![2.0, 1.0], MeasuredFrom::FirstFailure, "retry.delays_s[1]"),
        (vec![1.0; 101], MeasuredFrom::PreviousAttempt, "retry.delays_s"),
    ] {
        let spec = ScheduleSpec { delays_s, measured_from: from, exhausted: Exhausted::Disable };
        assert_eq!(Schedule::parse(&spec).unwrap_err().field.as_deref(), Some(field));
    }
}
