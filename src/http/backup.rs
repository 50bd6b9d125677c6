//! Streamed download of a consistent copy of the database, for the API and the pages.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use actix_web::HttpResponse;
use actix_web::http::header;

use super::App;
use super::error::ApiError;
use super::stream::stream;
use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Caller};
use crate::domain::audit_action::AuditAction;
use crate::store::Store;
use crate::store::backup::BackupError;

/// Bytes per chunk.
const CHUNK: usize = 64 << 10;

/// Open copy of the database without a directory entry: closing the file deletes it.
pub struct BackupCopy {
    file: File,
    bytes: u64,
}

/// Copies the database and records the download in the audit log. Blocks. Ends early, without a trace, once
/// `is_awaited` is false.
pub fn copy(store: &Store, caller: &Caller, is_awaited: impl Fn() -> bool) -> Result<BackupCopy, ApiError> {
    let file = store.backup(is_awaited).map_err(refused)?;
    let bytes = file.metadata().map_err(|error| ApiError::internal(&error))?.len();
    let caller = caller.clone();
    let noted = store.write(move |tx| -> Result<(), ActionError> {
        Ok(caller.audit(tx, AuditEntry::new(AuditAction::BackupDownloaded, ""))?)
    });
    noted.wait()?;
    Ok(BackupCopy { file, bytes })
}

fn refused(error: BackupError) -> ApiError {
    match error {
        BackupError::Running => ApiError::conflict("backup_running", error.to_string()),
        BackupError::NoRoom { .. } => ApiError::unavailable("disk_full", error.to_string()),
        // Nobody reads it.
        BackupError::Unwanted => ApiError::unavailable("disconnected", error.to_string()),
        BackupError::Disturbed => ApiError::unavailable("database_busy", error.to_string()),
        BackupError::Store(error) => ActionError::from(error).into(),
        error => ApiError::internal(&error),
    }
}

impl BackupCopy {
    /// Returns the response that streams the copy.
    pub fn stream(self, app: &App) -> HttpResponse {
        let BackupCopy { file, bytes } = self;
        let mut offset = 0;
        let next = move || {
            let mut chunk = vec![0; CHUNK];
            let count = file.read_at(&mut chunk, offset).map_err(|error| ApiError::internal(&error))?;
            offset += count as u64;
            chunk.truncate(count);
            Ok((count > 0).then(|| chunk.into()))
        };
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/vnd.sqlite3"))
            .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"webhooks.db\""))
            .no_chunking(bytes)
            .streaming(stream(app.write_timeout, next))
    }
}
