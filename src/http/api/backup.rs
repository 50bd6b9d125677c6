//! `GET /v1/backup`.

use actix_web::web::Data;

use super::super::extract::{Administrator, require_all_tenants};
use super::super::{App, backup, blocking};
use super::ApiResult;
use super::table::Table;
use crate::http::api::openapi::Call;
use crate::store::api_key::Scope;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/backup").get(download, describe_download);
}

fn describe_download(call: &mut Call<'_>) {
    call.operation("Keys and backups", "backup", "Download a copy of the database")
        .description("Streams a consistent copy, taken without stopping the server. The copy contains every secret.")
        .scope(Scope::Admin)
        .response_of_type("application/vnd.sqlite3", "An SQLite database.");
}

async fn download(app: Data<App>, Administrator(caller): Administrator) -> ApiResult {
    require_all_tenants(&caller)?;
    let store = app.actions.store.clone();
    let copied = blocking(move || backup::copy(&store, &caller)).await??;
    Ok(copied.stream())
}
