use strum::VariantArray;

use super::*;
use crate::domain::attempt::ErrorCode;
use crate::domain::time::{DAY, HOUR, MINUTE};

/// Thursday, 2026-01-15 12:20 UTC.
const NOW: Millis = 1_768_479_600_000;
static UTC: Zone = Zone::UTC;
const URL: &str = "https://api.acme.io:8443/hooks";

fn with_status(status: DeliveryStatus) -> DeliveryFacts<'static> {
    DeliveryFacts {
        status,
        test: false,
        erased: false,
        discard_reason: None,
        webhook_state: WebhookState::Active,
        waiting_for: None,
        url: URL,
        attempt_count: 0,
        series_failures: 0,
        schedule_attempts: 5,
        exhausted: Exhausted::Disable,
        gone: Gone::Disable,
        last: None,
        next_ms: None,
        created_ms: NOW - 2 * HOUR,
        finished_ms: None,
        queue: Queue::default(),
        zone: &UTC,
    }
}

fn failure(cause: FailureCause) -> Option<Last<'static>> {
    let code = if let FailureCause::Status { code } = cause { Some(code) } else { None };
    let (duration_ms, started_ms) = (5_003, NOW - HOUR);
    let failed = Failed { cause, retry_after: None, ended_ms: started_ms + duration_ms, url: URL };
    Some(Last { failed: Some(failed), code, duration_ms, started_ms })
}

fn usual(error_code: ErrorCode) -> Option<Last<'static>> {
    failure(FailureCause::of_code(error_code, Some(418), 5_003))
}

fn success(code: u16) -> Option<Last<'static>> {
    Some(Last { failed: None, code: Some(code), duration_ms: 48, started_ms: NOW - HOUR })
}

fn texts(facts: &DeliveryFacts<'_>) -> (String, String, String) {
    let verdict = Explanation::of(facts, NOW);
    (verdict.headline, verdict.detail.unwrap_or_default(), verdict.next.unwrap_or_default())
}

#[test]
fn a_delivered_one_says_at_which_attempt_with_what_and_when() {
    let mut facts = with_status(DeliveryStatus::Delivered);
    facts.last = success(200);
    facts.attempt_count = 1;
    facts.finished_ms = Some(NOW - HOUR);
    let (headline, detail, next) = texts(&facts);
    assert_eq!(headline, "Delivered on the first attempt: 200 in 48 ms.");
    assert_eq!(detail, "That was 1 h ago, 1 h after the delivery was created.");
    assert_eq!(next, "");
    facts.attempt_count = 3;
    assert_eq!(texts(&facts).0, "Delivered on the 3rd attempt: 200 in 48 ms.");
    facts.test = true;
    assert_eq!(texts(&facts).0, "Test delivered: 200 in 48 ms.");
    assert_eq!(Explanation::of(&facts, NOW).tone, Tone::Good);
}

#[test]
fn a_retrying_one_says_what_failed_and_when_the_next_attempt_is() {
    let mut facts = with_status(DeliveryStatus::Retrying);
    facts.attempt_count = 4;
    facts.series_failures = 4;
    facts.next_ms = Some(NOW + 2 * HOUR);
    facts.last = failure(FailureCause::CertificateExpired { not_after_ms: Some(NOW - 3 * DAY) });
    let (headline, detail, next) = texts(&facts);
    assert_eq!(headline, "The TLS certificate of api.acme.io expired 3 days ago.");
    assert!(detail.starts_with("Renew the certificate"));
    assert_eq!(next, "Attempt 4 of 5, next at 14:20 UTC, in 2 h.");
    facts.next_ms = Some(NOW + 14 * HOUR + 52 * MINUTE);
    assert_eq!(texts(&facts).2, "Attempt 4 of 5, next tomorrow 03:12 UTC, in 15 h.");
    // Attempts of an earlier series do not use up this one.
    facts.attempt_count = 9;
    facts.next_ms = Some(NOW + 2 * HOUR);
    assert_eq!(texts(&facts).2, "Attempt 4 of 5 (after 5 others before this series), next at 14:20 UTC, in 2 h.");
    assert_eq!(Explanation::of(&facts, NOW).tone, Tone::Trouble);
}

