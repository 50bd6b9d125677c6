//! The time of one small team, by the manual clock: what is stored stays as large as retention allows, and is true at the
//! end.
//!
//! The normal run is two months of little traffic with a short retention. A year with the defaults:
//! `HOOKPOST_YEAR_DAYS=365 HOOKPOST_YEAR_EVENTS=10000 cargo test --release --test it store::year -- --nocapture`.

mod growth;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookpost::actions::backups::BackupSettings;
use hookpost::clock::Clock;
use hookpost::delivery::Transport;
use hookpost::delivery::http::client::{ClientResult, Outgoing, judged};
use hookpost::domain::attempt::ReceiverResponse;
use hookpost::domain::backup_plan::BackupPlan;
use hookpost::domain::retention::Retention;
use hookpost::domain::time::{DAY, HOUR, Millis};
use hookpost::store::user::Role;
use serde_json::{Value, json};

use self::growth::{Report, flat, report};
use super::large::{assert_sound, number};
use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::process::PATIENCE;
use crate::support::visitor::{PASSWORD, Visitor};

/// Time of the weekly outage, from its day's begin.
const OUTAGE: std::ops::Range<Millis> = 8 * HOUR..20 * HOUR;
/// Largest batch of the API.
const BATCH: u64 = 1_000;

struct Plan {
    days: i64,
    events_per_day: u64,
    /// Time of one step.
    step: Millis,
    retention: Retention,
    /// Days after which nothing should grow any more.
    horizon: i64,
    /// Days between two reports.
    period: i64,
    backups: BackupPlan,
}

impl Plan {
    fn new() -> Plan {
        let given = |name: &str| std::env::var_os(name).map(|text| text.to_str().unwrap().parse::<i64>().unwrap());
        match given("HOOKPOST_YEAR_DAYS") {
            Some(days) => Plan {
                days,
                events_per_day: given("HOOKPOST_YEAR_EVENTS").unwrap_or(10_000).unsigned_abs(),
                step: 4 * HOUR,
                retention: Retention::default(),
                horizon: 100,
                period: 30,
                // A copy of so large a file takes longer than the simulation of a day.
                backups: BackupPlan { every: 7 * DAY, keep: 7 },
            },
            // Statistics are kept for 32 days, whatever the retention.
            None => Plan {
                days: 56,
                events_per_day: 60,
                step: 8 * HOUR,
                retention: Retention::new(6, 12).with_audit_days(18),
                horizon: 36,
                period: 4,
                backups: BackupPlan { every: DAY, keep: 7 },
            },
        }
    }
}

/// Whether the endpoint with a weekly outage is down.
fn is_outage(now: Millis) -> bool {
    let since = now - NOON;
    since.div_euclid(DAY) % 7 == 3 && OUTAGE.contains(&since.rem_euclid(DAY))
}

/// Endpoints of the team: one works, one is down every week, one rejects some events, and those of a day never work.
struct Endpoints {
    clock: Clock,
    /// Deliveries with a 2xx, by host and day.
    delivered: Mutex<BTreeMap<(String, i64), u64>>,
    messages: AtomicU64,
}

impl Transport for Endpoints {
    fn post(&self, request: &Outgoing<'_>, _: Duration) -> ClientResult {
        let host = request.url.split('/').nth(2).unwrap().to_owned();
        let now = self.clock.now_ms();
        let body = String::from_utf8_lossy(request.body);
        let code = match host.as_str() {
            "weekly.example" if is_outage(now) => 503,
            "picky.example" if body.contains("\"reject\":true") => 422,
            "steady.example" | "weekly.example" | "picky.example" => 200,
            "contact.example" => {
                self.messages.fetch_add(1, Ordering::SeqCst);
                200
            }
            _ => 500,
        };
        let answer = ReceiverResponse { code, headers: Vec::new(), body: b"{}".to_vec(), body_truncated: false };
        let failure = judged(&answer, request.url);
        // Tests have events of their own.
        let is_order =
            |(name, value): &(String, String)| name.eq_ignore_ascii_case("webhook-id") && value.starts_with("order-");
        if failure.is_none() && request.headers.iter().any(is_order) {
            *self.delivered.lock().unwrap().entry((host, now.div_euclid(DAY))).or_default() += 1;
        }
        ClientResult { answer: Some(answer), failure, ..ClientResult::default() }
    }
}

impl Endpoints {
    /// Deliveries to a host since the begin of a day.
    fn delivered(&self, host: &str, since: Millis) -> u64 {
        let all = self.delivered.lock().unwrap();
        let of = |((at, day), _): &(&(String, i64), &u64)| at == host && *day >= since.div_euclid(DAY);
        all.iter().filter(of).map(|(_, count)| count).sum()
    }
}

