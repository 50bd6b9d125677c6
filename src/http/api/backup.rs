//! `GET /v1/backup`.

use std::fs::File;
use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use tokio::sync::mpsc;

use super::super::App;
use super::super::error::ApiError;
use super::super::extract::{Administrator, require_all_tenants};
use super::blocking;
use super::spec::Call;
use super::table::Table;
use crate::random;
use crate::store::api_key::Scope;
use crate::store::backup;
use crate::store::beside;

/// Bytes of one piece of the answer; two wait at most, so that a slow client costs no memory.
const PIECE: usize = 64 << 10;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/backup").get(download, describe_download);
}

fn describe_download(call: &mut Call<'_>) {
    call.named("backup", "Download a copy of the database")
        .of("Keys and backups")
        .says("A consistent copy, made while the server runs, streamed. It holds every secret.")
        .needs(Scope::Admin)
        .answers_other("application/vnd.sqlite3", "The copy: an SQLite database.");
}

/// `GET /v1/backup`: a consistent copy of the database, streamed. Needs `admin` for all tenants: it holds every secret.
async fn download(
    app: Data<App>,
    Administrator(caller): Administrator,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    let store = app.actions.store.clone();
    let (file, bytes) = blocking(move || -> Result<(File, u64), ApiError> {
        let name = format!(".backup-{}", hex::encode(random::bytes::<6>()));
        let path = beside(store.path(), &name);
        let internal = |error: &dyn std::fmt::Display| ApiError::internal(error);
        backup::copy(store.path(), &path).map_err(|error| internal(&error))?;
        let opened = File::open(&path).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        });
        // Open, it can be read to its end though it has no name any more, and leaves nothing behind.
        std::fs::remove_file(&path).map_err(|error| internal(&error))?;
        opened.map_err(|error| internal(&error))
    })
    .await?;
    let (pieces, receiver) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || send(file, &pieces));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/vnd.sqlite3"))
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"webhooks.db\"",
        ))
        .no_chunking(bytes)
        .streaming(Pieces(receiver)))
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
