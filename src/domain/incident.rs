//! Incidents: when the trouble of an endpoint begins and ends, and the verdict on a webhook. Pure decisions.
//!
//! An incident opens by one of four rules ([`opens`]), or when a webhook is disabled, or has waited for its verification
//! for an hour with events queued, or when a certificate is about to end. A first success is not its end: an endpoint that flaps would open and close one after
//! the other. It closes when [`SETTLING`] has passed since the first success without the rules opening it again. Trouble of
//! the host within [`REOPENS`] of that opens it again, and it then takes `LONG_SETTLING` to close, so an evening of
//! flapping is one incident that closed twice at most.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;
use super::time::{HOUR, MINUTE, Millis};
use super::webhook::WebhookState;

/// Failed attempts without a success that open an incident, if they took [`LEAST_TIME`].
const MANY_FAILURES: u32 = 10;
const LEAST_TIME: Millis = MINUTE;
/// Time of nothing but failures that opens an incident.
const LONG_TIME: Millis = HOUR;
/// Failures that count as nothing but failures. A single one is no outage, however long ago.
const FEW_FAILURES: u32 = 2;
/// Time that a webhook may stay unverified with events queued.
const VERIFICATION_TIME: Millis = HOUR;
/// Time from the first success to the end.
pub const SETTLING: Millis = 10 * MINUTE;
/// Like [`SETTLING`], of an incident that was opened again.
const LONG_SETTLING: Millis = HOUR;
/// Time after its end in which an incident opens again.
pub const REOPENS: Millis = HOUR;
/// Shortest time between two changes of cause in the time line.
const CAUSE_HOLDS: Millis = MINUTE;

/// Rule by which an incident opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<OpenReason>)]
pub enum OpenReason {
    /// A delivery ran out of attempts.
    Exhausted,
    /// Ten attempts failed without a success, over at least a minute.
    ManyFailures,
    /// Nothing but failures for an hour.
    HourOfFailures,
    /// Hookpost disabled the webhook.
    Disabled,
    /// The webhook has waited for its verification for an hour, and events are queued.
    Unverified,
    /// A certificate of the endpoint or the webhook is about to end. Nothing fails yet.
    CertificateEnding,
}

/// Failed attempts of a webhook since its last success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streak {
    /// Time of the first one.
    pub since_ms: Millis,
    pub failures: u32,
    /// Deliveries whose first attempt is among them.
    pub deliveries: u32,
}

impl Streak {
    /// Adds a failed attempt. A beginning that lies ahead was stored by a clock that has been set back since.
    pub fn after(before: Option<Streak>, is_first_attempt: bool, now: Millis) -> Streak {
        let before = before.unwrap_or(Streak { since_ms: now, failures: 0, deliveries: 0 });
        Streak {
            since_ms: before.since_ms.min(now),
            failures: before.failures.saturating_add(1),
            deliveries: before.deliveries.saturating_add(is_first_attempt.into()),
        }
    }
}

/// Returns the rule by which a failed attempt opens an incident, if one does.
pub fn opens(streak: &Streak, is_exhausted: bool, now: Millis) -> Option<OpenReason> {
    let lasts = now - streak.since_ms;
    if is_exhausted {
        Some(OpenReason::Exhausted)
    } else if streak.failures >= MANY_FAILURES && lasts >= LEAST_TIME {
        Some(OpenReason::ManyFailures)
    } else {
        opens_by_time(streak, now)
    }
}

/// Like [`opens`], for a streak to which nothing was added.
pub fn opens_by_time(streak: &Streak, now: Millis) -> Option<OpenReason> {
    let is_long = streak.failures >= FEW_FAILURES && now - streak.since_ms >= LONG_TIME;
    is_long.then_some(OpenReason::HourOfFailures)
}

/// Whether an unverified webhook with queued events, unchanged since `changed_ms`, opens an incident.
pub fn is_overdue(changed_ms: Millis, now: Millis) -> bool {
    now - changed_ms >= VERIFICATION_TIME
}

/// Whether the trouble of a webhook is over. `recovered_ms` ahead of now was stored by a clock that has been set back.
pub fn is_settled(recovered_ms: Millis, was_reopened: bool, now: Millis) -> bool {
    let settling = if was_reopened { LONG_SETTLING } else { SETTLING };
    !(0..settling).contains(&(now - recovered_ms))
}

/// Whether another cause is recorded. A cause that changes with every attempt would fill the time line.
pub fn is_new_cause(cause_ms: Millis, now: Millis) -> bool {
    !(0..CAUSE_HOLDS).contains(&(now - cause_ms))
}

/// Condition of a webhook, as every page and the API call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Health>)]
pub enum Health {
    /// The last attempt succeeded.
    Healthy,
    /// Attempts have failed since the last success.
    Failing,
    /// Disabled by Hookpost.
    Disabled,
    /// Paused by a person.
    Paused,
    /// The endpoint has not passed its challenge.
    Unverified,
    /// Nothing was delivered or has failed yet.
    Unused,
}

/// Facts about a webhook that its verdict follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthFacts {
    pub state: WebhookState,
    pub disabled_ms: Option<Millis>,
    pub failing_since_ms: Option<Millis>,
    pub last_success_ms: Option<Millis>,
    /// Whether a delivery was ever delivered, or failed for good.
    pub is_used: bool,
}

/// Condition of a webhook with its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub health: Health,
    /// Since when it is failing or disabled.
    pub since_ms: Option<Millis>,
    pub last_success_ms: Option<Millis>,
}

