//! Limits of each tenant.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use hookpost::domain::event::Tenant;
use hookpost::domain::time::SECOND;
use hookpost::store::StoreError;
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use super::{error, ids, rows};
use crate::support::Hub;
use crate::support::hub::Answer;
use crate::support::process::{PATIENCE, wait_until};
use crate::support::receiver::{Behaviour, Receiver, Reply};

/// Checks a 429 that names a setting and says when to retry.
#[track_caller]
fn refused(answer: &Answer, code: &str, setting: &str) -> String {
    let error = error(answer, 429, code);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(setting), "{message}");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    message.to_owned()
}

fn paused(hub: &Hub, tenant: &str) -> String {
    hub.add_webhook_with("http://127.0.0.1:9/", &json!({"tenant": tenant, "active": false}))
}

fn event(tenant: &str) -> Value {
    json!({"type": "a.b", "data": {}, "tenant": tenant})
}

/// Number of queued deliveries of a tenant, as counted by the API and as stored.
#[track_caller]
fn queued(hub: &Hub, tenant: &str) -> u64 {
    let stats = hub.get(&format!("/v1/stats?tenant={tenant}")).expect(200).json();
    let listed = ["pending", "retrying"]
        .map(|status| ids(&hub.get(&format!("/v1/deliveries?tenant={tenant}&status={status}&limit=250"))).len() as u64);
    let used = stats["tenant_limits"]["queued"]["used"].as_u64().unwrap();
    assert_eq!(used, listed.iter().sum::<u64>());
    used
}

