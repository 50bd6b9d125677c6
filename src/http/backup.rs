//! Streamed download of a consistent copy of the database, for the API and the pages.

use std::fs::File;
use std::io::Read as _;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use tokio::sync::mpsc;

use super::ByteStream;
use super::error::ApiError;
use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Caller};
use crate::domain::audit_action::AuditAction;
use crate::random;
use crate::store::{Store, backup, beside};

/// Bytes per chunk. At most two are queued, which bounds the memory that a slow client costs.
const CHUNK: usize = 64 << 10;

/// Open copy of the database without a directory entry: closing the file deletes it.
pub struct BackupCopy {
    file: File,
    bytes: u64,
}

/// Copies the database and records the download in the audit log. Blocks.
pub fn copy(store: &Store, caller: &Caller) -> Result<BackupCopy, ApiError> {
    let name = format!(".backup-{}", hex::encode(random::bytes::<6>()));
    let path = beside(store.path(), &name);
    let internal = |error: &dyn std::fmt::Display| ApiError::internal(error);
    backup::copy(store.path(), &path).map_err(|error| internal(&error))?;
    let opened = File::open(&path).and_then(|file| {
        let bytes = file.metadata()?.len();
        Ok(BackupCopy { file, bytes })
    });
    // An open file can be read after it is removed, and no crash can leave it behind.
    std::fs::remove_file(&path).map_err(|error| internal(&error))?;
    let copied = opened.map_err(|error| internal(&error))?;
    let caller = caller.clone();
    let noted = store.write(move |tx| -> Result<(), ActionError> {
        Ok(caller.audit(tx, AuditEntry::new(AuditAction::BackupDownloaded, ""))?)
    });
    noted.wait()?;
    Ok(copied)
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
fn send(mut file: File, sender: &mpsc::Sender<std::io::Result<Bytes>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).map(|count| {
            chunk.truncate(count);
            Bytes::from(chunk)
        });
        let is_last = read.as_ref().map_or(true, Bytes::is_empty);
        if sender.blocking_send(read).is_err() || is_last {
            return;
        }
    }
}
