//! `/v1/dead-letters/export`.

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::super::error::ApiError;
use super::super::extract::{self, Reader};
use super::super::{App, export};
use super::deliveries::DeliveryQuery;
use super::resource;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/v1/dead-letters/export").route(web::get().to(dead_letters)));
}

/// `GET /v1/dead-letters/export`: every dead letter that the filters of the list meet.
async fn dead_letters(
    app: Data<App>,
    request: HttpRequest,
    Reader(caller): Reader,
) -> Result<HttpResponse, ApiError> {
    let query: DeliveryQuery = extract::query(&request)?;
    export::dead_letters(&app, query.all_dead_letters(&caller)?).await
}
