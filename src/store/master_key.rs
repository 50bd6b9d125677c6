//! The master key: where it comes from, whether it fits the database, and its rotation.
//!
//! The table `master_key` holds a proof, a fixed text encrypted under the key, by which a wrong key is refused. Secrets of a
//! file from before encryption, and all secrets in a rotation, are sealed in transactions of 500 rows. Each value
//! names its key, so work that was killed is done again from the start and skips what is done. A rotation keeps both
//! keys on the disk until no row needs the old one: the new one is in a file beside the database from the beginning.
//!
//! Sealing does not remove an earlier form of a value from unused parts of the file, where SQLite leaves what it moved or
//! deleted before. So `VACUUM` rewrites the file afterwards, and the write-ahead log is truncated.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, named_params};
use sha2::{Digest as _, Sha256};

use super::damage;
use super::error::StoreError;
use super::lock::FileLock;
use super::open::{self, OpenError, beside};
use super::part;
use super::seal::{MasterKey, SEALED, Sealed, key_id, text};
use super::sql::{self, read_row};
use crate::clock::Clock;
use crate::domain::Invalid;

/// Rows sealed per transaction.
const STEP: usize = 500;

/// Source of the master key.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// File beside the database, `<database>.key`, which a new database gets.
    Beside,
    /// Setting, whose name messages show.
    Given { key: MasterKey, setting: String },
}

/// Result of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    pub new_id: String,
    /// File with the new key.
    pub new_key: PathBuf,
    /// File to which the old key was moved.
    pub old_key: Option<PathBuf>,
    /// Whether a setting still has the old key.
    pub is_set: bool,
}

/// A key that fits the database.
pub(super) struct Unlocked {
    pub(super) key: MasterKey,
    /// An interrupted rotation that was finished.
    pub(super) rotated: Option<Rotated>,
}

/// Key that the secrets of a copy need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeededKey {
    /// Nothing is encrypted yet.
    None,
    Present {
        id: String,
    },
    /// `origin` is the place with another key, or without one.
    Absent {
        id: String,
        origin: String,
    },
}

struct State {
    proof: String,
    next_proof: Option<String>,
    is_clean: bool,
}

/// Master key of a database, with the connection that may change the database.
struct Vault<'a> {
    connection: &'a Connection,
    path: &'a Path,
    source: &'a KeySource,
}

/// Returns the key of a database for the process that holds its lock. Encrypts what is not encrypted yet, and finishes an
/// interrupted rotation. Generates a key only if nothing is encrypted.
pub(super) fn unlock(
    connection: &Connection,
    path: &Path,
    source: &KeySource,
    is_new: bool,
) -> Result<Unlocked, OpenError> {
    let vault = Vault { connection, path, source };
    let Some(state) = vault.state()? else {
        let key = vault.first_key()?;
        vault.begin(&key, is_new)?;
        if !is_new {
            log::info!("encrypting the secrets in {}, which is done once", path.display());
            vault.seal_and_clean(&key)?;
            log::warn!(
                "the secrets in {} are encrypted now. Copies from before hold them readable: delete the ones that you do not \
                 need, such as {}.before-…",
                path.display(),
                path.display()
            );
        }
        return Ok(Unlocked { key, rotated: None });
    };
    match &state.next_proof {
        Some(next_proof) => vault.finish_interrupted(&state.proof, next_proof),
        None => vault.fitting(&state),
    }
}

/// Returns the key that a copy needs in the place of a database, and whether it is at hand.
pub(super) fn needed(copy: &Connection, database: &Path, source: &KeySource) -> Result<NeededKey, OpenError> {
    let vault = Vault { connection: copy, path: database, source };
    let query = "SELECT count(*) FROM sqlite_schema WHERE name = 'master_key'";
    let tables: u32 = copy.query_row(query, [], |row| row.get(0)).map_err(OpenError::sqlite(database))?;
    let Some(state) = (if tables == 0 { None } else { vault.state()? }) else {
        return Ok(NeededKey::None);
    };
    let id = key_id(&state.proof).unwrap_or_default().to_owned();
    // A key file that cannot be parsed is none that fits.
    let key = vault.current_key().unwrap_or_else(|error| {
        log::warn!("{error}");
        None
    });
    Ok(match key.filter(|key| key.fits(&state.proof)) {
        Some(_) => NeededKey::Present { id },
        None => NeededKey::Absent { id, origin: vault.origin() },
    })
}

