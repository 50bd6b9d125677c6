//! Comparison of the database and the engine with the expectations.

use std::collections::BTreeMap;

use super::book::{Attempts, Hook, Row};
use super::world::World;
use crate::delivery::engine::Unrecorded;
use crate::delivery::engine::state::Claim;
use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::id::{DeliveryId, WebhookId};
use crate::domain::retry::{Exhausted, Gone, JITTER_SHARE, MAX_PANICS, MeasuredFrom};
use crate::domain::time::{DAY, Millis, SECOND};
use crate::domain::webhook::WebhookState;
use crate::store::delivery::DeliveryFilter;
use crate::store::{Connection, DueDelivery, StoreError, dead_letter_counts};

impl World {
    fn query<T>(&self, read: impl FnOnce(&Connection) -> T) -> T {
        self.actions.store.read(|connection| Ok::<_, StoreError>(read(connection))).unwrap()
    }

    pub(super) fn id_of(&self, seq: i64) -> String {
        let sql = "SELECT id FROM delivery WHERE seq = ?1";
        let id: DeliveryId = self.query(|connection| connection.query_row(sql, [seq], |row| row.get(0)).unwrap());
        id.to_string()
    }

    /// Checks a request that is about to be sent.
    pub(super) fn check_take(&mut self, claim: &Claim, delivery: &DueDelivery) {
        let (seq, webhook_seq) = (delivery.seq, delivery.webhook_seq);
        let flights = || self.flights.iter().filter(|flight| flight.delivery.webhook_seq == webhook_seq);
        let claimed = flights().map(|flight| flight.delivery.seq);
        let unrecorded = self.outcomes.iter().map(|outcome| &outcome.delivery);
        let unrecorded = unrecorded.filter(|delivery| delivery.webhook_seq == webhook_seq).map(|delivery| delivery.seq);
        let claimed: Vec<i64> = claimed.chain(unrecorded).collect();
        assert!(!claimed.contains(&seq), "{seq} is sent twice at the same time");
        assert!(delivery.due_ms <= self.latest_ms, "{seq} is sent before it is due");
        let host = &claim.endpoint.host;
        let to_host = self.flights.iter().filter(|flight| flight.claim.endpoint.host == *host).count();
        assert!(to_host < (self.workers / 2).max(1), "{to_host} requests to {host} with {} workers", self.workers);
        if !self.is_told() {
            // The engine may act on what it was told before.
            return;
        }
        let (row, hook) = (self.book.rows[&seq], &self.book.hooks[&webhook_seq]);
        assert!(row.waits(), "{seq} is sent, but it is {}", row.status);
        assert_eq!(row.attempts, delivery.attempt_count, "attempts of {seq}");
        assert!(hook.sends(), "{seq} is sent, but its webhook is {hook:?}");
        assert!(flights().count() < hook.max_in_flight, "{} requests to {webhook_seq}", flights().count() + 1);
        if hook.ordered {
            assert!(claimed.is_empty(), "{seq} is sent in an ordered lane beside {claimed:?}");
            let earlier = self.book.rows.range(..seq).find(|(_, row)| row.webhook_seq == webhook_seq && row.waits());
            assert!(earlier.is_none(), "{seq} is sent in an ordered lane before {earlier:?}");
        }
        if let Some(rate) = hook.rate_limit {
            let passed = self.passed;
            let recent = self.book.recent.entry(webhook_seq).or_default();
            recent.retain(|at| passed - at < SECOND);
            recent.push_back(passed);
            assert!(recent.len() <= rate, "{} requests in a second to {webhook_seq}, which takes {rate}", recent.len());
        }
    }

