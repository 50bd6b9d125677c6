//! All lanes, and whose turn it is. Pure bookkeeping under the engine's one lock.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::delivery::endpoint::Endpoint;
use crate::delivery::engine::lane::{Lane, Readiness};
use crate::domain::attempt::ErrorCode;
use crate::domain::time::Millis;
use crate::store::{Change, DueDelivery};

/// Bytes of events that all lanes hold in memory at most, about; each may hold a few more to go on at all.
const HINT_BYTES: usize = 8 << 20;
/// A worker that has been at its request for longer waits for the network, and keeps no core busy.
const BUSY: Duration = Duration::from_millis(1);

/// A delivery taken by a worker.
pub(super) struct Claim {
    pub delivery: DueDelivery,
    pub endpoint: Arc<Endpoint>,
    host: Arc<str>,
}

#[derive(Default)]
struct Host {
    in_flight: usize,
    /// Lanes that could send but for the host's limit.
    parked: VecDeque<i64>,
}

/// What the engine knows; all of it can be read from the table again.
pub(super) struct State {
    lanes: HashMap<i64, Lane>,
    /// Lanes that can send now, served in turn.
    ready: VecDeque<i64>,
    /// Lanes whose queue runs dry.
    reads: VecDeque<i64>,
    timers: BTreeSet<(Millis, i64)>,
    /// Whether a time comes earlier than the one that the pacer sleeps for.
    pub sooner: bool,
    hosts: HashMap<Arc<str>, Host>,
    host_limit: usize,
    hint_bytes: usize,
    /// Requests in flight.
    pub sending: usize,
    /// Outcomes that are not in the table yet.
    pub unrecorded: usize,
    pub workers: Workers,
    pub stopping: bool,
}

/// Who works.
#[derive(Default)]
pub(super) struct Workers {
    pub count: usize,
    pub idle: usize,
    /// When each busy worker began; by the worker's number.
    busy_since: HashMap<usize, Instant>,
    next_number: usize,
}

impl Workers {
    pub(super) fn enter(&mut self) -> usize {
        self.count += 1;
        self.next_number += 1;
        self.next_number
    }

    pub(super) fn leave(&mut self) {
        self.count -= 1;
    }

    pub(super) fn begin(&mut self, number: usize, now: Instant) {
        self.busy_since.insert(number, now);
    }

    pub(super) fn end(&mut self, number: usize) {
        self.busy_since.remove(&number);
    }

    /// How many workers are likely to use a core at this moment, rather than to wait for an answer.
    pub(super) fn on_core(&self, now: Instant) -> usize {
        self.busy_since.values().filter(|since| now.saturating_duration_since(**since) < BUSY).count()
    }
}

impl State {
    pub(super) fn new(host_limit: usize) -> State {
        State {
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            reads: VecDeque::new(),
            timers: BTreeSet::new(),
            sooner: false,
            hosts: HashMap::new(),
            host_limit,
            hint_bytes: 0,
            sending: 0,
            unrecorded: 0,
            workers: Workers::default(),
            stopping: false,
        }
    }

    /// Takes over a webhook, new or changed.
    pub(super) fn put(&mut self, endpoint: Arc<Endpoint>, now: Millis) {
        let seq = endpoint.webhook.seq;
        if let Entry::Vacant(entry) = self.lanes.entry(seq) {
            entry.insert(Lane::new(endpoint));
            self.touch(seq, now);
        } else {
            self.with(seq, now, |lane| lane.change(endpoint));
        }
    }

    /// Takes over what a commit changed.
    pub(super) fn notice(&mut self, notice: Change, now: Millis) {
        match notice {
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
            Change::Reread { webhook_seq, from_seq } => self.with(webhook_seq, now, |lane| lane.reread(from_seq)),
            Change::WebhookGone { webhook_seq } => self.with(webhook_seq, now, Lane::close),
            // The engine makes an endpoint of it first, outside the lock.
            Change::Webhook(_) | Change::Profile(_) | Change::ProfileGone { .. } | Change::EventType { .. } => {}
        }
    }

