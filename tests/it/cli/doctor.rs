//! `hookpost doctor`. The probes stay on this machine.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use hookpost::clock::Clock;
use serde_json::Value;

use crate::support::process::{Site, hookpost, run, stderr, stdout};
use crate::support::receiver::{Receiver, Reply};
use crate::support::smtp::MailServer;

/// `hookpost doctor` on a site, with an endpoint of this machine to probe.
fn doctor(site: &Site, probe: &Receiver, arguments: &[&str]) -> Command {
    let mut command = site.command(&["doctor", "--probe", &probe.url(), "--listen", "127.0.0.1:0"]);
    command.args(arguments);
    command
}

/// Runs a doctor. Returns the result and the message of each check.
#[track_caller]
fn findings(mut command: Command) -> (Option<i32>, Vec<(String, String, String)>) {
    let output: Output = command.arg("--json").output().unwrap();
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = answer["checks"].as_array().unwrap().iter();
    let found: Vec<_> = checks
        .map(|check| {
            (text(&check["check"]), text(&check["result"]), format!("{} {}", check["message"], check["advice"]))
        })
        .collect();
    let has_problem = found.iter().any(|(_, result, _)| result == "problem");
    assert_eq!(answer["healthy"], !has_problem, "{answer}");
    (output.status.code(), found)
}

#[track_caller]
fn assert_found(found: &[(String, String, String)], check: &str, result: &str, text: &str) {
    let is_there = found.iter().any(|(name, is, said)| name == check && is == result && said.contains(text));
    assert!(is_there, "{check}: {result} with {text:?} in {found:#?}");
}

#[test]
fn a_healthy_server_has_no_problem_and_nothing_is_changed() {
    let (site, _) = Site::with_key();
    site.serve().kill();
    let probe = Receiver::start();
    let before = fs::read_dir(site.folder()).unwrap().count();
    let (code, found) = findings(doctor(&site, &probe, &[]));
    assert_eq!(code, Some(0), "{found:#?}");
    for check in ["database", "schema", "disk", "master key", "listen", "base URL", "outgoing HTTPS"] {
        assert_found(&found, check, "ok", "");
    }
    for check in ["DNS", "proxy", "mail", "backup"] {
        assert_found(&found, check, "skipped", "");
    }
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), before);
    let people = run(doctor(&site, &probe, &[]));
    assert!(stdout(&people).starts_with("ok       database: "), "{}", stdout(&people));
}

#[test]
fn a_server_that_runs_is_recognized_and_another_program_is_not() {
    let (site, _) = Site::with_key();
    let process = site.serve();
    let probe = Receiver::start();
    let at = |address: &str| {
        let mut command = site.command(&["doctor", "--probe", &probe.url(), "--listen", address]);
        command.args(["--base-url", &format!("http://{}", process.address)]);
        findings(command)
    };
    let (code, found) = at(&process.address);
    assert_eq!(code, Some(0), "{found:#?}");
    assert_found(&found, "listen", "ok", "The server runs on");
    assert_found(&found, "base URL", "ok", "leads to the server");
    // Nobody can open 0.0.0.0 in a browser; links lead to loopback.
    let (_, found) = findings(site.command(&["doctor", "--probe", &probe.url(), "--listen", "0.0.0.0:8080"]));
    assert_found(&found, "base URL", "warning", "lead to http://127.0.0.1:8080.");
    let (code, found) = at(&format!("127.0.0.1:{}", probe.port()));
    assert_eq!(code, Some(1));
    assert_found(&found, "listen", "problem", "Another program");
}

#[test]
fn each_problem_is_named_with_what_to_do() {
    let (site, key) = Site::with_key();
    let process = site.serve();
    process.client(&key).publish("one").unwrap().expect(202);
    process.kill();
    fs::remove_file(format!("{}.key", site.database().display())).unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let backups = site.folder().join("backups");
    fs::create_dir(&backups).unwrap();
    let dead = format!("http://{closed}/");
    let smtp = format!("smtp://{closed}?tls=none");
    let mut command = site.command(&["doctor", "--probe", &dead, "--listen", "192.0.2.1:80", "--smtp-url", &smtp]);
    command.args(["--smtp-from", "alerts@example.com", "--trusted-proxy", "0.0.0.0/0"]);
    command.args(["--backups", backups.to_str().unwrap()]);
    let (code, found) = findings(command);
    assert_eq!(code, Some(1));
    assert_found(&found, "master key", "problem", "Restore the file");
    assert_found(&found, "outgoing HTTPS", "problem", "Check the firewall");
    assert_found(&found, "listen", "problem", "--listen");
    assert_found(&found, "mail", "problem", "--smtp-url");
    assert_found(&found, "proxy", "problem", "--trusted-proxy");
    assert_found(&found, "backup", "problem", "hookpost backup");
    assert_found(&found, "clock", "skipped", "");

    // Pages of the database that are none.
    let connection = rusqlite::Connection::open(site.database()).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    let mut bytes = site.bytes();
    bytes[4 * 4096..].fill(0xff);
    fs::write(site.database(), bytes).unwrap();
    let probe = Receiver::with(|_| Reply::status(404).header("Date", "Sun, 06 Nov 1994 08:49:37 GMT"));
    let mail = MailServer::start();
    let url = mail.options("", "?tls=none").url;
    let smtp = format!("smtp://{}:{}?tls=none", url.host, url.port);
    let mail = ["--smtp-url", &smtp, "--smtp-from", "alerts@example.com"];
    let (code, found) = findings(doctor(&site, &probe, &mail));
    assert_eq!(code, Some(1));
    assert_found(&found, "database", "problem", "hookpost check");
    assert_found(&found, "outgoing HTTPS", "ok", "404");
    assert_found(&found, "clock", "problem", "NTP");
    assert_found(&found, "mail", "ok", "");
    let text = run(doctor(&site, &probe, &[]));
    assert_eq!(text.status.code(), Some(1));
    assert!(stderr(&text).contains("there are problems"), "{}", stderr(&text));
}

#[test]
fn a_missing_database_and_an_old_backup_are_warnings() {
    let site = Site::new();
    let probe = Receiver::start();
    let copy = site.folder().join("copy.db");
    let file = fs::File::create(&copy).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(Clock::machine().now_ms().unsigned_abs());
    file.set_modified(now - Duration::from_secs(5 * 86_400)).unwrap();
    let (code, found) = findings(doctor(&site, &probe, &["--backups", copy.to_str().unwrap()]));
    assert_eq!(code, Some(0), "{found:#?}");
    assert_found(&found, "database", "warning", "does not exist");
    assert_found(&found, "backup", "warning", "5 days old");
    assert_found(&found, "master key", "skipped", "");
    file.set_modified(now).unwrap();
    let (_, found) = findings(doctor(&site, &probe, &["--backups", site.folder().to_str().unwrap()]));
    assert_found(&found, "backup", "ok", "");
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), 1);
}

#[test]
fn the_settings_of_serve_are_those_of_the_doctor() {
    let output = run(hookpost(&["doctor", "--workers", "0"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--workers"), "{}", stderr(&output));
}
