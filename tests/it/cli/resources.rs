//! `hookpost webhooks`, `events`, `deliveries`, `incidents`, `tenants` and `tail`, against a server and with a key.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};

use hookpost::domain::time::SECOND;
use hookpost::store::api_key::Scope;
use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::process::{PATIENCE, hookpost, run, stderr, stdout};
use crate::support::receiver::Receiver;

/// Runs a command with the server and a key in its environment.
fn on(hub: &Hub, arguments: &[&str]) -> Output {
    let mut command = hookpost(arguments);
    command.env("HOOKPOST_URL", hub.at("")).env("HOOKPOST_KEY", &hub.key);
    run(command)
}

#[track_caller]
fn said(hub: &Hub, arguments: &[&str]) -> String {
    let output = on(hub, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

#[track_caller]
fn json_of(hub: &Hub, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(hub, &[arguments, &["--json"]].concat())).unwrap()
}

#[track_caller]
fn fails(output: &Output) -> String {
    assert_eq!((output.status.code(), stdout(output).as_str()), (Some(1), ""), "{}", stderr(output));
    stderr(output)
}

#[test]
fn a_webhook_is_created_listed_paused_resumed_tested_and_rotated() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let url = receiver.url();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("more.json");
    std::fs::write(&settings, r#"{"timeout_s": 7, "url": "https://replaced.example/"}"#).unwrap();
    let create = ["webhooks", "create", "--to", &url, "--events", "order.*,content.published"];
    let more = ["--tenant", "acme", "--profile", "stripe", "--description", "Orders", "--secret", "whsec_own"];
    let file = ["--settings", settings.to_str().unwrap()];
    let made = json_of(&hub, &[&create[..], &more, &file].concat());
    let id = made["id"].as_str().unwrap();
    assert_eq!((&made["secret"], &made["timeout_s"], &made["url"]), (&json!("whsec_own"), &json!(7), &json!(url)));
    assert_eq!(made["events"], json!(["order.*", "content.published"]));
    let generated = said(&hub, &["webhooks", "create", "--to", &url, "--events", "*"]);
    assert!(generated.contains(" is active.\nsecret: whsec_"), "{generated}");

    let list = said(&hub, &["webhooks", "list", "--tenant", "acme", "--state", "active,paused"]);
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("ID ") && lines[1].starts_with(id), "{list}");
    assert!(lines[1].contains("order.*, content.published") && lines[1].ends_with(&url), "{list}");
    assert_eq!(json_of(&hub, &["webhooks", "list"])["data"].as_array().unwrap().len(), 2);

    assert_eq!(said(&hub, &["webhooks", "pause", id]), format!("{id} is paused.\n"));
    hub.post("/v1/events", &json!({"type": "order.paid", "data": {}, "tenant": "acme"})).expect(202);
    assert_eq!(said(&hub, &["webhooks", "resume", id, "--discard"]), format!("{id} is active.\n"));
    hub.deliver_until_idle();
    assert_eq!(hub.get("/v1/deliveries?status=discarded").json()["data"].as_array().unwrap().len(), 1);

    let data = folder.path().join("data.json");
    std::fs::write(&data, "{\"n\": 12345678901234567890}").unwrap();
    let test = ["webhooks", "test", id, "--type", "order.paid", "--data", data.to_str().unwrap()];
    assert_eq!(said(&hub, &test), "Delivered: the endpoint answered 200.\n");
    assert!(receiver.last().text().contains("\"n\": 12345678901234567890"), "{}", receiver.last().text());
    let shown = said(&hub, &["webhooks", "show", id]);
    assert!(shown.contains("description: Orders\n") && !shown.contains("whsec_own"), "{shown}");

    let rotated = said(&hub, &["webhooks", "rotate", id, "--overlap-s", "60", "--secret", "whsec_new"]);
    assert!(rotated.starts_with("secret: whsec_new\nThe old secret is valid until 2026-"), "{rotated}");
    assert_eq!(hub.get(&format!("/v1/webhooks/{id}/secret")).json()["secret"], "whsec_new");
}

