//! `hookpost sign`, `verify`, `send` and `listen`: the real program.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver as Lines, channel};

use serde_json::{Value, json};

use super::ALL;
use crate::support::Hub;
use crate::support::process::{PATIENCE, hookpost, stderr, stdout};
use crate::support::receiver::Receiver;

const SECRET: &str = "whsec_xxxxxxxxxxxxx";
const BODY: &[u8] = b"{ \"event\":\"a.b\",\n\"data\":\"h\xc3\xa9llo\" }\n";

/// Runs a command that reads `input`.
fn feed(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails before reading has closed its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Returns the `verify` command for the headers printed by `sign`.
fn verify_command(profile: &str, headers: &str) -> Command {
    let mut command = hookpost(&["verify", "--profile", profile, "--secret", SECRET]);
    for line in headers.lines() {
        command.args(["-H", line]);
    }
    command
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("hookpost: ") && said.contains(why), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(stdout(output), "");
}

#[test]
fn what_is_signed_by_hand_verifies_by_hand_for_every_profile() {
    let folder = tempfile::tempdir().unwrap();
    let body = file(folder.path(), "body.json", BODY);
    let changed = file(folder.path(), "changed.json", &[BODY, b" "].concat());
    for profile in ALL {
        let sign = ["sign", "--profile", profile, "--secret", SECRET];
        let sign = [&sign[..], &["--timestamp", "1768471200", "--id", "evt_1"]].concat();
        let from_stdin = feed(hookpost(&sign), BODY);
        assert!(from_stdin.status.success(), "{}", stderr(&from_stdin));
        let mut command = hookpost(&sign);
        let from_file = stdout(&command.arg(&body).output().unwrap());
        let headers = stdout(&from_stdin);
        // GitHub's delivery id differs every time.
        if profile != "github" {
            assert_eq!(headers, from_file);
        }

        let verified = verify_command(profile, &headers).arg(&body).output().unwrap();
        assert!(verified.status.success(), "{profile}: {}", stderr(&verified));
        assert!(stdout(&verified).starts_with("verified: "), "{profile}");
        let verified = feed(verify_command(profile, &from_file), BODY);
        assert!(verified.status.success(), "{profile}: {}", stderr(&verified));
        let mut command = verify_command(profile, &headers);
        command.arg("-");
        let verified = feed(command, BODY);
        assert!(verified.status.success(), "{profile}: {}", stderr(&verified));

        refused(&verify_command(profile, &headers).arg(&changed).output().unwrap(), "not verified: ");
        let mut other = hookpost(&["verify", "--profile", profile, "--secret", "another"]);
        for line in headers.lines() {
            other.args(["-H", line]);
        }
        refused(&feed(other, BODY), "not verified: ");
        refused(&feed(verify_command(profile, "X-Nothing: here"), BODY), "is missing");
    }
}

#[test]
fn a_profile_is_read_from_a_file_and_a_secret_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let spec = json!({
        "name": "mine",
        "envelope": "data",
        "signatures": [{"header": "X-Mine", "content": "{timestamp}/{body}", "encoding": "base64", "template": "{signature}@{timestamp}"}],
        "retry": {"delays_s": [1]},
    });
    let profile = file(folder.path(), "mine.json", spec.to_string().as_bytes());
    let profile = profile.to_str().unwrap();
    let secret = file(folder.path(), "secret", format!("{SECRET}\n").as_bytes());
    let mut sign = hookpost(&["sign", "--profile", profile]);
    sign.env("HOOKPOST_SECRET", SECRET);
    let headers = stdout(&feed(sign, BODY));
    assert!(headers.starts_with("X-Mine: "), "{headers}");
    let mut verify = hookpost(&["verify", "--profile", profile, "--tolerance-s", "60"]);
    verify.args(["-H", headers.trim_end()]);
    verify.env("HOOKPOST_SECRET_FILE", secret);
    let verified = feed(verify, BODY);
    assert_eq!(stdout(&verified), "verified: X-Mine\n", "{}", stderr(&verified));
}

#[test]
fn an_old_timestamp_is_refused_where_a_tolerance_is_given() {
    for profile in ["irisync", "stripe", "standard"] {
        let sign = ["sign", "--profile", profile, "--secret", SECRET];
        let sign = [&sign[..], &["--timestamp", "1000"]].concat();
        let headers = stdout(&feed(hookpost(&sign), BODY));
        assert!(feed(verify_command(profile, &headers), BODY).status.success());
        let mut command = verify_command(profile, &headers);
        command.args(["--tolerance-s", "300"]);
        refused(&feed(command, BODY), "the timestamp is");
    }
}

