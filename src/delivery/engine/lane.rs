//! Lane: the queue of one webhook, with its requests in flight and its limits.
//!
//! The table has the deliveries; a lane caches a bounded number of those that are due, and whether the table may have
//! more. Pure bookkeeping: no clock, no lock, no I/O.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::turns::{Pace, Turn};
use crate::delivery::endpoint::Endpoint;
use crate::domain::attempt::ErrorCode;
use crate::domain::time::Millis;
use crate::store::DueDelivery;
use crate::store::delivery::{DueRows, LeftOut, Order};

/// Maximum number of deliveries in a lane's queue.
pub(super) const QUEUE: usize = 64;
/// Queue length at which the table is read again.
const LOW: usize = 16;
/// Concurrent requests before one has succeeded: an endpoint that never responds blocks one thread.
const FIRST_WINDOW: u32 = 1;
/// Consecutive failures after which the circuit breaker allows one request at a time.
const BREAKER: u32 = 5;
/// Longest pause after this machine could not look up the endpoint's name.
const HOLD_MS: Millis = 60_000;
/// Maximum number of deliveries set aside. A lane with more stops reading: the file is no longer fit for use.
const SET_ASIDE: usize = 10_000;
/// Pause of a lane after a failed read.
const READ_PAUSE_MS: Millis = 10_000;
/// Maximum number of outcomes not recorded yet, as a multiple of the concurrent requests.
const UNRECORDED: usize = 4;

/// Whether a lane can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Now,
    /// Not before this time: a rate limit or a pause.
    At(Millis),
    No,
}

/// Queued delivery.
#[derive(Debug)]
pub(super) struct Hint {
    pub seq: i64,
    /// `None` if the lanes held too many bytes; the worker that takes the hint reads the delivery.
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
    /// Deliveries taken whose outcome is not recorded yet.
    claimed: HashSet<i64>,
    /// Deliveries whose rows can be neither read nor changed. They are left out until a restart.
    set_aside: HashSet<i64>,
    /// Requests in flight.
    sending: u32,
    /// Current maximum of concurrent requests; 1 while the endpoint times out or keeps failing.
    window: u32,
    failures_in_row: u32,
    /// Whether a request has succeeded.
    proven: bool,
    /// Whether the last request timed out or lasted over a second.
    lagging: bool,
    /// Requests in flight that have lasted over a second.
    long: u32,
    /// End of the pause after a name that this machine could not look up.
    held_until_ms: Option<Millis>,
    /// Time at which the rate limit allows the next request, in fractional milliseconds.
    rate_ms: f64,
    /// Whether the table may have due deliveries that are not in the queue.
    more: bool,
    reading: bool,
    /// Whether the result of the current read is out of date.
    stale: bool,
    /// Earliest known time at which a delivery in the table becomes due.
    pub next_due_ms: Option<Millis>,
    /// Place in the queue of lanes that can send.
    pub turn: Option<Turn>,
    /// Whether the lane is queued for a read of the table.
    pub in_reads: bool,
    /// Host whose limit the lane waits for.
    pub parked_at: Option<Arc<str>>,
    /// Time to wake the lane.
    pub timer: Option<Millis>,
}

impl Lane {
    /// `is_proven`: the endpoint has accepted deliveries, and none is being retried. The first message to a contact of the
    /// operator does not wait for the endpoints of tenants either.
    pub(super) fn new(endpoint: Arc<Endpoint>, is_proven: bool) -> Lane {
        Lane {
            open: endpoint.webhook.is_sending(),
            tenant: Arc::clone(&endpoint.payer),
            proven: is_proven || endpoint.is_of_operators_contact(),
            endpoint,
            queue: VecDeque::new(),
            queue_bytes: 0,
            claimed: HashSet::new(),
            set_aside: HashSet::new(),
            sending: 0,
            window: FIRST_WINDOW,
            failures_in_row: 0,
            lagging: false,
            long: 0,
            held_until_ms: None,
            rate_ms: 0.0,
            more: true,
            reading: false,
            stale: false,
            next_due_ms: None,
            turn: None,
            in_reads: false,
            parked_at: None,
            timer: None,
        }
    }

