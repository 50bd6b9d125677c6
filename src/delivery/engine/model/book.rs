//! Expectations, kept beside the database from what the model did.

use std::collections::{BTreeMap, VecDeque};

use super::receivers::Mood;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::time::Millis;
use crate::domain::webhook::WebhookState;

/// Row of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub webhook_seq: i64,
    pub status: DeliveryStatus,
    pub attempts: u32,
    pub due_ms: Option<Millis>,
}

impl Row {
    pub(super) fn waits(&self) -> bool {
        !self.status.is_finished()
    }
}

/// Row of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hook {
    pub id: String,
    pub state: WebhookState,
    pub is_sweeping: bool,
    pub is_deleted: bool,
    pub ordered: bool,
    pub max_in_flight: usize,
    pub rate_limit: Option<usize>,
}

impl Hook {
    pub(super) fn sends(&self) -> bool {
        self.state == WebhookState::Active && !self.is_sweeping && !self.is_deleted
    }
}

/// A delivery's attempts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempts {
    /// Requests sent.
    pub sent: u32,
    /// Requests whose outcome a crash lost.
    pub lost: u32,
    /// Failed attempts of the current series.
    pub failures: u32,
    /// Internal faults of the current series.
    pub faults: u32,
    /// Successes of the webhook when the series first failed.
    pub mark: Option<u64>,
}

impl Attempts {
    pub(super) fn begin_series(&mut self) {
        (self.failures, self.faults, self.mark) = (0, 0, None);
    }
}

#[derive(Default)]
pub(super) struct Book {
    pub rows: BTreeMap<i64, Row>,
    pub hooks: BTreeMap<i64, Hook>,
    pub attempts: BTreeMap<i64, Attempts>,
    /// Successes of each webhook, several of a delivery that a person retried.
    pub successes: BTreeMap<i64, u64>,
    pub moods: BTreeMap<i64, Mood>,
    /// Times of the requests to each webhook with a rate limit, by the monotonic clock.
    pub recent: BTreeMap<i64, VecDeque<Millis>>,
    /// Ids of the deliveries that were accepted.
    pub accepted: Vec<String>,
}

impl Book {
    pub(super) fn attempts_of(&mut self, seq: i64) -> &mut Attempts {
        self.attempts.entry(seq).or_default()
    }

    pub(super) fn successes_of(&mut self, webhook_seq: i64) -> &mut u64 {
        self.successes.entry(webhook_seq).or_default()
    }

    pub(super) fn is_ordered(&self, webhook_seq: i64) -> bool {
        self.hooks.get(&webhook_seq).is_some_and(|hook| hook.ordered)
    }

    /// Numbers of the webhooks that are not deleted.
    pub(super) fn webhooks(&self) -> Vec<i64> {
        self.hooks.iter().filter(|(_, hook)| !hook.is_deleted).map(|(seq, _)| *seq).collect()
    }
}