#[test]
fn a_tenant_has_as_many_webhooks_as_its_limit_and_deleted_ones_do_not_count() {
    let mut hub = Hub::with(|options| options.tenant_limits.webhooks = 2);
    let acme = hub.make_key(Scope::Admin, Some("acme"), None);
    let body = json!({"url": "http://127.0.0.1:9/", "events": ["*"]}).to_string();
    let create = |hub: &Hub, path: &str| hub.call_with(&acme, "POST", path, Some(&body));
    let first = create(&hub, "/v1/webhooks").expect(201).json()["id"].as_str().unwrap().to_owned();
    create(&hub, "/v1/webhooks/settings").expect(201);
    for restart in [false, true] {
        if restart {
            hub.restart();
        }
        let other = r#"{"url": "http://127.0.0.1:8/", "events": ["*"]}"#;
        for (method, path) in [
            ("POST", "/v1/webhooks"),
            ("POST", "/api/webhooks"),
            ("POST", "/v1/webhooks/settings"),
            ("PUT", "/v1/webhooks/by-external-id/shop-42"),
        ] {
            let error = error(&hub.call_with(&acme, method, path, Some(other)), 422, "webhook_limit");
            assert!(error["message"].as_str().unwrap().contains("--tenant-webhooks"), "{error}");
        }
    }
    // Operators are bound as well, and another tenant has webhooks of its own.
    let of_acme = json!({"url": "http://127.0.0.1:9/", "events": ["*"], "tenant": "acme"});
    error(&hub.post("/v1/webhooks", &of_acme), 422, "webhook_limit");
    paused(&hub, "globex");
    let path = format!("/v1/webhooks/{first}");
    hub.call_with(&acme, "PATCH", &path, Some(r#"{"description": "changed"}"#)).expect(200);
    error(&create(&hub, "/v1/webhooks"), 422, "webhook_limit");
    hub.call_with(&acme, "DELETE", &path, None).expect(204);
    create(&hub, "/v1/webhooks").expect(201);
    error(&create(&hub, "/v1/webhooks"), 422, "webhook_limit");
    assert_eq!(rows(&hub)[0], 3);
}

#[test]
fn an_event_beyond_the_queue_of_its_tenant_is_refused_and_nothing_of_it_is_stored() {
    let mut hub = Hub::with(|options| options.tenant_limits.queued = 3);
    paused(&hub, "acme");
    let second = paused(&hub, "acme");
    paused(&hub, "globex");
    let publish = |hub: &Hub| hub.post("/v1/events", &event("acme"));
    let known = json!({"type": "a.b", "data": {}, "tenant": "acme", "id": "known"});
    hub.post("/v1/events", &known).expect(202);
    for restart in [false, true] {
        if restart {
            hub.restart();
        }
        let message = refused(&publish(&hub), "queue_full", "--tenant-queued");
        assert!(message.contains("Nothing was stored"), "{message}");
        let batch = json!([event("globex"), event("acme")]);
        refused(&hub.post("/v1/events/batch", &batch), "queue_full", "--tenant-queued");
        assert_eq!(rows(&hub), [3, 1, 2]);
        assert_eq!(hub.post("/v1/events", &known).expect(202).json()["duplicate"], true);
    }
    hub.patch(&format!("/v1/webhooks/{second}"), &json!({"events": ["other"]})).expect(200);
    publish(&hub).expect(202);
    assert_eq!(queued(&hub, "acme"), 3);
    refused(&publish(&hub), "queue_full", "--tenant-queued");
    // An event that no webhook subscribes to needs no room, and other tenants have their own.
    hub.delete(&format!("/v1/webhooks/{second}")).expect(204);
    assert_eq!(queued(&hub, "acme"), 2);
    publish(&hub).expect(202);
    refused(&publish(&hub), "queue_full", "--tenant-queued");
    hub.post("/v1/events", &event("globex")).expect(202);
    hub.post("/v1/events", &event("nobody")).expect(202);
    hub.post("/v1/deliveries/discard", &json!({"tenant": "acme"})).expect(202);
    assert_eq!(queued(&hub, "acme"), 0);
    for _ in 0..3 {
        publish(&hub).expect(202);
    }
    refused(&publish(&hub), "queue_full", "--tenant-queued");
}

#[test]
fn delivered_and_failed_deliveries_leave_the_queue_and_retrying_ones_stay_in_it() {
    let hub = Hub::with(|options| options.tenant_limits.queued = 2);
    let receiver = Receiver::answering(500);
    hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [60], "exhausted": "dead_letter"}}));
    let publish = || hub.post("/v1/events", &event("default"));
    for _ in 0..2 {
        publish().expect(202);
    }
    hub.deliver_until_idle();
    refused(&publish(), "queue_full", "--tenant-queued");
    hub.advance(120 * SECOND);
    hub.deliver_until_idle();
    assert_eq!(queued(&hub, "default"), 0);
    receiver.behave(Behaviour::deciding(|_| Reply::status(200)));
    for _ in 0..5 {
        publish().expect(202);
        hub.deliver_until_idle();
    }
    hub.post(&format!("/v1/webhooks/{}/test", ids(&hub.get("/v1/webhooks"))[0]), &json!({})).expect(200);
    assert_eq!(queued(&hub, "default"), 0);
}

#[test]
fn replays_and_retries_stop_at_the_limit_of_the_queue() {
    let hub = Hub::with(|options| options.tenant_limits.queued = 150);
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let batch: Vec<Value> = (0..125).map(|n| json!({"type": "a.b", "data": n})).collect();
    for _ in 0..2 {
        hub.post("/v1/events/batch", &json!(batch)).expect(202);
        hub.deliver_until_idle();
    }
    hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"active": false})).expect(200);
    let since = json!({"since": "2026-01-15T10:00:00Z"});
    let replay = || hub.post(&format!("/v1/webhooks/{webhook}/replay"), &since);
    // Steps of 100.
    let message = refused(&replay(), "queue_full", "--tenant-queued");
    assert!(message.contains("Stopped after 100 deliveries, which are queued"), "{message}");
    assert_eq!(queued(&hub, "default"), 100);
    assert!(refused(&replay(), "queue_full", "--tenant-queued").contains("Nothing was stored"));
    let again = json!({"status": "delivered"});
    refused(&hub.post("/v1/deliveries/retry", &again), "queue_full", "--tenant-queued");
    assert_eq!(queued(&hub, "default"), 100);
    let delivered = ids(&hub.get("/v1/deliveries?status=delivered&limit=60"));
    let event = ids(&hub.get("/v1/events?limit=1")).remove(0);
    for id in &delivered[..49] {
        hub.post(&format!("/v1/deliveries/{id}/retry"), &json!({})).expect(202);
    }
    hub.post(&format!("/v1/events/{event}/replay"), &json!({})).expect(202);
    assert_eq!(queued(&hub, "default"), 150);
    refused(&hub.post(&format!("/v1/events/{event}/replay"), &json!({})), "queue_full", "--tenant-queued");
    refused(&hub.post(&format!("/v1/deliveries/{}/retry", delivered[50]), &json!({})), "queue_full", "--tenant-queued");
    // What is queued already can be made due at any time.
    hub.post(&format!("/v1/deliveries/{}/retry", delivered[0]), &json!({})).expect(202);
    hub.post("/v1/deliveries/retry", &json!({"status": "pending"})).expect(202);
    assert_eq!(queued(&hub, "default"), 150);
}

