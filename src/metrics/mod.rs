//! Measurements of the running program, for `/metrics`. Labels have fixed sets of values, so the number of series does
//! not depend on what is published. Series by webhook are an exception, which a setting turns on.

mod format;
mod process;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use strum::VariantArray as _;

use crate::domain::attempt::ErrorCode;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::tenant_limits::{TenantLimit, TenantLimits};
use crate::domain::time::{Millis, SECOND};
use crate::domain::webhook::WebhookState;
pub use format::Format;

/// Upper bounds of buckets for durations, in seconds.
const SECONDS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper bounds of buckets for the time until the first attempt, in seconds.
const FIRST_ATTEMPT: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 86_400.0];
/// Upper bounds of buckets for the changes of a commit.
const COMMIT_JOBS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

/// Values of the label `status`, by the first digit of a status code.
const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Value of the label `error_code` for a successful attempt.
const NO_ERROR: &str = "none";

/// Name, help and value of a gauge.
type SnapshotGauge = (&'static str, &'static str, fn(&Snapshot) -> i64);

const GAUGES: &[SnapshotGauge] = &[
    ("deliveries_pending", "Deliveries that wait for their first attempt", |now| now.pending as i64),
    ("deliveries_retrying", "Deliveries that wait for a retry", |now| now.retrying as i64),
    ("dead_letters", "Failed deliveries that are not discarded; 10,000 if there are more", |now| {
        now.dead_letters as i64
    }),
    ("incidents_open", "Open incidents", |now| now.open_incidents as i64),
    ("contacts_failing", "Contacts that do not receive their messages", |now| now.failing_contacts as i64),
    ("mails_waiting", "E-mails that wait to be sent", |now| now.waiting_mails as i64),
    ("delivering", "1 while deliveries that are due are sent, else 0", |now| now.is_delivering.into()),
    ("paused", "1 while all deliveries are paused, else 0", |now| now.is_paused.into()),
    ("backup_failing", "1 while the last scheduled backup failed or is too old, else 0", |now| {
        now.is_backup_failing.into()
    }),
    ("backup_last_success_timestamp_seconds", "Time of the newest scheduled backup; 0 if there is none", |now| {
        now.last_backup_ms / SECOND
    }),
    ("workers", "Threads that send requests", |now| now.workers as i64),
    ("workers_busy", "Threads that are sending a request", |now| now.busy_workers as i64),
    ("database_bytes", "Size of the database file", |now| now.database_bytes as i64),
    ("database_wal_bytes", "Size of the write-ahead log of the database", |now| now.log_bytes as i64),
];

/// All metrics. Cheap to clone; clones share their values.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    events: Counter,
    finished: LabeledCounter,
    attempts: LabeledCounter,
    requests: LabeledCounter,
    acceptance: Histogram,
    first_attempt: Histogram,
    attempt: Histogram,
    commit_jobs: Histogram,
    commit_wait: Histogram,
    /// In the order of [`GAUGES`].
    gauges: Vec<Gauge>,
    webhooks: LabeledGauge,
    tenant_limits: LabeledGauge,
    tenant_use: LabeledGauge,
    oldest_waiting: Gauge<f64, AtomicU64>,
    /// End of the server's certificate in seconds since 1970; 0 without TLS.
    certificate_ends: AtomicI64,
}

/// Values that are read for each request to `/metrics`, in place of being counted.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Webhooks in each state.
    pub webhooks: Vec<(WebhookState, u64)>,
    /// Series by webhook; empty unless the setting is on.
    pub by_webhook: Vec<OfWebhook>,
    pub dead_letters: u64,
    pub pending: u64,
    pub retrying: u64,
    pub open_incidents: u64,
    pub failing_contacts: u64,
    pub waiting_mails: u64,
    pub is_delivering: bool,
    pub is_paused: bool,
    pub is_backup_failing: bool,
    /// When the newest scheduled backup was made; 0 if there is none.
    pub last_backup_ms: Millis,
    /// Age of the oldest delivery that is due; 0 if none is due.
    pub oldest_waiting: Duration,
    pub workers: usize,
    pub busy_workers: usize,
    pub database_bytes: u64,
    pub log_bytes: u64,
    pub tenant_limits: TenantLimits,
    /// Use of some limits by the tenant that uses most of each.
    pub tenant_use: [(TenantLimit, u64); 4],
}