#[test]
fn one_that_is_due_says_what_stands_before_it() {
    let mut facts = with_status(DeliveryStatus::Pending);
    facts.next_ms = Some(NOW);
    assert_eq!(texts(&facts), ("No attempt has been made yet.".into(), "".into(), "Due now.".into()));
    facts.queue.others_before = Some(12);
    facts.queue.rate_limit_per_s = Some(1);
    assert_eq!(texts(&facts).2, "Due now, behind 12 others. The webhook's rate limit is 1 request per second.");
    facts.queue = Queue { others_before: Some(1), rate_limit_per_s: None, ordered: true };
    assert_eq!(texts(&facts).2, "Due now, behind 1 other. The webhook receives its events strictly in order.");
    facts.status = DeliveryStatus::Retrying;
    facts.attempt_count = 2;
    facts.series_failures = 2;
    facts.last = failure(FailureCause::Status { code: 500 });
    facts.queue = Queue::default();
    assert_eq!(texts(&facts).2, "Attempt 2 of 5. Due now.");
}

#[test]
fn one_that_is_held_back_says_what_it_waits_for() {
    let mut facts = with_status(DeliveryStatus::Pending);
    facts.next_ms = Some(NOW - HOUR);
    for (reason, headline, next) in [
        (WaitingFor::WebhookPaused, "Queued: the webhook is paused.", "It will be sent when the webhook is resumed."),
        (
            WaitingFor::WebhookDisabled,
            "Queued: Hookpost disabled the webhook after failures.",
            "It will be sent when the webhook is resumed.",
        ),
        (
            WaitingFor::WebhookUnverified,
            "Queued: the endpoint has not passed its challenge yet.",
            "It will be sent when the webhook is verified.",
        ),
        (
            WaitingFor::DeliveriesPaused,
            "Queued: all deliveries are paused.",
            "It will be sent when deliveries are resumed.",
        ),
    ] {
        facts.waiting_for = Some(reason);
        assert_eq!(texts(&facts), (headline.into(), "No attempt has been made yet.".into(), next.into()));
    }
    // The failure still comes first, and no time is promised.
    facts.status = DeliveryStatus::Retrying;
    facts.waiting_for = Some(WaitingFor::WebhookPaused);
    facts.next_ms = Some(NOW + HOUR);
    facts.series_failures = 1;
    facts.last = usual(ErrorCode::ConnectRefused);
    let (headline, _, next) = texts(&facts);
    assert_eq!(headline, "api.acme.io refused the connection (nothing listens on port 8443).");
    assert_eq!(next, "Queued: the webhook is paused. It will be sent when the webhook is resumed.");
}

#[test]
fn a_retry_by_hand_does_not_read_as_success_before_it_is_delivered() {
    let mut facts = with_status(DeliveryStatus::Pending);
    facts.attempt_count = 1;
    facts.next_ms = Some(NOW);
    facts.last = success(202);
    let (headline, detail, next) = texts(&facts);
    assert_eq!(headline, "Queued to be sent again.");
    assert_eq!(detail, "The receiver accepted it before (202 Accepted, 1 h ago).");
    assert_eq!(next, "Due now.");
    assert_eq!(Explanation::of(&facts, NOW).tone, Tone::Waiting);
    facts.last = failure(FailureCause::Status { code: 404 });
    assert_eq!(texts(&facts).1, "Last attempt, 1 h ago: api.acme.io answered 404 Not Found.");
}

#[test]
fn a_dead_letter_says_why_it_was_given_up_and_what_to_do() {
    let mut facts = with_status(DeliveryStatus::Failed);
    facts.attempt_count = 5;
    facts.series_failures = 5;
    facts.last = usual(ErrorCode::Timeout);
    let (headline, _, next) = texts(&facts);
    assert_eq!(headline, "api.acme.io did not respond within 5 s.");
    assert_eq!(next, "All 5 attempts failed: the delivery is a dead letter. Fix the cause, then retry.");
    facts.webhook_state = WebhookState::Disabled;
    assert_eq!(
        texts(&facts).2,
        "All 5 attempts failed: the delivery is a dead letter, and the webhook is disabled. Fix the cause, resume the \
         webhook, then retry."
    );
    facts.exhausted = Exhausted::DeadLetter;
    assert!(!texts(&facts).2.contains("disabled"));
}

