//! `/docs`: the specification as a page, rendered once. The page runs no script and loads nothing from other hosts.

mod html;
mod page;

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
    call.operation("Health and documentation", "docs", "Get this documentation")
        .response_of_type("text/html", "The specification as a page.");
}

fn describe_sheet(call: &mut Call<'_>) {
    call.operation("Health and documentation", "docs_sheet", "Get the style sheet of the documentation")
        .response_of_type("text/css", "A style sheet.");
}

async fn show() -> HttpResponse {
    static PAGE: LazyLock<String> = LazyLock::new(|| page::render(&specification().value));
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(PAGE.as_str())
}

async fn sheet() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8")).body(SHEET)
}