#[test]
fn mistakes_are_told_in_a_line() {
    let refuses = |arguments: &[&str], why: &str| refused(&feed(hookpost(arguments), BODY), why);
    refuses(&["sign"], "--secret");
    refuses(&["sign", "--secret", ""], "secret");
    refuses(&["sign", "--secret", "s", "--profile", "nobody"], "iverton");
    refuses(&["sign", "--secret", "s", "--id", "a.b"], "id");
    refuses(&["sign", "--secret", "s", "--type", "a b"], "type");
    refuses(&["sign", "--secret", "s", "--timestamp", "now"], "--timestamp");
    refuses(&["sign", "--secret", "s", "/nowhere/at-all"], "/nowhere/at-all");
    refuses(&["listen", "--listen", "nowhere"], "--listen");
    refuses(&["listen", "--status", "99"], "--status");
}

#[test]
fn send_publishes_an_event_and_prints_its_receipt() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    hub.add_webhook_with(receiver.url(), &json!({"profile": "github", "tenant": "acme"}));
    let folder = tempfile::tempdir().unwrap();
    let data = file(folder.path(), "data.json", b"{ \"b\" : 1.0, \"a\":12345678901234567890123 }\n");
    let url = hub.at("");
    let send = |further: &[&str]| {
        let first = ["send", "order.paid", "--json", "--url", &url, "--key", &hub.key];
        hookpost(&[&first[..], &["--tenant", "acme"], further].concat())
    };
    let data = data.to_str().unwrap();
    let sent = send(&["--data", data, "--id", "own-1"]).output().unwrap();
    assert!(sent.status.success(), "{}", stderr(&sent));
    let receipt: Value = serde_json::from_str(&stdout(&sent)).unwrap();
    assert_eq!((&receipt["id"], &receipt["duplicate"]), (&json!("own-1"), &json!(false)));
    hub.deliver_until_idle();
    assert_eq!(receiver.last().text(), r#"{ "b" : 1.0, "a":12345678901234567890123 }"#);

    let again = send(&["--data", data, "--id", "own-1"]).output().unwrap();
    let receipt: Value = serde_json::from_str(&stdout(&again)).unwrap();
    assert_eq!(receipt["duplicate"], true);

    // Data from standard input, URL and key from the environment.
    let mut command = hookpost(&["send", "order.paid", "--tenant", "acme", "--data", "-"]);
    command.env("HOOKPOST_URL", format!("{url}/"));
    command.env("HOOKPOST_KEY", &hub.key);
    let sent = feed(command, b"[1,2]");
    assert!(sent.status.success(), "{}", stderr(&sent));
    hub.deliver_until_idle();
    assert_eq!(receiver.last().text(), "[1,2]");

    refused(&feed(send(&["--data", "-"]), b"{nope"), "not JSON");
    refused(&feed(send(&["--data", "-", "--id", "a.b"]), b"{}"), "invalid_event_id");
    let wrong = ["send", "a", "--data", "-", "--url", &url, "--key", "whk_wrong"];
    refused(&feed(hookpost(&wrong), b"{}"), "401");
    refused(&feed(hookpost(&["send", "a", "--data", "-"]), b"{}"), "--key");
    let nobody = Receiver::refused_url();
    let nobody = ["send", "a", "--data", "-", "--key", "k", "--url", &nobody];
    refused(&feed(hookpost(&nobody), b"{}"), "refused");
}

/// A running `hookpost listen`, killed on drop.
struct Listening {
    child: Child,
    lines: Lines<String>,
    url: String,
}

