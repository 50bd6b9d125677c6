//! Output of the commands: JSON and tables, a closed pipe, a full disk.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::process::{Site, hookpost, run, stderr, stdout};

const SIGN: &[&str] = &["sign", "--secret", "s", "--id", "evt_1", "--timestamp", "1768471200", "/dev/null"];

/// Commands that print something, beside the database of a site.
fn printing(site: &Site) -> Vec<Command> {
    let backup = site.folder().join("copy.db");
    let _ = std::fs::remove_file(&backup);
    let beside = [
        &["keys", "list"][..],
        &["users", "list"],
        &["users", "reset-password", "ada"],
        &["check"],
        &["prune", "--dry-run"],
        &["backup", backup.to_str().unwrap()],
        &["rotate-master-key"],
    ];
    let mut commands: Vec<Command> = beside.iter().map(|arguments| site.command(arguments)).collect();
    commands.push(hookpost(&["serve", "--print-config"]));
    commands.push(hookpost(SIGN));
    commands.push(verify(&[]));
    commands
}

/// `hookpost verify` of a signature that is valid.
fn verify(arguments: &[&str]) -> Command {
    let headers = stdout(&run(hookpost(SIGN)));
    let mut command = hookpost(&["verify", "--secret", "s", "/dev/null"]);
    for line in headers.lines() {
        command.args(["-H", line]);
    }
    command.args(arguments);
    command
}

fn site() -> Site {
    let (site, _) = Site::with_key();
    // The first start encrypts the secrets.
    site.serve().kill();
    assert!(site.run(&["users", "add", "ada"]).status.success());
    site
}

fn shown(command: &Command) -> String {
    format!("{:?}", command.get_args().collect::<Vec<_>>())
}

#[track_caller]
fn parsed(output: &Output) -> Value {
    serde_json::from_str(&stdout(output))
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

#[test]
fn a_command_whose_reader_has_gone_ends_in_silence() {
    for mut command in printing(&site()) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{}", shown(&command));
    }
}

