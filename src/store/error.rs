//! Errors of the store.

use rusqlite::{ErrorCode, ffi};
use thiserror::Error;

use super::damage;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Error of the store. Nothing of the failed job was kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The disk is full. Writing resumes by itself once there is space.
    #[error("the disk that holds the database is full")]
    Full,
    #[error("another program has held the database for more than five seconds")]
    Busy,
    #[error("too many changes are queued for the disk")]
    Overloaded,
    #[error("Hookpost is stopping")]
    Stopping,
    /// The writer hit an error after which it must not continue.
    #[error("the database cannot be written: {0}")]
    Unavailable(String),
    /// A fault in Hookpost interrupted the job. The log has the message of the panic.
    #[error("a fault in Hookpost interrupted the change; please report it with the log")]
    Panicked,
    /// A page of the file is damaged, or cannot be read from the disk.
    #[error("a page of the database is damaged: {0}")]
    DamagedPage(String),
    /// SQLite keeps nothing of a transaction in which a job met a damaged page.
    #[error("the change was undone with another one that met a damaged page of the database")]
    Undone,
    #[error("the database holds an invalid value: {0}")]
    Corrupt(String),
    #[error("the database failed: {0}")]
    Sqlite(String),
}

impl StoreError {
    /// Whether the same call fails again, because of the rows that it reads or a fault in Hookpost, and others need not.
    pub fn is_lasting(&self) -> bool {
        matches!(self, StoreError::Panicked | StoreError::Sqlite(_)) || self.is_damage()
    }

    /// Whether a row cannot be read: a page or a value is damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Corrupt(_) | StoreError::DamagedPage(_))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        use rusqlite::Error;
        let Error::SqliteFailure(failure, _) = &error else {
            return match error {
                Error::InvalidColumnType(_, column, _) => StoreError::Corrupt(format!("a value in column {column}")),
                Error::FromSqlConversionFailure(..) | Error::IntegralValueOutOfRange(..) | Error::Utf8Error(..) => {
                    StoreError::Corrupt(error.to_string())
                }
                _ => StoreError::Sqlite(error.to_string()),
            };
        };
        if matches!(failure.extended_code, ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ) {
            // One bad sector; a disk that fails as a whole also fails at the next commit.
            return StoreError::DamagedPage(error.to_string());
        }
        match failure.code {
            ErrorCode::DiskFull => StoreError::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                damage::page_met();
                StoreError::DamagedPage(error.to_string())
            }
            // The function that opens sealed values.
            ErrorCode::TypeMismatch => {
                StoreError::Corrupt("an encrypted value does not open with the master key".to_owned())
            }
            ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen => {
                StoreError::Unavailable(error.to_string())
            }
            _ => StoreError::Sqlite(error.to_string()),
        }
    }
}
