//! Pagination and query parameters of lists.

use std::borrow::Cow;
use std::ops::Deref;
use std::str::FromStr;

use actix_web::HttpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::schema::{Cursor, Limit, NameCursor, Time};
use super::{ApiError, ApiResult, App, Caller, Invalid, respond, respond_in};
use crate::domain::needle::Needle;
use crate::domain::time::{Millis, parse_rfc3339};
use crate::store::page::{self, DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest};
use crate::store::search::{Hits, TextSearch};
use crate::store::{Connection, StoreError};

/// One page of a list, newest first unless `order` is `asc`.
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

/// Names of parameters that may differ between the pages of a list.
const OF_A_PAGE: [&str; 4] = ["limit", "cursor", "after", "wait_s"];

/// List that a cursor belongs to: a checksum of its path, filters and order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListId(u32);

impl ListId {
    /// Returns the id of the list at a path with this query.
    pub(super) fn of(path: &str, query: &str) -> ListId {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let mut filters: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            pairs.filter(|(name, _)| !OF_A_PAGE.contains(&&**name)).collect();
        filters.sort();
        // The same list under either of its paths.
        let path = path.strip_prefix("/api/").or(path.strip_prefix("/v1/")).unwrap_or(path);
        ListId(crc32fast::hash(format!("{path} {filters:?}").as_bytes()))
    }

    /// Returns the text form of a cursor of this list.
    pub(super) fn cursor(self, cursor: page::Cursor) -> Cursor {
        let bytes = [cursor.seq().to_be_bytes().as_slice(), &self.0.to_be_bytes()].concat();
        URL_SAFE_NO_PAD.encode(bytes).into()
    }

    /// Returns the text form of a cursor of this list, if it goes by name.
    pub(super) fn cursor_after(self, name: &str) -> NameCursor {
        URL_SAFE_NO_PAD.encode([name.as_bytes(), &self.0.to_be_bytes()].concat()).into()
    }

    /// Parses the text form of a cursor of this list, if it goes by name. Returns the name.
    pub(super) fn parse_name(self, text: &str) -> Result<String, ApiError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let name = bytes.strip_suffix(&self.0.to_be_bytes()).and_then(|name| std::str::from_utf8(name).ok());
        let message = "This cursor does not belong to this list and its filters. Use a next_cursor of a response with the parameters of its request, or omit it for the first page.";
        let name = name.ok_or_else(|| ApiError::invalid("invalid_cursor", message).in_field("cursor"))?;
        Ok(name.to_owned())
    }

    /// Parses the text form of a cursor of this list. Returns its number.
    pub(super) fn parse(self, text: &str) -> Result<i64, ApiError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| <[u8; 12]>::try_from(bytes).ok());
        let parts = bytes.map(|bytes| {
            let (number, list) = bytes.split_at(8);
            let number = number.try_into().map(i64::from_be_bytes).unwrap_or_default();
            (number, list == self.0.to_be_bytes().as_slice())
        });
        let message = match parts {
            Some((0.., true)) => return Ok(parts.map_or(0, |(number, _)| number)),
            Some((0.., false)) => {
                "This cursor belongs to another list, or to other filters or another order. Use it with the parameters of the request that returned it, or omit it for the first page."
            }
            _ => "Invalid cursor. Use a next_cursor of a response, or omit it for the first page.",
        };
        Err(ApiError::invalid("invalid_cursor", message).in_field("cursor"))
    }
}

/// Requested part of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    page: PageRequest,
    list: ListId,
}

impl Deref for Part {
    type Target = PageRequest;

    fn deref(&self) -> &PageRequest {
        &self.page
    }
}

impl Part {
    pub(super) fn list(&self) -> ListId {
        self.list
    }

    /// Returns the text form of the cursor of the next page.
    pub(super) fn next(&self, cursor: Option<page::Cursor>) -> Option<Cursor> {
        cursor.map(|cursor| self.list.cursor(cursor))
    }
}

impl<T> ListResponse<T> {
    /// Makes a page that always has a next one.
    pub(super) fn going_on(data: Vec<T>, next: Cursor) -> ListResponse<T> {
        ListResponse { data, next_cursor: Some(next), searched_back_to: None }
    }
}

/// Description of a list that has the parameter `q`.
pub(super) const SEARCH: &str = "A search by `q` needs no index and goes from the newest row back for up to 0.3 seconds. If rows are left then, `searched_back_to` says how far it came, and `next_cursor` goes on.";

/// Responds with the page that `read` returns.
pub(super) async fn show<T, V, E>(
    app: &App,
    caller: &Caller,
    part: Part,
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
        Ok::<_, E>(ListResponse { data, next_cursor: part.next(page.next), searched_back_to: None })
    })
    .await
}

/// Responds with what a search by text finds.
pub(super) async fn search<T, V: Serialize>(
    app: &App,
    caller: &Caller,
    (needle, part): (Needle, Part),
    read: impl FnOnce(&Connection, &TextSearch) -> Result<Hits<T>, StoreError> + Send + 'static,
    view: impl FnMut(T) -> V + Send + 'static,
) -> ApiResult {
    let place = app.reads.search_place(caller.tenant.as_ref()).await?;
    let app = app.clone();
    respond_in(place, move || {
        let text = app.search(needle);
        let Hits { page, back_to_ms } = app.actions.store.read(|connection| read(connection, &text))?;
        let data = page.rows.into_iter().map(view).collect();
        let next_cursor = part.next(page.next);
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
    pub(super) fn parse(&self, request: &HttpRequest) -> Result<Part, ApiError> {
        page(request, self.limit.as_deref(), self.cursor.as_deref())
    }
}

/// Parses the parameters `limit` and `cursor`.
pub(super) fn page(request: &HttpRequest, limit: Option<&str>, cursor: Option<&str>) -> Result<Part, ApiError> {
    let list = ListId::of(request.path(), request.query_string());
    let cursor = cursor.map(|text| list.parse(text)).transpose()?;
    Ok(Part { page: PageRequest { limit: parse_limit(limit)?, cursor: cursor.map(page::Cursor::below) }, list })
}

/// Like [`page`], for a list that has the parameter `order`.
pub(super) fn ordered_page(
    request: &HttpRequest,
    limit: Option<&str>,
    cursor: Option<&str>,
    order: Option<&str>,
) -> Result<Part, ApiError> {
    let Part { mut page, list } = page(request, limit, cursor)?;
    match order {
        None | Some("desc") => {}
        Some("asc") => page.cursor = Some(page::Cursor::after(page.cursor.map_or(0, page::Cursor::seq))),
        Some(other) => {
            let message = format!("{other:?} is not one of asc, desc.");
            return Err(ApiError::invalid("invalid_value", message).in_field("order"));
        }
    }
    Ok(Part { page, list })
}

/// Refuses the order of a search by text.
pub(super) fn refuse_order(order: Option<&str>) -> Result<(), ApiError> {
    refuse("order", order == Some("asc"), "A search by q goes from the newest row back")
}

/// Parses the parameter `limit`.
pub(super) fn parse_limit(limit: Option<&str>) -> Result<u32, ApiError> {
    limit.map_or(Ok(DEFAULT_LIMIT), |text| {
        text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
            ApiError::invalid("invalid_limit", format!("limit must be from 1 to {MAX_LIMIT}.")).in_field("limit")
        })
    })
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
