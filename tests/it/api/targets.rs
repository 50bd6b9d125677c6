//! Forbidden targets: rejected when a webhook is created or changed, and again at every connection.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookpost::store::Store;
use serde_json::json;

use super::{error_in, ids};
use crate::support::Hub;
use crate::support::receiver::{Canary, Receiver};

const PUBLIC: &str = "93.184.215.14";

fn addresses(texts: &[&str]) -> io::Result<Vec<IpAddr>> {
    Ok(texts.iter().map(|text| text.parse().unwrap()).collect())
}

/// Starts a server that allows these targets only. Its resolver maps each name to the addresses that the name
/// describes.
fn hub(allow: &[&str]) -> Hub {
    Hub::with(|options| {
        options.allow_targets = allow.iter().map(|entry| entry.parse().unwrap()).collect();
        options.lookup = Arc::new(|host| match host {
            "public.example" => addresses(&[PUBLIC]),
            "private.example" => addresses(&["127.0.0.1"]),
            "mixed.example" => addresses(&[PUBLIC, "127.0.0.1"]),
            "mixed6.example" => addresses(&[PUBLIC, "::1"]),
            "mapped.example" => addresses(&["::ffff:127.0.0.1"]),
            "metadata.example" => addresses(&["169.254.169.254"]),
            "seventeenth.example" => {
                let mut all = vec![PUBLIC; 16];
                all.push("127.0.0.1");
                addresses(&all)
            }
            "crowd.example" => addresses(&["127.0.0.1"; 17]),
            "empty.example" => Ok(Vec::new()),
            _ => Err(io::Error::other("no such host")),
        });
    })
}

/// Invalid webhook URLs. `P` stands for the port of the canary.
const NO_URLS: [&str; 37] = [
    "http://127.0.0.1.:P/",
    "http://localhost.:P/",
    "https://public.example.:P/",
    "http://user@127.0.0.1:P/",
    "http://public.example@127.0.0.1:P/",
    "http://user:pass@127.0.0.1:P/",
    "http://@127.0.0.1:P/",
    "https://public.example:P\\@127.0.0.1:P/",
    "https://public.example\\.127.0.0.1:P/",
    "http:\\\\127.0.0.1:P\\",
    "https://127.0.0.1:P#@public.example/",
    "http://%31%32%37.0.0.1:P/",
    "http://127%2e0%2e0%2e1:P/",
    "http://%6cocalhost:P/",
    "http://１２７.0.0.1:P/",
    "http://①②⑦.0.0.1:P/",
    "http://127。0。0。1:P/",
    "http://ｌocalhost:P/",
    "http://[::1%25lo]:P/",
    "http://[fe80::1%25eth0]:P/",
    "http://[::1%lo]:P/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:/",
    "http://127.0.0.1:+P/",
    "http://127.0.0.1:P:P/",
    "http://[127.0.0.1]:P/",
    "http://::1:P/",
    "http://127.0.0.1:P /",
    " http://127.0.0.1:P/",
    "http://127.0.\t0.1:P/",
    "http://127.0.0.1:P/\r\nHost: a",
    "http://127.0.0.999:P/",
    "http:127.0.0.1:P/",
    "//127.0.0.1:P/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:P/",
];

/// Spellings of forbidden addresses, with the `--allow-target` entry that would allow them, if any.
const FORBIDDEN: [(&str, &str); 48] = [
    ("http://127.0.0.1:P/", "127.0.0.1"),
    ("https://127.0.0.1:P/", "127.0.0.1"),
    ("http://2130706433:P/", "127.0.0.1"),
    ("http://0x7f000001:P/", "127.0.0.1"),
    ("http://0x7F.0.0.1:P/", "127.0.0.1"),
    ("http://017700000001:P/", "127.0.0.1"),
    ("http://0177.0.0.1:P/", "127.0.0.1"),
    ("http://127.1:P/", "127.0.0.1"),
    ("http://127.0.1:P/", "127.0.0.1"),
    ("http://127.8.9.10:P/", "127.8.9.10"),
    ("http://[::1]:P/", "::1"),
    ("http://[0:0:0:0:0:0:0:1]:P/", "::1"),
    ("http://[::ffff:127.0.0.1]:P/", "127.0.0.1"),
    ("http://[::ffff:7f00:1]:P/", "127.0.0.1"),
    ("http://[64:ff9b::127.0.0.1]:P/", "127.0.0.1"),
    ("http://[::127.0.0.1]:P/", ""),
    ("http://[2002:7f00:1::]:P/", ""),
    ("http://[64:ff9b:1::7f00:1]:P/", ""),
    ("http://[2001::1]:P/", ""),
    ("http://[2001:db8::1]:P/", ""),
    ("http://[3fff::1]:P/", ""),
    ("http://[fe80::1]:P/", ""),
    ("http://[ff02::1]:P/", ""),
    ("http://[::]:P/", ""),
    ("http://[fd00::1]:P/", "fd00::1"),
    ("http://[fd00:ec2::254]:P/", "fd00:ec2::254"),
    ("http://0.0.0.0:P/", ""),
    ("http://0:P/", ""),
    ("https://10.0.0.1:P/", "10.0.0.1"),
    ("https://172.16.0.1:P/", "172.16.0.1"),
    ("https://172.31.255.255:P/", "172.31.255.255"),
    ("https://192.168.1.1:P/", "192.168.1.1"),
    ("https://100.64.0.1:P/", "100.64.0.1"),
    ("https://169.254.1.1:P/", ""),
    ("https://169.254.169.254:P/", "169.254.169.254"),
    ("https://168.63.129.16:P/", "168.63.129.16"),
    ("https://192.0.2.1:P/", ""),
    ("https://198.18.0.1:P/", ""),
    ("https://224.0.0.1:P/", ""),
    ("https://255.255.255.255:P/", ""),
    ("http://localhost:P/", "localhost"),
    ("https://LOCALHOST:P/", "localhost"),
    ("https://app.localhost:P/", "app.localhost"),
    ("https://private.example:P/", "127.0.0.1"),
    ("https://mixed.example:P/", "127.0.0.1"),
    ("https://mixed6.example:P/", "::1"),
    ("https://mapped.example:P/", "127.0.0.1"),
    ("https://seventeenth.example:P/", "127.0.0.1"),
];