/// Values of one webhook.
#[derive(Debug, Clone)]
pub struct OfWebhook {
    pub webhook: String,
    pub tenant: String,
    pub waiting: u64,
    pub delivered: u64,
    pub in_incident: bool,
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
        r.register("build", "Version of the program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let statuses = [DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Discarded];
        let codes = ErrorCode::VARIANTS.iter().map(|code| code.into_str());
        let histogram = |bounds: &[f64]| Histogram::new(bounds.iter().copied());
        Metrics(Arc::new(Inner {
            events: register(r, "events_accepted", "Accepted events, without duplicates", Counter::default()),
            finished: register_labeled(
                r,
                "deliveries_finished",
                "Finished deliveries, by outcome",
                "outcome",
                statuses.map(|status| status.into_str()),
            ),
            attempts: register_labeled(
                r,
                "attempts",
                "Attempts without those of test events, by error code",
                "error_code",
                [NO_ERROR].into_iter().chain(codes),
            ),
            requests: register_labeled(
                r,
                "requests",
                "Requests to the API, by class of the status code",
                "status",
                STATUS_CLASSES,
            ),
            acceptance: register(
                r,
                "acceptance_seconds",
                "Time from the end of a request with events to their commit",
                histogram(SECONDS),
            ),
            first_attempt: register(
                r,
                "first_attempt_seconds",
                "Time from the acceptance of a delivery to the start of its first attempt, in steps of a millisecond",
                histogram(FIRST_ATTEMPT),
            ),
            attempt: register(
                r,
                "attempt_seconds",
                "Duration of attempts, in steps of a millisecond",
                histogram(SECONDS),
            ),
            commit_jobs: register(r, "writer_commit_jobs", "Changes per commit", histogram(COMMIT_JOBS)),
            commit_wait: register(
                r,
                "writer_wait_seconds",
                "Time that a change waits for the writer",
                histogram(SECONDS),
            ),
            gauges: GAUGES.iter().map(|(name, help, _)| register(r, name, help, Gauge::default())).collect(),
            webhooks: register(r, "webhooks", "Webhooks by state", LabeledGauge::default()),
            tenant_limits: register(r, "tenant_limit", "Limits of each tenant", LabeledGauge::default()),
            tenant_use: register(
                r,
                "tenant_use_max",
                "Use of a limit by the tenant that uses most of it",
                LabeledGauge::default(),
            ),
            certificate_ends: AtomicI64::new(0),
            oldest_waiting: register(
                r,
                "oldest_waiting_seconds",
                "Age of the oldest delivery that is due; 0 if none is due",
                Gauge::default(),
            ),
            registry,
        }))
    }

    /// Counts the events of one request; `took` is the time until their commit.
    pub fn accepted(&self, events: u64, took: Duration) {
        self.0.events.inc_by(events);
        self.0.acceptance.observe(took.as_secs_f64());
    }

    /// Counts the deliveries that a commit finished.
    pub fn finished(&self, delivered: u64, failed: u64, discarded: u64) {
        self.0.finished.add(DeliveryStatus::Delivered.into_str(), delivered);
        self.0.finished.add(DeliveryStatus::Failed.into_str(), failed);
        self.0.finished.add(DeliveryStatus::Discarded.into_str(), discarded);
    }

    /// Counts an attempt; `waited` is set for the first attempt of a new delivery.
    pub fn attempted(&self, error: Option<ErrorCode>, took: Duration, waited: Option<Duration>) {
        self.0.attempts.add(error.map_or(NO_ERROR, |code| code.into_str()), 1);
        self.0.attempt.observe(took.as_secs_f64());
        if let Some(waited) = waited {
            self.0.first_attempt.observe(waited.as_secs_f64());
        }
    }

