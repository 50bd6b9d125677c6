//! Specification of the API (OpenAPI 3.1), built on first use from the table of routes and the types that handlers read
//! and write.

mod call;
mod document;
mod received;
pub(super) mod schema;
mod schemas;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::Value;

use super::table::Table;
pub(super) use call::Call;
pub(super) use document::Codes;

pub(super) fn routes(table: &mut Table) {
    table.at("/openapi.json").get(show, describe_show);
}

/// The specification and its text.
pub(super) struct Specification {
    pub(super) value: Value,
    text: String,
}

pub(super) fn specification() -> &'static Specification {
    static SPECIFICATION: LazyLock<Specification> = LazyLock::new(|| {
        let value = document::build(super::table());
        let text = serde_json::to_string(&value).expect("a specification is plain data");
        Specification { value, text }
    });
    &SPECIFICATION
}

fn describe_show(call: &mut Call<'_>) {
    call.operation("Health and documentation", "openapi", "Get this specification")
        .response_of_type("application/json", "OpenAPI 3.1.");
}

async fn show() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(specification().text.as_str())
}
