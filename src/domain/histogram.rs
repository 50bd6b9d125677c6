//! Distribution of response times in a few bytes: precise enough for a percentile, small enough to store per webhook.

/// Each millisecond below this number has its own class.
const EXACT: u64 = 16;
/// Classes per doubling from there on.
const STEPS: u64 = 8;
/// Times of 2^15 ms (33 s) or more share one class: no attempt takes longer than 30.5 s.
const DOUBLINGS: u64 = 11;
const CLASSES: usize = (EXACT + STEPS * DOUBLINGS + 1) as usize;

/// Counts of response times in 105 classes: one per millisecond below 16 ms, then eight per doubling. A percentile
/// is accurate to 1 ms below 16 ms, and to 12.5 % from there to 32.8 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram([u64; CLASSES]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram([0; CLASSES])
    }
}

impl Histogram {
    /// Counts one time.
    pub fn add(&mut self, ms: u64) {
        self.0[class_of(ms)] += 1;
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Returns the time in milliseconds that this share (0.0 to 1.0) of all times does not exceed, interpolated within its
    /// class. `None` for an empty histogram.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let total: u64 = self.0.iter().sum();
        if total == 0 {
            return None;
        }
        let rank = (part * total as f64).max(f64::MIN_POSITIVE);
        let mut below = 0;
        for (class, count) in self.0.iter().enumerate() {
            if *count > 0 && (below + count) as f64 >= rank {
                let (from, to) = bounds(class);
                let within = (rank - below as f64) / *count as f64;
                return Some(from as f64 + within * (to - from) as f64);
            }
            below += count;
        }
        None
    }

    /// Returns the stored form: for each non-empty class its number, then its count, seven bits per byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (class, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            bytes.push(class as u8);
            let mut left = *count;
            while left >= 0x80 {
                bytes.push(left as u8 | 0x80);
                left >>= 7;
            }
            bytes.push(left as u8);
        }
        bytes
    }

    /// Parses the output of `to_bytes`; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Histogram> {
        let mut histogram = Histogram::default();
        let mut bytes = bytes.iter().copied();
        while let Some(class) = bytes.next() {
            let slot = histogram.0.get_mut(usize::from(class))?;
            let mut shift = 0;
            loop {
                let byte = bytes.next().filter(|_| shift < 63)?;
                *slot |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break;
                }
            }
        }
        Some(histogram)
    }
}

fn class_of(ms: u64) -> usize {
    if ms < EXACT {
        return ms as usize;
    }
    // 16 to 31 is the first doubling.
    let doubling = u64::from(ms.ilog2()) - u64::from(EXACT.ilog2());
    let step = (ms >> (doubling + 1)) - STEPS;
    ((EXACT + doubling * STEPS + step) as usize).min(CLASSES - 1)
}

/// Returns the lower bounds of a class and of the next one.
fn bounds(class: usize) -> (u64, u64) {
    let class = class as u64;
    if class < EXACT {
        return (class, class + 1);
    }
    let (doubling, step) = ((class - EXACT) / STEPS, (class - EXACT) % STEPS);
    let width = 1 << (doubling + 1);
    let from = (STEPS + step) * width;
    (from, from + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_class_and_classes_leave_no_gap() {
        for ms in (0..70_000).chain([u64::MAX]) {
            let class = class_of(ms);
            let (from, to) = bounds(class);
            assert!(from <= ms, "{ms} in {class}");
            assert!(ms < to || class == CLASSES - 1, "{ms} in {class}");
        }
        for class in 1..CLASSES {
            assert_eq!(bounds(class - 1).1, bounds(class).0);
        }
    }

    #[test]
    fn a_percentile_is_within_its_bound_of_the_true_one() {
        for scale in [1, 3, 40, 300] {
            let mut times: Vec<u64> = (0..1_000).map(|n| (n * n) % 997 * scale / 10).collect();
            let mut histogram = Histogram::default();
            times.iter().for_each(|ms| histogram.add(*ms));
            times.sort_unstable();
            for part in [0.5, 0.9, 0.95, 0.99] {
                let truth = times[(part * 1_000.0) as usize - 1] as f64;
                let told = histogram.quantile(part).unwrap();
                let bound = (truth * 0.125).max(1.0);
                assert!((told - truth).abs() <= bound, "{part}: {told} for {truth}");
            }
        }
        assert_eq!(Histogram::default().quantile(0.95), None);
    }

    #[test]
    fn it_comes_back_as_it_was_stored_and_refuses_other_bytes() {
        let mut histogram = Histogram::default();
        for (ms, count) in [(0, 1), (15, 127), (16, 128), (4_000, 20_000), (99_000, 3)] {
            (0..count).for_each(|_| histogram.add(ms));
        }
        let bytes = histogram.to_bytes();
        assert!(bytes.len() < 16, "{}", bytes.len());
        assert_eq!(Histogram::from_bytes(&bytes), Some(histogram));
        for wrong in [&[200, 1][..], &[1], &[1, 0x80], &[1; 3], &[0xff; 20]] {
            assert_eq!(Histogram::from_bytes(wrong), None, "{wrong:?}");
        }
    }
}