    /// Counts a response with this status.
    pub fn answered(&self, status: u16) {
        if let Some(class) = STATUS_CLASSES.get(usize::from(status / 100).wrapping_sub(1)) {
            self.0.requests.add(class, 1);
        }
    }

    /// Records how long a change waited for the writer.
    pub fn writer_waited(&self, waited: Duration) {
        self.0.commit_wait.observe(waited.as_secs_f64());
    }

    /// Records the number of changes of a commit.
    pub fn committed(&self, jobs: usize) {
        self.0.commit_jobs.observe(jobs as f64);
    }

    /// Records the end of the server's own certificate.
    pub fn certificate_ends(&self, ms: Millis) {
        self.0.certificate_ends.store(ms / SECOND, Ordering::Relaxed);
    }

    /// Returns all metrics, and those of the process, as text.
    pub fn text(&self, now: &Snapshot, format: Format) -> Result<String, fmt::Error> {
        let inner = &self.0;
        for (gauge, (_, _, value)) in inner.gauges.iter().zip(GAUGES) {
            gauge.set(value(now));
        }
        for state in WebhookState::VARIANTS {
            let count = now.webhooks.iter().find(|(of, _)| of == state).map_or(0, |(_, count)| *count);
            inner.webhooks.get_or_create(&[("state", state.into_str())]).set(count as i64);
        }
        for limit in TenantLimit::VARIANTS {
            let value = now.tenant_limits.get(*limit);
            inner.tenant_limits.get_or_create(&[("limit", limit.into_str())]).set(value.into());
        }
        for (limit, used) in now.tenant_use {
            inner.tenant_use.get_or_create(&[("limit", limit.into_str())]).set(used as i64);
        }
        inner.oldest_waiting.set(now.oldest_waiting.as_secs_f64());
        let mut process = Registry::default();
        process::register(&mut process);
        let ends = inner.certificate_ends.load(Ordering::Relaxed);
        if ends != 0 {
            let gauge: Gauge = register(
                &mut process,
                "hookpost_certificate_expiry_timestamp_seconds",
                "End of the certificate of the server",
                Gauge::default(),
            );
            gauge.set(ends);
        }
        format.encode(&[&inner.registry, &by_webhook(&now.by_webhook), &process])
    }
}

/// Returns the series by webhook.
fn by_webhook(webhooks: &[OfWebhook]) -> Registry {
    let mut registry = Registry::with_prefix("hookpost_webhook");
    if webhooks.is_empty() {
        return registry;
    }
    type ByWebhook<M> = Family<[(&'static str, String); 2], M>;
    let (waiting, in_incident) = (ByWebhook::<Gauge>::default(), ByWebhook::<Gauge>::default());
    let delivered = ByWebhook::<Counter>::default();
    for of in webhooks {
        let labels = [("webhook", of.webhook.clone()), ("tenant", of.tenant.clone())];
        waiting.get_or_create(&labels).set(of.waiting as i64);
        in_incident.get_or_create(&labels).set(of.in_incident.into());
        delivered.get_or_create(&labels).inc_by(of.delivered);
    }
    registry.register("waiting", "Deliveries of a webhook that wait for an attempt", waiting);
    registry.register("in_incident", "1 while a webhook is in an open incident, else 0", in_incident);
    registry.register("delivered", "Delivered deliveries of a webhook, without tests", delivered);
    registry
}

/// A gauge for each value of one label.
type LabeledGauge = Family<[(&'static str, &'static str); 1], Gauge>;

/// A counter for each value of one label.
struct LabeledCounter {
    label: &'static str,
    counters: Family<[(&'static str, &'static str); 1], Counter>,
}

impl LabeledCounter {
    fn add(&self, value: &'static str, count: u64) {
        self.counters.get_or_create(&[(self.label, value)]).inc_by(count);
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Registers a counter that starts with 0 for each of `values`.
fn register_labeled(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl IntoIterator<Item = &'static str>,
) -> LabeledCounter {
    let counter = LabeledCounter { label, counters: register(registry, name, help, Family::default()) };
    values.into_iter().for_each(|value| counter.add(value, 0));
    counter
}

#[cfg(test)]
mod tests;
