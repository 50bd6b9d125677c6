//! Streamed download of a consistent copy of the database, for the API and the pages.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use tokio::sync::mpsc;

use super::ByteStream;
use super::error::ApiError;
use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Caller};
use crate::domain::audit_action::AuditAction;
use crate::store::Store;
use crate::store::backup::BackupError;

/// Bytes per chunk. At most two are queued, which bounds the memory that a slow client costs.
const CHUNK: usize = 64 << 10;

/// Open copy of the database without a directory entry: closing the file deletes it.
pub struct BackupCopy {
    file: File,
    bytes: u64,
}

/// Copies the database and records the download in the audit log. Blocks.
pub fn copy(store: &Store, caller: &Caller) -> Result<BackupCopy, ApiError> {
    let file = store.backup().map_err(refused)?;
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
        BackupError::Disturbed => ApiError::unavailable("database_busy", error.to_string()),
        BackupError::Store(error) => ActionError::from(error).into(),
        error => ApiError::internal(&error),
    }
}

impl BackupCopy {
    /// Returns the response that streams the copy.
    pub fn stream(self) -> HttpResponse {
        let BackupCopy { file, bytes } = self;
        let (sender, receiver) = mpsc::channel(2);
        tokio::task::spawn_blocking(move || send(file, &sender));
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/vnd.sqlite3"))
            .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"webhooks.db\""))
            .no_chunking(bytes)
            .streaming(ByteStream(receiver))
    }
}

/// Sends a file in chunks until its end, or until the client disconnects.
fn send(file: File, sender: &mpsc::Sender<std::io::Result<Bytes>>) {
    let mut offset = 0;
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = file.read_at(&mut chunk, offset).map(|count| {
            offset += count as u64;
            chunk.truncate(count);
            Bytes::from(chunk)
        });
        let is_last = read.as_ref().map_or(true, Bytes::is_empty);
        if sender.blocking_send(read).is_err() || is_last {
            return;
        }
    }
}
