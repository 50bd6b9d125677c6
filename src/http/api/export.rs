//! `/v1/dead-letters/export`.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::super::error::ApiError;
use super::super::extract::{self, Reader};
use super::super::{App, export};
use super::deliveries::{DeliveryQuery, FILTER};
use super::table::Table;
use crate::http::api::openapi::Call;
use crate::store::api_key::Scope;

pub(super) fn routes(table: &mut Table) {
    table.at("/v1/dead-letters/export").get(dead_letters, describe_export);
}

fn describe_export(call: &mut Call<'_>) {
    call.named("export_dead_letters", "Download dead letters")
        .of("Deliveries")
        .says("All that the filters meet, newest first, as a stream of lines. An error in the middle cuts it off without its proper end.")
        .needs(Scope::Read)
        .query::<DeliveryQuery>()
        .without(&["status", "test", "limit", "cursor"])
        .answers_lines::<export::Line>("A line each.")
        .fails(422, FILTER);
}

/// `GET /v1/dead-letters/export`: every dead letter that the filters of the list meet.
async fn dead_letters(app: Data<App>, request: HttpRequest, Reader(caller): Reader) -> Result<HttpResponse, ApiError> {
    let query: DeliveryQuery = extract::query(&request)?;
    export::dead_letters(&app, query.all_dead_letters(&caller)?).await
}
