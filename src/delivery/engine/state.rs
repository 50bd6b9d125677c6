//! All lanes, and the choice of the next one to send. Pure bookkeeping under the engine's only lock.

mod withheld;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flights::Flights;
use super::lane::{Hint, Lane, Readiness};
use super::turns::{Limits, Turns};
use crate::delivery::endpoint::Endpoint;
use crate::domain::attempt::ErrorCode;
use crate::domain::event::Tenant;
use crate::domain::time::Millis;
use crate::store::Change;

/// Bytes of events in the queues of all lanes. Above this, lanes queue only the numbers of their deliveries.
const HINT_BYTES: usize = 8 << 20;
/// Approximate bytes of events per read of the table.
const READ_BYTES: usize = 1 << 20;

/// Delivery taken by a worker.
pub(super) struct Claim {
    pub hint: Hint,
    pub endpoint: Arc<Endpoint>,
    host: Arc<str>,
    flight: u64,
}

#[derive(Default)]
struct Host {
    in_flight: usize,
    /// Lanes that only the host's limit keeps from sending.
    parked: VecDeque<i64>,
}

/// State of the engine; all of it can be rebuilt from the table.
pub(super) struct State {
    lanes: HashMap<i64, Lane>,
    /// Tenants that are being deleted, which have no lanes.
    leaving: HashSet<Tenant>,
    turns: Turns,
    flights: Flights,
    /// Lanes that need a read of the table.
    reads: VecDeque<i64>,
    timers: BTreeSet<(Millis, i64)>,
    /// Time at which timers were last looked at.
    woken_ms: Millis,
    /// Whether a timer is earlier than the one that the scheduler sleeps for.
    pub sooner: bool,
    hosts: HashMap<Arc<str>, Host>,
    /// Maximum requests in flight to one host.
    host_limit: usize,
    hint_bytes: usize,
    /// Number of outcomes not recorded yet.
    pub unrecorded: usize,
    /// Number of worker threads.
    pub workers: usize,
    /// Number of workers without work.
    pub idle_workers: usize,
    pub stopping: bool,
    /// Whether all deliveries are paused, except messages to contacts.
    paused: bool,
    /// When the scheduler last looked at the state.
    scheduled_at: Instant,
    /// Since when lanes could send and no worker has taken a delivery.
    ready_since: Option<Instant>,
}

/// Time within which the scheduler looks at the state.
const SCHEDULING: Duration = Duration::from_secs(30);
/// Time within which a worker takes a delivery while a lane can send. No request lasts longer than 30 seconds.
const TAKING: Duration = Duration::from_secs(90);

impl State {
    /// `workers`: maximum number of worker threads.
    pub(super) fn new(workers: usize) -> State {
        State {
            lanes: HashMap::new(),
            leaving: HashSet::new(),
            turns: Turns::new(Limits::of(workers)),
            flights: Flights::default(),
            reads: VecDeque::new(),
            timers: BTreeSet::new(),
            woken_ms: Millis::MIN,
            sooner: false,
            hosts: HashMap::new(),
            host_limit: (workers / 2).max(1),
            hint_bytes: 0,
            unrecorded: 0,
            workers: 0,
            idle_workers: 0,
            stopping: false,
            paused: false,
            scheduled_at: Instant::now(),
            ready_since: None,
        }
    }

    /// Adds or changes a webhook.
    pub(super) fn put(&mut self, endpoint: Arc<Endpoint>, is_proven: bool, now: Millis) {
        if self.leaving.iter().any(|tenant| endpoint.webhook.is_of(tenant)) {
            return;
        }
        let seq = endpoint.webhook.seq;
        if let Entry::Vacant(entry) = self.lanes.entry(seq) {
            entry.insert(Lane::new(endpoint, is_proven));
            self.settle(seq, now);
            return;
        }
        let before = self.lanes.get(&seq).map(|lane| Arc::clone(&lane.endpoint.host));
        self.with(seq, now, |lane| lane.change(endpoint));
        if let Some(host) = before {
            self.unpark(&host, now);
        }
    }

    /// Applies a committed change.
    pub(super) fn apply(&mut self, change: Change, now: Millis) {
        match change {
            Change::Due(delivery) => {
                let has_room = self.hint_bytes < HINT_BYTES;
                self.with(delivery.webhook_seq, now, |lane| lane.push(delivery, has_room));
            }
            Change::Recorded { webhook_seq, delivery_seq, next_due_ms } => {
                self.unrecorded = self.unrecorded.saturating_sub(1);
                self.with(webhook_seq, now, |lane| lane.recorded(delivery_seq, next_due_ms));
            }
            Change::Withdrawn { webhook_seq, delivery_seq } => {
                self.with(webhook_seq, now, |lane| lane.withdraw(delivery_seq))
            }
            Change::Reread { webhook_seq } => self.with(webhook_seq, now, Lane::reread),
            Change::WebhookGone { webhook_seq } => self.with(webhook_seq, now, Lane::close),
            Change::Paused(paused) => self.set_paused(paused, now),
            // `Engine::committed` handles webhooks and deletions of tenants before, in their order.
            Change::Webhook(_)
            | Change::TenantDeletion { .. }
            | Change::Profile(_)
            | Change::ProfileGone { .. }
            | Change::EventType { .. }
            | Change::AllowedTargets(_)
            | Change::Incident { .. } => {}
        }
    }