/// Encrypts all secrets under a new key. The new key is taken from `<database>.key.new` if that file exists, and generated
/// otherwise. No server may run. Also finishes a rotation that was interrupted.
pub fn rotate(database: &Path, source: &KeySource, clock: &Clock) -> Result<Rotated, OpenError> {
    if !database.exists() {
        return Err(OpenError::Missing { path: database.to_owned() });
    }
    let _lock = FileLock::take(database)?;
    let (connection, Unlocked { key: old, rotated }) = open::for_writing(database, source, clock)?;
    if let Some(rotated) = rotated {
        return Ok(rotated);
    }
    let vault = Vault { connection: &connection, path: database, source };
    let new = match vault.read_key(&vault.new_file())? {
        // A left-over of an earlier rotation.
        Some(new) if new.id() == old.id() => generate(&vault.new_file())?,
        Some(new) => new,
        None => generate(&vault.new_file())?,
    };
    let statement = "UPDATE master_key SET next_proof = :proof, is_clean = 0";
    vault.run(sql::run(&connection, statement, named_params! {":proof": new.proof()}))?;
    vault.finish(&old, &new)
}

/// Returns a database to its form before encryption, for one that is published. No server may run.
pub fn decrypt(database: &Path, source: &KeySource, clock: &Clock) -> Result<(), OpenError> {
    let _lock = FileLock::take(database)?;
    let (connection, Unlocked { key, .. }) = open::for_writing(database, source, clock)?;
    let vault = Vault { connection: &connection, path: database, source };
    vault.reseal(&[&key], None)?;
    vault.run(sql::run(&connection, "DELETE FROM master_key", []))
}