/// What the team's application and its people do.
struct Team<'a> {
    hub: &'a Hub,
    visitor: Visitor<'a>,
    steady: String,
    inbox: String,
    /// Webhook of yesterday.
    old: Option<String>,
    published: u64,
}

impl Team<'_> {
    fn publish(&mut self, count: u64) {
        for begin in (0..count).step_by(BATCH as usize) {
            let events: Vec<Value> = (begin..count.min(begin + BATCH))
                .map(|index| {
                    let number = self.published + index;
                    // A tenth goes to two endpoints in trouble.
                    let event_type = if number.is_multiple_of(10) { "order.refunded" } else { "order.paid" };
                    json!({"type": event_type, "id": format!("order-{number}"),
                        "data": {"number": number, "reject": number % 200 == 10, "text": "x".repeat(120)}})
                })
                .collect();
            self.hub.post("/v1/events/batch", &json!(events)).expect(202);
        }
        self.published += count;
        let body = json!({"type": "user.seen", "data": {"again": true}}).to_string();
        let key = format!("key-{}", self.published);
        let headers = [("x-api-key", self.hub.key.as_str()), ("idempotency-key", key.as_str())];
        self.hub.send("POST", "/v1/events", &headers, body.as_bytes()).expect(202);
        self.hub.send("POST", &self.inbox, &[], body.as_bytes()).expect(200);
    }

    /// Once a day.
    fn work(&mut self, day: i64) {
        let hub = self.hub;
        hub.visitor().sign_in("otto", PASSWORD).expect(303);
        hub.portal("acme").get("/").expect(200);
        hub.post(&format!("/v1/webhooks/{}/test", self.steady), &json!({})).expect(200);
        if let Some(old) = self.old.take() {
            hub.delete(&format!("/v1/webhooks/{old}")).expect(204);
        }
        let settings =
            json!({"url": format!("https://day-{day}.example/"), "events": ["user.*"], "retry": RETRY.retry()});
        let key = format!("webhook-{day}");
        let headers = [("x-api-key", hub.key.as_str()), ("idempotency-key", key.as_str())];
        let made = hub.send("POST", "/v1/webhooks", &headers, settings.to_string().as_bytes()).expect(201).json();
        self.old = Some(made["id"].as_str().unwrap().to_owned());
        let key = hub.post("/v1/api-keys", &json!({"name": "CI", "scope": "read"})).expect(201).json();
        hub.delete(&format!("/v1/api-keys/{}", key["id"].as_str().unwrap())).expect(204);
        if day % 7 == 1 {
            hub.post(&format!("/v1/webhooks/{}/secret/rotate", self.steady), &json!({"overlap_s": 3600})).expect(200);
        }
    }
}

