//! Bound of the work that filters may cause.

/// Steps of one filter at most. A step takes some nanoseconds, so this is about ten milliseconds.
const MOST_OF_ONE: u64 = 1_000_000;
/// Steps of all filters of one event, apart from the least of each.
const MOST_OF_EVENT: u64 = 20_000_000;
/// Steps of all filters of a batch, apart from the least of each.
const MOST_OF_BATCH: u64 = 200_000_000;
/// Steps that a filter may take in any case; of a batch, all its events share them.
const LEAST_OF_ONE: u64 = 10_000;
/// Like [`LEAST_OF_ONE`], for an event of a large batch or on a thread that others wait for.
const LEAST_IN_HASTE: u64 = 1_000;

/// The work of a filter was used up before it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// Remaining steps of one filter. A step is one look at a value, or at 64 bytes of text.
#[derive(Debug, Clone)]
pub struct Work(u64);

impl Work {
    pub fn new(steps: u64) -> Work {
        Work(steps)
    }

    pub fn step(&mut self) -> Result<(), Exhausted> {
        self.take(1)
    }

    /// Takes the steps to read some bytes of text.
    pub fn bytes(&mut self, count: usize) -> Result<(), Exhausted> {
        self.take(count as u64 / 64)
    }

    fn take(&mut self, steps: u64) -> Result<(), Exhausted> {
        self.0 = self.0.checked_sub(steps).ok_or(Exhausted)?;
        Ok(())
    }
}

/// Work that the filters of one event share.
#[derive(Debug, Clone)]
pub struct EventWork {
    remaining: u64,
    least_of_one: u64,
}

impl Default for EventWork {
    fn default() -> EventWork {
        EventWork { remaining: MOST_OF_EVENT, least_of_one: LEAST_OF_ONE }
    }
}

impl EventWork {
    /// Work of an event in a batch of so many.
    pub fn in_batch(events: usize) -> EventWork {
        let events = events.max(1) as u64;
        EventWork {
            remaining: MOST_OF_EVENT.min(MOST_OF_BATCH / events),
            least_of_one: (LEAST_OF_ONE / events).max(LEAST_IN_HASTE),
        }
    }

    /// Work on a thread that others wait for: the least for each filter.
    pub fn in_haste() -> EventWork {
        EventWork { remaining: 0, least_of_one: LEAST_IN_HASTE }
    }

    /// Runs one filter within its bound.
    pub fn run<T>(&mut self, work: impl FnOnce(&mut Work) -> T) -> T {
        let steps = self.remaining.clamp(self.least_of_one, MOST_OF_ONE);
        let mut left = Work::new(steps);
        let result = work(&mut left);
        self.remaining = self.remaining.saturating_sub(steps - left.0);
        result
    }
}