    /// Checks the record of an outcome.
    pub(super) fn check_record(&mut self, outcome: &Unrecorded) {
        let Unrecorded { delivery, endpoint, result, .. } = outcome;
        let (seq, webhook_seq) = (delivery.seq, delivery.webhook_seq);
        let (before, hook_before) = (self.book.rows[&seq], self.book.hooks[&webhook_seq].clone());
        self.read_webhooks();
        let row = self.read_row(seq);
        self.book.rows.insert(seq, row);
        let hook = self.book.hooks[&webhook_seq].clone();
        assert_eq!(row.attempts, before.attempts + 1, "attempts of {seq}");
        let successes = *self.book.successes_of(webhook_seq);
        if result.is_success() {
            assert_eq!((row.status, row.due_ms), (DeliveryStatus::Delivered, None), "{seq} after a success");
            *self.book.successes_of(webhook_seq) += 1;
            assert_eq!(hook.state, hook_before.state);
            return;
        }
        let entry = self.book.attempts_of(seq);
        if !before.waits() {
            assert_eq!(row.status, before.status, "{seq} was finished before its attempt failed");
            return;
        }
        let is_internal = result.error_code().is_some_and(ErrorCode::is_internal);
        if is_internal {
            entry.faults += 1;
        } else {
            entry.failures += 1;
            entry.mark.get_or_insert(successes);
        }
        let Attempts { failures, faults, mark, .. } = *entry;
        let rules = endpoint.rules();
        let answer = result.attempt.answer.as_ref();
        let is_gone = answer.is_some_and(|answer| answer.code == 410) && rules.gone == Gone::Disable;
        let is_alive = mark.is_some_and(|mark| successes > mark);
        let was_active = hook_before.state == WebhookState::Active && !hook_before.is_deleted;
        let is_over = if is_internal { faults >= MAX_PANICS } else { failures as usize >= rules.schedule.attempts() };
        if is_over || is_gone {
            let found = (row.status, row.due_ms);
            assert_eq!(found, (DeliveryStatus::Failed, None), "{seq} after failure {failures} and fault {faults}");
            let disables = is_gone || !is_internal && !is_alive && rules.schedule.exhausted == Exhausted::Disable;
            let expected = if was_active && disables { WebhookState::Disabled } else { hook_before.state };
            assert_eq!(hook.state, expected, "state of {webhook_seq}");
            return;
        }
        assert_eq!(row.status, DeliveryStatus::Retrying, "{seq} after failure {failures} and fault {faults}");
        assert_eq!(hook.state, hook_before.state, "state of {webhook_seq}");
        let wait = row.due_ms.unwrap() - result.ended_ms;
        assert!(wait >= 0, "{seq} is due {wait} ms after its attempt");
        if !is_internal && rules.schedule.measured_from == MeasuredFrom::PreviousAttempt {
            let delay = rules.schedule.delays()[failures as usize - 1];
            let longest = (delay as f64 * (1.0 + JITTER_SHARE)).ceil() as i64;
            let asks = answer.is_some_and(|answer| matches!(answer.code, 429 | 503) && !answer.headers.is_empty());
            let longest = if asks { longest.max(DAY) } else { longest };
            assert!((delay..=longest).contains(&wait), "{seq} waits {wait} ms, not {delay} to {longest}");
        }
    }

    /// Checks new deliveries, of which there must be this many, all pending.
    pub(super) fn check_published(&mut self, count: usize) {
        let before = self.book.rows.len();
        self.check_rows("publish", false, false, false, count);
        assert_eq!(self.book.rows.len(), before + count, "new deliveries");
    }

    /// Checks the changes of an action: whether it may resume, discard, or retry deliveries.
    pub(super) fn check_changes(&mut self, what: &str, resumes: bool, discards: bool, retries: bool) {
        self.read_webhooks();
        self.check_rows(what, resumes, discards, retries, 0);
    }