    /// The next delivery to be sent: lanes take turns.
    pub(super) fn take(&mut self, now: Millis) -> Option<Claim> {
        if self.stopping {
            return None;
        }
        for _ in 0..self.ready.len() {
            let seq = self.ready.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&seq) else {
                continue;
            };
            lane.in_ready = false;
            if lane.readiness(now) != Readiness::Now {
                self.touch(seq, now);
                continue;
            }
            let host = Arc::clone(&lane.endpoint.host);
            let use_of_host = self.hosts.entry(Arc::clone(&host)).or_default();
            if use_of_host.in_flight >= self.host_limit {
                use_of_host.parked.push_back(seq);
                lane.parked = true;
                continue;
            }
            use_of_host.in_flight += 1;
            let endpoint = Arc::clone(&lane.endpoint);
            let mut taken = None;
            self.with(seq, now, |lane| taken = lane.take(now));
            if let Some(delivery) = taken {
                self.sending += 1;
                self.unrecorded += 1;
                return Some(Claim { delivery, endpoint, host });
            }
        }
        None
    }

    /// A request came back; its outcome still has to be recorded.
    pub(super) fn came_back(&mut self, claim: &Claim, error: Option<ErrorCode>, now: Millis) {
        self.sending -= 1;
        let mut unparked = None;
        if let Some(host) = self.hosts.get_mut(&claim.host) {
            host.in_flight -= 1;
            unparked = host.parked.pop_front();
            if host.in_flight == 0 && host.parked.is_empty() && unparked.is_none() {
                self.hosts.remove(&claim.host);
            }
        }
        if let Some(seq) = unparked {
            self.with(seq, now, |lane| lane.parked = false);
        }
        self.with(claim.delivery.webhook_seq, now, |lane| lane.came_back(error));
    }

    /// The next lane whose queue is to be filled from the table.
    pub(super) fn next_read(&mut self) -> Option<i64> {
        while let Some(seq) = self.reads.pop_front() {
            if let Some(lane) = self.lanes.get_mut(&seq) {
                lane.in_reads = false;
                if lane.wants_read() {
                    return Some(seq);
                }
            }
        }
        None
    }

    pub(super) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// Changes a lane, then puts it where it belongs now.
    pub(super) fn with(&mut self, seq: i64, now: Millis, change: impl FnOnce(&mut Lane)) {
        let Some(lane) = self.lanes.get_mut(&seq) else {
            return;
        };
        let before = lane.queue_bytes();
        change(lane);
        self.hint_bytes = self.hint_bytes + lane.queue_bytes() - before;
        self.touch(seq, now);
    }

    /// Wakes the lanes whose time has come. When the next one's comes.
    pub(super) fn wake_due(&mut self, now: Millis) -> Option<Millis> {
        let next = self.wake_all_due(now);
        self.sooner = false;
        next
    }

    fn wake_all_due(&mut self, now: Millis) -> Option<Millis> {
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

    fn touch(&mut self, seq: i64, now: Millis) {
        let Some(lane) = self.lanes.get_mut(&seq) else {
            return;
        };
        if lane.is_done() {
            if let Some(time) = lane.timer {
                self.timers.remove(&(time, seq));
                lane.timer = None;
            }
            // Paused lanes are made anew when they open; their limits start afresh then.
            self.lanes.remove(&seq);
            return;
        }
        if lane.readiness(now) == Readiness::Now && !lane.in_ready && !lane.parked {
            lane.in_ready = true;
            self.ready.push_back(seq);
        }
        if lane.wants_read() && !lane.in_reads {
            lane.in_reads = true;
            self.reads.push_back(seq);
        }
        let wake_at = lane.wake_at(now);
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
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn lane(&mut self, seq: i64) -> Option<&mut Lane> {
        self.lanes.get_mut(&seq)
    }

    /// Whether nothing is under way, and nothing could be sent at this time.
    pub(super) fn is_idle(&mut self, now: Millis) -> bool {
        let next = self.wake_all_due(now);
        self.sending == 0
            && self.unrecorded == 0
            && next.is_none_or(|time| time > now)
            && self.lanes.values().all(|lane| lane.is_idle(now))
    }
}
