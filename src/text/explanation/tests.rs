use strum::VariantArray;

use super::*;
use crate::domain::time::{DAY, HOUR, MINUTE};

/// Thursday, 2026-01-15 12:20 UTC.
const NOW: Millis = 1_768_479_600_000;
const URL: &str = "https://api.acme.io:8443/hooks";

fn story(status: DeliveryStatus) -> DeliveryFacts<'static> {
    DeliveryFacts {
        status,
        test: false,
        webhook_state: WebhookState::Active,
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
    }
}

fn failure(error_code: ErrorCode, code: Option<u16>, message: Option<&'static str>) -> Option<Last<'static>> {
    let (duration_ms, at_ms) = (5_003, NOW - HOUR);
    Some(Last {
        failed: Some(Failed { error_code, code, message, retry_after: None, duration_ms, at_ms, url: URL }),
        code,
        duration_ms,
        at_ms,
    })
}

fn success(code: u16) -> Option<Last<'static>> {
    Some(Last { failed: None, code: Some(code), duration_ms: 48, at_ms: NOW - HOUR })
}

fn texts(story: &DeliveryFacts<'_>) -> (String, String, String) {
    let verdict = Explanation::of(story, NOW);
    (verdict.headline, verdict.detail.unwrap_or_default(), verdict.next.unwrap_or_default())
}

#[test]
fn a_delivered_one_says_at_which_attempt_with_what_and_when() {
    let mut told = story(DeliveryStatus::Delivered);
    told.last = success(200);
    told.attempt_count = 1;
    told.finished_ms = Some(NOW - HOUR);
    let (headline, detail, next) = texts(&told);
    assert_eq!(headline, "Delivered at the first attempt: 200 in 48 ms.");
    assert_eq!(detail, "That was 1 h ago, 1 h after the delivery was created.");
    assert_eq!(next, "");
    told.attempt_count = 3;
    assert_eq!(texts(&told).0, "Delivered at the 3rd attempt: 200 in 48 ms.");
    told.test = true;
    assert_eq!(texts(&told).0, "Test delivered: 200 in 48 ms.");
    assert_eq!(Explanation::of(&told, NOW).tone, Tone::Good);
}

#[test]
fn a_retrying_one_says_what_failed_and_when_the_next_attempt_is() {
    let mut told = story(DeliveryStatus::Retrying);
    told.attempt_count = 4;
    told.series_failures = 4;
    told.next_ms = Some(NOW + 2 * HOUR);
    told.last = failure(
        ErrorCode::TlsExpired,
        None,
        Some("The certificate of api.acme.io expired at 2026-01-12T12:20:00Z: it must be renewed there."),
    );
    let (headline, detail, next) = texts(&told);
    assert_eq!(headline, "TLS certificate of api.acme.io expired 3 days ago.");
    assert!(detail.starts_with("Renew the certificate"));
    assert_eq!(next, "Attempt 4 of 5, next at 14:20 UTC, in 2 h.");
    told.next_ms = Some(NOW + 14 * HOUR + 52 * MINUTE);
    assert_eq!(texts(&told).2, "Attempt 4 of 5, next tomorrow 03:12 UTC, in 15 h.");
    // Attempts of an earlier series do not use up this one.
    told.attempt_count = 9;
    told.next_ms = Some(NOW + 2 * HOUR);
    assert_eq!(texts(&told).2, "Attempt 4 of 5 (after 5 others before this series), next at 14:20 UTC, in 2 h.");
    assert_eq!(Explanation::of(&told, NOW).tone, Tone::Trouble);
}

#[test]
fn one_that_is_due_says_what_stands_before_it() {
    let mut told = story(DeliveryStatus::Pending);
    told.next_ms = Some(NOW);
    assert_eq!(texts(&told), ("No attempt was made yet.".into(), "".into(), "It is due now.".into()));
    told.queue.others_before = Some(12);
    told.queue.rate_limit_per_s = Some(1);
    assert_eq!(texts(&told).2, "It is due; 12 others wait before it. The webhook's rate limit is 1 request a second.");
    told.queue = Queue { others_before: Some(1), rate_limit_per_s: None, ordered: true };
    assert_eq!(
        texts(&told).2,
        "It is due; 1 other waits before it. The webhook takes its events strictly one after the other."
    );
    told.status = DeliveryStatus::Retrying;
    told.attempt_count = 2;
    told.series_failures = 2;
    told.last = failure(ErrorCode::Status, Some(500), None);
    told.queue = Queue::default();
    assert_eq!(texts(&told).2, "Attempt 2 of 5. It is due now.");
}

#[test]
fn one_of_an_inactive_webhook_says_what_it_waits_for() {
    let mut told = story(DeliveryStatus::Pending);
    told.next_ms = Some(NOW - HOUR);
    for (state, headline, next) in [
        (WebhookState::Paused, "Waits: the webhook is paused.", "It is sent when somebody resumes it."),
        (
            WebhookState::Disabled,
            "Waits: Hookpost disabled the webhook after failures.",
            "It is sent when somebody resumes the webhook.",
        ),
        (
            WebhookState::Unverified,
            "Waits: the endpoint has not answered its challenge yet.",
            "It is sent once the webhook is verified.",
        ),
    ] {
        told.webhook_state = state;
        assert_eq!(texts(&told), (headline.into(), "No attempt was made yet.".into(), next.into()));
    }
    // What failed is said first all the same, and no time is promised.
    told.status = DeliveryStatus::Retrying;
    told.webhook_state = WebhookState::Paused;
    told.next_ms = Some(NOW + HOUR);
    told.series_failures = 1;
    told.last = failure(ErrorCode::ConnectRefused, None, None);
    let (headline, _, next) = texts(&told);
    assert_eq!(headline, "api.acme.io refused the connection (nothing listens on port 8443).");
    assert_eq!(next, "Waits: the webhook is paused. It is sent when somebody resumes it.");
}

