//! One process serves a database; a lock on a file beside it says so.
//!
//! The database itself is not locked so: opening and closing it, or its `-shm` file, a second time in the
//! same process would drop SQLite's own POSIX locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::open::{OpenError, beside};

/// Held while a process serves, migrates or prunes a database; given back when it ends, however it ends.
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock at once, or says which process has it.
    pub fn take(database: &Path) -> Result<FileLock, OpenError> {
        let path = beside(database, ".lock");
        let failed = |source| OpenError::Io { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The text is for people; a lock without it is held all the same.
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
        // Closing the file is not enough where a program that is being started still has a copy of it. An error
        // leaves the lock to the end of the process.
        let _ = self.file.unlock();
    }
}
