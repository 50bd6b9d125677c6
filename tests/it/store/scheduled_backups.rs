//! Scheduled backups.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use hookpost::actions::backups::BackupSettings;
use hookpost::domain::backup_plan::BackupPlan;
use hookpost::domain::time::{DAY, HOUR, MINUTE, Millis, compact};
use serde_json::json;
use tempfile::TempDir;

use super::large::{assert_sound, number};
use crate::support::Hub;
use crate::support::process::PATIENCE;
use crate::support::receiver::Receiver;

struct World {
    hub: Hub,
    folder: TempDir,
}

impl World {
    fn new(every: Millis, keep: usize) -> World {
        let folder = tempfile::tempdir().unwrap();
        let settings = BackupSettings { folder: folder.path().join("backups"), plan: BackupPlan { every, keep } };
        fs::create_dir(&settings.folder).unwrap();
        let hub = Hub::with(|options| options.backups = Some(settings.clone()));
        World { hub, folder }
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("backups")
    }

    /// Names in the folder, in alphabetical order.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    fn pass(&self, time: Millis) {
        self.hub.clock.advance(time);
        self.idle();
    }

    fn idle(&self) {
        assert!(self.hub.running.backup_job.wait_until_idle(PATIENCE), "the backup did not end");
    }

    fn metric(&self, name: &str) -> f64 {
        let text = self.hub.get("/metrics").expect(200).text;
        let line = text.lines().find(|line| line.split(' ').next() == Some(name)).unwrap_or_else(|| panic!("{name}"));
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

#[test]
fn a_backup_is_made_at_each_interval_and_the_oldest_beyond_the_number_goes() {
    let world = World::new(6 * HOUR, 2);
    // None of these is a backup of this server.
    let foreign = ["mine.db", "webhooks-1999.db", "webhooks-20200101T000000Z.db.gz", "other-20200101T000000Z.db"];
    for name in foreign {
        fs::write(world.folder().join(name), "mine").unwrap();
    }
    fs::create_dir(world.folder().join("webhooks-20200102T000000Z.db")).unwrap();
    world.pass(MINUTE);
    world.hub.publish("order.paid", json!({}));
    let first = world.names();
    assert_eq!(first.len(), 6, "{first:?}");
    world.pass(5 * HOUR);
    assert_eq!(world.names(), first);
    world.pass(HOUR);
    let second = world.names();
    assert_eq!(second.len(), 7, "{second:?}");
    world.pass(6 * HOUR);
    let third = world.names();
    assert_eq!(third.len(), 7, "{third:?}");
    assert!(foreign.iter().all(|name| third.iter().any(|known| known == name)));
    let now = world.hub.clock.now_ms();
    let own = [now - 6 * HOUR, now].map(|at| format!("webhooks-{}.db", compact(at)));
    assert!(own.iter().all(|name| third.contains(name)), "{third:?}");
    let newest = world.folder().join(&own[1]);
    assert_eq!(fs::metadata(&newest).unwrap().permissions().mode() & 0o777, 0o600);
    assert_sound(&newest);
    assert_eq!(number(&newest, "SELECT count(*) FROM event"), 1);
    assert_eq!(world.metric("hookpost_backup_failing"), 0.0);
    let made = world.hub.clock.now_ms() / 1_000;
    assert_eq!(world.metric("hookpost_backup_last_success_timestamp_seconds"), made as f64);
}

#[test]
fn after_a_restart_the_newest_file_says_when_the_next_one_is_due() {
    let mut world = World::new(DAY, 7);
    world.pass(MINUTE);
    let first = world.names();
    assert_eq!(first.len(), 1);
    world.hub.restart();
    world.pass(23 * HOUR);
    assert_eq!(world.names(), first);
    // It is not made late for ever by restarts.
    world.hub.restart();
    world.pass(HOUR);
    assert_eq!(world.names().len(), 2);
    // A server that was off makes it soon after its start, and not at the start itself.
    world.hub.stop();
    world.hub.clock.advance(9 * DAY);
    world.hub.restart();
    world.idle();
    assert_eq!(world.names().len(), 2);
    world.pass(MINUTE);
    assert_eq!(world.names().len(), 3);
}

#[test]
fn a_backup_that_fails_leaves_the_older_ones_and_is_told_until_one_is_made() {
    let world = World::new(HOUR, 1);
    let hub = &world.hub;
    let contact = Receiver::start();
    let fields = json!({"name": "On call", "webhook": {"url": contact.url()}});
    hub.post("/v1/contacts", &fields).expect(201);
    world.pass(MINUTE);
    let first = world.names();
    let (folder, away) = (world.folder(), world.folder.path().join("away"));
    fs::rename(&folder, &away).unwrap();
    world.pass(HOUR);
    assert_eq!(world.metric("hookpost_backup_failing"), 1.0);
    let administrator = hub.administrator();
    let data = administrator.get("/settings/data").expect(200).text;
    assert!(data.contains("The last scheduled backup failed: ") && data.contains("The newest backup is 1 h old."));
    assert!(administrator.get("/").text.contains("The last scheduled backup failed: "));
    for _ in 0..4 {
        hub.tell();
        hub.advance(MINUTE);
    }
    hub.deliver_until_idle();
    assert_eq!(contact.hits(), 1);
    assert!(contact.last().text().contains("The backup failed"), "{}", contact.last().text());
    fs::rename(&away, &folder).unwrap();
    assert_eq!(world.names(), first);
    world.pass(10 * MINUTE);
    assert_eq!(world.metric("hookpost_backup_failing"), 0.0);
    let second = world.names();
    assert!(second.len() == 1 && second != first, "{second:?}");
    for _ in 0..8 {
        hub.tell();
        hub.advance(MINUTE);
    }
    hub.deliver_until_idle();
    assert_eq!(contact.hits(), 2);
    assert!(contact.last().text().contains("Backups are made again"), "{}", contact.last().text());
    let data = administrator.get("/settings/data").expect(200).text;
    assert!(!data.contains("failed: ") && data.contains(&second[0]), "{data}");
}