#[test]
fn a_command_that_cannot_write_its_output_fails_in_one_line() {
    for mut command in printing(&site()) {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let (said, shown) = (stderr(&output), shown(&command));
        let code = if shown.contains("verify") || shown.contains("check") { 2 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{shown}: {said}");
        assert!(said.starts_with("hookpost: standard output cannot be written: No space left"), "{shown}: {said}");
        assert_eq!(said.lines().count(), 1, "{shown}: {said}");
    }
}

#[test]
fn an_error_that_nobody_can_read_still_has_its_exit_code() {
    let site = Site::new();
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = site.command(&["keys", "list"]).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let output = site.command(&["keys", "list"]).stdout(full()).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn each_command_that_prints_has_json() {
    let help = stdout(&run(hookpost(&["--help"])));
    // They print what is asked for in a format of its own, or run until they are stopped.
    let exempt = ["help", "serve", "demo", "completions", "man", "example-db"];
    // They print nothing, or one line for the log of a container.
    let silent = ["keys revoke", "users remove", "users reset-totp", "healthcheck"];
    for path in commands(&help, "") {
        if exempt.contains(&path.as_str()) {
            continue;
        }
        let words: Vec<&str> = path.split(' ').collect();
        let help = stdout(&run(hookpost(&[&words[..], &["--help"]].concat())));
        let below = commands(&help, &path);
        for path in if below.is_empty() { vec![path] } else { below } {
            let words: Vec<&str> = path.split(' ').collect();
            let help = stdout(&run(hookpost(&[&words[..], &["--help"]].concat())));
            assert_ne!(help.contains("--json"), silent.contains(&path.as_str()), "{path}");
        }
    }
}

/// Names of the commands that a help lists.
fn commands(help: &str, parent: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    names.filter(|name| *name != "help").map(|name| format!("{parent} {name}").trim().to_owned()).collect()
}

#[test]
fn json_of_the_local_commands_is_one_document_with_the_names_of_the_api() {
    let site = site();
    let made = site.run(&["keys", "create", "--name", "app", "--scope", "read", "--tenant", "acme", "--json"]);
    let key = parsed(&made);
    assert_eq!((&key["name"], &key["scope"], &key["tenant"]), (&json!("app"), &json!("read"), &json!("acme")));
    assert!(key["key"].as_str().unwrap().starts_with("hookpost_"), "{key}");
    let listed = parsed(&site.run(&["keys", "list", "--json"]));
    let found = listed["data"].as_array().unwrap().iter().find(|listed| listed["id"] == key["id"]).unwrap();
    assert_eq!((&found["name"], &found["expires_at"]), (&json!("app"), &Value::Null));
    let id = key["id"].as_str().unwrap();
    let rotated = parsed(&site.run(&["keys", "rotate", id, "--json"]));
    assert_ne!((&rotated["id"], &rotated["key"]), (&key["id"], &key["key"]));

    let added = parsed(&site.run(&["users", "add", "grace", "--role", "viewer", "--json"]));
    assert_eq!((&added["name"], &added["role"]), (&json!("grace"), &json!("viewer")));
    assert_eq!(added["password"].as_str().unwrap().len(), 26);
    let users = parsed(&site.run(&["users", "list", "--json"]));
    assert_eq!(users["data"].as_array().unwrap().len(), 2);

    assert_eq!(parsed(&site.run(&["check", "--json"])), json!({"sound": true, "faults": []}));
    let pruned = parsed(&site.run(&["prune", "--dry-run", "--json"]));
    assert_eq!(pruned, json!({"deliveries": 0, "events": 0, "dry_run": true}));
    let copy = site.folder().join("copy.db");
    let made = parsed(&site.run(&["backup", copy.to_str().unwrap(), "--json"]));
    assert_eq!((&made["file"], &made["bytes"]), (&json!(copy), &json!(copy.metadata().unwrap().len())));
    let rotated = parsed(&site.run(&["rotate-master-key", "--json"]));
    assert!(rotated["key_file"].as_str().unwrap().ends_with(".key"), "{rotated}");

    let signed = parsed(&run(hookpost(&[SIGN, &["--json"]].concat())));
    assert!(signed["headers"]["X-Webhook-Signature"].is_string(), "{signed}");
    assert_eq!(parsed(&run(verify(&["--json"])))["verified"], true);
}

#[test]
fn verify_exits_with_1_for_a_wrong_signature_and_with_2_if_nothing_could_be_checked() {
    let wrong = run(verify(&["--secret", "other"]));
    assert_eq!(wrong.status.code(), Some(2), "the secret is given twice: {}", stderr(&wrong));
    let mut command = hookpost(&["verify", "--secret", "s", "--json", "-H", "X-Webhook-Signature: 00"]);
    let wrong = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1), "{}", stderr(&wrong));
    let answer = parsed(&wrong);
    assert_eq!(answer["verified"], false);
    assert!(answer["reason"].as_str().unwrap().contains("X-Webhook-Signature"), "{answer}");
    for arguments in [
        &["verify", "--secret", "s", "-H", "no colon"][..],
        &["verify", "--secret", "s", "-H", "A: b", "/none/body"],
        &["verify", "-H", "A: b"],
        &["verify", "--secret", "s", "-H", "A: b", "--tolerance-s", "soon"],
        &["verify", "--secret", "s", "-H", "A: b", "--profile", "nobody"],
    ] {
        let output = run(hookpost(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn check_exits_with_1_for_a_damaged_database_and_with_2_if_it_could_not_be_read() {
    let site = site();
    let missing = run(hookpost(&["check", "--db", "/none/webhooks.db"]));
    assert_eq!(missing.status.code(), Some(2), "{}", stderr(&missing));
    let process = site.serve();
    let key = site.make_key("admin");
    process.client(&key).publish("flipped").unwrap().expect(202);
    process.kill();
    let connection = rusqlite::Connection::open(site.database()).unwrap();
    connection.execute("UPDATE event SET data = '{\"other\":1}'", []).unwrap();
    drop(connection);
    let damaged = site.run(&["check", "--json"]);
    assert_eq!(damaged.status.code(), Some(1), "{}", stderr(&damaged));
    let answer = parsed(&damaged);
    assert_eq!(answer["sound"], false);
    assert!(answer["faults"][0].as_str().unwrap().contains("flipped"), "{answer}");
}

#[test]
fn a_new_key_is_printed_alone_and_its_id_beside_it() {
    let site = Site::new();
    let made = site.run(&["keys", "create", "--name", "app", "--scope", "admin"]);
    assert_eq!(stdout(&made).split_whitespace().count(), 1, "scripts keep the key: {}", stdout(&made));
    let listed = parsed(&site.run(&["keys", "list", "--json"]));
    let id = listed["data"][0]["id"].as_str().unwrap();
    assert!(stderr(&made).contains(id), "{} in {}", id, stderr(&made));
}

#[test]
fn tables_have_a_header_and_line_up_whatever_the_letters_are() {
    let site = Site::new();
    for name in ["app", "\u{8ca8}\u{7269}\u{914d}\u{9001}", "e\u{301}te\u{301}"] {
        let made = site.run(&["keys", "create", "--name", name, "--scope", "read"]);
        assert!(made.status.success(), "{}", stderr(&made));
    }
    let table = stdout(&site.run(&["keys", "list"]));
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(lines[0].starts_with("ID ") && lines[0].contains(" SCOPE "), "{table}");
    let column = |line: &str| unicode_width::UnicodeWidthStr::width(&line[..line.find("read").unwrap()]);
    let scope = lines[0].find("SCOPE").unwrap();
    assert!(lines[1..].iter().all(|line| column(line) == scope), "{table}");
    assert!(!table.contains('\x1b'), "no colors but on a terminal");
}

#[test]
fn a_backup_can_go_to_standard_output() {
    let (site, key) = Site::with_key();
    let process = site.serve();
    process.client(&key).publish("kept").unwrap().expect(202);
    let check = |said: &Output| {
        assert!(said.status.success(), "{}", stderr(said));
        let copy = site.folder().join("copy.db");
        std::fs::File::create(&copy).unwrap().write_all(&said.stdout).unwrap();
        let checked = run(hookpost(&["check", "--db", copy.to_str().unwrap()]));
        assert!(checked.status.success(), "{}", stderr(&checked));
        assert_eq!(crate::store::large::number(&copy, "SELECT count(*) FROM event WHERE id = 'kept'"), 1);
        std::fs::remove_file(&copy).unwrap();
    };
    check(&site.run(&["backup", "-"]));
    process.kill();
    check(&site.run(&["backup", "-"]));
    let left: Vec<_> = std::fs::read_dir(site.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_str().unwrap().ends_with(".part")), "{left:?}");
    // An incomplete copy is never a success.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = site.command(&["backup", "-"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}
