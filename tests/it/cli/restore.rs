//! `hookpost restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;

use hookpost::store::beside;
use serde_json::{Value, json};

use crate::store::large::{assert_sound, named, number};
use crate::support::disk::Disk;
use crate::support::process::{PATIENCE, Process, Site, hookpost, run, stderr, stdout};
use crate::support::receiver::Receiver;

/// A site whose copy has the event `copied`, and whose database has the event `later` too.
struct World {
    site: Site,
    key: String,
    receiver: Receiver,
}

impl World {
    /// The server is killed, so that its log stays.
    fn new() -> World {
        let (site, key) = Site::with_key();
        let receiver = Receiver::answering(503);
        let process = site.serve();
        let client = process.client(&key);
        client.add_webhook(&receiver.url(), &json!({"retry": {"delays_s": [1, 1, 1], "exhausted": "dead_letter"}}));
        client.publish("copied").unwrap().expect(202);
        receiver.wait_for(1);
        let copy = site.folder().join("copy.db");
        let made = site.run(&["backup", copy.to_str().unwrap()]);
        assert!(made.status.success(), "{}", stderr(&made));
        receiver.behave(crate::support::receiver::Behaviour::Answer(crate::support::receiver::Reply::status(200)));
        client.publish("later").unwrap().expect(202);
        client.wait_finished(PATIENCE);
        process.kill();
        World { site, key, receiver }
    }

    fn copy(&self) -> PathBuf {
        self.site.folder().join("copy.db")
    }

    fn command(&self, flags: &[&str]) -> Command {
        let copy = self.copy();
        self.site.command(&[&["restore", copy.to_str().unwrap()], flags].concat())
    }

    #[track_caller]
    fn restore(&self, flags: &[&str]) -> Value {
        let output = run(self.command(&[flags, &["--json"]].concat()));
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    }

    #[track_caller]
    fn refused(&self, flags: &[&str]) -> String {
        let before = (self.site.bytes(), named(self.site.folder(), "").len());
        let output = run(self.command(flags));
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        // A look at a database leaves its index, and the lock its file.
        assert_eq!(self.site.bytes(), before.0);
        assert!(named(self.site.folder(), ".before-restore-").is_empty());
        assert!(named(self.site.folder(), ".part").is_empty());
        stderr(&output)
    }

