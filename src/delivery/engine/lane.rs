//! The queue of one webhook: what is known to be due, what is under way, and how much may be at a time.
//!
//! The table is the truth and a lane is a hint of it: it holds a bounded number of deliveries and knows whether
//! the table may hold more. Pure bookkeeping: no clock, no lock, no I/O.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::turns::{Pace, Turn};
use crate::delivery::endpoint::Endpoint;
use crate::domain::attempt::ErrorCode;
use crate::domain::time::Millis;
use crate::store::DueDelivery;
use crate::store::delivery::{DueRows, Order};

/// Deliveries that a lane holds at most.
pub(super) const QUEUE: usize = 64;
/// The table is read again when no more than this many are left.
const LOW: usize = 16;
/// Requests at a time before one has succeeded: an endpoint that never answers holds one thread.
const FIRST_WINDOW: u32 = 1;
/// Failures in a row after which the circuit breaker lets through one request at a time.
const BREAKER: u32 = 5;
/// How long a lane rests at most after this machine could not look up its name, in milliseconds.
const HOLD_MS: Millis = 60_000;
/// Outcomes that may wait for the disk, as a multiple of the requests in flight.
const UNRECORDED: usize = 4;

/// Whether a lane has something to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Now,
    /// The rate limit holds it until then.
    At(Millis),
    No,
}

/// A delivery that a lane holds.
#[derive(Debug)]
pub(super) struct Hint {
    /// Number of the delivery.
    pub seq: i64,
    /// The delivery with its event; `None` where the lanes held too many bytes, and it is read once a worker takes it.
    pub delivery: Option<DueDelivery>,
}

impl Hint {
    fn bytes(&self) -> usize {
        self.delivery.as_ref().map_or(0, |delivery| delivery.event.size_bytes())
    }
}

/// The deliveries of one webhook.
pub(super) struct Lane {
    pub endpoint: Arc<Endpoint>,
    pub tenant: Arc<str>,
    /// Whether the webhook sends at all.
    open: bool,
    queue: VecDeque<Hint>,
    queue_bytes: usize,
    /// Taken, and their outcome is not in the table yet.
    claimed: HashSet<i64>,
    /// Requests in flight.
    sending: u32,
    /// Requests at a time, now; shrinks to one while the endpoint times out or steadily fails.
    window: u32,
    failures_in_row: u32,
    /// A request has succeeded.
    proven: bool,
    /// The last request timed out or lasted over a second.
    lagging: bool,
    /// Requests in flight that have lasted over a second.
    long: u32,
    /// Nothing is sent before this time: this machine could not look up the name.
    held_until_ms: Option<Millis>,
    /// When the rate limit allows the next request, in fractions of milliseconds.
    rate_ms: f64,
    /// The table may hold due deliveries that are not in the queue.
    more: bool,
    reading: bool,
    /// What is being read is no longer true.
    stale: bool,
    /// The earliest time at which something in the table becomes due, as far as known.
    pub next_due_ms: Option<Millis>,
    /// Everything below is finished; for ordered lanes.
    floor: i64,
    /// Bookkeeping of the engine: its place in the queue of lanes that can send,
    pub turn: Option<Turn>,
    /// whether its queue is to be filled,
    pub in_reads: bool,
    /// the host at whose limit it waits,
    pub parked_at: Option<Arc<str>>,
    /// and the time it is to be woken.
    pub timer: Option<Millis>,
}

impl Lane {
    /// `is_proven` says that the endpoint took deliveries before and is not failing as far as the table knows.
    pub(super) fn new(endpoint: Arc<Endpoint>, is_proven: bool) -> Lane {
        Lane {
            open: endpoint.webhook.is_sending(),
            tenant: endpoint.webhook.tenant.as_str().into(),
            endpoint,
            queue: VecDeque::new(),
            queue_bytes: 0,
            claimed: HashSet::new(),
            sending: 0,
            window: FIRST_WINDOW,
            failures_in_row: 0,
            proven: is_proven,
            lagging: false,
            long: 0,
            held_until_ms: None,
            rate_ms: 0.0,
            more: true,
            reading: false,
            stale: false,
            next_due_ms: None,
            floor: 0,
            turn: None,
            in_reads: false,
            parked_at: None,
            timer: None,
        }
    }

    /// Takes over a changed webhook. What was queued is read again, since order and state may have changed.
    pub(super) fn change(&mut self, endpoint: Arc<Endpoint>) {
        let opens = endpoint.webhook.is_sending();
        let reorders = endpoint.webhook.ordered != self.endpoint.webhook.ordered;
        if endpoint.webhook.url != self.endpoint.webhook.url || (opens && !self.open) {
            self.window = FIRST_WINDOW;
            self.failures_in_row = 0;
            (self.proven, self.lagging) = (false, false);
        }
        if endpoint.host != self.endpoint.host {
            self.parked_at = None;
        }
        self.endpoint = endpoint;
        if opens != self.open || reorders {
            self.open = opens;
            self.reread(0);
        }
    }

