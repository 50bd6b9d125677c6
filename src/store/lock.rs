//! Lock that lets only one process serve a database. It is taken on a file beside the database.
//!
//! The database file itself is not locked: opening and closing it, or its `-shm` file, again in the same process would
//! release SQLite's own POSIX locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::open::{OpenError, beside};

/// Lock held while a process serves, migrates or prunes a database. Released when the process ends, even by a crash.
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock without waiting. The error names the process that holds it.
    pub fn take(database: &Path) -> Result<FileLock, OpenError> {
        let path = beside(database, ".lock");
        let failed = |source| OpenError::Io { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The text is informative only; the lock counts without it.
                let _ = file.read_to_string(&mut holder);
                return Err(OpenError::Locked { path: database.to_owned(), pid: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(FileLock { file })
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file is not enough while a starting child process still has a copy of it. On error the lock lasts
        // until the process ends.
        let _ = self.file.unlock();
    }
}
