//! Large and old files, written straight into a closed database.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::support::process::{PATIENCE, Site, wait_until};

/// The first version of the schema, as old files have it.
const FIRST_SCHEMA: &str = include_str!("../../../src/store/migrations/0001_initial.sql");

/// Adds rows of some two kilobytes that nothing refers to, up to a size in mebibytes.
pub fn fill(database: &Path, mebibytes: u32) {
    let connection = Connection::open(database).unwrap();
    let rows = format!(
        "PRAGMA synchronous = OFF; BEGIN;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {mebibytes} * 500)
         INSERT INTO audit (at_ms, actor, action, subject, detail)
         SELECT 1900000000000, 'test', 'webhook.changed', 'filling', hex(randomblob(1000)) FROM n;
         COMMIT; PRAGMA wal_checkpoint(TRUNCATE);"
    );
    connection.execute_batch(&rows).unwrap();
}

/// A closed database of the first schema with rows in it.
pub fn of_first_schema(mebibytes: u32) -> Site {
    let site = Site::new();
    let connection = Connection::open(site.database()).unwrap();
    let create = format!(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; {FIRST_SCHEMA};
         PRAGMA application_id = {}; PRAGMA user_version = 1;",
        0x486f_6f6b
    );
    connection.execute_batch(&create).unwrap();
    drop(connection);
    fill(&site.database(), mebibytes);
    site
}

pub fn number(database: &Path, query: &str) -> i64 {
    let connection = Connection::open(database).unwrap();
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

/// Asserts that every page and reference of a database is sound.
#[track_caller]
pub fn assert_sound(database: &Path) {
    let connection = Connection::open(database).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok", "{}", database.display());
    drop(connection);
    assert_eq!(number(database, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/// Files of a folder whose name contains a text.
pub fn named(folder: &Path, text: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().contains(text)).collect()
}

/// Waits until a copy is under way in a folder.
#[track_caller]
pub fn wait_for_copy(folder: &Path) {
    let begun = || named(folder, ".part").iter().any(|part| fs::metadata(part).is_ok_and(|found| found.len() > 0));
    assert!(wait_until(PATIENCE, begun), "no copy was begun");
}
