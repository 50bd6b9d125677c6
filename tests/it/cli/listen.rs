//! `hookpost listen --forward-to`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};

use serde_json::{Value, json};

use crate::support::Hub;
use crate::support::process::{PATIENCE, hookpost, run, stderr, wait_until};
use crate::support::receiver::{Receiver, Reply};

/// A running command, killed on drop.
struct Listening {
    child: Child,
    lines: Lines<String>,
}

impl Listening {
    fn start(hub: &Hub, arguments: &[&str]) -> Listening {
        let mut command = hookpost(&[&["listen"], arguments].concat());
        command.env("HOOKPOST_URL", hub.at("")).env("HOOKPOST_KEY", &hub.key);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Listening { child, lines }
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    /// Returns the lines up to the first one that contains `text`.
    #[track_caller]
    fn until(&self, text: &str) -> Vec<String> {
        let mut printed = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => printed.push(line),
                Err(error) => panic!("{error}: no {text:?} in {printed:#?}"),
            }
            if printed.last().unwrap().contains(text) {
                return printed;
            }
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    #[track_caller]
    fn ended(&mut self) -> Option<i32> {
        let child = &mut self.child;
        assert!(wait_until(PATIENCE, || child.try_wait().unwrap().is_some()), "it still runs");
        child.wait().unwrap().code()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn webhooks(hub: &Hub) -> Vec<Value> {
    hub.get("/v1/webhooks").expect(200).json()["data"].as_array().unwrap().clone()
}

#[test]
fn deliveries_are_forwarded_as_they_were_sent_and_both_answers_are_printed() {
    let hub = Hub::start();
    let app = Receiver::with(|_| Reply::status(503).body("busy\nlater"));
    let to = app.url_at("/hook?from=hookpost");
    let mut listening = Listening::start(
        &hub,
        &["--forward-to", &to, "--events", "order.*", "--profile", "stripe", "--secret", "whsec_own", "--json"],
    );
    let begun = listening.json();
    assert_eq!((&begun["secret"], &begun["events"]), (&json!("whsec_own"), &json!(["order.*"])));
    let made = &webhooks(&hub)[0];
    assert_eq!((&made["id"], &made["profile"]), (&begun["webhook_id"], &json!("stripe")));
    hub.publish("content.published", json!({"to": "nobody"}));
    let delivery = hub.publish_one("order.paid", json!({"text": "h\u{e9}llo"}));
    hub.deliver_until_idle();
    let line = listening.json();
    assert_eq!((&line["delivery_id"], &line["event_type"]), (&json!(delivery), &json!("order.paid")));
    assert_eq!((&line["inbox"]["code"], &line["endpoint"]["code"]), (&json!(200), &json!(503)));
    assert_eq!(line["endpoint"]["body"], "busy\nlater");

    // What the endpoint got is what the inbox got: headers in their order, and a signature that fits.
    let request = app.last();
    assert_eq!(request.path, "/hook?from=hookpost");
    let sent = hub.delivery(&delivery)["attempts"][0]["request"].clone();
    assert_eq!(request.text(), sent["body"].as_str().unwrap());
    let names = |name: &&String| !["accept", "host", "content-length"].contains(&name.to_ascii_lowercase().as_str());
    let sent: Vec<&String> = sent["headers"].as_object().unwrap().keys().filter(names).collect();
    let got: Vec<&String> = request.headers.iter().map(|(name, _)| name).filter(names).collect();
    assert_eq!(got, sent);
    let mut verify = vec!["verify".to_owned(), "--profile=stripe".to_owned(), "--secret=whsec_own".to_owned()];
    verify.extend(request.headers.iter().map(|(name, value)| format!("--header={name}: {value}")));
    let body = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(body.path(), &request.body).unwrap();
    verify.push(body.path().to_str().unwrap().to_owned());
    let verified = run(hookpost(&verify.iter().map(String::as_str).collect::<Vec<_>>()));
    assert!(verified.status.success(), "{}", stderr(&verified));

    // A retry is forwarded too.
    hub.post(&format!("/v1/deliveries/{delivery}/retry"), &json!({})).expect(202);
    hub.deliver_until_idle();
    assert_eq!(listening.json()["delivery_id"], json!(delivery));
    assert_eq!(app.hits(), 2);
    listening.signal("TERM");
    assert_eq!(listening.ended(), Some(0));
    assert_eq!(webhooks(&hub), [] as [Value; 0]);
}

#[test]
fn people_read_the_request_with_its_query_and_an_endpoint_that_is_down() {
    let hub = Hub::start();
    let nobody = Receiver::refused_url();
    let to = format!("{nobody}?x=1");
    let mut listening = Listening::start(&hub, &["--forward-to", &to]);
    let greeting = listening.until("Ctrl-C");
    assert!(greeting.concat().contains("signed with the secret whsec_"), "{greeting:?}");
    hub.publish("order.paid", json!({"text": "seen"}));
    hub.deliver_until_idle();
    let printed = listening.until("The inbox answered 200.");
    assert!(printed.iter().any(|line| line.starts_with("POST /hook?x=1 order.paid (dlv_")), "{printed:?}");
    assert!(printed.iter().any(|line| line.starts_with("  X-Webhook-Signature: ")), "{printed:?}");
    assert!(printed.iter().any(|line| line.contains("\"seen\"")), "{printed:?}");
    assert!(printed.last().unwrap().contains("refused"), "{printed:?}");
    listening.signal("INT");
    assert_eq!(listening.ended(), Some(0));
    assert_eq!(webhooks(&hub), [] as [Value; 0]);
}

#[test]
fn a_killed_listen_is_cleaned_up_by_the_next_one_once_it_is_out_of_use() {
    let hub = Hub::start();
    let app = Receiver::start();
    let url = app.url();
    let mut killed = Listening::start(&hub, &["--forward-to", &url, "--json"]);
    let left = killed.json()["webhook_id"].as_str().unwrap().to_owned();
    killed.child.kill().unwrap();
    killed.ended();
    let next = Listening::start(&hub, &["--forward-to", &url, "--json"]);
    next.json();
    assert_eq!(webhooks(&hub).len(), 2, "it may still be in use");
    drop(next);
    let description = hub.webhook(&left)["description"].as_str().unwrap().to_owned();
    let (mark, _) = description.rsplit_once(' ').unwrap();
    let past = json!({"description": format!("{mark} 2020-01-01T00:00:00Z")});
    hub.patch(&format!("/v1/webhooks/{left}"), &past).expect(200);
    let last = Listening::start(&hub, &["--forward-to", &url, "--json"]);
    last.json();
    assert!(webhooks(&hub).iter().all(|webhook| webhook["id"] != json!(left)));
}

#[test]
fn listen_refuses_what_makes_no_sense_together() {
    for (arguments, code, why) in [
        (&["--forward-to", "ftp://localhost/"][..], 1, "http://"),
        (&["--forward-to", "http://localhost:1/", "--status", "500"], 2, "--status"),
        (&["--events", "order.*"], 2, "--forward-to"),
        (&["--forward-to", "http://localhost:1/"], 1, "HOOKPOST_KEY"),
    ] {
        let output = run(hookpost(&[&["listen"], arguments].concat()));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{arguments:?}: {}", stderr(&output));
    }
}

/// Sends bytes to the local receiver, and returns all that it answers until it closes the connection.
fn exchange(url: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_local_receiver_shows_the_query_and_the_headers_in_the_order_and_spelling_sent() {
    let hub = Hub::start();
    let headers =
        ["Host: a", "X-Zulu: 1", "x-Alpha: 2", "X-mike: 3", "X-Zulu: 4", "Content-Length: 2", "Connection: close"];
    let request = format!("POST /hook?x=1&y=%20 HTTP/1.1\r\n{}\r\n\r\n{{}}", headers.join("\r\n"));
    let listening = Listening::start(&hub, &["--listen", "127.0.0.1:0"]);
    let greeting = listening.until("listening on ").pop().unwrap();
    let answer = exchange(greeting.strip_prefix("listening on ").unwrap(), request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    let printed = listening.until("{}");
    assert_eq!(printed[0], "POST /hook?x=1&y=%20 not checked (no --secret or --public-key)");
    let shown: Vec<&str> = printed[1..=headers.len()].iter().map(|line| line.trim_start()).collect();
    assert_eq!(shown, headers);

    let listening = Listening::start(&hub, &["--listen", "127.0.0.1:0", "--json", "--secret", "s"]);
    let url = listening.json()["listening"].as_str().unwrap().to_owned();
    // Two requests on a connection, the first in chunks; then what is not HTTP.
    let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\nTrailer: t\r\n\r\n";
    let answer =
        exchange(&url, format!("{chunked}HEAD /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
    let (first, second) = (listening.json(), listening.json());
    assert_eq!((&first["target"], &first["body"], &first["verified"]), (&json!("/a"), &json!("abcde"), &json!(false)));
    assert!(first["reason"].as_str().unwrap().contains("missing"), "{first}");
    assert_eq!((&second["method"], &second["target"]), (&json!("HEAD"), &json!("/b")));
    for (bytes, why) in [
        ("nonsense\r\n\r\n".to_owned(), "not HTTP"),
        ("POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_owned(), "16 MiB"),
        (format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(66_000)), "64 KiB"),
    ] {
        let answer = exchange(&url, bytes.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(why), "{answer}");
    }
}

#[test]
fn the_local_receiver_ends_on_a_signal() {
    let hub = Hub::start();
    for signal in ["INT", "TERM"] {
        let mut listening = Listening::start(&hub, &["--listen", "127.0.0.1:0"]);
        listening.until("listening on ");
        listening.signal(signal);
        assert_eq!(listening.ended(), Some(0));
    }
}