/// Delays between the attempts of a delivery.
struct Schedule(&'static [u64]);
const RETRY: Schedule = Schedule(&[60, 1_800, 7_200]);

impl Schedule {
    fn retry(&self) -> Value {
        json!({"delays_s": self.0, "exhausted": "dead_letter"})
    }
}

#[test]
fn a_team_of_one_year_has_a_file_that_is_no_larger_than_its_retention_and_true_counts() {
    let plan = Plan::new();
    let clock = Clock::manual(NOON);
    let endpoints =
        Arc::new(Endpoints { clock: clock.clone(), delivered: Mutex::default(), messages: AtomicU64::new(0) });
    let folder = tempfile::tempdir().unwrap();
    let backups = BackupSettings { folder: folder.path().to_owned(), plan: plan.backups };
    let hub = Hub::with(|options| {
        options.clock = clock.clone();
        options.backups = Some(backups.clone());
        options.transport = Some(endpoints.clone());
        options.retention = plan.retention;
        options.allow_targets = vec!["contact.example".parse().unwrap()];
    });
    let visitor = hub.administrator();
    hub.add_user("otto", Role::Operator);
    let webhook = |host: &str, events: &str| {
        hub.add_webhook_with(format!("https://{host}/"), &json!({"events": [events], "retry": RETRY.retry()}))
    };
    let steady = webhook("steady.example", "order.paid");
    let weekly = webhook("weekly.example", "order.refunded");
    webhook("picky.example", "order.refunded");
    hub.post("/v1/contacts", &json!({"name": "On call", "webhook": {"url": "https://contact.example/"}})).expect(201);
    let inbox = hub.post("/v1/inbox", &json!({})).json()["url"].as_str().unwrap().to_owned();
    let inbox = inbox.strip_prefix(&hub.at("")).unwrap().to_owned();
    let mut team = Team { hub: &hub, visitor, steady, inbox, old: None, published: 0 };
    let mut reports: Vec<Report> = Vec::new();
    let steps_per_day = DAY / plan.step;
    let mut outages = 0;
    for day in 1..=plan.days {
        team.work(day);
        for step in 0..steps_per_day {
            let before = is_outage(clock.now_ms());
            team.publish(plan.events_per_day / steps_per_day.unsigned_abs());
            hub.deliver_until_idle();
            hub.advance(plan.step);
            outages += u64::from(is_outage(clock.now_ms()) && !before);
            hub.deliver_until_idle();
            hub.tend_until_idle();
            hub.prune_until_idle();
            back_up_until_idle(&hub);
            if step == 0 {
                hub.tell();
            }
        }
        if day % plan.period == 0 {
            // A session lasts for some days only.
            team.visitor = hub.visitor();
            team.visitor.sign_in("anna", PASSWORD).expect(303);
            reports.push(report(&hub, &team.visitor, day));
        }
    }

    // What is still tried again is finished.
    hub.delete(&format!("/v1/webhooks/{}", team.old.take().unwrap()));
    for number in 0..6 {
        hub.advance(plan.step);
        // An incident closes once deliveries get through again.
        let body = json!({"type": "order.refunded", "id": format!("order-end-{number}"), "data": {}});
        hub.post("/v1/events", &body).expect(202);
        hub.deliver_until_idle();
        hub.tend_until_idle();
    }
    drop(team);
    true_counts(&hub, &endpoints, &weekly, outages, &plan);
    flat(&reports, &plan);
    sound_backups(&hub, &backups);
    assert!(endpoints.messages.load(Ordering::SeqCst) > 0, "the contact was told nothing");
}

/// Compares what is stored with what the endpoints took and with what was staged.
fn true_counts(hub: &Hub, endpoints: &Endpoints, weekly: &str, outages: u64, plan: &Plan) {
    let database = hub.database();
    let count = |query: &str| number(&database, query);
    assert_eq!(count("SELECT count(*) FROM delivery WHERE status IN ('pending', 'retrying')"), 0);
    assert_eq!(count("SELECT count(*) FROM incident WHERE closed_ms IS NULL"), 0);
    let now = hub.clock.now_ms();
    // From a day on whose statistics and deliveries are all still there.
    let kept = i64::from(plan.retention.finished_days().unwrap()).min(30) - 2;
    let since = now - now.rem_euclid(DAY) - kept * DAY;
    for host in ["steady.example", "weekly.example", "picky.example"] {
        let sum = format!(
            "SELECT sum(delivered) FROM stats WHERE start_ms >= {since}
             AND series = (SELECT seq FROM webhook WHERE url = 'https://{host}/')"
        );
        let stored = format!(
            "SELECT count(*) FROM delivery d JOIN webhook w ON w.seq = d.webhook_seq
             WHERE w.url = 'https://{host}/' AND d.status = 'delivered' AND d.cause <> 'test' AND d.finished_ms >= {since}"
        );
        let expected = endpoints.delivered(host, since) as i64;
        assert!(expected > 0);
        assert_eq!((count(&sum), count(&stored)), (expected, expected), "{host}");
    }
    // One incident for each outage that is young enough.
    let kept = i64::from(plan.retention.failed_days().unwrap()) - 1;
    let young = count(&format!(
        "SELECT count(*) FROM incident WHERE host LIKE 'weekly.example%' AND opened_ms > {}",
        now - kept * DAY
    ));
    let staged =
        (0..plan.days).filter(|day| day % 7 == 3).filter(|day| NOON + day * DAY + OUTAGE.start > now - kept * DAY);
    assert_eq!(young, staged.count() as i64);
    assert!(outages > 1);
    let verdict = hub.webhook(weekly);
    assert_eq!(verdict["state"], "active", "{verdict}");
    assert_sound(&database);
}

/// Checks that the last backups are there, and that the newest is of the last day and whole.
fn sound_backups(hub: &Hub, settings: &BackupSettings) {
    back_up_until_idle(hub);
    let known = &hub.running.app.actions.backups;
    let now = hub.clock.now_ms();
    assert_eq!(known.fault(now), None);
    assert!(known.newest_ms().unwrap() > now - settings.plan.every - HOUR);
    let mut files: Vec<_> = fs::read_dir(&settings.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), settings.plan.keep, "{files:?}");
    let newest = files.last().unwrap();
    assert_sound(newest);
    assert!(number(newest, "SELECT max(created_ms) FROM event") > now - settings.plan.every - DAY);
}

fn back_up_until_idle(hub: &Hub) {
    assert!(hub.running.backup_job.wait_until_idle(15 * PATIENCE), "the backup did not end");
}
