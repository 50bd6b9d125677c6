//! Settings from flags, the environment and a file, as `hookpost serve --print-config` shows them.

use std::fs;

use crate::support::process::{Site, hookpost, refused, run, stderr, stdout};

/// Environment variables, as names and values.
type Variables<'a> = &'a [(&'a str, &'a str)];

fn command(arguments: &[&str], variables: Variables<'_>) -> std::process::Command {
    let mut command = hookpost(&[&["serve", "--print-config"], arguments].concat());
    command.envs(variables.iter().copied());
    command
}

#[track_caller]
fn printed(arguments: &[&str], variables: Variables<'_>) -> String {
    let output = run(command(arguments, variables));
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[track_caller]
fn assert_printed(arguments: &[&str], variables: Variables<'_>, line: &str) {
    let printed = printed(arguments, variables);
    assert!(printed.lines().any(|printed| printed == line), "{line} in {printed}");
}

/// Creates a site with a settings file. Returns the path of the file too.
fn with_file(text: &str) -> (Site, String) {
    let site = Site::new();
    let file = site.folder().join("hookpost.toml");
    fs::write(&file, text).unwrap();
    (site, file.to_str().unwrap().to_owned())
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let (_site, file) = with_file("workers = 1\nlisten = \"127.0.0.1:1\"\nmax-body = 2048\n");
    let variables = [("HOOKPOST_WORKERS", "2"), ("HOOKPOST_LISTEN", "127.0.0.1:2"), ("HOOKPOST_CONFIG", &file)];
    for line in [
        "workers = \"3\"  # flag",
        "listen = \"127.0.0.1:2\"  # environment",
        "max-body = \"2048\"  # file",
        "http-threads = \"2\"  # default",
        "# base-url is not set",
    ] {
        assert_printed(&["--workers", "3"], &variables, line);
    }
    // Commands without flags for a setting read it from the environment and the file too.
    let site = Site::new();
    fs::write(&file, format!("db = {:?}\n", site.database())).unwrap();
    let mut list = hookpost(&["keys", "list"]);
    list.env("HOOKPOST_CONFIG", &file);
    assert!(refused(list).contains(site.database().to_str().unwrap()));
}

#[test]
fn a_switch_is_on_by_its_flag_alone_and_said_in_full_elsewhere() {
    let on = [("HOOKPOST_METRICS_OPEN", "true")];
    assert_printed(&[], &[], "metrics-open = \"false\"  # default");
    assert_printed(&["--metrics-open"], &[], "metrics-open = \"true\"  # flag");
    assert_printed(&[], &on, "metrics-open = \"true\"  # environment");
    assert_printed(&["--metrics-open=false"], &on, "metrics-open = \"false\"  # flag");
    refused(command(&[], &[("HOOKPOST_METRICS_OPEN", "yes")]));
}

#[test]
fn a_list_is_given_by_repetition_commas_or_an_array() {
    let (_site, file) = with_file("allow-target = [\"10.0.0.0/8\", \"hooks.internal\"]\n");
    let flags = ["--allow-target", "10.0.0.0/8", "--allow-target", "hooks.internal"];
    let variables = [("HOOKPOST_ALLOW_TARGET", "10.0.0.0/8, hooks.internal")];
    let line = |source: &str| format!("allow-target = [\"10.0.0.0/8\", \"hooks.internal\"]  # {source}");
    assert_printed(&flags, &[], &line("flag"));
    assert_printed(&[], &variables, &line("environment"));
    assert_printed(&["--config", &file], &[], &line("file"));
    assert_printed(&[], &[("HOOKPOST_ALLOW_TARGET", "")], "allow-target = []  # environment");
}

#[test]
fn the_mail_server_needs_a_sender_and_its_password_is_never_shown() {
    let flags = ["--smtp-url", "smtp://alerts:pa55word@mail.example.com:587", "--smtp-from", "alerts@example.com"];
    let shown = printed(&flags, &[]);
    assert!(
        shown.contains("smtp-url = \"smtp://alerts@mail.example.com:587\"  # flag, without its password"),
        "{shown}"
    );
    assert!(!shown.contains("pa55word"));
    let (site, file) = with_file("");
    for (arguments, reason) in [
        (&["--smtp-url", "smtp://alerts:pa55word@mail.example.com?tls=none"][..], "could be read"),
        (&["--smtp-url", "smtp://alerts:pa55word@mail.example.com"], "--smtp-from"),
        (&["--smtp-from", "alerts@example.com"], "--smtp-url"),
        (&["--smtp-password-file", &file], "--smtp-url"),
        (&[&flags[..], &["--smtp-password-file", &file]].concat(), "another one"),
        (&["--smtp-url", "smtp://alerts@mail.example.com", "--smtp-from", "a@example.com"], "--smtp-password-file"),
        (&["--smtp-url", "smtp://mail.example.com", "--smtp-from", "alerts"], "--smtp-from"),
        (&["--heartbeat-url", "ftp://example.com"], "--heartbeat-url"),
    ] {
        let database = site.database();
        let said = refused(hookpost(&[&["serve", "--db", database.to_str().unwrap()], arguments].concat()));
        assert!(said.contains(reason) && !said.contains("pa55word"), "{arguments:?}: {said}");
    }
}

#[test]
fn an_unknown_key_and_a_bad_value_are_errors_that_name_it() {
    let (_site, file) = with_file("wrokers = 1\n");
    let said = refused(command(&["--config", &file], &[]));
    assert!(said.contains("wrokers") && said.contains("\"workers\"") && said.contains(&file), "{said}");
    fs::write(&file, "retention_day = 1\n").unwrap();
    assert!(refused(command(&["--config", &file], &[])).contains("Did you mean \"retention-days\"?"));
    for (flag, value) in [
        ("--workers", "0"),
        ("--listen", "localhost"),
        ("--allow-target", "10.1.2.3/8"),
        ("--max-body", "12"),
        ("--retention-days", "1.5"),
        ("--failed-retention-days", "36501"),
    ] {
        let said = refused(command(&[flag, value], &[]));
        assert!(said.contains(flag) && said.contains(value) && !said.contains("(from"), "{said}");
        let variable = format!("HOOKPOST_{}", flag[2..].to_ascii_uppercase().replace('-', "_"));
        let said = refused(command(&[], &[(&variable, value)]));
        assert!(said.contains(&variable) && said.contains(value), "{said}");
        fs::write(&file, format!("{} = {value:?}\n", &flag[2..])).unwrap();
        let said = refused(command(&["--config", &file], &[]));
        assert!(said.contains(&file) && said.contains(flag) && said.contains(value), "{said}");
    }
    for (text, reason) in [("workers = [1, 2]\n", "--workers"), ("workers = 1\nlisten\n", "line 2")] {
        fs::write(&file, text).unwrap();
        let said = refused(command(&["--config", &file], &[]));
        assert!(said.contains(&file) && said.contains(reason), "{said}");
    }
}

/// A value of each setting, other than the default.
fn values(folder: &std::path::Path) -> Vec<(&'static str, String)> {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let given = [
        ("db", folder.join("a \"quoted\" 'name'.db").to_str().unwrap().to_owned()),
        ("master-key-file", file("master.key", &"0f".repeat(32))),
        ("portal-logo", file("logo.svg", "<svg/>")),
        ("smtp-url-file", file("smtp", "smtp://alerts@mail.example.com:587\n")),
        ("smtp-password-file", file("password", "secret")),
        ("heartbeat-url-file", file("heartbeat", "https://hc-ping.com/1\n")),
        ("ca-file", file("ca.pem", "")),
    ];
    let plain = [
        ("listen", "[::1]:9090"),
        ("allow-target", "10.0.0.0/8,hooks.internal:8443"),
        ("default-profile", "iverton"),
        ("workers", "7"),
        ("http-threads", "3"),
        ("max-body", "2048"),
        ("base-url", "https://hooks.example.com/below"),
        ("allow-host", "a.example.com,b.example.com"),
        ("trusted-proxy", "10.0.0.1,fd00::/8"),
        ("auth-proxy-header", "X-Forwarded-User"),
        ("auth-proxy-role-header", "X-Forwarded-Role"),
        ("require-totp", "true"),
        ("portal-name", "Ada's \"shop\" \\ caf\u{e9} \u{7f}"),
        ("portal-accent", "#0a6cff"),
        ("portal-origin", "https://app.example.com"),
        ("portal-certificates", "true"),
        ("portal-profiles", ""),
        ("time-zone", "Europe/Berlin"),
        ("retention-days", "0"),
        ("failed-retention-days", "36500"),
        ("audit-days", "1"),
        ("backup-dir", "/var/backups/hookpost"),
        ("backup-every", "6h"),
        ("backup-keep", "3"),
        ("replicated", "true"),
        ("key-rate-limit", "5"),
        ("tenant-webhooks", "2"),
        ("tenant-queued", "3"),
        ("tenant-requests-per-s", "4"),
        ("tenant-jobs", "1"),
        ("tenant-tests", "1"),
        ("tenant-inbox-requests", "9"),
        ("metrics-open", "true"),
        ("metrics-webhooks", "true"),
        ("security-contact", "mailto:security@example.com,https://example.com/security"),
        ("smtp-from", "Hookpost <alerts@example.com>"),
        ("log", "debug"),
        ("log-format", "json"),
    ];
    given.into_iter().chain(plain.map(|(name, value)| (name, value.to_owned()))).collect()
}

