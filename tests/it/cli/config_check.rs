//! `hookpost config check`.

use std::fs;

use serde_json::Value;

use crate::support::process::{Site, hookpost, run, stdout};

/// Runs the command on a database of its own, with a settings file. Returns the exit code, the problems and the warnings.
fn checked(site: &Site, file: &str, arguments: &[&str]) -> (i32, Vec<String>, Vec<String>) {
    let path = site.folder().join("hookpost.toml");
    fs::write(&path, file).unwrap();
    let mut command =
        hookpost(&[&["config", "check", "--json", "--config", path.to_str().unwrap()], arguments].concat());
    command.env("HOOKPOST_DB", site.database());
    let output = run(command);
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let texts = |key: &str| -> Vec<String> {
        json[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(json["valid"], texts("problems").is_empty());
    (output.status.code().unwrap(), texts("problems"), texts("warnings"))
}

#[test]
fn each_kind_of_problem_is_found_and_named() {
    let (site, _key) = Site::with_key();
    let file = |name: &str, text: &str| {
        let path = site.folder().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (pem, logo, short) =
        (file("bad.pem", "-----BEGIN CERTIFICATE-----\n"), file("logo.txt", ""), file("key", "ab"));
    for (toml, arguments, parts) in [
        ("", &["--workers", "0"][..], &["--workers", "1 to 1024"][..]),
        ("workers = 0\n", &[], &["hookpost.toml", "--workers"]),
        ("wrokers = 1\n", &[], &["wrokers", "\"workers\""]),
        ("workers\n", &[], &["hookpost.toml", "line 1"]),
        ("", &["--ca-file", "/no/such/file"], &["/no/such/file", "cannot be read"]),
        ("", &["--ca-file", &pem], &["--ca-file", "certificate"]),
        ("", &["--portal-logo", &logo], &["logo.txt", ".png"]),
        ("", &["--master-key-file", &short], &[&short, "64"]),
        ("", &["--smtp-url", "smtp://mail.example.com"], &["--smtp-from"]),
        ("", &["--auth-proxy-header", "X-User"], &["--trusted-proxy"]),
        ("", &["--default-profile", "no-such"], &["--default-profile", "no-such"]),
        ("portal-profiles = [\"standard\", \"none\"]\n", &[], &["--portal-profiles", "none"]),
        ("", &["--base-url", "https://hooks.example.com:8080"], &["--base-url", "--listen", "HTTPS"]),
        ("", &["--db", "/no/such/folder/webhooks.db"], &["/no/such/folder", "--db"]),
    ] {
        let (code, problems, _) = checked(&site, toml, arguments);
        assert_eq!((code, problems.len()), (1, 1), "{toml}{arguments:?}: {problems:?}");
        assert!(parts.iter().all(|part| problems[0].contains(part)), "{parts:?} in {}", problems[0]);
    }
    fs::remove_file(site.folder().join("webhooks.db.key")).unwrap();
    let (_, problems, _) = checked(&site, "", &[]);
    assert!(problems.len() == 1 && problems[0].contains("webhooks.db.key"), "{problems:?}");
    fs::write(site.database(), "no database at all, but some text").unwrap();
    let (code, problems, _) = checked(&site, "", &["--master-key-file", &file("good", &"0f".repeat(32))]);
    assert!(code == 1 && problems.len() == 1 && problems[0].contains("webhooks.db"), "{problems:?}");
}

#[test]
fn all_problems_are_reported_at_once_and_nothing_is_changed() {
    let site = Site::new();
    let file = "wrokers = 1\nmax-body = 1\nportal-accent = \"red\"\n";
    let arguments = ["--listen", "x", "--time-zone", "Mars/Base", "--ca-file", "/no/a", "--portal-logo", "/no/b.png"];
    let (code, problems, _) = checked(&site, file, &arguments);
    assert_eq!(code, 1);
    for part in ["wrokers", "--max-body", "--portal-accent", "--listen", "--time-zone", "/no/a", "/no/b.png"] {
        assert_eq!(problems.iter().filter(|text| text.contains(part)).count(), 1, "{part}: {problems:?}");
    }
    assert_eq!(problems.len(), 7, "{problems:?}");
    assert!(!site.database().exists());
}

#[test]
fn settings_that_are_probably_not_meant_are_warnings_and_sound_ones_are_none() {
    let (site, _key) = Site::with_key();
    let (code, problems, warnings) = checked(&site, "", &[]);
    assert_eq!((code, problems.len(), warnings.len()), (0, 0, 0), "{problems:?} {warnings:?}");
    for (arguments, part) in [
        (&["--base-url", "https://hooks.example.com"][..], "--trusted-proxy"),
        (&["--base-url", "http://hooks.internal:9000"], "--listen"),
        (&["--listen", "0.0.0.0:8080"], "--base-url"),
        (&["--failed-retention-days", "1"], "--failed-retention-days"),
    ] {
        let (code, problems, warnings) = checked(&site, "", arguments);
        assert!(code == 0 && problems.is_empty() && warnings.len() == 1, "{arguments:?}: {problems:?} {warnings:?}");
        assert!(warnings[0].contains(part), "{warnings:?}");
    }
    let proxied = ["--base-url", "https://hooks.example.com", "--trusted-proxy", "127.0.0.1"];
    assert_eq!(checked(&site, "", &proxied).2, [""; 0]);
    let mut command = site.command(&["config", "check"]);
    command.env("HOOKPOST_SERVICE_HOST", "10.0.0.1").env("HOOKPOST_RETENTION_DAY", "1");
    let output = run(command);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("problem  no setting has the variable HOOKPOST_RETENTION_DAY."), "{said}");
    assert!(said.contains("warning  no setting has the variable HOOKPOST_SERVICE_HOST"), "{said}");
    assert_eq!(stdout(&run(site.command(&["config", "check"]))), "The settings are valid.\n");
    assert_eq!(run(hookpost(&["config", "check", "--no-such-flag"])).status.code(), Some(2));
}
