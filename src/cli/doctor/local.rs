//! Checks of this machine: database, key, disk, backups.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::Finding;
use crate::clock::Clock;
use crate::domain::time::{DAY, Millis, rfc3339};
use crate::domain::zone::Zone;
use crate::server::certificate_job;
use crate::server::tls::TlsFiles;
use crate::store::diagnosis::{self, Known, diagnose};
use crate::store::{KeySource, beside, free_bytes};
use crate::text::humanize;

/// Free space below which SQLite may soon fail, whatever the size of the database.
const LEAST_FREE: u64 = 100 << 20;
/// Age from which on a backup is old.
const OLD: Millis = 2 * DAY;
/// Files of a folder that are looked at.
const MOST_FILES: usize = 10_000;

/// Checks the database, and the disk that it is on.
pub(super) fn database(path: &Path) -> Vec<Finding> {
    let name = path.display();
    if !path.exists() {
        let message = format!("{name} does not exist. The first start of the server creates it.");
        let advice = "If there should be one, check --db or HOOKPOST_DB.";
        return vec![Finding::warning("database", message, advice), disk(path, 0)];
    }
    match diagnose(path) {
        Ok(found) => {
            let schema = if found.schema == found.current_schema {
                Finding::ok("schema", format!("The schema has the current version, {}.", found.schema))
            } else {
                let (old, new) = (found.schema, found.current_schema);
                let message = format!("The schema has the version {old}. The next start of the server makes it {new}.");
                Finding::warning(
                    "schema",
                    message,
                    "Make a backup before, and keep free space of three times the file.",
                )
            };
            let pages = match found.fault {
                None => Finding::ok("database", format!("{name} is sound, with {}.", humanize::bytes(found.bytes))),
                Some(fault) => Finding::problem(
                    "database",
                    format!("{name} is damaged: {fault}."),
                    "Run \"hookpost check\" for all faults, and restore a backup.",
                ),
            };
            vec![pages, schema, disk(path, found.bytes)]
        }
        Err(error) => {
            let advice =
                "Check --db or HOOKPOST_DB, and that this user can read the file. \"hookpost check\" says more.";
            vec![Finding::problem("database", format!("{name} cannot be read: {error}"), advice), disk(path, 0)]
        }
    }
}

/// Says up to when a database is known.
pub(super) fn known_until(path: &Path) -> Vec<Finding> {
    const CHECK: &str = "known until";
    vec![match diagnosis::known_until(path) {
        Err(error) => Finding::problem(CHECK, format!("{error}."), "Check --db or HOOKPOST_DB."),
        Ok(Known { event: None, .. }) => Finding::ok(CHECK, "The database has no events. Publish all again."),
        Ok(Known { event: Some(event), changed_ms }) => {
            let (id, tenant) = (event.id, event.tenant);
            let changed = changed_ms.map(|at| format!(" The last change is of {}.", rfc3339(at))).unwrap_or_default();
            let received = rfc3339(event.received_ms);
            let message = format!("The newest event is {id} of tenant {tenant}, accepted at {received}.{changed}");
            Finding::ok(CHECK, message).with(
                "Publish the events after that time again, with the same ids. An event that is stored already is \
                 not accepted twice.",
            )
        }
    }]
}

/// Checks the free space of the disk with the database, which has `bytes`.
fn disk(path: &Path, bytes: u64) -> Finding {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(free) = free_bytes(folder) else {
        let message = format!("The free space of {} is unknown.", folder.display());
        return Finding::problem("disk", message, "Check that the folder exists.");
    };
    let message = format!("{} is free.", humanize::bytes(free));
    if free < LEAST_FREE {
        return Finding::problem("disk", message, "Free some space: without it, no event is accepted.");
    }
    if free < bytes.saturating_add(bytes / 8) {
        let advice = "There is no room for a backup on this disk. Free some space, or lower --retention-days.";
        return Finding::warning("disk", message, advice);
    }
    Finding::ok("disk", message)
}

/// Checks the certificate of the server, if it has one of its own.
pub(super) fn certificate(files: Option<&TlsFiles>) -> Vec<Finding> {
    let Some(files) = files else {
        return vec![Finding::skipped(
            "certificate",
            "The server has none (--tls-cert); HTTPS ends at a proxy, if at all.",
        )];
    };
    let now = Clock::machine().now_ms();
    vec![match files.read() {
        Err(error) => Finding::problem("certificate", error.to_string(), "Correct --tls-cert and --tls-key."),
        Ok(pair) => match certificate_job::warning(&pair.validity, now) {
            None => {
                let end = humanize::date(pair.validity.to_ms, &Zone::UTC);
                Finding::ok("certificate", format!("The server's certificate is valid until {end}."))
            }
            Some(warning) if (pair.validity.from_ms..pair.validity.to_ms).contains(&now) => {
                Finding::warning("certificate", warning, "See why it was not renewed.")
            }
            Some(warning) => Finding::problem("certificate", warning, "See why it was not renewed."),
        },
    }]
}

/// Checks that the key of an existing database is there.
pub(super) fn master_key(database: &Path, keys: &KeySource) -> Vec<Finding> {
    let file = beside(database, ".key");
    let name = file.display();
    vec![match keys {
        KeySource::Given { setting, .. } => Finding::ok("master key", format!("The key is given by {setting}.")),
        KeySource::Beside if !database.exists() => {
            Finding::skipped("master key", format!("The first start of the server creates {name}."))
        }
        KeySource::Beside => match fs::metadata(&file) {
            Ok(_) => Finding::ok("master key", format!("The key is in {name}. Keep a copy of it in another place.")),
            Err(error) => Finding::problem(
                "master key",
                format!("{name} cannot be read: {error}."),
                "Restore the file: without it the secrets in the database are lost. A setting can name the key as well.",
            ),
        },
    }]
}

/// Checks the age of the newest backup, which is old after twice the interval of scheduled ones.
pub(super) fn backups(path: Option<&Path>, every: Option<Millis>) -> Vec<Finding> {
    let Some(path) = path else {
        let message =
            "Set --backup-dir to have the server make backups, or name your own with --backups to check its age.";
        return vec![Finding::skipped("backup", message)];
    };
    let advice = match every {
        Some(_) => "Look at the log of the server, and at Settings, Data.",
        None => "Set --backup-dir, or run \"hookpost backup FILE\" daily, also while the server runs.",
    };
    let old = every.map_or(OLD, |every| every.saturating_mul(2));
    vec![match newest(path) {
        Err(error) => Finding::problem("backup", format!("{} cannot be read: {error}.", path.display()), advice),
        Ok(None) => Finding::problem("backup", format!("There is no backup in {}.", path.display()), advice),
        Ok(Some(made)) => {
            let age = Clock::machine().now_ms() - made;
            let message = format!("The newest backup is {} old.", humanize::duration(age.max(0)));
            if age > old { Finding::warning("backup", message, advice) } else { Finding::ok("backup", message) }
        }
    }]
}

/// Returns when a file, or the newest file of a folder, was written.
fn newest(path: &Path) -> std::io::Result<Option<Millis>> {
    let written = |metadata: fs::Metadata| {
        let since = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    };
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Ok(written(metadata));
    }
    let entries = fs::read_dir(path)?.take(MOST_FILES).flatten();
    let files = entries.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file);
    Ok(files.filter_map(written).max())
}
