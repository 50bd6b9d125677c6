//! What all lists share.

use actix_web::HttpResponse;
use schemars::JsonSchema;
use serde::Serialize;

use super::super::error::ApiError;
use crate::domain::Invalid;
use crate::domain::time::{Millis, parse_rfc3339};
use crate::http::api::openapi::schema;
use crate::store::page::{DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest};

/// A page of a list, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(super) struct ListResponse<T> {
    data: Vec<T>,
    /// The `cursor` of the next page; null on the last.
    #[schemars(with = "Option<schema::Cursor>")]
    next_cursor: Option<String>,
}

/// A page as the API shows it.
pub(super) fn show<T, V: Serialize>(page: Page<T>, view: impl FnMut(T) -> V) -> HttpResponse {
    HttpResponse::Ok().json(ListResponse {
        data: page.rows.into_iter().map(view).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    })
}

/// The page that `limit` and `cursor` ask for.
pub(super) fn page(limit: Option<&str>, cursor: Option<&str>) -> Result<PageRequest, ApiError> {
    let limit = match limit {
        None => DEFAULT_LIMIT,
        Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
            ApiError::invalid("invalid_limit", format!("limit is 1 to {MAX_LIMIT}.")).in_field("limit")
        })?,
    };
    let cursor = cursor.map(str::parse).transpose()?;
    Ok(PageRequest { limit, cursor })
}

/// A parameter as the type that it should be.
pub(super) fn parameter<T>(name: &str, text: Option<&str>) -> Result<Option<T>, ApiError>
where
    T: std::str::FromStr<Err = Invalid>,
{
    text.map(|text| text.parse().map_err(|invalid: Invalid| invalid.in_field(name).into())).transpose()
}

/// A parameter that is a time.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<Millis>, ApiError> {
    text.map(|text| parse_rfc3339(text).map_err(|invalid| invalid.in_field(name).into())).transpose()
}

/// A parameter that is an id, a number or a word: `what` says which.
pub(super) fn other<T: std::str::FromStr>(name: &str, text: Option<&str>, what: &str) -> Result<Option<T>, ApiError> {
    text.map(|text| {
        text.parse().map_err(|_| ApiError::invalid("invalid_parameter", format!("{name} is {what}.")).in_field(name))
    })
    .transpose()
}
