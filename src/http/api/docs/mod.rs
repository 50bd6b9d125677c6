//! `/docs`: the specification as a page. Made on the server, once; it runs no script and loads nothing from elsewhere.

mod page;
mod words;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;

use super::table::Table;
use crate::http::api::openapi::{Call, specification};

const SHEET: &str = include_str!("../../../../static/docs.css");

pub(super) fn routes(table: &mut Table) {
    table.at("/docs").get(show, describe_show);
    table.at("/docs.css").get(sheet, describe_sheet);
}

fn describe_show(call: &mut Call<'_>) {
    call.named("docs", "This documentation")
        .of("Health and documentation")
        .answers_other("text/html", "A page made from the specification.");
}

fn describe_sheet(call: &mut Call<'_>) {
    call.named("docs_sheet", "The style of the documentation")
        .of("Health and documentation")
        .answers_other("text/css", "A sheet.");
}

/// `GET /docs`.
async fn show() -> HttpResponse {
    static PAGE: LazyLock<String> = LazyLock::new(|| page::of(&specification().value));
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(PAGE.as_str())
}

/// `GET /docs.css`.
async fn sheet() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8")).body(SHEET)
}
