//! What is measured while the program runs, for `/metrics`. Counting is a few atomic additions; nothing here locks
//! on the way of an event. Labels have fixed sets of values, whatever people publish.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use strum::VariantArray;

use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;

/// Upper bounds of what takes time, in seconds.
const SECONDS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper bounds of how long deliveries wait for their first attempt, in seconds.
const WAITS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 86_400.0];
/// Upper bounds of the jobs of a commit.
const JOBS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

/// Everything that is measured. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    events: Counter,
    finished: [Counter; 3],
    /// By error code, in the order of `ErrorCode::VARIANTS`; the first one without an error.
    attempts: Vec<Counter>,
    /// By the first digit of the status code.
    requests: [Counter; 5],
    acceptance: Distribution,
    first_attempt: Distribution,
    attempt: Distribution,
    commit_jobs: Distribution,
    commit_wait: Distribution,
    pending: Gauge,
    retrying: Gauge,
    oldest_waiting: Gauge<f64, AtomicU64>,
    workers: Gauge,
    busy_workers: Gauge,
    database_bytes: Gauge,
    log_bytes: Gauge,
}

/// What is looked up when somebody asks, rather than counted on the way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Snapshot {
    pub pending: u64,
    pub retrying: u64,
    /// How long the delivery that waits longest has waited; 0 where none waits.
    pub oldest_waiting: Duration,
    pub workers: usize,
    pub busy_workers: usize,
    pub database_bytes: u64,
    pub log_bytes: u64,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("hookpost");
        let r = &mut registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "The program that runs", build);
        let outcomes = [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Discarded];
        let codes = ErrorCode::VARIANTS.iter().map(|code| code.into_str());
        let inner = Inner {
            events: counter(r, "events_accepted", "Events that were answered 202, duplicates left out"),
            finished: family(
                r,
                "deliveries_finished",
                "Deliveries that finished, by what became of them",
                "outcome",
                outcomes.map(|status| status.into_str()),
            ),
            attempts: family_of(
                r,
                "attempts",
                "Attempts, by what went wrong; tests left out",
                "error_code",
                ["none"].into_iter().chain(codes),
            ),
            requests: family(
                r,
                "requests",
                "Requests to the API, by the class of the answer's status",
                "status",
                ["1xx", "2xx", "3xx", "4xx", "5xx"],
            ),
            acceptance: distribution(
                r,
                "acceptance_seconds",
                "From an event's whole request to its commit on disk",
                SECONDS,
            ),
            first_attempt: distribution(
                r,
                "first_attempt_seconds",
                "From a delivery's acceptance to the start of its first attempt, to the millisecond",
                WAITS,
            ),
            attempt: distribution(r, "attempt_seconds", "How long attempts took, to the millisecond", SECONDS),
            commit_jobs: distribution(r, "writer_commit_jobs", "Changes of one commit", JOBS),
            commit_wait: distribution(
                r,
                "writer_wait_seconds",
                "How long a change waited for the writer to begin with it",
                SECONDS,
            ),
            pending: gauge(r, "deliveries_pending", "Deliveries that wait for their first attempt"),
            retrying: gauge(r, "deliveries_retrying", "Deliveries that wait after a failed attempt"),
            oldest_waiting: {
                let gauge = Gauge::<f64, AtomicU64>::default();
                let help = "How long the delivery that waits longest has waited; 0 where none waits";
                r.register("oldest_waiting_seconds", help, gauge.clone());
                gauge
            },
            workers: gauge(r, "workers", "Threads that send"),
            busy_workers: gauge(r, "workers_busy", "Threads that send at this moment"),
            database_bytes: gauge(r, "database_bytes", "Size of the database's file"),
            log_bytes: gauge(r, "database_wal_bytes", "Size of the database's write-ahead log"),
            registry,
        };
        Metrics(Arc::new(inner))
    }

    /// Events that were accepted in one request, which took so long until they were on disk.
    pub fn accepted(&self, events: u64, took: Duration) {
        self.0.events.inc_by(events);
        self.0.acceptance.observe(took);
    }

    /// Deliveries that a commit finished.
    pub fn finished(&self, delivered: u64, failed: u64, discarded: u64) {
        for (counter, count) in self.0.finished.iter().zip([delivered, failed, discarded]) {
            counter.inc_by(count);
        }
    }

    /// An attempt that was made; `waited` is given for the first one of a new delivery.
    pub fn attempted(&self, error: Option<ErrorCode>, took: Duration, waited: Option<Duration>) {
        let place = error.and_then(|code| ErrorCode::VARIANTS.iter().position(|known| *known == code));
        if let Some(counter) = self.0.attempts.get(place.map_or(0, |place| place + 1)) {
            counter.inc();
        }
        self.0.attempt.observe(took);
        if let Some(waited) = waited {
            self.0.first_attempt.observe(waited);
        }
    }

    /// A request that was answered with this status.
    pub fn answered(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.0.requests.get(class) {
            counter.inc();
        }
    }

    /// A change that the writer begins with.
    pub fn writer_waited(&self, waited: Duration) {
        self.0.commit_wait.observe(waited);
    }

    /// A commit of so many changes.
    pub fn committed(&self, jobs: usize) {
        self.0.commit_jobs.observe_number(jobs as u64);
    }

    /// All of it as OpenMetrics text, which Prometheus reads.
    pub fn text(&self, now: &Snapshot) -> Result<String, fmt::Error> {
        let inner = &self.0;
        inner.pending.set(now.pending as i64);
        inner.retrying.set(now.retrying as i64);
        inner.oldest_waiting.set(now.oldest_waiting.as_secs_f64());
        inner.workers.set(now.workers as i64);
        inner.busy_workers.set(now.busy_workers as i64);
        inner.database_bytes.set(now.database_bytes as i64);
        inner.log_bytes.set(now.log_bytes as i64);
        let mut text = String::new();
        text::encode(&mut text, &inner.registry)?;
        Ok(text)
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn family_of<'a>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl IntoIterator<Item = &'a str>,
) -> Vec<Counter> {
    let family = Family::<[(&'static str, String); 1], Counter>::default();
    registry.register(name, help, family.clone());
    let one = |value: &str| family.get_or_create(&[(label, value.to_owned())]).clone();
    values.into_iter().map(one).collect()
}

fn family<const N: usize>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: [&str; N],
) -> [Counter; N] {
    let mut counters = family_of(registry, name, help, label, values).into_iter();
    std::array::from_fn(|_| counters.next().unwrap_or_default())
}

fn distribution(registry: &mut Registry, name: &str, help: &str, bounds: &'static [f64]) -> Distribution {
    let distribution = Distribution(Arc::new(Classes {
        bounds,
        counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
        sum_micros: AtomicU64::new(0),
    }));
    registry.register(name, help, distribution.clone());
    distribution
}

/// A histogram of atomics: that of the crate takes a lock.
#[derive(Debug, Clone)]
struct Distribution(Arc<Classes>);

#[derive(Debug)]
struct Classes {
    bounds: &'static [f64],
    /// One more than there are bounds.
    counts: Vec<AtomicU64>,
    /// The sum in millionths.
    sum_micros: AtomicU64,
}

impl Distribution {
    fn observe(&self, took: Duration) {
        self.add(took.as_secs_f64(), took.as_micros() as u64);
    }

    fn observe_number(&self, number: u64) {
        self.add(number as f64, number.saturating_mul(1_000_000));
    }

    fn add(&self, value: f64, micros: u64) {
        let class = self.0.bounds.partition_point(|bound| *bound < value);
        self.0.counts[class].fetch_add(1, Relaxed);
        self.0.sum_micros.fetch_add(micros, Relaxed);
    }
}

impl EncodeMetric for Distribution {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), fmt::Error> {
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.0.counts.iter().map(|count| count.load(Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum_micros.load(Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_in_the_text_with_every_label_from_the_start() {
        let metrics = Metrics::new();
        let before = metrics.text(&Snapshot::default()).unwrap();
        assert!(before.contains("hookpost_attempts_total{error_code=\"tls_expired\"} 0\n"));
        assert!(before.ends_with("# EOF\n"), "{before}");
        metrics.attempted(Some(ErrorCode::Timeout), Duration::from_millis(5_000), None);
        metrics.attempted(None, Duration::from_millis(3), Some(Duration::from_millis(2)));
        metrics.committed(3);
        metrics.answered(404);
        metrics.finished(2, 1, 0);
        let text = metrics.text(&Snapshot::default()).unwrap();
        for line in [
            "hookpost_attempts_total{error_code=\"timeout\"} 1",
            "hookpost_attempts_total{error_code=\"none\"} 1",
            "hookpost_attempt_seconds_bucket{le=\"0.0025\"} 0",
            "hookpost_attempt_seconds_bucket{le=\"0.005\"} 1",
            "hookpost_attempt_seconds_bucket{le=\"5.0\"} 2",
            "hookpost_attempt_seconds_bucket{le=\"+Inf\"} 2",
            "hookpost_attempt_seconds_sum 5.003",
            "hookpost_first_attempt_seconds_count 1",
            "hookpost_writer_commit_jobs_bucket{le=\"4.0\"} 1",
            "hookpost_requests_total{status=\"4xx\"} 1",
            "hookpost_deliveries_finished_total{outcome=\"delivered\"} 2",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} in {text}");
        }
    }
}