#[test]
fn the_printed_settings_are_a_file_that_gives_the_same_settings() {
    let (site, file) = with_file("");
    let without_source = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.rsplit_once("  # ").map_or(line, |(setting, _)| setting).to_owned()).collect()
    };
    let values = values(site.folder());
    let names: Vec<&str> = hookpost::config::Settings::command()
        .get_arguments()
        .map(|setting| setting.get_long().unwrap().to_owned())
        // Only one of a secret and its file can be set.
        .filter(|name| !values.iter().any(|(known, _)| *known == format!("{name}-file")))
        .map(|name| values.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("a value for {name}")).0)
        .collect();
    assert_eq!(names.len(), values.len());
    let variable = |name: &str| format!("HOOKPOST_{}", name.to_ascii_uppercase().replace('-', "_"));
    let variables: Vec<(String, &str)> = values.iter().map(|(name, value)| (variable(name), value.as_str())).collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for variables in [&[][..], &variables] {
        let first = printed(&[], variables);
        assert_eq!(first.lines().count(), names.len() + 2, "{first}");
        fs::write(&file, &first).unwrap();
        let again = printed(&["--config", &file], &[]);
        assert_eq!(without_source(&first), without_source(&again));
        assert!(variables.is_empty() || !again.contains("# default"), "{again}");
    }
}

#[test]
fn a_printed_url_without_its_password_is_refused_until_the_password_is_given() {
    let (site, file) = with_file("");
    let flags = ["--smtp-url", "smtp://alerts:pa55word@mail.example.com:587", "--smtp-from", "alerts@example.com"];
    fs::write(&file, printed(&flags, &[])).unwrap();
    let database = site.database();
    let said = refused(hookpost(&["serve", "--db", database.to_str().unwrap(), "--config", &file]));
    assert!(said.contains("--smtp-password-file"), "{said}");
    let password = site.folder().join("password");
    fs::write(&password, "pa55word").unwrap();
    printed(&["--config", &file, "--smtp-password-file", password.to_str().unwrap()], &[]);
}