impl Vault<'_> {
    fn key_file(&self) -> PathBuf {
        beside(self.path, ".key")
    }

    fn new_file(&self) -> PathBuf {
        beside(self.path, ".key.new")
    }

    fn state(&self) -> Result<Option<State>, OpenError> {
        let query = "SELECT proof, next_proof, is_clean FROM master_key";
        let read = |row: &rusqlite::Row<'_>| Ok(read_row!(row, State { proof, next_proof, is_clean }));
        self.connection.query_row(query, [], read).optional().map_err(OpenError::sqlite(self.path))
    }

    /// Returns the key of a database without encrypted values.
    fn first_key(&self) -> Result<MasterKey, OpenError> {
        match self.source {
            KeySource::Given { key, .. } => Ok(key.clone()),
            KeySource::Beside => match self.read_key(&self.key_file())? {
                Some(key) => Ok(key),
                None => generate(&self.key_file()),
            },
        }
    }

    fn begin(&self, key: &MasterKey, is_new: bool) -> Result<(), OpenError> {
        self.run(sql::run(
            self.connection,
            "INSERT INTO master_key (one, proof, is_clean) VALUES (1, :proof, :is_clean)",
            named_params! {":proof": key.proof(), ":is_clean": is_new},
        ))
    }

    /// Returns the key in use, or an error that says which key is needed and where to put it.
    fn fitting(&self, state: &State) -> Result<Unlocked, OpenError> {
        let current = self.current_key()?;
        if let Some(key) = current.clone().filter(|key| key.fits(&state.proof)) {
            if !state.is_clean {
                self.seal_and_clean(&key)?;
            }
            return Ok(Unlocked { key, rotated: None });
        }
        let new = self.read_key(&self.new_file())?.filter(|key| key.fits(&state.proof));
        match (new, self.source) {
            // A rotation was killed after its last commit.
            (Some(key), KeySource::Beside) => {
                let old_id = current.as_ref().map(MasterKey::id);
                let rotated = self.put_in_place(old_id, &key)?;
                if !state.is_clean {
                    self.seal_and_clean(&key)?;
                }
                Ok(Unlocked { key, rotated: Some(rotated) })
            }
            (Some(_), KeySource::Given { setting, .. }) => Err(OpenError::KeyRotated {
                path: self.path.to_owned(),
                setting: setting.clone(),
                new_file: self.new_file(),
            }),
            (None, _) => Err(self.no_key(current, &state.proof)),
        }
    }

    fn finish_interrupted(&self, proof: &str, next_proof: &str) -> Result<Unlocked, OpenError> {
        let old = self.current_key()?;
        let new = self.read_key(&self.new_file())?;
        let Some(old) = old.clone().filter(|key| key.fits(proof)) else {
            return Err(self.no_key(old, proof));
        };
        let Some(new) = new.filter(|key| key.fits(next_proof)) else {
            return Err(OpenError::KeyMissing {
                path: self.path.to_owned(),
                file: self.new_file(),
                id: key_id(next_proof).unwrap_or_default().to_owned(),
            });
        };
        log::info!("finishing an interrupted rotation of the master key");
        let rotated = self.finish(&old, &new)?;
        match self.source {
            KeySource::Beside => Ok(Unlocked { key: new, rotated: Some(rotated) }),
            // The next start would not have the new key.
            KeySource::Given { setting, .. } => Err(OpenError::KeyRotated {
                path: self.path.to_owned(),
                setting: setting.clone(),
                new_file: self.new_file(),
            }),
        }
    }

    /// Seals all rows under the new key, which then is the key of the database.
    fn finish(&self, old: &MasterKey, new: &MasterKey) -> Result<Rotated, OpenError> {
        self.reseal(&[old, new], Some(new))?;
        let statement = "UPDATE master_key SET proof = next_proof, next_proof = NULL";
        self.run(sql::run(self.connection, statement, []))?;
        let rotated = match self.source {
            KeySource::Beside => self.put_in_place(Some(old.id()), new)?,
            KeySource::Given { .. } => {
                Rotated { new_id: new.id().to_owned(), new_key: self.new_file(), old_key: None, is_set: true }
            }
        };
        self.clean()?;
        Ok(rotated)
    }

    /// Makes the new key's file the key file, and keeps the old one under the id of its key.
    fn put_in_place(&self, old_id: Option<&str>, new: &MasterKey) -> Result<Rotated, OpenError> {
        let file = self.key_file();
        let old_file = old_id.map(|id| beside(self.path, &format!(".key.{id}")));
        if let Some(old_file) = &old_file {
            fs::rename(&file, old_file).map_err(io_error(&file))?;
        }
        fs::rename(self.new_file(), &file).map_err(io_error(&file))?;
        sync_folder(&file)?;
        Ok(Rotated { new_id: new.id().to_owned(), new_key: file, old_key: old_file, is_set: false })
    }

    fn current_key(&self) -> Result<Option<MasterKey>, OpenError> {
        match self.source {
            KeySource::Given { key, .. } => Ok(Some(key.clone())),
            KeySource::Beside => self.read_key(&self.key_file()),
        }
    }

    /// Place of the key.
    fn origin(&self) -> String {
        match self.source {
            KeySource::Beside => self.key_file().display().to_string(),
            KeySource::Given { setting, .. } => setting.clone(),
        }
    }

    fn no_key(&self, found: Option<MasterKey>, proof: &str) -> OpenError {
        let (path, id) = (self.path.to_owned(), key_id(proof).unwrap_or_default().to_owned());
        let origin = self.origin();
        match found {
            Some(found) => OpenError::KeyWrong { path, origin, found: found.id().to_owned(), id },
            None => OpenError::KeyMissing { path, file: self.key_file(), id },
        }
    }

    fn read_key(&self, file: &Path) -> Result<Option<MasterKey>, OpenError> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(file)(error)),
        };
        if fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
            log::warn!("other users of this machine may read {}: run `chmod 600` on it", file.display());
        }
        let invalid = |error: Invalid| OpenError::KeyInvalid { file: file.to_owned(), detail: error.to_string() };
        text.parse().map(Some).map_err(invalid)
    }

    fn seal_and_clean(&self, key: &MasterKey) -> Result<(), OpenError> {
        self.reseal(&[key], Some(key))?;
        self.clean()
    }

    /// Seals every value under `to`, or leaves it open if `to` is `None`. `keys` open what is sealed.
    fn reseal(&self, keys: &[&MasterKey], to: Option<&MasterKey>) -> Result<(), OpenError> {
        self.secure_delete(true)?;
        for column in &SEALED {
            let mut after = 0;
            while let Some(last) = self.run(reseal_step(self.connection, column, after, keys, to))? {
                after = last;
            }
        }
        self.secure_delete(false)
    }

    /// Whether SQLite overwrites what a statement deletes or replaces.
    fn secure_delete(&self, on: bool) -> Result<(), OpenError> {
        let set = self.connection.pragma_update_and_check(None, "secure_delete", on, |_| Ok(()));
        set.map_err(OpenError::sqlite(self.path))
    }

    /// Removes earlier forms of values from unused parts of the file and from the log. Without enough space this is left to
    /// the next start.
    fn clean(&self) -> Result<(), OpenError> {
        let bytes = fs::metadata(self.path).map_or(0, |found| found.len());
        let free = part::free_bytes(self.path);
        let result = match free {
            Some(free) if free < bytes.saturating_add(bytes / 8) => {
                Err("the disk is too full for a second copy of it".to_owned())
            }
            _ => rewrite(self.connection).map_err(|error| error.to_string()),
        };
        match result {
            Ok(()) => self.run(sql::run(self.connection, "UPDATE master_key SET is_clean = 1", [])),
            Err(reason) => {
                log::warn!(
                    "the secrets in {} are encrypted, but earlier forms of them may remain in unused parts of the file, since it \
                     could not be rewritten: {reason}. The next start tries again.",
                    self.path.display()
                );
                Ok(())
            }
        }
    }

    fn run<T>(&self, result: Result<T, StoreError>) -> Result<T, OpenError> {
        result.map_err(|error| OpenError::Sealing { path: self.path.to_owned(), source: error })
    }
}