    /// Applies a change of the webhook. Reads the queue again if order or state changed.
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
            self.reread();
        }
    }

    /// Stops sending, because the webhook was deleted.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.reread();
    }

    /// Whether the lane can be dropped.
    pub(super) fn is_done(&self) -> bool {
        !self.open && self.claimed.is_empty() && !self.reading
    }

    /// Queues a delivery that is due, if it is the next one and there is room; the table is read later otherwise.
    pub(super) fn push(&mut self, delivery: DueDelivery, has_room: bool) {
        // A read may have found the delivery between its commit and this call.
        let is_known = self.claimed.contains(&delivery.seq) || self.queue.iter().any(|hint| hint.seq == delivery.seq);
        if !self.open || is_known {
            return;
        }
        if self.is_ordered() && self.next_due_ms.is_some() {
            // The first delivery waits for its retry; the ones behind it are read afterwards.
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

    /// Removes a delivery that must not be sent any more.
    pub(super) fn withdraw(&mut self, seq: i64) {
        self.queue.retain(|hint| hint.seq != seq);
        self.queue_bytes = self.queue.iter().map(Hint::bytes).sum();
        if self.reading {
            self.reread();
        } else if self.is_ordered() && self.next_due_ms.is_some() {
            // It may have been the first, which the others wait for.
            self.reread();
        }
    }

    /// Empties the queue and has the table read again.
    pub(super) fn reread(&mut self) {
        self.queue.clear();
        self.queue_bytes = 0;
        self.more = self.open;
        self.next_due_ms = None;
        self.stale = self.reading;
    }

    /// Whether a request can be sent now.
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
            // A longer wait means that the clock was set back.
            if wait_ms > 0.0 && wait_ms <= spacing_ms {
                return Readiness::At(self.rate_ms.ceil() as Millis);
            }
        }
        Readiness::Now
    }

    /// Takes the next delivery to send. Call it only if `readiness` is `Now`.
    pub(super) fn take(&mut self, now: Millis) -> Option<Hint> {
        let hint = self.queue.pop_front()?;
        self.queue_bytes -= hint.bytes();
        self.claimed.insert(hint.seq);
        self.sending += 1;
        if let Some(spacing_ms) = self.spacing_ms() {
            // The time has come, to within a fraction of a millisecond that is kept, or the clock was set back.
            let now = now as f64;
            let from = if now - self.rate_ms < 1.0 && self.rate_ms <= now { self.rate_ms } else { now };
            self.rate_ms = from + spacing_ms;
        }
        Some(hint)
    }

    /// Notes that a request in flight has lasted over a second.
    pub(super) fn request_is_long(&mut self) {
        self.long += 1;
        self.lagging = true;
    }

    /// Ends a request whose outcome is not recorded yet. `was_long`: it lasted over a second.
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

    /// Gives back a delivery that was not attempted. The table is read again; nothing is sent before `from`.
    pub(super) fn release(&mut self, seq: i64, from: Option<Millis>, was_long: bool) {
        self.sending -= 1;
        self.long -= u32::from(was_long);
        self.claimed.remove(&seq);
        self.held_until_ms = from;
        self.reread();
    }

    /// Requests in flight.
    pub(super) fn sending(&self) -> u32 {
        self.sending
    }

    /// Requests in flight while the lane is slow or untried.
    pub(super) fn slow_sending(&self) -> u32 {
        if self.pace().is_slow() { self.sending } else { 0 }
    }

    pub(super) fn pace(&self) -> Pace {
        if self.lagging || self.long > 0 {
            Pace::Slow
        } else if self.proven {
            Pace::Quick
        } else {
            Pace::Untried
        }
    }

    /// Notes a recorded outcome: the delivery is due again at `next_due_ms`, or finished.
    pub(super) fn recorded(&mut self, seq: i64, next_due_ms: Option<Millis>) {
        self.claimed.remove(&seq);
        let Some(due) = next_due_ms.filter(|_| self.open) else {
            return;
        };
        if self.is_ordered() {
            // The others wait for this delivery, or for an earlier one that a person retried meanwhile.
            self.reread();
        } else {
            self.next_due_ms = Some(self.next_due_ms.map_or(due, |known| known.min(due)));
        }
    }

    /// Has the table read again if a delivery in it became due.
    pub(super) fn woken(&mut self, now: Millis) {
        if self.next_due_ms.is_some_and(|due| due <= now) {
            self.next_due_ms = None;
            self.more = true;
        }
    }

    /// Returns the time at which the lane changes by itself, if any.
    pub(super) fn wake_at(&self, now: Millis) -> Option<Millis> {
        let due = self.next_due_ms.filter(|_| self.open);
        match self.readiness(now) {
            Readiness::At(time) => Some(due.map_or(time, |due| due.min(time))),
            Readiness::Now | Readiness::No => due,
        }
    }

    /// Whether the table is to be read now.
    pub(super) fn wants_read(&self) -> bool {
        self.lacks_rows() && !self.reading && self.queue.len() <= LOW
    }

    /// Whether the table may have due deliveries that can be read.
    fn lacks_rows(&self) -> bool {
        self.open && self.more && self.set_aside.len() < SET_ASIDE
    }

    /// Begins a read. Returns its order, and the deliveries to leave out.
    pub(super) fn begin_read(&mut self) -> (Order, LeftOut) {
        self.reading = true;
        self.stale = false;
        self.more = false;
        if !self.is_ordered() {
            self.next_due_ms = None;
        }
        let mut taken = self.claimed.clone();
        taken.extend(self.queue.iter().map(|hint| hint.seq));
        let left_out = LeftOut { taken, set_aside: self.set_aside.clone() };
        let order = if self.is_ordered() { Order::Sequence } else { Order::Due };
        (order, left_out)
    }

    /// Queues the rows of a read.
    pub(super) fn end_read(&mut self, due: DueRows) {
        self.reading = false;
        if self.stale || !self.open {
            self.stale = false;
            self.more = self.open;
            return;
        }
        self.more |= due.more;
        self.next_due_ms = due.next_due_ms.into_iter().chain(self.next_due_ms).min();
        for (seq, delivery) in due.rows {
            let hint = Hint { seq, delivery };
            self.queue_bytes += hint.bytes();
            self.queue.push_back(hint);
        }
    }

    /// Ends a failed read. The table is read again after a pause.
    pub(super) fn read_failed(&mut self, now: Millis) {
        self.reading = false;
        self.read_later(now);
    }

    /// Has the table read again after a pause.
    pub(super) fn read_later(&mut self, now: Millis) {
        self.next_due_ms = Some(now + READ_PAUSE_MS);
    }

    /// Leaves out a delivery whose row can be neither read nor changed.
    pub(super) fn set_aside(&mut self, seq: i64) {
        self.set_aside.insert(seq);
        self.claimed.remove(&seq);
        if self.is_ordered() {
            // The others waited for it.
            self.reread();
        }
    }

    pub(super) fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// Whether nothing is in flight, and nothing can be sent now.
    pub(super) fn is_idle(&self, now: Millis) -> bool {
        self.claimed.is_empty() && !self.reading && !self.lacks_rows() && self.readiness(now) != Readiness::Now
    }

    fn is_ordered(&self) -> bool {
        self.endpoint.webhook.ordered
    }

    /// Milliseconds between requests under the rate limit. Even spacing keeps every second within the limit.
    fn spacing_ms(&self) -> Option<f64> {
        let rate = self.endpoint.webhook.limits.rate_limit_per_s?;
        Some(1000.0 / f64::from(rate))
    }

    fn limit(&self) -> u32 {
        if self.is_ordered() { 1 } else { self.window.min(self.endpoint.webhook.limits.max_in_flight) }
    }
}
