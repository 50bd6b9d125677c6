//! Requests in flight by age: the youngest keep a core busy, the oldest make their lane slow.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// A request older than this waits for the network and keeps no core busy.
const ON_CORE: Duration = Duration::from_millis(1);
/// A lane with a request older than this is slow.
const LONG: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    OnCore,
    Waiting,
    Long,
}

struct Flight {
    webhook_seq: i64,
    age: Age,
}

/// Every request in flight.
#[derive(Default)]
pub(super) struct Flights {
    by_number: HashMap<u64, Flight>,
    /// Requests younger than 1 ms in the order of their start, finished ones included.
    young: VecDeque<(Instant, u64)>,
    /// Requests between 1 ms and 1 s old, likewise.
    waiting: VecDeque<(Instant, u64)>,
    on_core: usize,
    last_number: u64,
}

impl Flights {
    pub(super) fn begin(&mut self, webhook_seq: i64, now: Instant) -> u64 {
        self.last_number += 1;
        self.by_number.insert(self.last_number, Flight { webhook_seq, age: Age::OnCore });
        self.young.push_back((now, self.last_number));
        self.on_core += 1;
        self.last_number
    }

    /// Ends a request. Returns whether it lasted over a second, as far as `age` has seen.
    pub(super) fn end(&mut self, number: u64) -> bool {
        match self.by_number.remove(&number).map(|flight| flight.age) {
            Some(Age::OnCore) => {
                self.on_core -= 1;
                false
            }
            age => age == Some(Age::Long),
        }
    }

    /// Updates the ages of all requests. Returns the webhook of each request that has just become long.
    pub(super) fn age(&mut self, now: Instant) -> Vec<i64> {
        while let Some((started, number)) = self.young.pop_front_if(|(started, _)| is_older(*started, now, ON_CORE)) {
            if let Some(flight) = self.by_number.get_mut(&number) {
                flight.age = Age::Waiting;
                self.on_core -= 1;
                self.waiting.push_back((started, number));
            }
        }
        let mut long = Vec::new();
        while let Some((_, number)) = self.waiting.pop_front_if(|(started, _)| is_older(*started, now, LONG)) {
            if let Some(flight) = self.by_number.get_mut(&number) {
                flight.age = Age::Long;
                long.push(flight.webhook_seq);
            }
        }
        long
    }

    /// Number of requests that probably keep a core busy, as of the last call of `age`.
    pub(super) fn on_core(&self) -> usize {
        self.on_core
    }

    pub(super) fn count(&self) -> usize {
        self.by_number.len()
    }
}

fn is_older(started: Instant, now: Instant, age: Duration) -> bool {
    now.saturating_duration_since(started) >= age
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_a_core_busy_for_a_millisecond_and_is_long_after_a_second() {
        let mut flights = Flights::default();
        let start = Instant::now();
        let number = flights.begin(7, start);
        assert_eq!((flights.age(start), flights.on_core()), (vec![], 1));
        assert_eq!((flights.age(start + ON_CORE), flights.on_core()), (vec![], 0));
        assert_eq!(flights.age(start + LONG), [7]);
        assert_eq!(flights.age(start + LONG * 2), [0; 0], "once");
        assert!(flights.end(number));
        assert_eq!(flights.count(), 0);
    }

    #[test]
    fn requests_that_ended_are_not_counted_and_not_kept() {
        let mut flights = Flights::default();
        let start = Instant::now();
        for _ in 0..3 {
            let number = flights.begin(7, start);
            assert!(!flights.end(number));
        }
        assert_eq!(flights.on_core(), 0);
        assert_eq!(flights.age(start + LONG), [0; 0]);
        assert!(flights.young.is_empty() && flights.waiting.is_empty());
    }
}