    /// Notes that the scheduler is at work.
    pub(super) fn scheduled(&mut self, instant: Instant) {
        self.scheduled_at = instant;
        self.ready_since = self.ready_since.or(Some(instant)).filter(|_| self.has_ready());
    }

    /// Whether deliveries that could be sent are sent.
    pub(super) fn is_flowing(&self, instant: Instant) -> bool {
        instant.saturating_duration_since(self.scheduled_at) < SCHEDULING
            && self.ready_since.is_none_or(|since| instant.saturating_duration_since(since) < TAKING)
    }

    /// Takes the next delivery to send.
    pub(super) fn take(&mut self, now: Millis, instant: Instant) -> Option<Claim> {
        if self.stopping {
            return None;
        }
        self.age(instant, now);
        let paused = self.paused;
        while let Some(seq) = self.turns.next() {
            let Some(lane) = self.lanes.get_mut(&seq) else {
                continue;
            };
            lane.turn = None;
            let host = Arc::clone(&lane.endpoint.host);
            if !is_ready(lane, paused, now) {
                self.settle(seq, now);
                self.unpark(&host, now);
                continue;
            }
            let host_state = self.hosts.entry(Arc::clone(&host)).or_default();
            if host_state.in_flight >= self.host_limit {
                host_state.parked.push_back(seq);
                lane.parked_at = Some(host);
                continue;
            }
            let endpoint = Arc::clone(&lane.endpoint);
            let mut taken = None;
            self.with(seq, now, |lane| taken = lane.take(now));
            if let Some(hint) = taken {
                self.hosts.entry(Arc::clone(&host)).or_default().in_flight += 1;
                let flight = self.flights.begin(seq, instant);
                self.unrecorded += 1;
                self.ready_since = None;
                return Some(Claim { hint, endpoint, host, flight });
            }
        }
        None
    }

    /// Ends a request whose outcome is not recorded yet.
    pub(super) fn came_back(&mut self, claim: &Claim, error: Option<ErrorCode>, now: Millis, instant: Instant) {
        self.end(claim, now, instant, |lane, was_long| lane.came_back(error, was_long));
    }

    /// Gives back a delivery that was not attempted. Its lane pauses until `from`.
    pub(super) fn release(&mut self, claim: &Claim, from: Option<Millis>, now: Millis, instant: Instant) {
        self.unrecorded = self.unrecorded.saturating_sub(1);
        let seq = claim.hint.seq;
        self.end(claim, now, instant, |lane, was_long| lane.release(seq, from, was_long));
    }

    fn end(&mut self, claim: &Claim, now: Millis, instant: Instant, end: impl FnOnce(&mut Lane, bool)) {
        self.age(instant, now);
        let was_long = self.flights.end(claim.flight);
        if let Some(host) = self.hosts.get_mut(&claim.host) {
            host.in_flight -= 1;
        }
        self.with(claim.endpoint.webhook.seq, now, |lane| end(lane, was_long));
        self.unpark(&claim.host, now);
    }

    /// Queues parked lanes of a host again, as many as the host has room for. Must be called when a request to the host
    /// ends, and when an unparked lane does not use its turn.
    fn unpark(&mut self, name: &Arc<str>, now: Millis) {
        let Some(host) = self.hosts.get_mut(name) else {
            return;
        };
        let mut room = self.host_limit.saturating_sub(host.in_flight);
        let mut unparked = Vec::new();
        while room > 0
            && let Some(seq) = host.parked.pop_front()
        {
            let paused = self.paused;
            let Some(lane) = self.lanes.get_mut(&seq).filter(|lane| lane.parked_at.as_ref() == Some(name)) else {
                continue;
            };
            lane.parked_at = None;
            room -= usize::from(is_ready(lane, paused, now));
            unparked.push(seq);
        }
        if host.in_flight == 0 && host.parked.is_empty() {
            self.hosts.remove(name);
        }
        for seq in unparked {
            self.settle(seq, now);
        }
    }

    /// Has all lanes read the table again.
    pub(super) fn reread_all(&mut self, now: Millis) {
        let seqs: Vec<i64> = self.lanes.keys().copied().collect();
        for seq in seqs {
            self.with(seq, now, Lane::reread);
        }
    }

    /// Bytes of events in the queues of all lanes.
    pub(super) fn queued_bytes(&self) -> usize {
        self.hint_bytes
    }

    /// Notes that an outcome will never be recorded.
    pub(super) fn forget_unrecorded(&mut self) {
        self.unrecorded = self.unrecorded.saturating_sub(1);
    }

    /// Number of requests in flight.
    pub(super) fn sending(&self) -> usize {
        self.flights.count()
    }