    /// The webhook is gone: nothing more is sent.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.reread(0);
    }

    /// Whether nothing holds the lane any more.
    pub(super) fn is_done(&self) -> bool {
        !self.open && self.claimed.is_empty() && !self.reading
    }

    /// A delivery that is due now; kept only where it is the next one and there is room.
    pub(super) fn push(&mut self, delivery: DueDelivery, has_room: bool) {
        // A read may have found it between its commit and this notice.
        let is_known = self.claimed.contains(&delivery.seq) || self.queue.iter().any(|hint| hint.seq == delivery.seq);
        if !self.open || is_known {
            return;
        }
        if self.is_ordered() && self.next_due_ms.is_some() {
            // The head waits for its next attempt; what comes behind it is read once it is through.
            return;
        }
        if self.more || self.reading || self.queue.len() >= QUEUE || !has_room {
            self.more = true;
            self.stale |= self.reading && self.is_ordered();
            return;
        }
        self.queue_bytes += delivery.event.size_bytes();
        self.queue.push_back(Hint { seq: delivery.seq, delivery: Some(delivery) });
    }

    /// A delivery is no longer to be sent.
    pub(super) fn withdraw(&mut self, seq: i64) {
        self.queue.retain(|hint| hint.seq != seq);
        self.queue_bytes = self.queue.iter().map(Hint::bytes).sum();
        if self.reading {
            self.reread(seq);
        } else if self.is_ordered() && self.next_due_ms.is_some() {
            // It may have been the head that the rest waited for.
            self.reread(self.floor);
        }
    }

    /// Forgets what is queued and reads the table again, from this number on where the lane is ordered.
    pub(super) fn reread(&mut self, from_seq: i64) {
        self.queue.clear();
        self.queue_bytes = 0;
        self.more = self.open;
        self.next_due_ms = None;
        self.stale = self.reading;
        self.floor = self.floor.min(from_seq);
    }

    /// Whether a request can be made now.
    pub(super) fn readiness(&self, now: Millis) -> Readiness {
        let limit = self.limit();
        let full = self.sending >= limit || self.claimed.len() >= limit as usize * UNRECORDED;
        let blocked = self.is_ordered() && !self.claimed.is_empty();
        if !self.open || self.queue.is_empty() || full || blocked {
            return Readiness::No;
        }
        if let Some(until) = self.held_until_ms.filter(|until| now < *until && *until <= now + HOLD_MS) {
            return Readiness::At(until);
        }
        if let Some(spacing_ms) = self.spacing_ms() {
            let wait_ms = self.rate_ms - now as f64;
            // A longer wait means that the clock was set back since.
            if wait_ms > 0.0 && wait_ms <= spacing_ms {
                return Readiness::At(self.rate_ms.ceil() as Millis);
            }
        }
        Readiness::Now
    }

    /// The next delivery to be sent; call it when `readiness` is `Now`.
    pub(super) fn take(&mut self, now: Millis) -> Option<Hint> {
        let hint = self.queue.pop_front()?;
        self.queue_bytes -= hint.bytes();
        self.claimed.insert(hint.seq);
        self.sending += 1;
        if let Some(spacing_ms) = self.spacing_ms() {
            // Readiness let it through: the limit's time has come, give or take a fraction of a millisecond that
            // is kept, or the clock was set back.
            let now = now as f64;
            let from = if now - self.rate_ms < 1.0 && self.rate_ms <= now { self.rate_ms } else { now };
            self.rate_ms = from + spacing_ms;
        }
        Some(hint)
    }

    /// A request in flight has lasted over a second.
    pub(super) fn request_is_long(&mut self) {
        self.long += 1;
        self.lagging = true;
    }

    /// A request came back; its outcome is not in the table yet. `was_long` says that it lasted over a second.
    pub(super) fn came_back(&mut self, error: Option<ErrorCode>, was_long: bool) {
        self.sending -= 1;
        self.long -= u32::from(was_long);
        self.lagging = was_long || error.is_some_and(ErrorCode::is_timeout);
        match error {
            None => {
                self.proven = true;
                self.failures_in_row = 0;
                let most = self.endpoint.webhook.limits.max_in_flight;
                self.window = (self.window + 1).min(most);
            }
            Some(error) => {
                self.failures_in_row = self.failures_in_row.saturating_add(1);
                if error.is_timeout() || self.failures_in_row >= BREAKER {
                    self.window = 1;
                }
            }
        }
    }

    /// A delivery that was taken was not attempted. The table is read again, and nothing is sent before `from`.
    pub(super) fn release(&mut self, seq: i64, from: Option<Millis>, was_long: bool) {
        self.sending -= 1;
        self.long -= u32::from(was_long);
        self.claimed.remove(&seq);
        self.held_until_ms = from;
        self.reread(seq);
    }

    /// Requests in flight.
    pub(super) fn sending(&self) -> u32 {
        self.sending
    }

    /// Requests in flight while the lane is slow or untried.
    pub(super) fn slow_sending(&self) -> u32 {
        if self.pace().is_slow() { self.sending } else { 0 }
    }

    /// How soon it is expected to give a worker back.
    pub(super) fn pace(&self) -> Pace {
        if self.lagging || self.long > 0 {
            Pace::Slow
        } else if self.proven {
            Pace::Quick
        } else {
            Pace::Untried
        }
    }

    /// The outcome is in the table; the delivery is due again at the time, or finished.
    pub(super) fn recorded(&mut self, seq: i64, next_due_ms: Option<Millis>) {
        self.claimed.remove(&seq);
        let Some(due) = next_due_ms.filter(|_| self.open) else {
            return;
        };
        if self.is_ordered() {
            // The head holds back the rest: forget it until then.
            self.reread(seq);
            // But a person may have asked for an earlier one meanwhile, which goes before it.
            self.more = self.floor < seq;
            self.next_due_ms = Some(due);
        } else {
            self.next_due_ms = Some(self.next_due_ms.map_or(due, |known| known.min(due)));
        }
    }

    /// A time came. Whether something in the table became due.
    pub(super) fn woken(&mut self, now: Millis) {
        if self.next_due_ms.is_some_and(|due| due <= now) {
            self.next_due_ms = None;
            self.more = true;
        }
    }

    /// When the lane has to be looked at again, if nothing else happens.
    pub(super) fn wake_at(&self, now: Millis) -> Option<Millis> {
        let rate = match self.readiness(now) {
            Readiness::At(time) => Some(time),
            Readiness::Now | Readiness::No => None,
        };
        let due = self.next_due_ms.filter(|_| self.open);
        rate.into_iter().chain(due).min()
    }

    /// Whether the table is to be read now.
    pub(super) fn wants_read(&self) -> bool {
        self.open && self.more && !self.reading && self.queue.len() <= LOW
    }

    /// Begins a read; what must be left out of it.
    pub(super) fn begin_read(&mut self) -> (Order, HashSet<i64>) {
        self.reading = true;
        self.stale = false;
        self.more = false;
        if !self.is_ordered() {
            self.next_due_ms = None;
        }
        let mut skip = self.claimed.clone();
        skip.extend(self.queue.iter().map(|hint| hint.seq));
        let order = if self.is_ordered() { Order::Sequence { from_seq: self.floor } } else { Order::Due };
        (order, skip)
    }

    /// Takes what was read.
    pub(super) fn end_read(&mut self, found: DueRows) {
        self.reading = false;
        if self.stale || !self.open {
            self.stale = false;
            // An ordered lane whose head failed meanwhile waits for its time instead.
            let waits = self.is_ordered() && self.next_due_ms.is_some();
            self.more = self.open && (self.more || !waits);
            return;
        }
        if let Some(first) = found.rows.first() {
            self.floor = first.0;
        }
        self.more |= found.more;
        self.next_due_ms = found.next_due_ms.into_iter().chain(self.next_due_ms).min();
        for (seq, delivery) in found.rows {
            let hint = Hint { seq, delivery };
            self.queue_bytes += hint.bytes();
            self.queue.push_back(hint);
        }
    }

    /// A read that failed: it is tried again.
    pub(super) fn read_failed(&mut self) {
        self.reading = false;
        self.more = self.open;
    }

    pub(super) fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// Whether nothing is under way and nothing waits that could be sent now.
    pub(super) fn is_idle(&self, now: Millis) -> bool {
        self.claimed.is_empty() && !self.reading && !(self.open && self.more) && self.readiness(now) != Readiness::Now
    }

    fn is_ordered(&self) -> bool {
        self.endpoint.webhook.ordered
    }

    /// Milliseconds from one request to the next under the rate limit: evenly spaced, so that no second ever sees
    /// more than the limit.
    fn spacing_ms(&self) -> Option<f64> {
        let rate = self.endpoint.webhook.limits.rate_limit_per_s?;
        Some(1000.0 / f64::from(rate))
    }

    fn limit(&self) -> u32 {
        if self.is_ordered() { 1 } else { self.window.min(self.endpoint.webhook.limits.max_in_flight) }
    }
}
