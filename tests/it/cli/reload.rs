//! SIGHUP: the settings are reread.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::Command;

use serde_json::json;

use crate::support::process::{PATIENCE, Process, Site, wait_until};

/// A server with a settings file, and a key.
fn served(text: &str) -> (Site, String, Process) {
    let (site, key) = Site::with_key();
    let file = site.folder().join("hookpost.toml");
    fs::write(&file, text).unwrap();
    let process = Process::start(site.command(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--config",
        file.to_str().unwrap(),
        "--time-zone",
        "Europe/Berlin",
    ]));
    (site, key, process)
}

/// Writes the file, and has the server reread it. Returns the answer in the log.
fn reread(site: &Site, process: &Process, text: &str) -> String {
    fs::write(site.folder().join("hookpost.toml"), text).unwrap();
    let before = process.log().len();
    process.signal("HUP");
    let answer = |log: &str| log.lines().find(|line| line.contains("the settings were")).map(str::to_owned);
    assert!(wait_until(PATIENCE, || answer(&process.log()[before..]).is_some()), "{}", process.log());
    answer(&process.log()[before..]).unwrap()
}

#[test]
fn sighup_takes_over_what_can_change_and_names_what_needs_a_restart() {
    let (site, key, process) = served("allow-target = [\"127.0.0.1\"]\nworkers = 7\n");
    let (client, anybody) = (process.client(&key), process.client("none"));
    let create = || client.call("POST", "/v1/webhooks", Some(&json!({"url": "http://127.0.0.1:9/", "events": ["*"]})));
    let contact = || {
        let body = json!({"name": "Ops", "email": "ops@example.com"});
        client.call("POST", "/v1/contacts", Some(&body)).status
    };
    create().expect(201);
    anybody.call("GET", "/metrics", None).expect(401);
    anybody.call("GET", "/.well-known/security.txt", None).expect(404);
    assert_ne!(contact(), 201, "there is no mail server");
    assert!(!process.log().contains("DEBUG"));

    let secret = site.folder().join("smtp");
    fs::write(&secret, "smtp://127.0.0.1:9?tls=none\n").unwrap();
    let changed = format!(
        "allow-target = []\nworkers = 8\nmetrics-open = true\nlog = \"debug\"\ntime-zone = \"UTC\"\n\
         security-contact = [\"mailto:security@example.com\"]\nsmtp-url-file = {secret:?}\nsmtp-from = \"a@example.com\"\n"
    );
    let said = reread(&site, &process, &changed);
    for name in ["allow-target", "metrics-open", "log", "security-contact", "smtp-url-file", "smtp-from"] {
        assert!(said.contains(&format!("--{name}")), "{name}: {said}");
    }
    assert!(said.contains("a restart is needed: --workers") && said.contains("WARN"), "{said}");
    assert!(!said.contains("--time-zone"), "a flag overrides the file: {said}");
    create().expect(422);
    anybody.call("GET", "/metrics", None).expect(200);
    anybody.call("GET", "/.well-known/security.txt", None).expect(200);
    assert_eq!(contact(), 201);
    process.wait_for_log("DEBUG");

    // The content of a file that a setting names counts. What needs a restart is named until there is one.
    fs::write(&secret, "smtp://127.0.0.2:9?tls=none\n").unwrap();
    let said = reread(&site, &process, &changed);
    assert!(said.contains("in effect now: --smtp-url-file;") && said.contains("needed: --workers"), "{said}");
    let said = reread(&site, &process, &changed.replace("workers = 8", "workers = 7"));
    assert!(said.contains("nothing has changed"), "{said}");
}

#[test]
fn a_sighup_during_the_start_is_answered_once_the_server_listens() {
    let site = Site::new();
    let file = site.folder().join("hookpost.toml");
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()];
    let starting = Process::spawn(site.command(&arguments));
    // The server has opened the pipe, and waits for the end of its settings.
    let mut pipe = OpenOptions::new().write(true).open(&file).unwrap();
    pipe.write_all(b"workers = 7\n").unwrap();
    fs::write(site.folder().join("next"), "workers = 7\nmetrics-open = true\n").unwrap();
    fs::rename(site.folder().join("next"), &file).unwrap();
    starting.signal("HUP");
    starting.signal("HUP");
    drop(pipe);
    let process = starting.listening();
    process.wait_for_log("the settings were reread; in effect now: --metrics-open");
    process.client("none").call("GET", "/metrics", None).expect(200);
    process.signal("TERM");
    assert_eq!(process.ended(PATIENCE).0.code(), Some(0));
}

#[test]
fn limits_of_tenants_and_keys_hold_from_a_reload_on_for_what_comes() {
    let (site, key, process) = served("allow-target = [\"127.0.0.1\"]\n");
    let client = process.client(&key);
    let create = || client.call("POST", "/v1/webhooks", Some(&json!({"url": "http://127.0.0.1:9/", "events": ["*"]})));
    create().expect(201);
    let said = reread(&site, &process, "allow-target = [\"127.0.0.1\"]\ntenant-webhooks = 1\ntenant-jobs = 1\n");
    assert!(said.contains("in effect now: --tenant-webhooks;") && said.contains("needed: --tenant-jobs"), "{said}");
    assert!(create().expect(422).text.contains("--tenant-webhooks"));
    let limits = client.get("/v1/stats?tenant=default")["tenant_limits"].clone();
    assert_eq!((&limits["webhooks"]["limit"], &limits["jobs"]["limit"]), (&json!(1), &json!(2)), "{limits}");
    reread(&site, &process, "allow-target = [\"127.0.0.1\"]\nkey-rate-limit = 1\n");
    let is_limited = || client.call("GET", "/v1/webhooks", None).status == 429;
    assert!((0..50).any(|_| is_limited()));
}

#[test]
fn an_invalid_file_changes_nothing_and_the_log_says_why() {
    let (site, _, process) = served("");
    let anybody = process.client("none");
    for (text, part) in [
        ("metrics-open = true\nworkers = 0\n", "--workers"),
        ("metrics-open = true\nwrokers = 1\n", "wrokers"),
        ("metrics-open = true\nportal-profiles = [\"none\"]\n", "--portal-profiles"),
        (
            "metrics-open = true\nsmtp-url = \"smtp://a@mail.example.com\"\nsmtp-from = \"a@example.com\"\n",
            "--smtp-password-file",
        ),
        ("metrics-open = true\nportal-logo = \"/no/such/logo.png\"\n", "/no/such/logo.png"),
    ] {
        let said = reread(&site, &process, text);
        assert!(said.contains("not reread, and nothing has changed") && said.contains(part), "{said}");
        anybody.call("GET", "/metrics", None).expect(401);
    }
    assert!(reread(&site, &process, "metrics-open = true\n").contains("in effect now: --metrics-open"));
    anybody.call("GET", "/metrics", None).expect(200);
    process.signal("TERM");
    assert_eq!(process.ended(PATIENCE).0.code(), Some(0));
}