/// Seals the values of up to [`STEP`] rows in one transaction. Returns the last row; `None` if there is none left.
fn reseal_step(
    connection: &Connection,
    sealed: &Sealed,
    after: i64,
    keys: &[&MasterKey],
    to: Option<&MasterKey>,
) -> Result<Option<i64>, StoreError> {
    let Sealed { table, column, row, hash } = sealed;
    let place = format!("{table}.{column}");
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let select = format!(
        "SELECT seq, CAST({row} AS BLOB) AS row, {column} AS value FROM {table}
         WHERE seq > ?1 AND {column} IS NOT NULL ORDER BY seq LIMIT {STEP}"
    );
    let read = |row: &rusqlite::Row<'_>| Ok((row.get("seq")?, row.get("row")?, row.get("value")?));
    let values: Vec<(i64, Vec<u8>, Value)> = sql::all(connection, &select, [after], read)?;
    for (seq, row, value) in &values {
        if to.is_some_and(|key| key.has_sealed(value)) {
            continue;
        }
        let open = match key_id(text(value)) {
            None => Some(value.clone()),
            Some(_) => keys.iter().find_map(|key| key.open(value, &place, row)),
        };
        let Some(open) = open else {
            // Nobody can read it any more. The row is reported whenever it is met.
            damage::report(table, *seq, &StoreError::Corrupt(format!("a value in column {column}")));
            continue;
        };
        let stored = to.map_or_else(|| open.clone(), |key| key.seal(open.clone(), &place, row));
        sql::run(connection, &format!("UPDATE {table} SET {column} = ?2 WHERE seq = ?1"), (seq, stored))?;
        if let Some(hash) = hash {
            let statement = format!("UPDATE {table} SET {hash} = ?2 WHERE seq = ?1");
            sql::run(connection, &statement, (seq, Sha256::digest(text(&open)).to_vec()))?;
        }
    }
    transaction.commit()?;
    Ok(values.last().map(|(seq, ..)| *seq))
}

/// Writes the whole file anew and empties the log.
fn rewrite(connection: &Connection) -> Result<(), StoreError> {
    // In memory it would take as much memory as the file has bytes.
    connection.execute_batch("PRAGMA temp_store = FILE; VACUUM; PRAGMA temp_store = MEMORY;")?;
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy { Err(StoreError::Busy) } else { Ok(()) }
}

/// Writes a new key to a file of mode 0600, which is on the disk before anything is encrypted under the key.
fn generate(file: &Path) -> Result<MasterKey, OpenError> {
    let text = MasterKey::generate();
    let unfinished = beside(file, ".part");
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut part = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        writeln!(part, "{text}")?;
        part.sync_all()?;
        fs::rename(&unfinished, file)
    };
    write().map_err(io_error(file))?;
    sync_folder(file)?;
    log::debug!("created the master key {}", file.display());
    text.parse().map_err(|error: Invalid| OpenError::KeyInvalid { file: file.to_owned(), detail: error.to_string() })
}

fn sync_folder(file: &Path) -> Result<(), OpenError> {
    let folder = part::folder_of(file);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path, source }
}
