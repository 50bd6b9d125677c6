//! Moving tenants to a second server, as docs/scaling.md says.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::process::{Client, PATIENCE, Process, Site, hookpost, run, stderr, stdout, wait_until};
use crate::support::receiver::{Receiver, Reply};

/// Schedule in which nothing is retried by itself during the test.
const RETRY: &str = r#"{"delays_s": [3600], "exhausted": "dead_letter"}"#;

/// A tenant with one webhook, whose endpoint answers 503 to the first request of the event `slow-…`.
struct Moved {
    name: &'static str,
    receiver: Receiver,
    webhook: Value,
    events: BTreeSet<String>,
}

impl Moved {
    fn new(client: &Client, name: &'static str) -> Moved {
        let failed = AtomicBool::new(false);
        let receiver = Receiver::with(move |request| {
            let is_slow = request.header("webhook-id").is_some_and(|id| id.starts_with("slow-"));
            let fails = is_slow && !failed.swap(true, Ordering::SeqCst);
            Reply::status(if fails { 503 } else { 200 })
        });
        let retry: Value = serde_json::from_str(RETRY).unwrap();
        let fields = json!({"tenant": name, "retry": retry});
        let id = client.add_webhook(&receiver.url(), &fields);
        let webhook = client.get(&format!("/v1/webhooks/{id}"));
        Moved { name, receiver, webhook, events: BTreeSet::new() }
    }

    /// Publishes an event. Returns its delivery's id.
    fn publish(&mut self, client: &Client, kind: &str) -> String {
        let id = format!("{kind}-{}", self.name);
        let event = json!({"type": "order.paid", "id": id, "data": {"of": id}, "tenant": self.name});
        let receipt = client.call("POST", "/v1/events", Some(&event)).expect(202).json();
        self.events.insert(id);
        receipt["deliveries"][0]["id"].as_str().unwrap().to_owned()
    }

    fn id(&self) -> &str {
        self.webhook["id"].as_str().unwrap()
    }

    fn secret(&self, client: &Client) -> Value {
        client.get(&format!("/v1/webhooks/{}/secret", self.id()))
    }

    /// Asserts that each event arrived once, and the slow one once more after its failure.
    #[track_caller]
    fn assert_each_came_once(&self) {
        let requests = self.receiver.requests();
        let mut came: Vec<&str> = requests.iter().map(|request| request.header("webhook-id").unwrap()).collect();
        let slow = format!("slow-{}", self.name);
        let again = came.iter().position(|id| **id == *slow).unwrap();
        came.remove(again);
        came.sort();
        assert_eq!(came, self.events.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_tenant_moves_to_a_second_server_and_nothing_is_lost_or_sent_twice() {
    let (first, key) = Site::with_key();
    let second = Site::new();
    let server = first.serve();
    let client = server.client(&key);
    let (mut stays, mut moves) = (Moved::new(&client, "globex"), Moved::new(&client, "acme"));
    let secrets = [stays.secret(&client), moves.secret(&client)];
    let mut slow = Vec::new();
    for tenant in [&mut stays, &mut moves] {
        tenant.publish(&client, "before");
        slow.push(tenant.publish(&client, "slow"));
        tenant.receiver.wait_for(2);
    }
    assert!(wait_until(PATIENCE, || slow
        .iter()
        .all(|id| client.get(&format!("/v1/deliveries/{id}"))["status"] == "retrying")));

    let on = |site: &Site, arguments: &[&str]| {
        let output = site.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    };
    on(&first, &["pause", "--reason", "Moving tenants."]);
    let metric = |name: &str| {
        let all = client.call("GET", "/metrics", None).text;
        all.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    };
    assert!(wait_until(PATIENCE, || metric("hookpost_paused ") == "1" && metric("hookpost_workers_busy ") == "0"));
    // The proxy answers for the tenant that moves; what came before is queued, and what stays goes on publishing.
    let queued = moves.publish(&client, "queued");
    stays.publish(&client, "queued");
    let copy = first.folder().join("b.db");
    on(&first, &["backup", copy.to_str().unwrap()]);
    stays.publish(&client, "after-the-copy");
    fs::rename(&copy, second.database()).unwrap();
    let key_file = |site: &Site| site.folder().join("webhooks.db.key");
    fs::copy(key_file(&first), key_file(&second)).unwrap();
    let other_server = second.serve();
    let other = other_server.client(&key);
    assert_eq!(other.get("/v1/pause")["reason"], "Moving tenants.", "the copy has the pause");

    let tenants = |process: &Process, arguments: &[&str]| {
        let mut command = hookpost(&[&["tenants"], arguments].concat());
        command.env("HOOKPOST_URL", format!("http://{}", process.address)).env("HOOKPOST_KEY", &key);
        run(command)
    };
    for (process, gone) in [(&other_server, "globex"), (&server, "acme")] {
        let deleted = tenants(process, &["delete", gone, "--confirm", gone]);
        assert!(deleted.status.success(), "{}{}", stdout(&deleted), stderr(&deleted));
    }
    // Nothing is sent for a tenant that is being deleted, so this needs no wait.
    let first_after_the_move = moves.publish(&other, "after-the-move");
    on(&first, &["resume"]);
    on(&second, &["resume"]);
    for (client, tenant, slow) in [(&client, &stays, &slow[0]), (&other, &moves, &slow[1])] {
        client.call("POST", &format!("/v1/deliveries/{slow}/retry"), None).expect(202);
        client.wait_finished(PATIENCE);
        let delivery = client.get(&format!("/v1/deliveries/{slow}"));
        assert_eq!((&delivery["status"], &delivery["attempt_count"]), (&json!("delivered"), &json!(2)));
        tenant.assert_each_came_once();
    }
    for id in [&queued, &first_after_the_move] {
        assert_eq!(other.get(&format!("/v1/deliveries/{id}"))["status"], "delivered");
    }
    // Each has its own tenant alone, as it was.
    for (client, process, tenant, secret, gone) in
        [(&client, &server, &stays, &secrets[0], &moves), (&other, &other_server, &moves, &secrets[1], &stays)]
    {
        let webhook = client.get(&format!("/v1/webhooks/{}", tenant.id()));
        for field in ["id", "tenant", "url", "events", "retry", "state", "created_at", "updated_at"] {
            assert_eq!(webhook[field], tenant.webhook[field], "{field}");
        }
        assert_eq!(&tenant.secret(client), secret);
        assert!(wait_until(PATIENCE, || !tenants(process, &["show", gone.name]).status.success()));
        client.call("GET", &format!("/v1/webhooks/{}", gone.id()), None).expect(404);
        let all = client.get(&format!("/v1/events?tenant={}", tenant.name));
        assert_eq!(all["data"].as_array().unwrap().len(), tenant.events.len());
        // A producer that publishes again what it is not sure of.
        let event = json!({"type": "order.paid", "id": format!("queued-{}", tenant.name), "tenant": tenant.name,
            "data": {"of": format!("queued-{}", tenant.name)}});
        assert_eq!(client.call("POST", "/v1/events", Some(&event)).expect(202).json()["duplicate"], true);
        client.wait_finished(PATIENCE);
        tenant.assert_each_came_once();
    }
    for (process, site) in [(server, &first), (other_server, &second)] {
        process.signal("TERM");
        assert_eq!(process.ended(PATIENCE).0.code(), Some(0));
        on(site, &["check"]);
    }
}
