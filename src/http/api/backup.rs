//! `GET /v1/backup`.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::super::App;
use super::super::backup;
use super::super::error::ApiError;
use super::super::extract::{Administrator, require_all_tenants};
use super::blocking;
use super::table::Table;
use crate::http::api::openapi::Call;
use crate::store::api_key::Scope;

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
async fn download(app: Data<App>, Administrator(caller): Administrator) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    let store = app.actions.store.clone();
    let copied = blocking(move || backup::copy(&store, &caller)).await??;
    Ok(copied.stream())
}
