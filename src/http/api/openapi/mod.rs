//! The specification of the API (OpenAPI 3.1): put together once, when it is first asked for, from the table of
//! routes and from the types that the handlers read and write.

mod call;
mod document;
pub(super) mod route;
pub(super) mod schema;
mod schemas;

use std::sync::LazyLock;

pub(super) use crate::http::api::openapi::call::Call;
pub(super) use crate::http::api::openapi::document::Codes;
use serde_json::Value;

/// The specification, and its text.
pub(super) struct Specification {
    pub(super) value: Value,
    pub(super) text: String,
}

/// The one of this program.
pub(super) fn specification() -> &'static Specification {
    static MADE: LazyLock<Specification> = LazyLock::new(|| {
        let value = document::of(super::table());
        let text = serde_json::to_string(&value).expect("a specification is plain data");
        Specification { value, text }
    });
    &MADE
}
