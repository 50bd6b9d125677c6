//! Pagination and query parameters of lists.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::schema::{Cursor, Limit, Time};
use super::{ApiError, ApiResult, App, Caller, Invalid, respond, respond_in};
use crate::domain::needle::Needle;
use crate::domain::time::{Millis, parse_rfc3339};
use crate::store::page::{DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest};
use crate::store::search::{Hits, TextSearch};
use crate::store::{Connection, StoreError};

/// One page of a list, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(super) struct ListResponse<T> {
    data: Vec<T>,
    /// `cursor` of the next page; null on the last page.
    next_cursor: Option<Cursor>,
    /// Time of the oldest row searched. Present if `q` is given and older rows are left, at `next_cursor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    searched_back_to: Option<Time>,
}

/// Description of a list that has the parameter `q`.
pub(super) const SEARCH: &str = "A search by `q` needs no index and goes from the newest row back for up to 0.3 seconds. If rows are left then, `searched_back_to` says how far it came, and `next_cursor` goes on.";

/// Responds with the page that `read` returns.
pub(super) async fn show<T, V, E>(
    app: &App,
    caller: &Caller,
    read: impl FnOnce(&Connection) -> Result<Page<T>, E> + Send + 'static,
    view: impl FnMut(T) -> V + Send + 'static,
) -> ApiResult
where
    V: Serialize,
    E: From<StoreError> + Into<ApiError>,
{
    let store = app.actions.store.clone();
    respond(app, caller, move || {
        let page = store.read(read)?;
        let data = page.rows.into_iter().map(view).collect();
        Ok::<_, E>(ListResponse { data, next_cursor: page.next.map(Cursor::from), searched_back_to: None })
    })
    .await
}

/// Responds with what a search by text finds.
pub(super) async fn search<T, V: Serialize>(
    app: &App,
    caller: &Caller,
    needle: Needle,
    read: impl FnOnce(&Connection, &TextSearch) -> Result<Hits<T>, StoreError> + Send + 'static,
    view: impl FnMut(T) -> V + Send + 'static,
) -> ApiResult {
    let place = app.reads.search_place(caller.tenant.as_ref()).await?;
    let app = app.clone();
    respond_in(place, move || {
        let text = app.search(needle);
        let Hits { page, back_to_ms } = app.actions.store.read(|connection| read(connection, &text))?;
        let data = page.rows.into_iter().map(view).collect();
        let next_cursor = page.next.map(Cursor::from);
        Ok::<_, StoreError>(ListResponse { data, next_cursor, searched_back_to: back_to_ms.map(Time::at) })
    })
    .await
}

/// Query parameters of a list without filters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Largest number of rows in the page.
    limit: Option<Limit>,
    /// Start of the page.
    cursor: Option<Cursor>,
}

impl PageQuery {
    pub(super) fn parse(&self) -> Result<PageRequest, ApiError> {
        page(self.limit.as_deref(), self.cursor.as_deref())
    }
}

/// Parses the parameters `limit` and `cursor`.
pub(super) fn page(limit: Option<&str>, cursor: Option<&str>) -> Result<PageRequest, ApiError> {
    let limit = match limit {
        None => DEFAULT_LIMIT,
        Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
            ApiError::invalid("invalid_limit", format!("limit must be from 1 to {MAX_LIMIT}.")).in_field("limit")
        })?,
    };
    let cursor = cursor.map(str::parse).transpose()?;
    Ok(PageRequest { limit, cursor })
}

/// Refuses the parameters of a page, for an export.
pub(super) fn refuse_page(limit: Option<&str>, cursor: Option<&str>) -> Result<(), ApiError> {
    refuse("limit", limit.is_some(), "An export contains all matches")?;
    refuse("cursor", cursor.is_some(), "An export contains all matches")
}

/// Refuses a parameter that a list does not have.
pub(super) fn refuse(name: &str, is_given: bool, reason: &str) -> Result<(), ApiError> {
    if is_given {
        return Err(ApiError::invalid("unknown_parameter", format!("{reason}; omit {name}.")).in_field(name));
    }
    Ok(())
}

/// Parses a parameter whose type's error explains the problem.
pub(super) fn parameter<T: FromStr<Err = Invalid>>(name: &str, text: Option<&str>) -> Result<Option<T>, ApiError> {
    text.map(|text| text.parse().map_err(|invalid: Invalid| invalid.in_field(name).into())).transpose()
}

/// Parses a time parameter.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<Millis>, ApiError> {
    text.map(|text| parse_rfc3339(text).map_err(|invalid| invalid.in_field(name).into())).transpose()
}