    fn check_rows(&mut self, what: &str, resumes: bool, discards: bool, retries: bool, created: usize) {
        use DeliveryStatus::{Delivered, Discarded, Failed, Pending, Retrying};
        let sql = "SELECT seq, webhook_seq, status, attempt_count, due_ms FROM delivery";
        let rows: BTreeMap<i64, Row> = self.query(|connection| {
            let mut statement = connection.prepare_cached(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row_of(row)?))).unwrap();
            rows.map(Result::unwrap).collect()
        });
        let before = std::mem::take(&mut self.book.rows);
        let missing: Vec<&i64> = before.keys().filter(|seq| !rows.contains_key(seq)).collect();
        assert!(missing.is_empty(), "{missing:?} are gone after {what}");
        let mut new = 0;
        for (seq, row) in &rows {
            assert_eq!(row.due_ms.is_some(), row.waits(), "{seq} is {}, due at {:?}", row.status, row.due_ms);
            let Some(before) = before.get(seq) else {
                assert_eq!((row.status, row.attempts), (Pending, 0), "the new {seq}");
                new += 1;
                continue;
            };
            assert_eq!(row.attempts, before.attempts, "attempts of {seq} after {what}");
            let begins_series = match (before.status, row.status) {
                (from, to) if from == to => false,
                (Retrying, Pending) => resumes,
                (Delivered | Failed, Pending) => retries,
                (Pending | Retrying, Discarded) => {
                    assert!(discards, "{seq} was discarded by {what}");
                    continue;
                }
                _ => false,
            };
            let is_allowed = before.status == row.status || begins_series;
            assert!(is_allowed, "{seq} was {} and is {} after {what}", before.status, row.status);
            if begins_series {
                self.book.attempts_of(*seq).begin_series();
            }
        }
        assert_eq!(new, created, "new deliveries after {what}");
        self.book.rows = rows;
    }

    fn read_row(&self, seq: i64) -> Row {
        let sql = "SELECT seq, webhook_seq, status, attempt_count, due_ms FROM delivery WHERE seq = ?1";
        self.query(|connection| {
            let mut statement = connection.prepare_cached(sql).unwrap();
            statement.query_row([seq], row_of).unwrap()
        })
    }

    fn read_webhooks(&mut self) {
        let sql = "SELECT seq, id, state, sweep IS NOT NULL, deleted_ms IS NOT NULL, ordered, max_in_flight,
                       rate_limit_per_s FROM webhook";
        self.book.hooks = self.query(|connection| {
            let mut statement = connection.prepare_cached(sql).unwrap();
            let hooks = statement.query_map([], |row| {
                let id: WebhookId = row.get(1)?;
                let hook = Hook {
                    id: id.to_string(),
                    state: row.get(2)?,
                    is_sweeping: row.get(3)?,
                    is_deleted: row.get(4)?,
                    ordered: row.get(5)?,
                    max_in_flight: row.get(6)?,
                    rate_limit: row.get(7)?,
                };
                Ok((row.get(0)?, hook))
            });
            hooks.unwrap().map(Result::unwrap).collect()
        });
    }

    /// Checks that an engine with nothing to do until `next` has sent everything that is due, except what a rate limit or
    /// a failed lookup holds back: a second at most, and two more if the clock was set back a little.
    pub(super) fn check_nothing_is_overdue(&mut self, next: Option<Millis>) {
        if next.is_some_and(|next| next <= self.now() + 3 * SECOND) {
            return;
        }
        for (webhook_seq, hook) in self.book.hooks.iter().filter(|(_, hook)| hook.sends()) {
            let of_webhook = |(_, row): &(&i64, &Row)| row.webhook_seq == *webhook_seq && row.waits();
            let mut waiting = self.book.rows.iter().filter(of_webhook);
            let is_due = |(_, row): &(&i64, &Row)| row.due_ms.is_some_and(|due| due <= self.now());
            let overdue = if hook.ordered { waiting.next().filter(is_due) } else { waiting.find(is_due) };
            assert!(overdue.is_none(), "{overdue:?} is due, but the engine sleeps until {next:?}");
        }
    }

    /// Compares everything that is counted as it happens with what there is.
    pub(super) fn check_counts(&mut self) {
        let count = |seq: i64, status: DeliveryStatus| {
            let rows = self.book.rows.values().filter(|row| row.webhook_seq == seq && row.status == status);
            rows.count() as i64
        };
        let of_webhook = |seq: i64| {
            use DeliveryStatus::{Delivered, Failed, Pending, Retrying};
            [Pending, Retrying, Delivered, Failed].map(|status| count(seq, status))
        };
        let counts: BTreeMap<i64, [i64; 4]> = self.book.hooks.keys().map(|seq| (*seq, of_webhook(*seq))).collect();
        for (seq, [pending, retrying, delivered, failed]) in counts {
            // A delivery that a person retried is a success each time, and counts where it finished last.
            let successes = *self.book.successes_of(seq);
            let expected = (pending, retrying, successes, delivered, failed);
            let sql = "SELECT pending_count, retrying_count, success_count,
                           (SELECT coalesce(sum(delivered), 0) FROM stats WHERE series = w.seq),
                           (SELECT coalesce(sum(failed), 0) FROM stats WHERE series = w.seq)
                       FROM webhook w WHERE seq = ?1";
            let found = self.query(|connection| {
                let mut statement = connection.prepare_cached(sql).unwrap();
                let counts = statement
                    .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)));
                counts.unwrap()
            });
            assert_eq!(found, expected, "pending, retrying, successes, delivered and failed of {seq}");
        }
        for (what, counted, found) in [
            (
                "attempts after the first",
                "SELECT coalesce(sum(retry_attempts), 0) FROM stats WHERE series > 0",
                "SELECT count(*) FROM attempt WHERE number > 1",
            ),
            (
                "responses",
                "SELECT coalesce(sum(answers), 0) || ' in ' || coalesce(sum(answer_ms), 0) FROM stats WHERE series = 0",
                "SELECT count(*) || ' in ' || coalesce(sum(duration_ms), 0) FROM attempt WHERE code IS NOT NULL",
            ),
            (
                "statistics of all",
                "SELECT sum(delivered) || ' ' || sum(failed) FROM stats WHERE series = 0",
                "SELECT sum(delivered) || ' ' || sum(failed) FROM stats WHERE series > 0",
            ),
            (
                "attempts of a delivery",
                "SELECT sum(attempt_count) || ' ' || coalesce(sum(attempt_count * (attempt_count + 1) / 2), 0) FROM delivery",
                "SELECT count(*) || ' ' || coalesce(sum(number), 0) FROM attempt",
            ),
        ] {
            let value = |sql: &str| {
                let sql = format!("SELECT coalesce(CAST(({sql}) AS TEXT), '0 0')");
                self.query(|connection| connection.query_row(&sql, [], |row| row.get::<_, String>(0)).unwrap())
            };
            assert_eq!(value(counted), value(found), "{what}");
        }
        let age = self
            .query(|connection| dead_letter_counts::of_age(connection, &DeliveryFilter::default(), None, None))
            .unwrap();
        let failed = self.book.rows.values().filter(|row| row.status == DeliveryStatus::Failed).count();
        assert_eq!(age.failed.len(), failed, "dead letters");
    }

    /// Checks that every request is in the log or was lost by a crash, and that nothing accepted is lost.
    fn check_log(&mut self) {
        let sql = "SELECT d.seq, count(a.number), coalesce(max(a.number), 0) FROM delivery d
                   LEFT JOIN attempt a ON a.delivery_seq = d.seq GROUP BY d.seq";
        let logged: Vec<(i64, u32, u32)> = self.query(|connection| {
            let mut statement = connection.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
            rows.map(Result::unwrap).collect()
        });
        for (seq, count, newest) in logged {
            assert_eq!(count, newest, "numbers of the attempts of {seq}");
            assert_eq!(count, self.book.rows[&seq].attempts, "attempts of {seq}");
            let Attempts { sent, lost, .. } = *self.book.attempts_of(seq);
            assert_eq!(sent, count + lost, "requests of {seq}: {lost} were in flight at a crash");
        }
        for id in &self.book.accepted {
            let id: DeliveryId = id.parse().ok().unwrap();
            let sql = "SELECT count(*) FROM delivery WHERE id = ?1";
            let found: i64 = self.query(|connection| connection.query_row(sql, [id], |row| row.get(0)).unwrap());
            assert_eq!(found, 1, "{id} was accepted");
        }
        let verdict: String =
            self.query(|connection| connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap());
        assert_eq!(verdict, "ok");
    }

    /// Checks a world in which nothing is left to do: only deliveries of webhooks that do not send wait.
    pub(super) fn check_at_rest(&mut self) {
        self.check_not_stuck();
        self.check_counts();
        self.check_log();
    }

    /// Checks that no delivery of a webhook that sends waits.
    pub(super) fn check_not_stuck(&mut self) {
        self.check_changes("rest", false, false, false);
        for (seq, row) in &self.book.rows {
            let hook = &self.book.hooks[&row.webhook_seq];
            assert!(!hook.is_sweeping, "the sweep of {} does not end", row.webhook_seq);
            let may_wait = !hook.is_deleted && hook.state != WebhookState::Active;
            assert!(may_wait || !row.waits(), "{seq} is stuck: {row:?} of {hook:?}");
        }
    }

    /// Checks a world in which every webhook sends.
    pub(super) fn check_all_ended(&mut self) {
        self.check_at_rest();
        let waiting: Vec<_> = self.book.rows.iter().filter(|(_, row)| row.waits()).collect();
        assert!(waiting.is_empty(), "stuck: {waiting:?}");
    }
}

fn row_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        webhook_seq: row.get("webhook_seq")?,
        status: row.get("status")?,
        attempts: row.get("attempt_count")?,
        due_ms: row.get("due_ms")?,
    })
}