#[test]
fn all_keys_and_portal_sessions_of_a_tenant_share_its_requests_per_second() {
    let hub = Hub::with(|options| options.tenant_limits.requests_per_s = 5);
    let [one, other] = [(); 2].map(|()| hub.make_key(Scope::Read, Some("acme"), None));
    let globex = hub.make_key(Scope::Read, Some("globex"), None);
    let get = |key: &str| hub.call_with(key, "GET", "/v1/webhooks", None);
    let visitor = hub.portal("acme");
    hub.clock.advance(SECOND);
    for key in [&one, &other, &one, &other] {
        get(key).expect(200);
    }
    visitor.page("/webhooks");
    for key in [&one, &other] {
        refused(&get(key), "rate_limited", "--tenant-requests-per-s");
    }
    let page = visitor.get("/webhooks").expect(429);
    assert_eq!(page.header("retry-after"), Some("1"));
    assert!(page.page().contains("Too many requests. Retry in 1 s."), "{}", page.text);
    refused(&get(&one), "rate_limited", "--tenant-requests-per-s");
    get(&globex).expect(200);
    for _ in 0..20 {
        hub.get("/v1/webhooks?tenant=acme").expect(200);
    }
    hub.clock.advance(SECOND / 5);
    get(&one).expect(200);
    visitor.get("/webhooks").expect(429);
}

/// Blocks the writer until the returned channel is closed.
fn block_writer(hub: &Hub) -> Sender<()> {
    let (release, wait) = mpsc::channel();
    let (began, begins) = mpsc::channel();
    let held = hub.running.app.actions.store.write(move |_| -> Result<(), StoreError> {
        began.send(()).unwrap();
        let _ = wait.recv();
        Ok(())
    });
    drop(held);
    begins.recv().unwrap();
    release
}