#[test]
fn a_test_that_is_not_delivered_exits_with_1_and_says_why() {
    let hub = Hub::start();
    let receiver = Receiver::answering(503);
    let id = hub.add_webhook(receiver.url());
    let tested = on(&hub, &["webhooks", "test", &id]);
    let error = fails(&tested);
    assert!(error.starts_with("hookpost: not delivered: ") && error.contains("503"), "{error}");
    let tested = on(&hub, &["webhooks", "test", &id, "--json"]);
    assert_eq!(tested.status.code(), Some(1));
    let delivery: Value = serde_json::from_str(&stdout(&tested)).unwrap();
    assert_eq!(delivery["attempts"][0]["response"]["code"], 503);
}

#[test]
fn events_are_published_listed_and_shown_with_the_spelling_of_their_data() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.add_webhook(receiver.url());
    let publish = |id: &str, data: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data.json");
        std::fs::File::create(&file).unwrap().write_all(data.as_bytes()).unwrap();
        said(&hub, &["events", "publish", "order.paid", "--id", id, "--data", file.to_str().unwrap()])
    };
    let first = publish("one", "{\"b\": 1.0, \"a\":12345678901234567890123}");
    assert!(first.starts_with("one is stored, for 1 webhook:\n  dlv_") && first.contains(&webhook), "{first}");
    assert!(publish("two", "{}").starts_with("two is stored"));
    assert!(publish("two", "{}").starts_with("two was published before"));
    let page = on(&hub, &["events", "list", "--type", "order.*", "--limit", "1"]);
    assert!(stdout(&page).contains("two") && !stdout(&page).contains("one"), "{}", stdout(&page));
    let (_, cursor) = stderr(&page).trim_end().rsplit_once("--cursor ").map(|(a, b)| (a.len(), b.to_owned())).unwrap();
    let rest = said(&hub, &["events", "list", "--type", "order.*", "--cursor", &cursor]);
    assert!(rest.contains("one") && !rest.contains("two"), "{rest}");
    let shown = said(&hub, &["events", "show", "one"]);
    assert!(shown.contains("data: {\"b\": 1.0, \"a\":12345678901234567890123}\n"), "{shown}");
    assert!(shown.contains("dlv_"), "{shown}");
    let raw = said(&hub, &["events", "show", "one", "--json"]);
    assert!(raw.contains("12345678901234567890123") && raw.lines().count() == 1, "{raw}");
}

#[test]
fn deliveries_are_listed_by_filters_shown_with_their_attempts_and_retried() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
    let delivery = hub.publish_one("order.paid", json!({"text": "\u{1b}[2Jseen"}));
    hub.deliver_until_idle();
    let list = said(&hub, &["deliveries", "list", "--status", "failed", "--response-code", "5xx"]);
    let row = list.lines().nth(1).unwrap();
    assert!(row.starts_with(&delivery) && row.contains("failed") && row.contains("500"), "{list}");
    assert_eq!(said(&hub, &["deliveries", "list", "--status", "delivered"]).lines().count(), 1);
    let shown = said(&hub, &["deliveries", "show", &delivery]);
    assert!(shown.contains("status: failed\n") && shown.contains("Attempt 1 (initial)"), "{shown}");
    assert!(shown.contains("    X-Webhook-Signature: ") && shown.contains("  Response 500\n"), "{shown}");
    assert!(shown.contains("seen") && !shown.contains('\x1b'), "{shown}");
    assert_eq!(said(&hub, &["deliveries", "retry", &delivery]), format!("{delivery} is queued for a retry now.\n"));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 2);
    hub.call_with(&hub.key, "PUT", "/v1/pause", Some(r#"{"reason": "Moving."}"#)).expect(200);
    let paused = said(&hub, &["deliveries", "retry", &delivery]);
    assert_eq!(paused, format!("{delivery} is queued until deliveries are resumed: all are paused.\n"));
    assert!(said(&hub, &["deliveries", "show", &delivery]).contains("waiting_for: deliveries_paused\n"));
    hub.delete("/v1/pause").expect(204);
    said(&hub, &["webhooks", "pause", &webhook]);
    let waiting = said(&hub, &["deliveries", "retry", &delivery]);
    assert!(waiting.contains("is queued until its webhook is active"), "{waiting}");
}

#[test]
fn incidents_are_listed_and_shown_with_their_webhooks() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [], "exhausted": "dead_letter"}}));
    hub.publish("order.paid", json!({}));
    hub.deliver_until_idle();
    let list = json_of(&hub, &["incidents", "list", "--status", "open"]);
    let id = list["data"][0]["id"].as_str().unwrap();
    let table = said(&hub, &["incidents", "list"]);
    assert!(table.lines().nth(1).unwrap().starts_with(id) && table.contains("500"), "{table}");
    let shown = said(&hub, &["incidents", "show", id]);
    assert!(shown.contains(&webhook) && shown.contains("status: open\n") && shown.contains("cause: "), "{shown}");
}

