//! `GET /v1/backup`.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};

use super::super::App;
use super::super::backup;
use super::super::error::ApiError;
use super::super::extract::{Administrator, require_all_tenants};
use super::{blocking, resource};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/v1/backup").route(web::get().to(download)));
}

/// `GET /v1/backup`: a consistent copy of the database, streamed. Needs `admin` for all tenants: it holds every secret.
async fn download(
    app: Data<App>,
    Administrator(caller): Administrator,
) -> Result<HttpResponse, ApiError> {
    require_all_tenants(&caller)?;
    let store = app.actions.store.clone();
    let copied = blocking(move || backup::copy(&store, &caller)).await?;
    Ok(copied.stream())
}
