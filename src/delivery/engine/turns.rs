//! Turns: tenants take turns, and so do the lanes of each tenant; lanes that may block a worker for long share a part.
//!
//! Owns the limits on requests in flight by tenant and by pace. Pure bookkeeping: no clock, no lock, no I/O. Every call
//! takes logarithmic time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Expected duration of a lane's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Responds in time.
    Quick,
    /// No request has succeeded yet.
    Untried,
    /// A request has lasted over a second, or the last one timed out.
    Slow,
}

impl Pace {
    /// In the order of their priority.
    const ALL: [Pace; 3] = [Pace::Quick, Pace::Untried, Pace::Slow];

    /// Whether requests count towards the limits of slow lanes.
    pub(super) fn is_slow(self) -> bool {
        self != Pace::Quick
    }
}

/// Maximum numbers of requests in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of one tenant.
    tenant: usize,
    /// Of all lanes that are slow or untried.
    slow: usize,
    /// Of one tenant's lanes that are slow or untried.
    tenant_slow: usize,
}

impl Limits {
    /// Half of the workers for one tenant, half for all slow lanes, a quarter for one tenant's slow lanes.
    pub(super) fn of(workers: usize) -> Limits {
        let half = (workers / 2).max(1);
        Limits { tenant: half, slow: half, tenant_slow: (workers / 4).max(2).min(half) }
    }
}

/// A lane's place in the queue of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub pace: Pace,
    number: u64,
}

#[derive(Default)]
struct Tenant {
    in_flight: usize,
    slow_in_flight: usize,
    /// Lanes that can send, by pace.
    queues: [BTreeMap<u64, i64>; 3],
    /// The tenant's place in the ring of each pace.
    places: [Option<u64>; 3],
}

impl Tenant {
    fn may_start(&self, pace: Pace, limits: Limits) -> bool {
        self.in_flight < limits.tenant && !(pace.is_slow() && self.slow_in_flight >= limits.tenant_slow)
    }

    fn is_unused(&self) -> bool {
        self.in_flight == 0 && self.queues.iter().all(BTreeMap::is_empty)
    }
}

pub(super) struct Turns {
    limits: Limits,
    tenants: HashMap<Arc<str>, Tenant>,
    /// By pace: tenants with a lane that can send, in the order of their turns. A tenant at its limit is in no ring until
    /// one of its requests ends.
    rings: [BTreeMap<u64, Arc<str>>; 3],
    slow_in_flight: usize,
    last_number: u64,
}

impl Turns {
    pub(super) fn new(limits: Limits) -> Turns {
        Turns { limits, tenants: HashMap::new(), rings: Default::default(), slow_in_flight: 0, last_number: 0 }
    }

    /// Queues a lane behind the others of its tenant and pace.
    pub(super) fn enqueue(&mut self, tenant: &Arc<str>, pace: Pace, lane: i64) -> Turn {
        let number = self.number();
        let entry = self.tenants.entry(Arc::clone(tenant)).or_default();
        entry.queues[pace as usize].insert(number, lane);
        self.enter(tenant);
        Turn { pace, number }
    }