#[test]
fn a_tenant_has_so_many_jobs_under_way_and_a_client_that_goes_away_ends_none() {
    let hub = Hub::start();
    let acme: Tenant = "acme".parse().unwrap();
    let [key, globex] = ["acme", "globex"].map(|tenant| hub.make_key(Scope::Admin, Some(tenant), None));
    let webhook = paused(&hub, "acme");
    for _ in 0..3 {
        hub.post("/v1/events", &event("acme")).expect(202);
    }
    let anna = hub.portal("acme");
    anna.page("/deliveries");
    let jobs = &hub.running.app.jobs;
    let writer = block_writer(&hub);
    let send = |path: &str, body: &Value| {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = TcpStream::connect(hub.running.address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client
    };
    let replay = json!({"since": "2026-01-15T10:00:00Z"});
    let clients = [
        send("/v1/deliveries/discard", &json!({"status": "pending"})),
        send(&format!("/v1/webhooks/{webhook}/replay"), &replay),
    ];
    assert!(wait_until(PATIENCE, || jobs.used_by(&acme) == 2));
    drop(clients);
    let began = Instant::now();
    for (path, body) in [
        ("/v1/deliveries/retry".to_owned(), json!({"all": true, "dry_run": true})),
        ("/v1/deliveries/discard".to_owned(), json!({"all": true})),
        (format!("/v1/webhooks/{webhook}/replay"), replay.clone()),
    ] {
        let answer = hub.call_with(&key, "POST", &path, Some(&body.to_string()));
        refused(&answer, "too_many_jobs", "--tenant-jobs");
    }
    for page in [
        anna.get("/deliveries/retry?status=pending"),
        anna.submit("/deliveries/discard", &[("all", "yes")]),
        anna.submit(&format!("/webhooks/{webhook}/replay"), &[("since", "2026-01-15 10:00")]),
    ] {
        assert_eq!(page.header("retry-after"), Some("5"), "{}", page.text);
        assert!(page.expect(429).page().contains("Too many bulk actions and replays are running"));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(jobs.used_by(&acme), 2);
    // Other tenants and operators have places of their own.
    let count = json!({"all": true, "dry_run": true}).to_string();
    hub.call_with(&globex, "POST", "/v1/deliveries/retry", Some(&count)).expect(200);
    hub.call_with(&hub.key, "POST", "/v1/deliveries/retry", Some(&count)).expect(200);
    drop(writer);
    assert!(wait_until(PATIENCE, || jobs.used_by(&acme) == 0));
    hub.call_with(&key, "POST", "/v1/deliveries/retry", Some(&count)).expect(200);
}

#[test]
fn the_jobs_of_all_tenants_together_are_bounded_too() {
    let hub = Hub::with(|options| options.tenant_limits.jobs = 8);
    let [acme, globex] = ["acme", "globex"].map(|tenant| hub.make_key(Scope::Admin, Some(tenant), None));
    paused(&hub, "acme");
    hub.post("/v1/events", &event("acme")).expect(202);
    let writer = block_writer(&hub);
    let all = json!({"all": true}).to_string();
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| hub.call_with(&acme, "POST", "/v1/deliveries/discard", Some(&all))))
            .collect();
        let tenant: Tenant = "acme".parse().unwrap();
        assert!(wait_until(PATIENCE, || hub.running.app.jobs.used_by(&tenant) == 8));
        let answer = hub.call_with(&globex, "POST", "/v1/deliveries/discard", Some(&all));
        let message = error(&answer, 429, "too_many_jobs")["message"].clone();
        assert!(message.as_str().unwrap().contains("the server allows 8 at a time"), "{message}");
        drop(writer);
        let changed: u64 =
            jobs.into_iter().map(|job| job.join().unwrap().expect(202).json()["count"].as_u64().unwrap()).sum();
        assert_eq!(changed, 1);
    });
}

#[test]
fn a_tenant_has_so_many_tests_under_way() {
    let hub = Hub::with(|options| options.tenant_limits.tests = 1);
    let silent = Receiver::behaving(Behaviour::Silence);
    let webhook = hub.add_webhook_with(silent.url(), &json!({"tenant": "acme", "timeout_s": 30}));
    let key = hub.make_key(Scope::Admin, Some("acme"), None);
    let path = format!("/v1/webhooks/{webhook}/test");
    std::thread::scope(|scope| {
        scope.spawn(|| hub.call_with(&key, "POST", &path, None));
        silent.wait_for(1);
        refused(&hub.call_with(&key, "POST", &path, None), "too_many_calls", "--tenant-tests");
        let stats = hub.call_with(&key, "GET", "/v1/stats", None).expect(200).json();
        assert_eq!(stats["tenant_limits"]["tests"], json!({"limit": 1, "used": 1}));
        drop(silent);
    });
}

