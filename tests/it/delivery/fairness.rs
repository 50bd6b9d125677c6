//! Healthy endpoints keep receiving events, no matter how many others never respond, and whose they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookpost::delivery::Transport;
use hookpost::delivery::http::client::{ClientResult, Outgoing};
use hookpost::domain::attempt::{Failure, FailureCause};
use hookpost::domain::time::{MINUTE, SECOND};
use serde_json::json;

use crate::support::Hub;
use crate::support::receiver::Receiver;

/// Starts endpoints that never respond, each with its own host.
fn silent_receivers(hub: &Hub, count: usize, tenant: &str, timeout_s: u32) -> Vec<Receiver> {
    let receivers: Vec<Receiver> = (0..count).map(|_| Receiver::start()).collect();
    for receiver in &receivers {
        receiver.hold();
        let fields = json!({"events": ["silent.*"], "tenant": tenant, "timeout_s": timeout_s});
        hub.add_webhook_with(receiver.url(), &fields);
    }
    for _ in 0..3 {
        hub.post("/v1/events", &json!({"type": "silent.thing", "tenant": tenant, "data": {}})).expect(202);
    }
    receivers
}

/// Publishes to an endpoint that responds, and waits until all events have arrived.
fn assert_a_healthy_endpoint_gets_its_events(hub: &Hub) {
    let healthy = Receiver::start();
    hub.add_webhook_with(healthy.url(), &json!({"events": ["healthy.*"]}));
    for _ in 0..50 {
        hub.publish_one("healthy.thing", json!({}));
    }
    healthy.wait_for(50);
}

#[test]
fn seventy_endpoints_that_never_answer_do_not_stop_the_deliveries_of_others() {
    let hub = Hub::start();
    let silent = silent_receivers(&hub, 70, "default", 30);
    silent.iter().for_each(|receiver| receiver.wait_held(1));
    assert_a_healthy_endpoint_gets_its_events(&hub);
}

#[test]
fn a_tenant_whose_endpoints_never_answer_does_not_stop_another_tenant() {
    let hub = Hub::with(|options| options.workers = 16);
    let silent = silent_receivers(&hub, 40, "other", 5);
    // The silent endpoints of one tenant get a quarter of the workers.
    let held = || silent.iter().filter(|receiver| receiver.hits() > 0).count();
    assert_a_healthy_endpoint_gets_its_events(&hub);
    assert_eq!(held(), 4);
}

#[test]
fn a_webhook_that_waits_for_a_crowded_host_is_sent_to_when_another_one_is_paused_meanwhile() {
    let hub = Hub::with(|options| options.workers = 2);
    let host = Receiver::start();
    // With two workers, a host gets one request at a time.
    let ids: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|name| {
            let fields = json!({"tenant": name, "events": ["thing"]});
            hub.add_webhook_with(host.url_at(&format!("/{name}")), &fields)
        })
        .collect();
    let publish = |tenant: &str| {
        hub.post("/v1/events", &json!({"type": "thing", "tenant": tenant, "data": {}})).expect(202);
    };
    // Each endpoint has responded once, so none counts as slow.
    for name in ["a", "b", "c"] {
        publish(name);
        hub.deliver_until_idle();
    }
    host.hold();
    publish("a");
    host.wait_held(1);
    publish("b");
    publish("c");
    hub.patch(&format!("/v1/webhooks/{}", ids[1]), &json!({"active": false})).expect(200);
    host.release();
    host.wait_for(5);
    assert_eq!(host.last().path, "/c");
}

/// Fails the first name lookup because no thread is available. All others succeed.
#[derive(Default)]
struct NoThreadAtFirst(AtomicBool);

impl Transport for NoThreadAtFirst {
    fn post(&self, _: &Outgoing<'_>, _: Duration) -> ClientResult {
        let is_first = !self.0.swap(true, Ordering::SeqCst);
        let cause = FailureCause::LookupUnavailable { reason: "No thread.".to_owned() };
        ClientResult {
            answer: None,
            failure: is_first.then(|| Failure { cause, message: "No thread.".to_owned() }),
            ..ClientResult::default()
        }
    }
}

#[test]
fn a_name_that_no_thread_was_free_to_look_up_uses_up_no_attempt() {
    let hub = Hub::with(|options| options.transport = Some(Arc::new(NoThreadAtFirst::default())));
    hub.add_webhook("http://127.0.0.1:1/hook");
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "pending");
    assert_eq!(hub.delivery(&delivery)["attempt_count"], 0);
    hub.advance(SECOND);
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    assert_eq!(hub.delivery(&delivery)["attempt_count"], 1);
}

#[test]
fn contacts_of_tenants_that_never_answer_do_not_hold_the_first_message_of_the_operator() {
    let hub = Hub::with(|options| options.workers = 16);
    let down = Receiver::answering(500);
    let on_call = Receiver::start();
    let contact = |tenant: Option<&str>, receiver: &Receiver| {
        let webhook = json!({"url": receiver.url()});
        hub.post("/v1/contacts", &json!({"name": "On call", "tenant": tenant, "webhook": webhook})).expect(201);
    };
    let mut silent = Vec::new();
    // Each has its own host. Those of one tenant get a quarter of the workers, and all that are slow a half.
    for tenant in ["acme", "globex"] {
        for _ in 0..8 {
            silent.push(Receiver::start());
            silent[silent.len() - 1].hold();
            contact(Some(tenant), &silent[silent.len() - 1]);
        }
        let hasty = json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}, "tenant": tenant});
        hub.add_webhook_with(down.url(), &hasty);
        hub.post("/v1/events", &json!({"type": "order.paid", "tenant": tenant, "data": {}})).expect(202);
    }
    contact(None, &on_call);
    hub.deliver_until_idle();
    hub.running.telling.tell_now().unwrap();
    hub.advance(MINUTE);
    assert_eq!(hub.running.telling.tell_now().unwrap(), 17);
    on_call.wait_for(1);
    let held = silent.iter().filter(|receiver| receiver.hits() > 0).count();
    assert!(held <= 8, "{held} of 16 workers");
}