    /// Removes a lane from the queue.
    pub(super) fn dequeue(&mut self, tenant: &Arc<str>, turn: Turn) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.queues[turn.pace as usize].remove(&turn.number);
        }
        self.forget_unused(tenant);
    }

    /// Removes and returns the lane whose turn it is, if any lane may start a request.
    pub(super) fn next(&mut self) -> Option<i64> {
        for pace in Pace::ALL {
            while self.may_start(pace)
                && let Some((_, tenant)) = self.rings[pace as usize].pop_first()
            {
                let Some(entry) = self.tenants.get_mut(&tenant) else {
                    continue;
                };
                entry.places[pace as usize] = None;
                if entry.may_start(pace, self.limits)
                    && let Some((_, lane)) = entry.queues[pace as usize].pop_first()
                {
                    self.enter(&tenant);
                    return Some(lane);
                }
            }
        }
        None
    }

    /// Whether `next` may find a lane.
    pub(super) fn has_next(&self) -> bool {
        Pace::ALL.into_iter().any(|pace| self.may_start(pace) && !self.rings[pace as usize].is_empty())
    }

    /// Changes a tenant's numbers of requests in flight: of all, and of those of slow or untried lanes.
    pub(super) fn count(&mut self, tenant: &Arc<str>, sending: isize, slow: isize) {
        if sending == 0 && slow == 0 {
            return;
        }
        let entry = self.tenants.entry(Arc::clone(tenant)).or_default();
        entry.in_flight = entry.in_flight.saturating_add_signed(sending);
        entry.slow_in_flight = entry.slow_in_flight.saturating_add_signed(slow);
        self.slow_in_flight = self.slow_in_flight.saturating_add_signed(slow);
        self.enter(tenant);
        self.forget_unused(tenant);
    }

    fn may_start(&self, pace: Pace) -> bool {
        !(pace.is_slow() && self.slow_in_flight >= self.limits.slow)
    }

    /// Appends a tenant to each ring that it belongs in and is not in.
    fn enter(&mut self, tenant: &Arc<str>) {
        for pace in Pace::ALL {
            let number = self.number();
            let Some(entry) = self.tenants.get_mut(tenant) else {
                return;
            };
            let index = pace as usize;
            let belongs = !entry.queues[index].is_empty() && entry.may_start(pace, self.limits);
            if belongs && entry.places[index].is_none() {
                entry.places[index] = Some(number);
                self.rings[index].insert(number, Arc::clone(tenant));
            }
        }
    }

    fn forget_unused(&mut self, tenant: &Arc<str>) {
        let is_unused = self.tenants.get(tenant).is_some_and(Tenant::is_unused);
        if is_unused && let Some(entry) = self.tenants.remove(tenant) {
            for (ring, place) in self.rings.iter_mut().zip(entry.places) {
                place.and_then(|number| ring.remove(&number));
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Arc<str> {
        name.into()
    }

    /// Starts every request that may start, each lane again and again.
    fn start_all(turns: &mut Turns, lanes: &[(&str, Pace, i64)]) -> Vec<i64> {
        let find = |lane: i64| *lanes.iter().find(|(_, _, number)| *number == lane).unwrap();
        for (name, pace, lane) in lanes {
            turns.enqueue(&tenant(name), *pace, *lane);
        }
        let mut started = Vec::new();
        while started.len() < 1_000
            && let Some(lane) = turns.next()
        {
            let (name, pace, _) = find(lane);
            turns.count(&tenant(name), 1, isize::from(pace.is_slow()));
            turns.enqueue(&tenant(name), pace, lane);
            started.push(lane);
        }
        started
    }

    #[test]
    fn tenants_take_turns_before_their_lanes_do() {
        let mut turns = Turns::new(Limits::of(1_000));
        let mut lanes: Vec<_> = (0..100).map(|lane| ("many", Pace::Quick, lane)).collect();
        lanes.push(("one", Pace::Quick, 100));
        let started = start_all(&mut turns, &lanes);
        let of_one = started[..20].iter().filter(|lane| **lane == 100).count();
        assert_eq!(of_one, 10);
    }

    #[test]
    fn slow_lanes_hold_half_of_the_workers_and_one_tenants_a_quarter() {
        let mut turns = Turns::new(Limits::of(64));
        assert_eq!(start_all(&mut turns, &[("a", Pace::Slow, 1)]).len(), 16);
        assert_eq!(start_all(&mut turns, &[("b", Pace::Untried, 2), ("c", Pace::Slow, 3)]).len(), 16);
        assert_eq!(turns.slow_in_flight, 32);
        assert!(!turns.has_next());
        assert_eq!(start_all(&mut turns, &[("a", Pace::Quick, 4)]).len(), 16, "half of the workers less its slow ones");
    }

    #[test]
    fn an_untried_lane_goes_before_a_slow_one() {
        let mut turns = Turns::new(Limits::of(8));
        turns.enqueue(&tenant("a"), Pace::Slow, 1);
        turns.enqueue(&tenant("a"), Pace::Untried, 2);
        assert_eq!(turns.next(), Some(2));
    }

    #[test]
    fn a_tenant_at_its_limit_goes_on_when_a_request_ends() {
        let mut turns = Turns::new(Limits::of(4));
        let started = start_all(&mut turns, &[("a", Pace::Quick, 1)]);
        assert_eq!(started.len(), 2);
        assert_eq!(turns.next(), None);
        turns.count(&tenant("a"), -1, 0);
        assert_eq!(turns.next(), Some(1));
    }

    #[test]
    fn a_lane_whose_pace_changes_frees_the_part_of_the_slow_ones() {
        let mut turns = Turns::new(Limits::of(8));
        assert_eq!(start_all(&mut turns, &[("a", Pace::Untried, 1)]).len(), 2);
        turns.count(&tenant("a"), 0, -2);
        assert_eq!(turns.next(), Some(1));
    }

    #[test]
    fn a_tenant_without_lanes_and_requests_is_forgotten() {
        let mut turns = Turns::new(Limits::of(8));
        let turn = turns.enqueue(&tenant("a"), Pace::Quick, 1);
        turns.count(&tenant("a"), 1, 1);
        turns.dequeue(&tenant("a"), turn);
        turns.count(&tenant("a"), -1, -1);
        assert!(turns.tenants.is_empty() && turns.rings.iter().all(BTreeMap::is_empty));
    }
}