    fn events(&self, process: &Process) -> Vec<String> {
        let events = process.client(&self.key).get("/v1/events");
        events["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The replaced file.
    fn kept(&self) -> PathBuf {
        let mut kept = self.all_kept();
        assert_eq!(kept.len(), 1, "{kept:?}");
        kept.remove(0)
    }

    fn all_kept(&self) -> Vec<PathBuf> {
        let mut kept = named(self.site.folder(), ".before-restore-");
        kept.retain(|path| !path.to_str().unwrap().ends_with("-wal") && !path.to_str().unwrap().ends_with("-shm"));
        kept
    }
}

#[test]
fn a_copy_replaces_a_newer_database_by_force_alone_and_the_answer_says_what_is_sent_again() {
    let world = World::new();
    let said = world.refused(&[]);
    assert!(said.contains("is newer than") && said.contains("--force"), "{said}");
    let answer = world.restore(&["--force"]);
    assert_eq!(answer["newest_event"]["id"], "copied");
    assert_eq!(
        (&answer["queued"], &answer["finished_since"], &answer["sent_again"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(
        (&answer["missing_events"], &answer["key"], &answer["paused"]),
        (&json!(1), &json!("ok"), &json!(false))
    );
    let kept = world.kept();
    assert_eq!(answer["replaced_file"], kept.to_str().unwrap());
    for file in [&kept, &world.site.database()] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    assert_sound(&kept);
    assert_eq!(number(&kept, "SELECT count(*) FROM event"), 2, "the log of the killed server is in it");
    let sent = world.receiver.hits();
    let process = world.site.serve();
    assert_eq!(world.events(&process), ["copied"]);
    world.receiver.wait_for(sent + 1);
    process.client(&world.key).wait_finished(PATIENCE);
    assert_eq!(world.receiver.hits(), sent + 1);
}

#[test]
fn a_copy_takes_the_place_of_no_database_of_an_older_one_and_of_a_damaged_one() {
    let world = World::new();
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", world.site.database().display()));
    }
    // The log of a file that somebody deleted belongs to no other.
    fs::write(format!("{}-wal", world.site.database().display()), "left").unwrap();
    assert!(world.restore(&["--force"])["replaced_file"].is_null());
    assert_sound(&world.site.database());
    let forget =
        || named(world.site.folder(), ".before-restore-").iter().for_each(|path| fs::remove_file(path).unwrap());
    forget();
    // The same again is not newer.
    assert!(world.restore(&[])["replaced_file"].is_string());
    forget();
    fs::write(world.site.database(), "damaged").unwrap();
    let said = world.refused(&[]);
    assert!(said.contains("cannot be read") && said.contains("--force"), "{said}");
    let answer = world.restore(&["--force"]);
    assert!(answer["finished_since"].is_null());
    assert_eq!(fs::read(world.kept()).unwrap(), b"damaged");
    let process = world.site.serve();
    assert_eq!(world.events(&process), ["copied"]);
}

#[test]
fn what_is_no_sound_copy_is_refused_and_so_is_a_restore_under_a_running_server() {
    let world = World::new();
    let process = world.site.serve();
    let said = world.refused(&["--force"]);
    assert!(said.contains("is serving this database"), "{said}");
    process.signal("TERM");
    process.ended(PATIENCE);
    let database = world.site.database();
    let itself = run(world.site.command(&["restore", database.to_str().unwrap(), "--force"]));
    assert!(stderr(&itself).contains("is the database itself"), "{}", stderr(&itself));
    let missing = run(world.site.command(&["restore", "missing.db"]));
    assert!(stderr(&missing).contains("missing.db does not exist"), "{}", stderr(&missing));
    let whole = fs::read(world.copy()).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2..].iter_mut().for_each(|byte| *byte = 0xab);
    let cases: [(Vec<u8>, &str); 3] = [
        (b"something else entirely, of some length".to_vec(), "is not a database"),
        (whole[..whole.len() / 2].to_vec(), "damaged"),
        (damaged, "damaged"),
    ];
    for (bytes, expected) in cases {
        fs::write(world.copy(), bytes).unwrap();
        let said = world.refused(&["--force"]);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_restored_database_can_be_paused_and_a_key_that_does_not_fit_is_named() {
    let world = World::new();
    let key_file = format!("{}.key", world.site.database().display());
    let right = fs::read(&key_file).unwrap();
    fs::write(&key_file, "ab".repeat(32)).unwrap();
    let answer = world.restore(&["--force", "--paused"]);
    assert_eq!((&answer["key"], &answer["paused"]), (&json!("missing"), &json!(true)));
    let id = answer["key_id"].as_str().unwrap();
    assert!(world.site.serve_refused().contains(id));
    fs::write(&key_file, right).unwrap();
    let sent = world.receiver.hits();
    let process = world.site.serve();
    let client = process.client(&world.key);
    let pause = client.get("/v1/pause");
    assert!(pause["reason"].as_str().unwrap().starts_with("Restored from "), "{pause}");
    client.publish("during").unwrap().expect(202);
    assert_eq!(client.count("pending") + client.count("retrying"), 2);
    assert_eq!(world.receiver.hits(), sent);
    client.call("DELETE", "/v1/pause", None).expect(204);
    client.wait_finished(PATIENCE);
    assert_eq!(world.receiver.hits(), sent + 2);
}

#[test]
fn a_kill_at_any_moment_of_a_restore_leaves_the_old_database_or_the_new_one() {
    let world = World::new();
    let database = world.site.database();
    // The event `later` is in the log alone.
    let files = [database.clone(), beside(&database, "-wal")].map(|path| (fs::read(&path).unwrap(), path));
    assert!(!files[1].0.is_empty());
    let (mut olds, mut news) = (0, 0);
    for point in ["name-before", "name-after"] {
        let mut replaced = 0;
        for call in 1.. {
            let Some(disk) = Disk::new() else { return };
            let _ = fs::remove_file(beside(&database, "-shm"));
            files.iter().for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
            disk.arm();
            let before = number(&world.copy(), "SELECT count(*) FROM event");
            let mut command = world.command(&["--force"]);
            disk.kill_at(&mut command, point, call);
            let output = run(command);
            let is_killed = output.status.signal().is_some();
            assert!(is_killed || output.status.success(), "{}", stderr(&output));
            // What a start would see: the log belongs to the file beside it.
            let checked = run(hookpost(&["check", "--db", database.to_str().unwrap()]));
            assert!(checked.status.success(), "{point} {call}: {}", stderr(&checked));
            match number(&database, "SELECT count(*) FROM event") {
                2 => olds += 1,
                1 => (news, replaced) = (news + 1, replaced + 1),
                other => panic!("{other} events"),
            }
            assert_eq!(before, 1);
            if !is_killed {
                let kept = world.all_kept();
                assert!(kept.iter().all(|path| number(path, "SELECT count(*) FROM event") == 2), "{kept:?}");
                assert_eq!(kept.len(), replaced, "the second name of a database that was not replaced stays");
                named(world.site.folder(), ".before-restore-").iter().for_each(|path| fs::remove_file(path).unwrap());
                break;
            }
        }
    }
    assert!(olds > 4 && news > 1, "{olds} {news}");
    files.iter().for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
    let process = world.site.serve();
    assert_eq!(world.events(&process).len(), 2);
}

#[test]
fn doctor_says_up_to_when_a_restored_database_is_known() {
    let world = World::new();
    world.restore(&["--force"]);
    let found = world.site.run(&["doctor", "--after-restore", "--json", "--listen", "127.0.0.1:0"]);
    let found: Value = serde_json::from_str(&stdout(&found)).unwrap();
    let known = found["checks"].as_array().unwrap().iter().find(|check| check["check"] == "known until").unwrap();
    let message = known["message"].as_str().unwrap();
    assert!(message.starts_with("The newest event is copied of tenant default, accepted at 20"), "{message}");
    // Published again, what the database has is not accepted twice.
    let process = world.site.serve();
    let client = process.client(&world.key);
    for id in ["copied", "later"] {
        client.publish(id).unwrap();
    }
    let mut events = world.events(&process);
    events.sort();
    assert_eq!(events, ["copied", "later"]);
}

#[test]
fn a_second_machine_that_is_restored_paused_sends_nothing_while_the_first_one_lives() {
    let world = World::new();
    let first = world.site.serve();
    let second = Site::new();
    let key_of = |site: &Site| format!("{}.key", site.database().display());
    fs::copy(key_of(&world.site), key_of(&second)).unwrap();
    let copy = second.folder().join("copy.db");
    let steps = [
        world.site.run(&["backup", copy.to_str().unwrap()]),
        second.run(&["restore", copy.to_str().unwrap(), "--paused"]),
    ];
    steps.iter().for_each(|step| assert!(step.status.success(), "{}", stderr(step)));
    let standby = second.serve();
    let sent = world.receiver.hits();
    for (process, id) in [(&first, "to the first"), (&standby, "to the second")] {
        process.client(&world.key).publish(&id.replace(' ', "-")).unwrap().expect(202);
    }
    world.receiver.wait_for(sent + 1);
    first.client(&world.key).wait_finished(PATIENCE);
    assert_eq!(standby.client(&world.key).count("pending"), 1);
    assert_eq!(world.receiver.hits(), sent + 1);
    // A restart of the second does not lift the pause; somebody who knows that the first is off does.
    standby.kill();
    let standby = second.serve();
    first.kill();
    assert_eq!(world.receiver.hits(), sent + 1);
    let resumed = second.run(&["resume"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    standby.client(&world.key).wait_finished(PATIENCE);
    assert_eq!(world.receiver.hits(), sent + 2);
}