#[test]
fn what_is_no_url_is_refused_on_create_and_on_change() {
    let hub = hub(&["127.0.0.0/8", "::1", "localhost"]);
    let canary = Canary::start();
    let known = hub.add_webhook("https://public.example/");
    let before = hub.webhook(&known);
    for spelling in NO_URLS {
        let url = spelling.replace('P', &canary.port().to_string());
        let body = json!({"url": url, "events": ["*"]});
        for path in ["/v1/webhooks", "/v1/webhooks/settings"] {
            error_in(&hub.post(path, &body), 422, "invalid_url", "url");
        }
        let answer = hub.patch(&format!("/v1/webhooks/{known}"), &json!({"url": url}));
        error_in(&answer, 422, "invalid_url", "url");
    }
    assert_eq!(hub.webhook(&known), before);
    assert_eq!(ids(&hub.get("/v1/webhooks")), [known]);
    assert_eq!(canary.connections(), 0);
}

#[test]
fn forbidden_targets_are_refused_on_create_and_on_change_with_what_would_open_them() {
    let hub = hub(&[]);
    let canary = Canary::start();
    let known = hub.add_webhook("https://public.example/");
    let before = hub.webhook(&known);
    let plain = [
        ("http://93.184.215.14/", PUBLIC),
        ("http://public.example/", "public.example"),
        ("http://private.example:P/", "private.example"),
        ("https://metadata.example/", "169.254.169.254"),
    ];
    for (spelling, entry) in FORBIDDEN.into_iter().chain(plain) {
        let url = spelling.replace('P', &canary.port().to_string());
        let created = hub.post("/v1/webhooks", &json!({"url": url, "events": ["*"]}));
        let changed = hub.patch(&format!("/v1/webhooks/{known}"), &json!({"url": url}));
        for answer in [created, changed] {
            error_in(&answer, 422, "target_blocked", "url");
            let message = answer.json()["error"]["message"].clone();
            assert!(message.as_str().unwrap().ends_with(&way_out(entry)), "{url}: {message}");
        }
    }
    assert_eq!(hub.webhook(&known), before);
    assert_eq!(ids(&hub.get("/v1/webhooks")), [known]);
    assert_eq!(canary.connections(), 0);
}