#[test]
fn a_retry_by_hand_does_not_read_as_success_before_it_is_delivered() {
    let mut told = story(DeliveryStatus::Pending);
    told.attempt_count = 1;
    told.next_ms = Some(NOW);
    told.last = success(202);
    let (headline, detail, next) = texts(&told);
    assert_eq!(headline, "It is sent again and has not arrived yet.");
    assert_eq!(detail, "The receiver took it before (202 Accepted, 1 h ago) and gets it once more.");
    assert_eq!(next, "It is due now.");
    assert_eq!(Explanation::of(&told, NOW).tone, Tone::Waiting);
    told.last = failure(ErrorCode::Status, Some(404), None);
    assert_eq!(texts(&told).1, "The last attempt, 1 h ago: api.acme.io answered 404 Not Found.");
}

#[test]
fn a_dead_letter_says_why_it_was_given_up_and_what_to_do() {
    let mut told = story(DeliveryStatus::Failed);
    told.attempt_count = 5;
    told.series_failures = 5;
    told.last = failure(ErrorCode::Timeout, None, None);
    let (headline, _, next) = texts(&told);
    assert_eq!(headline, "api.acme.io did not answer within 5 s.");
    assert_eq!(next, "All 5 attempts are used up: it is a dead letter. Correct the cause, then retry it.");
    told.webhook_state = WebhookState::Disabled;
    assert_eq!(
        texts(&told).2,
        "All 5 attempts are used up: it is a dead letter, and the webhook is disabled. Correct the cause, resume the \
         webhook, then retry it."
    );
    told.exhausted = Exhausted::DeadLetter;
    assert!(!texts(&told).2.contains("disabled"));
}

#[test]
fn a_410_disables_where_the_profile_says_so_and_is_a_failure_as_any_other_where_not() {
    let mut told = story(DeliveryStatus::Failed);
    (told.attempt_count, told.series_failures) = (1, 1);
    told.webhook_state = WebhookState::Disabled;
    told.last = failure(ErrorCode::Status, Some(410), None);
    let (headline, detail, next) = texts(&told);
    assert_eq!(headline, "api.acme.io answered 410 Gone.");
    assert!(detail.starts_with("The receiver asks for no more deliveries."));
    assert!(next.contains("the webhook was disabled"), "{next}");
    told.gone = Gone::Retry;
    told.exhausted = Exhausted::DeadLetter;
    assert_eq!(texts(&told).2, "Its one attempt is used up: it is a dead letter. Correct the cause, then retry it.");
}

#[test]
fn faults_of_our_own_and_failed_tests_are_told_as_such() {
    let mut told = story(DeliveryStatus::Failed);
    told.attempt_count = 10;
    told.last = failure(ErrorCode::WorkerPanic, None, None);
    assert!(texts(&told).2.starts_with("It was given up after 10 faults"));
    told.test = true;
    told.attempt_count = 1;
    told.last = failure(ErrorCode::Status, Some(410), None);
    assert!(texts(&told).2.starts_with("This was a test"));
    told.status = DeliveryStatus::Pending;
    told.last = None;
    told.attempt_count = 0;
    told.webhook_state = WebhookState::Paused;
    assert_eq!(texts(&told), ("The test is being sent.".into(), "".into(), "".into()));
}

#[test]
fn a_discarded_one_says_what_had_been_tried() {
    let mut told = story(DeliveryStatus::Discarded);
    told.finished_ms = Some(NOW - 2 * DAY);
    assert_eq!(texts(&told).0, "Discarded 2 days ago, before any attempt.");
    told.attempt_count = 1;
    told.last = failure(ErrorCode::DnsFailed, None, None);
    let (headline, detail, next) = texts(&told);
    assert_eq!(headline, "Discarded 2 days ago, after 1 attempt.");
    assert_eq!(detail, "The last attempt: The name api.acme.io has no address.");
    assert!(next.contains("Replay the event"));
}

#[test]
fn every_verdict_is_made_of_whole_sentences() {
    for status in DeliveryStatus::VARIANTS {
        for state in WebhookState::VARIANTS {
            for &error_code in ErrorCode::VARIANTS {
                for count in [0, 1, 5, 7] {
                    let mut told = story(*status);
                    told.webhook_state = *state;
                    told.attempt_count = count;
                    told.series_failures = count.min(5);
                    told.next_ms = Some(NOW + HOUR);
                    told.last = failure(error_code, Some(418), None).filter(|_| count > 0);
                    let verdict = Explanation::of(&told, NOW);
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
    assert_eq!(short(&failure(ErrorCode::Status, Some(503), None).unwrap()), "503");
    assert_eq!(short(&failure(ErrorCode::Timeout, None, None).unwrap()), "timeout after 5 s");
    assert_eq!(host(URL), "api.acme.io");
}