    /// Returns the number of requests that probably keep a core busy at this moment.
    pub(super) fn on_core(&mut self, now: Millis, instant: Instant) -> usize {
        self.age(instant, now);
        self.flights.on_core()
    }

    fn age(&mut self, instant: Instant, now: Millis) {
        for seq in self.flights.age(instant) {
            self.with(seq, now, Lane::request_is_long);
        }
    }

    /// Returns the next lane that needs a read of the table, and the bytes of events that it may read.
    pub(super) fn next_read(&mut self) -> Option<(i64, usize)> {
        while let Some(seq) = self.reads.pop_front() {
            if let Some(lane) = self.lanes.get_mut(&seq) {
                lane.in_reads = false;
                if lane.wants_read() {
                    return Some((seq, READ_BYTES.min(HINT_BYTES.saturating_sub(self.hint_bytes))));
                }
            }
        }
        None
    }

    pub(super) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// Changes a lane, and updates counters and lists.
    pub(super) fn with(&mut self, seq: i64, now: Millis, change: impl FnOnce(&mut Lane)) {
        let Some(lane) = self.lanes.get_mut(&seq) else {
            return;
        };
        let bytes_before = lane.queue_bytes();
        let (sending_before, slow_before) = (lane.sending(), lane.slow_sending());
        change(lane);
        self.hint_bytes = self.hint_bytes + lane.queue_bytes() - bytes_before;
        let (sending, slow) = (lane.sending() as isize, lane.slow_sending() as isize);
        let tenant = Arc::clone(&lane.tenant);
        self.turns.count(&tenant, sending - sending_before as isize, slow - slow_before as isize);
        self.settle(seq, now);
    }

    /// Wakes the lanes whose timers have passed. Returns the time of the next timer.
    pub(super) fn wake_due(&mut self, now: Millis) -> Option<Millis> {
        let next = self.wake_all_due(now);
        self.sooner = false;
        next
    }

    fn wake_all_due(&mut self, now: Millis) -> Option<Millis> {
        if now < self.woken_ms {
            // The clock was set back: rate limits and pauses end sooner than their timers.
            let waiting: Vec<i64> = self.timers.iter().map(|(_, seq)| *seq).collect();
            waiting.into_iter().for_each(|seq| self.settle(seq, now));
        }
        self.woken_ms = now;
        while let Some((time, seq)) = self.timers.first().copied() {
            if time > now {
                return Some(time);
            }
            self.timers.pop_first();
            if let Some(lane) = self.lanes.get_mut(&seq) {
                lane.timer = None;
            }
            self.with(seq, now, |lane| lane.woken(now));
        }
        None
    }

    /// Updates the lists that a lane is in.
    fn settle(&mut self, seq: i64, now: Millis) {
        let paused = self.paused;
        let Some(lane) = self.lanes.get_mut(&seq) else {
            return;
        };
        let wanted = (is_ready(lane, paused, now) && lane.parked_at.is_none()).then(|| lane.pace());
        if lane.turn.map(|turn| turn.pace) != wanted || lane.is_done() {
            if let Some(turn) = lane.turn.take() {
                self.turns.dequeue(&lane.tenant, turn);
            }
            lane.turn = wanted.map(|pace| self.turns.enqueue(&lane.tenant, pace, seq));
        }
        let wake_at = if lane.is_done() { None } else { lane.wake_at(now) };
        if wake_at != lane.timer {
            if let Some(time) = lane.timer {
                self.timers.remove(&(time, seq));
            }
            if let Some(time) = wake_at {
                self.timers.insert((time, seq));
                self.sooner |= self.timers.first() == Some(&(time, seq));
            }
            lane.timer = wake_at;
        }
        if lane.is_done() {
            let host = Arc::clone(&lane.endpoint.host);
            // A paused lane starts with fresh limits when it is resumed.
            self.lanes.remove(&seq);
            self.unpark(&host, now);
        } else if lane.wants_read() && !lane.in_reads {
            lane.in_reads = true;
            self.reads.push_back(seq);
        }
    }

    /// Whether a lane may send now.
    pub(super) fn has_ready(&self) -> bool {
        self.turns.has_next()
    }

    pub(super) fn lane(&mut self, seq: i64) -> Option<&mut Lane> {
        self.lanes.get_mut(&seq)
    }

    /// Whether nothing is in flight, and nothing can be sent now.
    pub(super) fn is_idle(&mut self, now: Millis) -> bool {
        let next = self.wake_all_due(now);
        self.sending() == 0
            && self.unrecorded == 0
            && next.is_none_or(|time| time > now)
            && self.lanes.values().all(|lane| is_held(lane, self.paused) || lane.is_idle(now))
    }
}

/// Whether a lane may send now, apart from the limits that lanes share.
fn is_ready(lane: &Lane, paused: bool, now: Millis) -> bool {
    !is_held(lane, paused) && lane.readiness(now) == Readiness::Now
}

/// Whether the pause of all deliveries keeps a lane from sending. Messages to contacts are sent during a pause.
fn is_held(lane: &Lane, paused: bool) -> bool {
    paused && lane.endpoint.webhook.contact_seq.is_none()
}
