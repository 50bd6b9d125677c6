//! Databases of released versions, served by this one.
//!
//! `tests/releases` has one per version of the schema that a program on its main line had, made by that program.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hookpost::clock::Clock;
use hookpost::domain::time::HOUR;
use hookpost::store::Connection;
use serde_json::json;

use super::large::{assert_sound, named, number, of_first_schema};
use crate::support::Hub;
use crate::support::process::{Site, hookpost, refused, run, stderr};
use crate::support::receiver::Receiver;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/releases");

/// Tables that every version has, and whose rows no migration adds or removes.
const TABLES: [&str; 4] = ["webhook", "event", "delivery", "attempt"];

/// Databases in order, with the version of the schema.
fn releases() -> Vec<(i64, PathBuf)> {
    let files = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let version = |path: &Path| path.file_name()?.to_str()?.strip_suffix(".db.gz")?.parse().ok();
    let mut found: Vec<(i64, PathBuf)> = files.map(|path| (version(&path).unwrap(), path)).collect();
    found.sort();
    found
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn counts(database: &Path) -> Vec<i64> {
    TABLES.iter().map(|table| number(database, &format!("SELECT count(*) FROM {table}"))).collect()
}

#[test]
fn a_database_of_every_release_is_served_with_all_that_it_had() {
    for (version, path) in releases() {
        println!("schema {version}");
        serve(version, &unpacked(&path));
    }
}

fn serve(version: i64, bytes: &[u8]) {
    let mut before = Vec::new();
    let mut hub = Hub::with(|options| {
        fs::write(&options.database, bytes).unwrap();
        assert_eq!(number(&options.database, "PRAGMA user_version"), version);
        before = counts(&options.database);
        let newest = number(&options.database, "SELECT max(received_ms) FROM event");
        options.clock = Clock::manual(newest + HOUR);
    });
    assert!(before.iter().all(|count| *count > 0), "{before:?}");
    assert_eq!(counts(&hub.database()), before);

    let administrator = hub.administrator();
    for page in
        ["/", "/webhooks", "/events", "/deliveries", "/failed", "/incidents", "/event-types", "/contacts", "/profiles"]
    {
        administrator.get(page).expect(200);
    }
    let list = |path: &str| hub.get(path).expect(200).json()["data"].as_array().unwrap().clone();
    assert!(!list("/v1/webhooks").is_empty() && !list("/v1/events").is_empty());
    let delivery = list("/v1/deliveries?status=delivered")[0]["id"].as_str().unwrap().to_owned();
    assert!(!hub.delivery(&delivery)["attempts"].as_array().unwrap().is_empty());
    administrator.get(&format!("/deliveries/{delivery}")).expect(200);

    let receiver = Receiver::start();
    hub.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["upgrade.done"]})).expect(201);
    hub.publish("upgrade.done", json!({"from": version}));
    hub.deliver_until_idle();
    assert_eq!(receiver.hits(), 1);
    drop(administrator);
    hub.stop();
    assert_sound(&hub.database());
}

/// A migration without a database to try it on is not known to work.
#[test]
fn the_current_schema_has_a_database_for_later_versions() {
    let folder = tempfile::tempdir().unwrap();
    let example = folder.path().join("example.db");
    let made = run(hookpost(&["example-db", example.to_str().unwrap()]));
    assert!(made.status.success(), "{}", stderr(&made));
    let current = number(&example, "PRAGMA user_version");
    let path = Path::new(FOLDER).join(format!("{current:04}.db.gz"));
    if std::env::var_os("HOOKPOST_UPDATE_RELEASES").is_some() {
        let mut packed = GzEncoder::new(fs::File::create(&path).unwrap(), Compression::best());
        packed.write_all(&fs::read(&example).unwrap()).unwrap();
        packed.finish().unwrap();
    }
    assert!(
        path.exists(),
        "the schema has version {current}, and {} is missing. Make it before each release: \
         HOOKPOST_UPDATE_RELEASES=1 cargo test --test it store::releases",
        path.display()
    );
    let kept = folder.path().join("kept.db");
    fs::write(&kept, unpacked(&path)).unwrap();
    assert_eq!(number(&kept, "PRAGMA user_version"), current);
    let tables =
        "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name)";
    let schema = |database: &Path| -> String {
        Connection::open(database).unwrap().query_row(tables, [], |row| row.get(0)).unwrap()
    };
    assert!(
        schema(&kept) == schema(&example),
        "{} has another schema than this version makes. If its migration is not released yet, make the file anew: \
         HOOKPOST_UPDATE_RELEASES=1 cargo test --test it store::releases",
        path.display()
    );
}