impl Verdict {
    /// Judges a webhook. What is not sent to cannot fail, so a state other than active comes first.
    pub fn of(facts: &HealthFacts) -> Verdict {
        let (health, since_ms) = match facts.state {
            WebhookState::Paused => (Health::Paused, None),
            WebhookState::Disabled => (Health::Disabled, facts.disabled_ms),
            WebhookState::Unverified => (Health::Unverified, None),
            WebhookState::Active if facts.failing_since_ms.is_some() => (Health::Failing, facts.failing_since_ms),
            WebhookState::Active if facts.is_used => (Health::Healthy, None),
            WebhookState::Active => (Health::Unused, None),
        };
        Verdict { health, since_ms, last_success_ms: facts.last_success_ms }
    }
}

/// Kind of an entry in the time line of an incident. The text forms are stored: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<EntryKind>)]
pub enum EntryKind {
    FirstFailure,
    Opened,
    /// Another webhook of the host is failing too.
    Joined,
    CauseChanged,
    Disabled,
    Paused,
    Resumed,
    TestDelivered,
    TestFailed,
    /// A delivery succeeded.
    Recovered,
    FailingAgain,
    /// The incident was opened again.
    Reopened,
    /// A certificate is about to end.
    CertificateEnding,
    /// The endpoint has another certificate, or the webhook.
    CertificateRenewed,
    /// The webhook was deleted.
    Deleted,
    /// The webhook has a URL with another host.
    Moved,
    Note,
    Muted,
    Unmuted,
    /// Older entries were deleted.
    LeftOut,
}

impl EntryKind {
    /// Whether entries of several webhooks in a row are counted in one.
    pub fn is_counted(self) -> bool {
        matches!(
            self,
            EntryKind::Joined
                | EntryKind::CauseChanged
                | EntryKind::Disabled
                | EntryKind::Recovered
                | EntryKind::FailingAgain
                | EntryKind::CertificateEnding
                | EntryKind::CertificateRenewed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::SECOND;

    fn streak(failures: u32) -> Streak {
        Streak { since_ms: 0, failures, deliveries: 1 }
    }

    #[test]
    fn each_rule_opens_at_its_edge_and_not_before() {
        for (failures, exhausted, now, expected) in [
            (1, true, 0, Some(OpenReason::Exhausted)),
            (1, false, 24 * HOUR, None),
            (10, false, MINUTE - 1, None),
            (9, false, MINUTE, None),
            (10, false, MINUTE, Some(OpenReason::ManyFailures)),
            (1_000, false, 30 * SECOND, None),
            (2, false, HOUR - 1, None),
            (2, false, HOUR, Some(OpenReason::HourOfFailures)),
        ] {
            assert_eq!(opens(&streak(failures), exhausted, now), expected, "{failures} {exhausted} {now}");
        }
        assert_eq!(opens_by_time(&streak(2), HOUR - 1), None);
        assert_eq!(opens_by_time(&streak(2), HOUR), Some(OpenReason::HourOfFailures));
        assert!(!is_overdue(0, HOUR - 1) && is_overdue(0, HOUR));
    }

    #[test]
    fn failures_add_up_and_a_beginning_ahead_of_the_clock_moves_to_now() {
        let first = Streak::after(None, true, 1_000);
        assert_eq!(first, Streak { since_ms: 1_000, failures: 1, deliveries: 1 });
        let second = Streak::after(Some(first), false, 2_000);
        assert_eq!(second, Streak { since_ms: 1_000, failures: 2, deliveries: 1 });
        assert_eq!(Streak::after(Some(second), true, 500), Streak { since_ms: 500, failures: 3, deliveries: 2 });
    }

    #[test]
    fn trouble_ends_ten_minutes_after_the_first_success_and_a_clock_set_back_does_not_prolong_it() {
        assert!(!is_settled(0, false, 0) && !is_settled(0, false, SETTLING - 1));
        assert!(is_settled(0, false, SETTLING));
        assert!(is_settled(HOUR, false, 0));
        assert!(!is_settled(0, true, HOUR - 1) && is_settled(0, true, HOUR) && is_settled(HOUR, true, 0));
        assert!(!is_new_cause(0, MINUTE - 1) && is_new_cause(0, MINUTE) && is_new_cause(HOUR, 0));
    }

    #[test]
    fn a_verdict_follows_from_the_state_first_then_from_the_failures_then_from_use() {
        let used = HealthFacts {
            state: WebhookState::Active,
            disabled_ms: None,
            failing_since_ms: None,
            last_success_ms: Some(5),
            is_used: true,
        };
        let failing = HealthFacts { failing_since_ms: Some(7), ..used };
        for (facts, health, since_ms) in [
            (used, Health::Healthy, None),
            (HealthFacts { is_used: false, last_success_ms: None, ..used }, Health::Unused, None),
            (failing, Health::Failing, Some(7)),
            (HealthFacts { is_used: false, ..failing }, Health::Failing, Some(7)),
            (HealthFacts { state: WebhookState::Paused, ..failing }, Health::Paused, None),
            (HealthFacts { state: WebhookState::Unverified, ..used }, Health::Unverified, None),
            (HealthFacts { state: WebhookState::Disabled, disabled_ms: Some(9), ..failing }, Health::Disabled, Some(9)),
        ] {
            let verdict = Verdict { health, since_ms, last_success_ms: facts.last_success_ms };
            assert_eq!(Verdict::of(&facts), verdict, "{facts:?}");
        }
    }
}