#[test]
fn what_was_allowed_once_is_refused_at_every_connection_after_it_was_closed() {
    let entries = FORBIDDEN.iter().map(|case| case.1);
    let opened: Vec<&str> = entries.filter(|entry| !entry.is_empty()).collect();
    let mut hub = hub(&opened);
    let canary = Canary::start();
    let mut webhooks = Vec::new();
    let mut unopened = Vec::new();
    for (spelling, entry) in FORBIDDEN {
        let url = spelling.replace('P', &canary.port().to_string());
        if entry.is_empty() {
            // No setting allows it, so the test writes it to the database directly.
            unopened.push((format!("https://public.example/{}", unopened.len()), url));
            webhooks.push((hub.add_webhook(&unopened[unopened.len() - 1].0), entry));
        } else {
            webhooks.push((hub.add_webhook(url), entry));
        }
    }
    hub.stop();
    let connection = Store::open_for_command(&hub.database()).unwrap();
    for (accepted, url) in &unopened {
        let changed = connection.execute("UPDATE webhook SET url = ?2 WHERE url = ?1", [accepted, url]);
        assert_eq!(changed.unwrap(), 1);
    }
    drop(connection);
    hub.restart_with(|options| options.allow_targets.clear());
    for (webhook, entry) in &webhooks {
        let path = format!("/v1/webhooks/{webhook}/test");
        let test = hub.post(&path, &json!({})).expect(200).json();
        assert_blocked(&test, entry);
    }
    let body = json!({"event": "a.b"});
    let sent = hub.post("/v1/webhooks/test", &body).expect(200).json();
    for delivery in sent["data"].as_array().unwrap() {
        let of = |(webhook, _): &&(String, &str)| delivery["webhook_id"] == webhook.as_str();
        assert_blocked(delivery, webhooks.iter().find(of).unwrap().1);
    }
    assert_eq!(sent["data"].as_array().unwrap().len(), webhooks.len());
    hub.publish("a.b", json!({}));
    hub.deliver_until_idle();
    for (webhook, entry) in &webhooks {
        let path = format!("/v1/deliveries?webhook_id={webhook}&test=false");
        let found = ids(&hub.get(&path));
        assert_blocked(&hub.delivery(&found[0]), entry);
    }
    assert_eq!(canary.connections(), 0);
}

/// Checks that the first attempt was blocked, and that its message names the entry, if there is one.
#[track_caller]
fn assert_blocked(delivery: &serde_json::Value, entry: &str) {
    let attempt = &delivery["attempts"][0];
    assert_eq!(attempt["error"]["code"], "target_blocked", "{delivery}");
    let message = attempt["error"]["message"].as_str().unwrap();
    match entry {
        "" => assert!(message.ends_with('.') && !message.contains("allow"), "{message}"),
        entry => assert!(message.ends_with(&way_out(entry)), "{message}"),
    }
    assert_eq!(attempt["response"], serde_json::Value::Null);
    assert_eq!(delivery["last_attempt"]["error_code"], "target_blocked");
}

/// End of the message about a blocked target.
fn way_out(entry: &str) -> String {
    match entry {
        "" => "No setting opens it".to_owned(),
        entry => format!("--allow-target {entry}"),
    }
}

/// Starts a server whose resolver returns these results in order and repeats the last one.
fn hub_with_answers(answers: Vec<io::Result<Vec<IpAddr>>>) -> Hub {
    let asked = AtomicUsize::new(0);
    Hub::with(|options| {
        options.allow_targets.clear();
        options.lookup = Arc::new(move |_| {
            let turn = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            match &answers[turn] {
                Ok(found) => Ok(found.clone()),
                Err(error) => Err(io::Error::other(error.to_string())),
            }
        });
    })
}

#[test]
fn a_name_that_turns_to_loopback_after_it_was_accepted_is_refused_at_the_connection() {
    for second in [&["127.0.0.1"][..], &[PUBLIC, "127.0.0.1"], &["::ffff:127.0.0.1"]] {
        for first in [addresses(&[PUBLIC]), Err(io::Error::other("no such host")), Ok(Vec::new())] {
            let mut hub = hub_with_answers(vec![first, addresses(second)]);
            let canary = Canary::start();
            let webhook = hub.add_webhook(format!("https://rebind.example:{}/", canary.port()));
            // A resolution is cached for 30 s. The restart clears the cache.
            hub.restart();
            let path = format!("/v1/webhooks/{webhook}/test");
            let test = hub.post(&path, &json!({})).expect(200).json();
            assert_blocked(&test, "127.0.0.1");
            let delivery = hub.publish_one("a.b", json!({}));
            hub.deliver_until_idle();
            assert_blocked(&hub.delivery(&delivery), "127.0.0.1");
            assert_eq!(canary.connections(), 0);
        }
    }
}

#[test]
fn a_name_that_does_not_resolve_is_accepted_and_fails_at_the_connection() {
    let hub = hub(&[]);
    for host in ["empty.example", "unknown.example"] {
        let webhook = hub.add_webhook(format!("https://{host}/"));
        let path = format!("/v1/webhooks/{webhook}/test");
        let test = hub.post(&path, &json!({})).expect(200).json();
        assert_eq!(test["attempts"][0]["error"]["code"], "dns_failed", "{host}");
    }
}

#[test]
fn a_name_with_17_addresses_is_called_where_all_are_allowed() {
    let hub = hub(&["127.0.0.1"]);
    let receiver = Receiver::start();
    hub.add_webhook(format!("http://crowd.example:{}/", receiver.port()));
    let delivery = hub.publish_one("a.b", json!({}));
    hub.deliver_until_idle();
    assert_eq!(hub.status_of(&delivery), "delivered");
    assert_eq!(receiver.hits(), 1);
}