impl Listening {
    fn start(arguments: &[&str]) -> Listening {
        let mut command = hookpost(&["listen", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut listening = Listening { child, lines, url: String::new() };
        let greeting = listening.until("listening on ").pop().unwrap();
        let address = greeting.strip_prefix("listening on ").unwrap();
        listening.url = format!("{address}/hook");
        listening
    }

    /// Returns the lines printed up to the first one that contains `text`.
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
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn listen_prints_each_delivery_and_whether_it_verifies() {
    for profile in ALL {
        let hub = Hub::start();
        let listening = Listening::start(&["--profile", profile, "--secret", SECRET]);
        let fields = json!({"profile": profile, "secret": SECRET});
        let webhook = hub.add_webhook_with(&listening.url, &fields);
        // `listen` responds to the challenge.
        assert_eq!(hub.state_of(&webhook), "active", "{profile}");
        let delivery = hub.publish_one("a.b", json!({"text": "seen"}));
        hub.deliver_until_idle();
        assert_eq!(hub.status_of(&delivery), "delivered");
        let printed = listening.until("\"seen\"");
        let title = printed.iter().rfind(|line| line.starts_with("POST ")).unwrap();
        assert!(title.starts_with("POST /hook verified ("), "{title}");
        let id = hub.delivery(&delivery)["event_id"].as_str().unwrap().to_owned();
        assert!(printed.iter().any(|line| *line == format!("  webhook-id: {id}")));
        assert!(!printed.concat().contains('\x1b'), "no colour but on a terminal");

        hub.patch(&format!("/v1/webhooks/{webhook}"), &json!({"secret": "another"})).expect(200);
        hub.publish("a.b", json!({"text": "wrong"}));
        hub.deliver_until_idle();
        let printed = listening.until("\"wrong\"");
        let title = printed.iter().find(|line| line.starts_with("POST ")).unwrap();
        assert!(title.starts_with("POST /hook NOT verified: "), "{title}");
    }
}

#[test]
fn listen_and_verify_check_ed25519_signatures_with_the_public_key() {
    let hub = Hub::start();
    let receiver = Receiver::start();
    let webhook = hub.create(receiver.url(), &json!({"signing": "both", "secret": SECRET}));
    let (id, key) = (webhook["id"].as_str().unwrap(), webhook["public_key"].as_str().unwrap());
    hub.publish("a.b", json!({"text": "seen"}));
    hub.deliver_until_idle();
    let request = receiver.last();
    let check = |arguments: &[&str], body: &str| {
        let mut all = vec!["verify", "--profile", "generic"];
        all.extend(arguments);
        let headers: Vec<String> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        all.extend(headers.iter().flat_map(|header| ["--header", header.as_str()]));
        let output = feed(hookpost(&all), body.as_bytes());
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let body = request.text();
    let (code, said, _) = check(&["--public-key", key], body);
    assert_eq!((code, said.as_str()), (Some(0), "verified: webhook-signature by Ed25519\n"));
    let (code, said, _) = check(&["--public-key", key, "--secret", SECRET], body);
    assert_eq!((code, said.as_str()), (Some(0), "verified: X-Webhook-Signature, webhook-signature by Ed25519\n"));
    let (code, _, error) = check(&["--public-key", key], "{}");
    assert!(code == Some(1) && error.contains("not verified: webhook-signature has no Ed25519 signature"), "{error}");
    let (code, _, error) = check(&["--public-key", key, "--tolerance-s", "60"], body);
    assert!(code == Some(1) && error.contains("seconds from now"), "{error}");
    let (code, _, error) = check(&["--public-key", "whpk_AAAA"], body);
    assert!(code == Some(2) && error.contains("base64 of 32 bytes"), "{error}");
    let (code, _, error) = check(&[], body);
    assert!(code == Some(2) && error.contains("--secret or --public-key is required"), "{error}");

    let listening = Listening::start(&["--public-key", key]);
    let change = json!({"url": listening.url, "signing": "ed25519"});
    hub.patch(&format!("/v1/webhooks/{id}"), &change).expect(200);
    hub.publish("a.b", json!({"text": "again"}));
    hub.deliver_until_idle();
    let printed = listening.until("\"again\"");
    assert!(printed[0].starts_with("POST /hook verified (webhook-signature by Ed25519)"), "{printed:?}");
}

#[test]
fn listen_answers_with_a_chosen_status_and_checks_nothing_without_a_secret() {
    let hub = Hub::start();
    let listening = Listening::start(&["--status", "503", "--delay-ms", "1"]);
    hub.add_webhook(&listening.url);
    let delivery = hub.publish_one("a.b", json!({}));
    hub.deliver_until_idle();
    let title = listening.until("POST ").pop().unwrap();
    assert_eq!(title, "POST /hook not checked (no --secret or --public-key)");
    let shown = hub.delivery(&delivery);
    assert_eq!(shown["status"], "retrying");
    assert_eq!(shown["last_attempt"]["code"], 503);
}
