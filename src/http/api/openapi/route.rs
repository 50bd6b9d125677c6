//! `/openapi.json`: the specification. It needs no key.

use actix_web::HttpResponse;
use actix_web::http::header;

use super::{Call, specification};
use crate::http::api::table::Table;

pub(in crate::http::api) fn routes(table: &mut Table) {
    table.at("/openapi.json").get(show, describe_show);
}

fn describe_show(call: &mut Call<'_>) {
    call.named("openapi", "This specification")
        .of("Health and documentation")
        .answers_other("application/json", "OpenAPI 3.1.");
}

/// `GET /openapi.json`.
async fn show() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(specification().text.as_str())
}