#[test]
fn slow_batches_of_one_tenant_leave_memory_to_those_of_others() {
    let hub = Hub::start();
    let acme: Tenant = "acme".parse().unwrap();
    let [key, globex] = ["acme", "globex"].map(|tenant| hub.make_key(Scope::Publish, Some(tenant), None));
    let head = format!(
        "POST /v1/events/batch HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n[",
        16 << 20
    );
    let slow: Vec<_> = (0..3)
        .map(|_| {
            let mut client = TcpStream::connect(hub.running.address).unwrap();
            client.write_all(head.as_bytes()).unwrap();
            client
        })
        .collect();
    assert!(wait_until(PATIENCE, || hub.running.app.batches.used_by(&acme) == 16));
    // A call after theirs, on the one thread that serves requests.
    hub.get("/v1/events").expect(200);
    let began = Instant::now();
    for key in [&globex, &hub.key] {
        let batch = r#"[{"type": "a.b", "data": {}}]"#;
        hub.call_with(key, "POST", "/v1/events/batch", Some(batch)).expect(202);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(slow);
}

#[test]
fn slow_bodies_of_one_tenant_leave_memory_to_those_of_others() {
    let hub = Hub::start();
    let acme: Tenant = "acme".parse().unwrap();
    let [key, globex] = ["acme", "globex"].map(|tenant| hub.make_key(Scope::Admin, Some(tenant), None));
    let visitor = hub.portal("acme");
    visitor.page("/webhooks");
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        1 << 20
    );
    let used = || hub.running.app.bodies.used_by(&acme);
    let slow: Vec<_> = (1..=16)
        .map(|count| {
            let mut client = TcpStream::connect(hub.running.address).unwrap();
            client.write_all(&[head.as_bytes(), &vec![b' '; (1 << 20) - 1]].concat()).unwrap();
            assert!(wait_until(PATIENCE, || used() == count * ((1 << 20) - 1)));
            client
        })
        .collect();
    let body = event("acme").to_string();
    let publish = |key: &str, body: &str| hub.call_with(key, "POST", "/v1/events", Some(body));
    refused(&publish(&key, &body), "rate_limited", "16 MiB");
    let page = visitor.submit("/webhooks/new", &[("url", "http://127.0.0.1:9/")]).expect(429);
    assert_eq!(page.header("retry-after"), Some("1"));
    publish(&hub.key, &body).expect(202);
    publish(&globex, &event("globex").to_string()).expect(202);
    drop(slow);
    assert!(wait_until(PATIENCE, || used() == 0));
    publish(&key, &body).expect(202);
}

#[test]
fn statistics_and_metrics_show_the_limits_and_their_use() {
    let hub = Hub::with(|options| {
        options.tenant_limits.webhooks = 7;
        options.tenant_limits.inbox_requests = 3;
    });
    paused(&hub, "acme");
    paused(&hub, "acme");
    paused(&hub, "globex");
    hub.post("/v1/events", &event("acme")).expect(202);
    let key = hub.make_key(Scope::Read, Some("acme"), None);
    let own = hub.call_with(&key, "GET", "/v1/stats", None).expect(200).json()["tenant_limits"].clone();
    let limits = |webhooks: Value, queued: Value, requests: Value, rest: Value| {
        json!({
            "webhooks": {"limit": 7, "used": webhooks},
            "queued": {"limit": 1_000_000, "used": queued},
            "requests_per_s": {"limit": 200, "used": requests},
            "jobs": {"limit": 2, "used": rest},
            "tests": {"limit": 4, "used": rest},
            "inbox_requests": {"limit": 3, "used": rest},
        })
    };
    assert_eq!(own, limits(json!(2), json!(2), json!(1), json!(0)));
    let of_all = hub.get("/v1/stats").expect(200).json()["tenant_limits"].clone();
    assert_eq!(of_all, limits(Value::Null, Value::Null, Value::Null, Value::Null));
    let metrics = hub.get("/metrics").expect(200).text;
    for line in [
        "hookpost_tenant_limit{limit=\"webhooks\"} 7",
        "hookpost_tenant_limit{limit=\"queued\"} 1000000",
        "hookpost_tenant_limit{limit=\"requests_per_s\"} 200",
        "hookpost_tenant_limit{limit=\"inbox_requests\"} 3",
        "hookpost_tenant_use_max{limit=\"webhooks\"} 2",
        "hookpost_tenant_use_max{limit=\"queued\"} 2",
        "hookpost_tenant_use_max{limit=\"jobs\"} 0",
        "hookpost_tenant_use_max{limit=\"tests\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
}
