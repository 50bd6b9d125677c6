//! Files under construction: copies of the database, which get a name once they are complete and on disk.
//!
//! The process that writes a file holds a lock on it. A file that nobody locks was left by a killed process, and the next
//! copy into its folder or the next start of the server removes it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::backup::BackupError;
use crate::random;
use crate::text::humanize;

const PREFIX: &str = ".hookpost-";
const SUFFIX: &str = ".part";

/// File under construction, with mode 0600. Removed when dropped without a name.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    is_named: bool,
}

impl Part {
    /// Creates an empty file in a folder, if its disk has room for a copy of a database of `bytes`. Removes what killed
    /// processes left there.
    pub(super) fn create(folder: &Path, bytes: u64) -> Result<Part, BackupError> {
        remove_leftovers(folder);
        require_room(folder, free_bytes(folder), bytes)?;
        let path = folder.join(format!("{PREFIX}{}{SUFFIX}", hex::encode(random::bytes::<8>())));
        let mut options = OpenOptions::new();
        let created = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = created.map_err(io_error(&path))?;
        // Without locks on this file system, no file is ever taken for a leftover.
        let _ = file.try_lock();
        Ok(Part { file, path, is_named: false })
    }

    /// Opens the file as a database to copy into. It has no journal and is not synced: it counts for nothing before it
    /// is complete.
    pub(super) fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Nobody else opens it, and a lock of SQLite's own could meet ours on a network file system.
        let connection = Connection::open_with_flags_and_vfs(&self.path, flags, c"unix-none")?;
        connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
        Ok(connection)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes to the disk what was copied so far, so that the end finds little to write.
    pub(super) fn sync(&self) -> Result<(), BackupError> {
        self.file.sync_data().map_err(io_error(&self.path))
    }

    /// Writes the complete copy to the disk and gives it its name.
    pub(super) fn name(mut self, to: &Path) -> Result<(), BackupError> {
        self.finish()?;
        fs::rename(&self.path, to).map_err(io_error(to))?;
        self.is_named = true;
        sync_folder(folder_of(to))
    }

    /// Opens the complete copy for a look at it, and for changes before it gets its name. Otherwise like [`Part::open`].
    pub(super) fn reopen(&self) -> Result<Connection, BackupError> {
        self.finish()?;
        Ok(self.open()?)
    }

    /// Returns the complete copy as a file without a name: closing it deletes it, and no crash can leave it behind.
    pub(super) fn unnamed(self) -> Result<File, BackupError> {
        self.finish()?;
        fs::remove_file(&self.path).map_err(io_error(&self.path))?;
        self.file.try_clone().map_err(io_error(&self.path))
    }

    fn finish(&self) -> Result<(), BackupError> {
        // The copied header asks for a write-ahead log, which a file on its own does not have. Bytes 18 and 19 are the
        // file format versions (SQLite, "Database File Format", 1.3.2): 1 is without a log.
        self.file.write_all_at(&[1, 1], 18).and_then(|()| self.file.sync_all()).map_err(io_error(&self.path))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_named {
            // Already gone if it is used without a name. On another error it is a leftover.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes the names of a folder to the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder))
}

/// Returns the folder of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes the files that killed processes left in a folder. Others are never touched.
pub(super) fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        if number.is_none_or(|number| number.len() != 16 || hex::decode(number).is_err()) {
            continue;
        }
        let path = entry.path();
        // Locked: another process is writing it.
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            match fs::remove_file(&path) {
                Ok(()) => log::info!("removed {}, which an interrupted backup left", path.display()),
                Err(error) => log::warn!("{}, which an interrupted backup left, stays: {error}", path.display()),
            }
        }
    }
}

/// Returns the free bytes of the disk that holds a path; `None` if unknown.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Refuses a copy that would fill the disk. An eighth more than the database is wanted, since it may grow meanwhile.
fn require_room(folder: &Path, free: Option<u64>, bytes: u64) -> Result<(), BackupError> {
    let wanted = bytes.saturating_add(bytes / 8).saturating_add(1 << 20);
    match free {
        Some(free) if free < wanted => Err(BackupError::NoRoom {
            folder: folder.to_owned(),
            free: humanize::bytes(free),
            wanted: humanize::bytes(wanted),
        }),
        _ => Ok(()),
    }
}

pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_refused_before_it_fills_the_disk() {
        let refused = |free, bytes| require_room(Path::new("/backups"), free, bytes);
        assert!(refused(None, 1 << 40).is_ok(), "free space unknown");
        assert!(refused(Some(114_000_000), 100_000_000).is_ok());
        let error = refused(Some(113_000_000), 100_000_000).unwrap_err().to_string();
        assert!(error.starts_with("/backups has 113 MB free, and a copy of the database needs 113.6 MB."), "{error}");
        assert!(refused(Some(0), u64::MAX).is_err());
    }

    #[test]
    fn only_files_of_killed_processes_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let names = |folder: &Path| {
            let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let foreign =
            ["webhooks.db", "webhooks.db.part", ".hookpost-mine.part", ".hookpost-0123456789abcdeg.part", "a.db"];
        for name in foreign {
            fs::write(folder.path().join(name), "mine").unwrap();
        }
        let expected = names(folder.path());
        fs::write(folder.path().join(".hookpost-0123456789abcdef.part"), "left").unwrap();
        let written = Part::create(folder.path(), 1).unwrap();
        remove_leftovers(folder.path());
        let found = names(folder.path());
        assert!(found.contains(&written.path.file_name().unwrap().to_owned()), "it is being written: {found:?}");
        drop(written);
        assert_eq!(names(folder.path()), expected);
    }
}
