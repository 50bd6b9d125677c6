//! Secrets are encrypted at rest: the master key and its file, databases from before, the rotation of the key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hookpost::store::{Connection, beside};
use serde_json::json;

use super::large::{assert_sound, named, number, of_first_schema};
use crate::support::disk::Disk;
use crate::support::process::{Process, Site, hookpost, refused, run, stderr, stdout};
use crate::support::receiver::tls::client_certificate;

/// More webhooks than two steps of the encryption take.
const WEBHOOKS: i64 = 1_100;

fn key_file(site: &Site) -> PathBuf {
    beside(&site.database(), ".key")
}

fn key(site: &Site) -> String {
    fs::read_to_string(key_file(site)).unwrap().trim().to_owned()
}

/// Whether the database or its log holds a text anywhere, in unused parts too.
#[track_caller]
fn holds(site: &Site, text: &str) -> bool {
    let log = fs::read(beside(&site.database(), "-wal")).unwrap_or_default();
    [site.bytes(), log].iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// A database of the first schema with [`WEBHOOKS`] webhooks, an inbox, and as many webhooks that were deleted.
fn from_before() -> Site {
    let site = of_first_schema(1);
    let connection = Connection::open(site.database()).unwrap();
    let script = format!(
        "BEGIN;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2 * {WEBHOOKS})
         INSERT INTO webhook (id, tenant, url, description, events, profile, secret, old_secret, overlap_ends_ms, state,
             headers, timeout_s, max_in_flight, ordered, standard_headers, created_ms, updated_ms)
         SELECT CAST(printf('w%015d', i) AS BLOB), 'acme', 'https://example.com/', '', '[\"*\"]', 'generic',
             'plain-secret-' || i, 'plain-old-' || i, 9000000000000, 'paused', '[[\"X-Token\",\"plain-header-' || i || '\"]]',
             5, 8, 0, 1, 0, 0 FROM n;
         COMMIT;
         DELETE FROM webhook WHERE id > CAST(printf('w%015d', {WEBHOOKS}) AS BLOB);
         INSERT INTO inbox (tenant, token, created_ms) VALUES ('acme', 'plain-token', 0);
         INSERT INTO inbox_request (inbox_seq, at_ms, method, query, headers, body, body_bytes, verified, signature_check, code)
         VALUES (1, 0, 'POST', '', '[[\"x-token\",\"plain-arrived\"]]', x'', 0, 0, '', 200);
         INSERT INTO audit (at_ms, actor, tenant, action, subject, detail) VALUES
             (0, 'anna', 'acme', 'webhook.created', 'wh_1', 'https://hooks.example.com/services/plain-path'),
             (0, 'anna', 'acme', 'webhook.deleted', 'wh_1', 'https://hooks.example.com/'),
             (0, 'anna', 'acme', 'webhook.changed', 'wh_1', 'description');"
    );
    connection.execute_batch(&script).unwrap();
    drop(connection);
    assert!(holds(&site, "plain-secret-7") && holds(&site, "plain-header-2000") && holds(&site, "plain-token"));
    site
}

/// Checks that the secrets of some webhooks, their old ones and headers are what they were, and the inbox's URL too.
#[track_caller]
fn assert_unsealed(site: &Site, process: &Process, api_key: &str) {
    let client = process.client(api_key);
    let page = client.get("/v1/webhooks?limit=250&tenant=acme");
    let webhooks = page["data"].as_array().unwrap();
    assert_eq!(webhooks.len(), 250);
    for webhook in [&webhooks[0], &webhooks[249]] {
        let id = webhook["id"].as_str().unwrap();
        let found = client.get(&format!("/v1/webhooks/{id}/secret"));
        let secret = found["secret"].as_str().unwrap();
        assert!(secret.starts_with("plain-secret-"), "{found}");
        assert!(found["rotation"]["old_fingerprint"].is_string(), "{found}");
        assert_eq!(webhook["headers"]["X-Token"], "••••••");
    }
    let inbox = client.get("/v1/inbox?tenant=acme");
    assert!(inbox["url"].as_str().unwrap().ends_with("/in/plain-token"), "{inbox}");
    client.call("POST", "/in/plain-token", Some(&json!({}))).expect(200);
    assert_eq!(number(&site.database(), "SELECT is_clean FROM master_key WHERE next_proof IS NULL"), 1);
}

/// Checks that no plain value is anywhere in the file or its log.
#[track_caller]
fn assert_sealed(site: &Site) {
    for plain in ["plain-secret-", "plain-old-", "plain-header-", "plain-token", "plain-arrived", "plain-path"] {
        assert!(!holds(site, plain), "{plain} is in the file or its log");
    }
    assert_sound(&site.database());
}

#[test]
fn a_new_database_gets_a_key_file_that_only_its_owner_can_read() {
    let site = Site::new();
    site.serve().kill();
    let mode = fs::metadata(key_file(&site)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = key(&site);
    assert!(first.len() == 64 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    site.serve().kill();
    assert_eq!(key(&site), first);
    assert!(!holds(&site, &first));
}

#[test]
fn a_missing_key_is_refused_with_what_to_do_and_no_new_one_is_made() {
    let site = Site::new();
    site.serve().kill();
    let kept = fs::read(key_file(&site)).unwrap();
    fs::remove_file(key_file(&site)).unwrap();
    for _ in 0..2 {
        let said = site.serve_refused();
        for part in ["webhooks.db.key does not exist", "Put it back", "HOOKPOST_MASTER_KEY", "--master-key-file"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!key_file(&site).exists());
    }
    // Commands that need no secret work all the same.
    assert!(site.run(&["check"]).status.success());
    assert!(site.run(&["backup", site.folder().join("copy.db").to_str().unwrap()]).status.success());
    site.make_key("read");
    assert!(site.run(&["users", "list"]).status.success());
    let pruned = refused(site.command(&["prune", "--older-than", "1d"]));
    assert!(pruned.contains("does not exist"), "{pruned}");
    fs::write(key_file(&site), kept).unwrap();
    site.serve();
}

#[test]
fn another_key_is_refused_and_named_by_its_source() {
    let site = Site::new();
    site.serve().kill();
    let right = key(&site);
    let other = "ab".repeat(32);
    let with = |name: &str, value: &str| {
        let mut command = site.serve_command();
        command.env(name, value);
        command
    };
    let said = refused(with("HOOKPOST_MASTER_KEY", &other));
    assert!(said.contains("HOOKPOST_MASTER_KEY has the key") && !said.contains(&other), "{said}");
    let file = site.folder().join("elsewhere");
    fs::write(&file, format!("{other}\n")).unwrap();
    let said = refused(with("HOOKPOST_MASTER_KEY_FILE", file.to_str().unwrap()));
    assert!(said.contains("elsewhere has the key"), "{said}");
    fs::write(key_file(&site), &other).unwrap();
    let said = site.serve_refused();
    assert!(said.contains("webhooks.db.key has the key") && said.contains("encrypted under the master key"), "{said}");
    fs::write(key_file(&site), "no key").unwrap();
    let said = site.serve_refused();
    assert!(said.contains("64 hexadecimal digits"), "{said}");
    // The right one, from either setting; both together are ambiguous.
    Process::start(with("HOOKPOST_MASTER_KEY", &right)).kill();
    fs::write(&file, &right).unwrap();
    let mut command = site.serve_command();
    command.arg("--master-key-file").arg(&file);
    Process::start(command).kill();
    let mut command = with("HOOKPOST_MASTER_KEY", &right);
    command.arg("--master-key-file").arg(&file);
    assert!(refused(command).contains("Unset one of them"));
    let mut command = hookpost(&["serve", "--print-config"]);
    command.env("HOOKPOST_MASTER_KEY", &right);
    let printed = stdout(&run(command));
    assert!(printed.contains("# master-key-file is not set") && !printed.contains(&right), "{printed}");
}

#[test]
fn secrets_from_before_are_encrypted_at_the_start_and_no_part_of_the_file_holds_them_any_more() {
    let site = from_before();
    let process = site.serve();
    let api_key = site.make_key("admin");
    assert_unsealed(&site, &process, &api_key);
    process.kill();
    assert_sealed(&site);
    let connection = Connection::open(site.database()).unwrap();
    let mut details = connection.prepare("SELECT detail FROM audit WHERE at_ms = 0 ORDER BY seq").unwrap();
    let details: Vec<String> = details.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(details, ["https://hooks.example.com/…", "https://hooks.example.com/", "description"]);
    // The settings of the file are kept.
    let pragma = |name: &str| -> i64 { connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap() };
    assert_eq!((pragma("auto_vacuum"), pragma("application_id")), (2, 0x486f_6f6b));
    // The log says where copies from before are.
    let process = site.serve();
    process.signal("TERM");
    process.ended(crate::support::process::PATIENCE);
    assert_eq!(named(site.folder(), ".before-").len(), 1);
}

/// Kills a command at its n-th write to the log, for each n, until it gets through. Calls `between` after each kill.
fn kill_at_each_write(site: &Site, make: impl Fn() -> Command, mut between: impl FnMut(u32)) -> u32 {
    for number in (1..).step_by(3) {
        let Some(disk) = Disk::new() else { return 0 };
        disk.arm();
        let mut command = make();
        disk.kill_at(&mut command, "sync-before", number);
        let output = run(command);
        if output.status.signal().is_none() {
            assert!(output.status.success(), "{}", stderr(&output));
            return number;
        }
        assert!(site.database().exists());
        between(number);
    }
    unreachable!("numbers do not end")
}

#[test]
fn a_kill_at_any_moment_of_the_first_encryption_loses_nothing() {
    let site = from_before();
    // Opens the database like the server, and ends.
    let prune = || site.command(&["prune", "--older-than", "3000d", "--dry-run"]);
    let number = kill_at_each_write(&site, prune, |_| {});
    if number == 0 {
        return;
    }
    assert!(number > 6, "{number}");
    let process = site.serve();
    let api_key = site.make_key("admin");
    assert_unsealed(&site, &process, &api_key);
    process.kill();
    assert_sealed(&site);
}

#[test]
fn a_rotation_seals_everything_anew_and_keeps_the_old_key_for_older_backups() {
    let site = from_before();
    let process = site.serve();
    let api_key = site.make_key("admin");
    let said = refused(site.command(&["rotate-master-key"]));
    assert!(said.contains(&format!("process {}", process.id())), "{said}");
    let old_backup = site.folder().join("old.db");
    let answer = site.run(&["backup", old_backup.to_str().unwrap()]);
    assert!(stdout(&answer).contains("webhooks.db.key") && stdout(&answer).contains("keep a copy"), "{answer:?}");
    let with_keys = json!({"url": "https://receiver.invalid/", "events": ["*"], "signing": "ed25519"});
    let with_keys = process.client(&api_key).call("POST", "/v1/webhooks", Some(&with_keys)).expect(201).json();
    let secret_path = format!("/v1/webhooks/{}/secret", with_keys["id"].as_str().unwrap());
    let rotation = process.client(&api_key).call("POST", &format!("{secret_path}/rotate"), Some(&json!({})));
    let public_key = rotation.expect(200).json()["public_key"].clone();
    process.kill();
    let old = key(&site);
    let id = proof_id(&site.database());
    assert!(holds(&site, &format!("§{id}")));

    let rotated = site.run(&["rotate-master-key"]);
    assert!(rotated.status.success(), "{}", stderr(&rotated));
    let said = stdout(&rotated);
    assert!(said.contains(&format!("webhooks.db.key.{id}")) && said.contains("Backups from before"), "{said}");
    assert_ne!(key(&site), old);
    assert_eq!(fs::read_to_string(beside(&key_file(&site), &format!(".{id}"))).unwrap().trim(), old);
    assert!(!holds(&site, &format!("§{id}")), "a value under the old key remains");
    let process = site.serve();
    assert_unsealed(&site, &process, &api_key);
    assert_eq!(process.client(&api_key).get(&secret_path)["public_key"], public_key);
    process.kill();
    assert_sealed(&site);
    assert!(!holds(&site, "whsk_"));

    // A backup is readable with its key alone.
    let mut command = hookpost(&["serve", "--listen", "127.0.0.1:0", "--db", old_backup.to_str().unwrap()]);
    command.env("HOOKPOST_MASTER_KEY", &old);
    let process = Process::start(command);
    let page = process.client(&api_key).get("/v1/webhooks?limit=1&tenant=acme");
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
}

/// Id of the key that a database is encrypted under.
fn proof_id(database: &Path) -> String {
    let connection = Connection::open(database).unwrap();
    let proof: String = connection.query_row("SELECT proof FROM master_key", [], |row| row.get(0)).unwrap();
    proof.trim_start_matches('§').split(':').next().unwrap().to_owned()
}

#[test]
fn a_kill_at_any_moment_of_a_rotation_loses_nothing() {
    let site = from_before();
    site.serve().kill();
    let api_key = site.make_key("admin");
    // Some are finished by the next start, the others by the next rotation.
    let finish = |number| {
        if number % 2 == 0 {
            site.serve().kill();
        }
    };
    let number = kill_at_each_write(&site, || site.command(&["rotate-master-key"]), finish);
    if number == 0 {
        return;
    }
    assert!(number > 6, "{number}");
    let process = site.serve();
    assert_unsealed(&site, &process, &api_key);
    process.kill();
    assert_sealed(&site);
    assert!(!beside(&key_file(&site), ".new").exists());
}

#[test]
fn a_key_of_a_setting_is_replaced_by_its_owner() {
    let site = Site::new();
    let old = "0b".repeat(32);
    let new = "c4".repeat(32);
    let with = |key: &str, arguments: &[&str]| {
        let mut command = site.command(arguments);
        command.env("HOOKPOST_MASTER_KEY", key);
        command
    };
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    Process::start(with(&old, &serve)).kill();
    assert!(!key_file(&site).exists(), "the setting gives the key");
    // A key of one's own.
    let new_file = beside(&key_file(&site), ".new");
    fs::write(&new_file, &new).unwrap();
    fs::set_permissions(&new_file, fs::Permissions::from_mode(0o600)).unwrap();
    let rotated = run(with(&old, &["rotate-master-key"]));
    assert!(rotated.status.success(), "{}", stderr(&rotated));
    assert!(stdout(&rotated).contains("webhooks.db.key.new"), "{}", stdout(&rotated));
    let said = refused(with(&old, &serve));
    assert!(said.contains("was rotated. Set HOOKPOST_MASTER_KEY to the key in"), "{said}");
    fs::remove_file(&new_file).unwrap();
    let said = refused(with(&old, &serve));
    assert!(said.contains("HOOKPOST_MASTER_KEY has the key"), "{said}");
    Process::start(with(&new, &serve));
}

#[test]
fn the_key_of_a_client_certificate_is_sealed_and_outlives_a_rotation() {
    let site = Site::new();
    let api_key = site.make_key("admin");
    let process = site.serve();
    let (certificate, client_key) = client_certificate("anna", 2020, 2099);
    let tls = json!({"client_certificate": certificate, "client_key": client_key});
    let body = json!({"url": "https://127.0.0.1:9/", "events": ["*"], "tls": tls});
    let made = process.client(&api_key).call("POST", "/v1/webhooks", Some(&body)).expect(201).json();
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    process.kill();
    let base64: String = client_key.lines().filter(|line| !line.starts_with('-')).collect();
    let is_plain = || holds(&site, &base64[60..100]) || holds(&site, "PRIVATE KEY");
    assert!(!is_plain());
    let before = key(&site);
    let rotated = site.run(&["rotate-master-key"]);
    assert!(rotated.status.success(), "{}", stderr(&rotated));
    assert_ne!(key(&site), before);
    let process = site.serve();
    let client = process.client(&api_key);
    assert_eq!(client.get(&path)["tls"], made["tls"]);
    // It still belongs to the certificate.
    let change = json!({"tls": {"client_certificate": certificate}});
    client.call("PATCH", &path, Some(&change)).expect(200);
    assert!(!is_plain());
}