#[test]
fn a_410_disables_where_the_profile_says_so_and_is_a_failure_as_any_other_where_not() {
    let mut facts = with_status(DeliveryStatus::Failed);
    (facts.attempt_count, facts.series_failures) = (1, 1);
    facts.webhook_state = WebhookState::Disabled;
    facts.last = failure(FailureCause::Status { code: 410 });
    let (headline, detail, next) = texts(&facts);
    assert_eq!(headline, "api.acme.io answered 410 Gone.");
    assert!(detail.starts_with("The receiver asks for no more deliveries."));
    assert!(next.contains("the webhook was disabled"), "{next}");
    facts.gone = Gone::Retry;
    facts.exhausted = Exhausted::DeadLetter;
    assert_eq!(texts(&facts).2, "The only attempt failed: the delivery is a dead letter. Fix the cause, then retry.");
}

#[test]
fn faults_of_our_own_and_failed_tests_are_told_as_such() {
    let mut facts = with_status(DeliveryStatus::Failed);
    facts.attempt_count = 10;
    facts.last = usual(ErrorCode::EventDamaged);
    assert_eq!(texts(&facts).2, "The delivery is a dead letter: a damaged event is never sent.");
    facts.last = usual(ErrorCode::WorkerPanic);
    assert!(texts(&facts).2.starts_with("The delivery is a dead letter after 10 faults"));
    facts.test = true;
    facts.attempt_count = 1;
    facts.last = failure(FailureCause::Status { code: 410 });
    assert!(texts(&facts).2.starts_with("Tests are attempted once"));
    facts.status = DeliveryStatus::Pending;
    facts.last = None;
    facts.attempt_count = 0;
    facts.webhook_state = WebhookState::Paused;
    assert_eq!(texts(&facts), ("The test is being sent.".into(), "".into(), "".into()));
}

#[test]
fn a_discarded_one_says_what_had_been_tried() {
    let mut facts = with_status(DeliveryStatus::Discarded);
    facts.finished_ms = Some(NOW - 2 * DAY);
    assert_eq!(texts(&facts).0, "Discarded 2 days ago, before any attempt.");
    facts.attempt_count = 1;
    facts.last = usual(ErrorCode::DnsFailed);
    let (headline, detail, next) = texts(&facts);
    assert_eq!(headline, "Discarded 2 days ago, after 1 attempt.");
    assert_eq!(detail, "Last attempt: The name api.acme.io has no address.");
    assert!(next.contains("Replay the event"));
}

#[test]
fn every_verdict_is_made_of_whole_sentences() {
    for status in DeliveryStatus::VARIANTS {
        for state in WebhookState::VARIANTS {
            for &error_code in ErrorCode::VARIANTS {
                for count in [0, 1, 5, 7] {
                    let mut facts = with_status(*status);
                    facts.webhook_state = *state;
                    facts.waiting_for = state.waiting_for();
                    facts.attempt_count = count;
                    facts.series_failures = count.min(5);
                    facts.next_ms = Some(NOW + HOUR);
                    facts.last = usual(error_code).filter(|_| count > 0);
                    let verdict = Explanation::of(&facts, NOW);
                    let all = [Some(verdict.headline), verdict.detail, verdict.next];
                    for text in all.into_iter().flatten() {
                        assert!(text.ends_with('.') && !text.contains("  "), "{text:?}");
                        assert!(text.starts_with(|c: char| !c.is_whitespace()), "{text:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn lists_get_a_few_words() {
    assert_eq!(short(&success(204).unwrap()), "204 in 48 ms");
    assert_eq!(short(&failure(FailureCause::Status { code: 503 }).unwrap()), "503");
    assert_eq!(short(&usual(ErrorCode::Timeout).unwrap()), "timeout after 5 s");
    assert_eq!(host(URL), "api.acme.io");
}
