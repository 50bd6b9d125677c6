//! Retry schedules of the profiles: documented delays, exhaustion, and 410 responses.

use hookpost::domain::time::{DAY, HOUR, MINUTE, Millis, SECOND, parse_rfc3339};
use serde_json::json;

use super::{ALL, answering, deliveries};
use crate::support::Hub;
use crate::support::receiver::{Behaviour, Reply};

/// Documented handling of failures.
struct Documented {
    /// Delays before each retry.
    waits: &'static [Millis],
    from_first_failure: bool,
    disables: bool,
    gone_disables: bool,
}

const STANDARD: &[Millis] =
    &[5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

fn documented(profile: &str) -> Documented {
    let (waits, from_first_failure, disables, gone_disables): (&[Millis], _, _, _) = match profile {
        "generic" => (&[MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR], false, true, true),
        "irisync" => (&[5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR], true, false, false),
        "iverton" => (&[MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 24 * HOUR], false, true, false),
        "socialsyncer" => (&[MINUTE, 2 * MINUTE, 4 * MINUTE], false, false, false),
        "influship" => (&[MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR], false, false, false),
        "standard" | "stripe" => (STANDARD, false, true, true),
        "github" => (&[MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR], false, false, true),
        other => panic!("{other} has no schedule here"),
    };
    Documented { waits, from_first_failure, disables, gone_disables }
}

#[test]
fn every_profile_tries_again_at_its_documented_times_and_then_gives_up_as_documented() {
    for profile in ALL {
        let documented = documented(profile);
        let hub = Hub::start();
        let receiver = answering(500);
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"profile": profile}));
        let delivery = hub.publish_one("order.paid", json!({"id": 1}));
        hub.deliver_until_idle();

        let first = hub.clock.now_ms();
        let mut previous = first;
        for (index, wait) in documented.waits.iter().enumerate() {
            let attempts = index + 1;
            assert_eq!(deliveries(&receiver).len(), attempts, "{profile}");
            let shown = hub.delivery(&delivery);
            assert_eq!(shown["status"], "retrying", "{profile}");
            let due = parse_rfc3339(shown["next_attempt_at"].as_str().unwrap()).unwrap();
            let scheduled = if documented.from_first_failure { first + wait } else { previous + wait };
            // Jitter adds up to a tenth of the delay, and the attempt itself up to a second.
            let latest = scheduled + (scheduled - previous) / 10 + SECOND;
            assert!(
                (scheduled..=latest).contains(&due),
                "{profile}: attempt {} is due {} s after the first, and {} s were documented",
                attempts + 1,
                (due - first) / SECOND,
                (scheduled - first) / SECOND,
            );
            hub.advance(due - 1 - hub.clock.now_ms());
            hub.deliver_until_idle();
            assert_eq!(deliveries(&receiver).len(), attempts, "{profile}: early");
            hub.advance(1);
            hub.deliver_until_idle();
            previous = hub.clock.now_ms();
        }

        let attempts = documented.waits.len() + 1;
        assert_eq!(deliveries(&receiver).len(), attempts, "{profile}");
        let shown = hub.delivery(&delivery);
        assert_eq!(shown["status"], "failed", "{profile}");
        assert_eq!(shown["attempt_count"], attempts, "{profile}");
        assert_eq!(shown["next_attempt_at"], json!(null), "{profile}");
        let state = if documented.disables { "disabled" } else { "active" };
        let shown = hub.webhook(&webhook);
        assert_eq!(shown["state"], state, "{profile}");
        assert_eq!(shown["disabled_reason"].is_string(), documented.disables, "{profile}");
        hub.advance(7 * DAY);
        hub.deliver_until_idle();
        assert_eq!(deliveries(&receiver).len(), attempts, "{profile}");

        // Every attempt has the same body and the same id.
        let all = deliveries(&receiver);
        for request in &all {
            assert_eq!(request.body, all[0].body, "{profile}");
            assert_eq!(request.header("webhook-id"), all[0].header("webhook-id"), "{profile}");
        }
    }
}

#[test]
fn a_410_disables_the_webhook_where_the_profile_says_so_and_is_a_failure_elsewhere() {
    for profile in ALL {
        let documented = documented(profile);
        let hub = Hub::start();
        let receiver = answering(410);
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"profile": profile}));
        let delivery = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        let (state, status) = if documented.gone_disables { ("disabled", "failed") } else { ("active", "retrying") };
        assert_eq!(hub.state_of(&webhook), state, "{profile}");
        assert_eq!(hub.status_of(&delivery), status, "{profile}");
    }
}

#[test]
fn an_endpoint_that_takes_other_events_is_not_disabled_by_one_that_it_rejects() {
    for profile in ALL.into_iter().filter(|name| documented(name).disables) {
        let hub = Hub::start();
        let receiver = answering(500);
        let webhook = hub.add_webhook_with(receiver.url(), &json!({"profile": profile}));
        let rejected = hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        receiver.behave(Behaviour::Answer(Reply::status(200)));
        hub.publish_one("order.paid", json!({}));
        hub.deliver_until_idle();
        receiver.behave(Behaviour::Answer(Reply::status(500)));
        for _ in documented(profile).waits {
            hub.advance(2 * DAY);
            hub.deliver_until_idle();
        }
        assert_eq!(hub.status_of(&rejected), "failed", "{profile}");
        assert_eq!(hub.state_of(&webhook), "active", "{profile}");
    }
}
