//! A consistent copy of the database, streamed: the API and the pages hand out the same.

use std::fs::File;
use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use tokio::sync::mpsc;

use super::error::ApiError;
use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Caller};
use crate::domain::audit_action::AuditAction;
use crate::random;
use crate::store::{Store, backup, beside};

/// Bytes of one piece of the answer; two wait at most, so that a slow client costs no memory.
const PIECE: usize = 64 << 10;

/// A copy that has no name any more: it is gone once it is read, or nobody reads it.
pub struct Copied {
    file: File,
    bytes: u64,
}

/// Makes a copy beside the database, and writes down who takes it. From a thread that may block.
pub fn copy(store: &Store, caller: &Caller) -> Result<Copied, ApiError> {
    let name = format!(".backup-{}", hex::encode(random::bytes::<6>()));
    let path = beside(store.path(), &name);
    let internal = |error: &dyn std::fmt::Display| ApiError::internal(error);
    backup::copy(store.path(), &path).map_err(|error| internal(&error))?;
    let opened = File::open(&path).and_then(|file| {
        let bytes = file.metadata()?.len();
        Ok(Copied { file, bytes })
    });
    // Open, it can be read to its end though it has no name any more, and leaves nothing behind.
    std::fs::remove_file(&path).map_err(|error| internal(&error))?;
    let copied = opened.map_err(|error| internal(&error))?;
    let caller = caller.clone();
    let noted = store.write(move |tx| -> Result<(), ActionError> {
        Ok(caller.audit(tx, AuditEntry::new(AuditAction::BackupDownloaded, ""))?)
    });
    noted.wait()?;
    Ok(copied)
}

impl Copied {
    /// The copy as an answer.
    pub fn stream(self) -> HttpResponse {
        let Copied { file, bytes } = self;
        let (pieces, receiver) = mpsc::channel(2);
        tokio::task::spawn_blocking(move || send(file, &pieces));
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/vnd.sqlite3"))
            .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"webhooks.db\""))
            .no_chunking(bytes)
            .streaming(Pieces(receiver))
    }
}

/// Reads a file to its end, or until nobody listens.
fn send(mut file: File, pieces: &mpsc::Sender<std::io::Result<Bytes>>) {
    loop {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece);
        let is_last = !matches!(read, Ok(1..));
        let sent = match read {
            Ok(0) => return,
            Ok(count) => {
                piece.truncate(count);
                pieces.blocking_send(Ok(piece.into()))
            }
            Err(error) => pieces.blocking_send(Err(error)),
        };
        if is_last || sent.is_err() {
            return;
        }
    }
}

struct Pieces(mpsc::Receiver<std::io::Result<Bytes>>);

impl futures_core::Stream for Pieces {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