#[test]
fn a_tenant_is_listed_shown_counted_and_deleted_by_its_name() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "acme"}));
    hub.add_webhook_with(receiver.url(), &json!({"tenant": "globex"}));
    assert!(said(&hub, &["tenants", "list"]).contains("globex"));
    let table = said(&hub, &["tenants", "list", "--q", "ACM"]);
    assert!(table.contains("acme") && !table.contains("globex"), "{table}");
    let shown = said(&hub, &["tenants", "show", "acme"]);
    assert!(shown.contains("name: acme\n") && shown.contains("  active: 1\n"), "{shown}");
    let counted = said(&hub, &["tenants", "delete", "acme", "--dry-run"]);
    assert!(counted.starts_with("Would delete:\n") && counted.contains("webhooks: 1\n"), "{counted}");
    for confirm in [&[][..], &["--confirm", "globex"]] {
        let error = fails(&on(&hub, &[&["tenants", "delete", "acme"][..], confirm].concat()));
        assert!(error.contains("not_confirmed"), "{error}");
    }
    said(&hub, &["tenants", "show", "acme"]);
    let deleted = json_of(&hub, &["tenants", "delete", "acme", "--confirm", "acme"]);
    assert_eq!(deleted["webhooks"], 1);
    assert_eq!(hub.get("/v1/webhooks?tenant=acme").json()["data"], json!([]));
}

#[test]
fn every_problem_of_a_call_is_shown_with_its_field() {
    let hub = Hub::start();
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), r#"{"timeout_s": -1, "colour": "red"}"#).unwrap();
    let create = ["webhooks", "create", "--to", "ftp://x", "--settings", settings.path().to_str().unwrap()];
    let error = fails(&on(&hub, &create));
    assert!(error.starts_with("hookpost: the server refused the request (422):\n  "), "{error}");
    assert!(error.contains("\n  timeout_s: ") && error.contains("\n  colour: "), "{error}");
    let error = fails(&on(&hub, &["deliveries", "list", "--status", "lost"]));
    assert!(error.contains("status: ") && error.contains("invalid_value"), "{error}");
    let error = fails(&on(&hub, &["events", "show", "nothing"]));
    assert!(error.contains("404 not_found"), "{error}");
    let key = hub.make_key(Scope::Publish, None, None);
    let error = fails(&on(&hub, &["events", "list", "--key", &key]));
    assert!(error.contains("403 forbidden"), "{error}");
}

