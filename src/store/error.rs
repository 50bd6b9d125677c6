//! Why the store could not do what was asked.

use thiserror::Error;

/// A failure of the store. Nothing of the job that met it was kept.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// No space on the disk. Taking in goes on by itself once there is some.
    #[error("the disk that holds the database is full")]
    Full,
    /// Another program holds the database.
    #[error("another program has held the database for more than five seconds")]
    Busy,
    /// More jobs wait than the writer takes.
    #[error("more changes wait for the disk than can be taken")]
    Overloaded,
    /// The process is ending.
    #[error("Hookpost is stopping")]
    Stopping,
    /// The writer met an error that it must not go on after.
    #[error("the database cannot be written: {0}")]
    Unavailable(String),
    /// A row that holds what it cannot hold.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
    /// Any other error of SQLite.
    #[error("the database failed: {0}")]
    Sqlite(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode;
        match &error {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull => StoreError::Full,
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(error.to_string()),
                ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen => {
                    StoreError::Unavailable(error.to_string())
                }
                _ => StoreError::Sqlite(error.to_string()),
            },
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
                StoreError::Corrupt(error.to_string())
            }
            _ => StoreError::Sqlite(error.to_string()),
        }
    }
}