/// Copies that earlier migrations left beside a database, by the version and the time in their names.
fn leave_copies(site: &Site, names: &[(i64, i64)]) {
    for (version, second) in names {
        fs::write(site.folder().join(format!("webhooks.db.before-{version}-{second}")), "a copy").unwrap();
    }
}

fn copies(site: &Site) -> Vec<String> {
    let mut names: Vec<String> = named(site.folder(), ".before-")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_migration_keeps_the_newest_copy_of_each_of_three_versions_and_its_own() {
    let site = of_first_schema(1);
    // The last one is of a clock that was ahead, and of the version that this migration makes.
    leave_copies(&site, &[(2, 1_700_000_000), (3, 1_700_000_100), (4, 1_700_000_200), (4, 1_700_000_300)]);
    let other = ["webhooks.db.before-5-mine", "webhooks.db.before-6", "other.db.before-2-1700000000"];
    for name in other {
        fs::write(site.folder().join(name), "mine").unwrap();
    }
    site.serve().kill();
    let current = number(&site.database(), "PRAGMA user_version");
    let found = copies(&site);
    let own: Vec<&String> = found.iter().filter(|name| name.contains(&format!(".before-{current}-"))).collect();
    assert_eq!(own.len(), 1, "{found:?}");
    let path = site.folder().join(own[0]);
    assert_eq!(number(&path, "PRAGMA user_version"), 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut expected: Vec<String> = other.map(str::to_owned).to_vec();
    expected.extend(["webhooks.db.before-3-1700000100", "webhooks.db.before-4-1700000300"].map(str::to_owned));
    expected.push(own[0].clone());
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_migration_that_fails_again_and_again_leaves_one_copy() {
    let site = of_first_schema(1);
    let connection = Connection::open(site.database()).unwrap();
    // A later migration makes a table of this name.
    connection.execute_batch("CREATE TABLE incident (mine INTEGER) STRICT").unwrap();
    drop(connection);
    // Newer than now, as the clock of the first attempt was.
    leave_copies(&site, &[(number_of_current(), 4_000_000_000)]);
    for _ in 0..2 {
        let mut command = site.serve_command();
        command.args(["--log", "error"]);
        let said = refused(command);
        assert!(said.contains("could not be migrated from schema 1") && said.contains("Nothing was changed"), "{said}");
        let found = copies(&site);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(number(&site.folder().join(&found[0]), "PRAGMA user_version"), 1);
    }
    assert_eq!(number(&site.database(), "PRAGMA user_version"), 1);
    assert_sound(&site.database());
}

fn number_of_current() -> i64 {
    releases().last().unwrap().0
}

#[test]
fn a_file_that_cannot_be_copied_for_lack_of_space_is_refused_and_unchanged() {
    let site = of_first_schema(1);
    let file = fs::OpenOptions::new().read(true).write(true).open(site.database()).unwrap();
    let pages: u32 = 0x7000_0000;
    // A hole takes no space, but is a part of the database: 7 TB. Bytes 28 to 31 are its number of pages.
    file.set_len(u64::from(pages) * 4096).unwrap();
    file.write_all_at(&pages.to_be_bytes(), 28).unwrap();
    let head = || {
        let mut bytes = vec![0; 1 << 20];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    };
    let before = head();
    let said = site.serve_refused();
    for part in ["must be migrated", "Free some space", "Nothing was changed"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(head() == before, "the file was changed");
    assert!(copies(&site).is_empty() && named(site.folder(), ".part").is_empty());
}