#[test]
fn a_missing_key_and_an_unreachable_server_name_their_variables() {
    let error = fails(&run(hookpost(&["events", "list"])));
    assert!(error.contains("HOOKPOST_KEY") && error.contains("--key"), "{error}");
    let nobody = Receiver::refused_url();
    let mut command = hookpost(&["events", "list", "--key", "k"]);
    command.env("HOOKPOST_URL", &nobody);
    let error = fails(&run(command));
    assert!(error.contains("HOOKPOST_URL") && error.contains("--url") && error.contains("refused"), "{error}");
    let error = fails(&run(hookpost(&["events", "list", "--key", "k", "--url", "localhost:8080"])));
    assert!(error.contains("HOOKPOST_URL") && error.contains("localhost:8080"), "{error}");
    let hub = Hub::start();
    let error = fails(&on(&hub, &["events", "list", "--key", "hookpost_wrong"]));
    assert!(error.contains("401") && error.contains("HOOKPOST_KEY"), "{error}");
    let other = Receiver::start();
    let error = fails(&run(hookpost(&["events", "list", "--key", "k", "--url", &other.url_at("/app")])));
    assert!(error.contains("not") && error.contains("JSON"), "{error}");
}

/// A running command, killed on drop.
struct Running {
    child: Child,
    lines: Lines<String>,
}

impl Running {
    fn start(hub: &Hub, arguments: &[&str]) -> Running {
        let mut command = hookpost(arguments);
        command.env("HOOKPOST_URL", hub.at("")).env("HOOKPOST_KEY", &hub.key);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.starts_with("Waiting for deliveries"), "{ready}");
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Running { child, lines }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn tail_prints_new_deliveries_and_each_change_and_nothing_from_before() {
    let hub = Hub::start();
    let receiver = Receiver::answering(500);
    let webhook = hub.add_webhook_with(receiver.url(), &json!({"retry": {"delays_s": [60]}}));
    hub.publish_one("order.paid", json!({"from": "before"}));
    hub.deliver_until_idle();
    let tail = Running::start(&hub, &["tail", "--json", "--webhook-id", &webhook]);
    let delivery = hub.publish_one("order.paid", json!({}));
    hub.deliver_until_idle();
    let mut seen: Value = serde_json::from_str(&tail.line()).unwrap();
    if seen["status"] == "pending" {
        seen = serde_json::from_str(&tail.line()).unwrap();
    }
    assert_eq!((&seen["id"], &seen["status"]), (&json!(delivery), &json!("retrying")));
    let people = Running::start(&hub, &["tail", "--status", "failed"]);
    hub.advance(100 * SECOND);
    hub.deliver_until_idle();
    // The one from before fails too: that is a change.
    let ended: Vec<Value> = (0..2).map(|_| serde_json::from_str(&tail.line()).unwrap()).collect();
    assert!(ended.iter().any(|seen| seen["id"] == json!(delivery) && seen["status"] == "failed"), "{ended:?}");
    let line = people.line();
    assert!(line.contains("  failed  500  order.paid  dlv_") && line.contains(&webhook), "{line}");
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let help = stdout(&run(hookpost(&["--help"])));
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let names =
        list.lines().take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() > 15, "{names:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(hookpost(&["completions", shell]));
        assert!(output.status.success(), "{}", stderr(&output));
        let script = stdout(&output);
        assert!(names.iter().all(|name| script.contains(name)), "{shell}");
    }
    assert_eq!(run(hookpost(&["completions", "cmd"])).status.code(), Some(2));
    let page = stdout(&run(hookpost(&["man"])));
    assert!(page.contains(".TH hookpost 1"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let written = run(hookpost(&["man", "--to", folder.path().to_str().unwrap()]));
    assert!(written.status.success(), "{}", stderr(&written));
    for name in names {
        assert!(folder.path().join(format!("hookpost-{name}.1")).exists(), "{name}");
    }
    assert!(folder.path().join("hookpost-webhooks-create.1").exists());
    assert!(fails(&run(hookpost(&["man", "--to", "/none/at/all"]))).contains("/none/at/all"));
}
