//! `/docs`: the documents of `docs/` and the reference of the API as pages, rendered once. The pages work without script
//! and load nothing from other hosts. Their links are relative, so they work below any path of a proxy.

mod guide;
mod html;
mod reference;
mod search;

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use schemars::JsonSchema;
use serde::Deserialize;

use super::table::Table;
use super::{ApiError, ApiResult, extract, schema};
use crate::http::api::openapi::{Call, specification};
use guide::{Group, Guide, Heading};
use search::Hit;

const SHEET: &str = include_str!("../../../../static/docs.css");
const SCRIPT: &str = include_str!("../../../../static/docs.js");

/// Name, media type and text of the files that documents link to.
const FILES: [(&str, &str, &str); 2] = [
    ("alerts.yml", "application/yaml", include_str!("../../../../docs/alerts.yml")),
    ("grafana.json", "application/json", include_str!("../../../../docs/grafana.json")),
];

/// Name of the reference among the documents.
const REFERENCE: &str = "api";

pub(super) fn routes(table: &mut Table) {
    table.at("/docs").get(index, describe_index);
    table.at("/docs/{name}").get(document, describe_document);
    table.at("/docs.css").get(sheet, describe_sheet);
    table.at("/docs.js").get(script, describe_script);
}

fn describe_index(call: &mut Call<'_>) {
    call.operation("Health and documentation", "docs", "Get the index of the documentation, or search it")
        .query_parameters::<Query>()
        .response_of_type("text/html", "A page.");
}

fn describe_document(call: &mut Call<'_>) {
    call.operation("Health and documentation", "docs_page", "Get a page of the documentation")
        .path_parameter::<schema::DocumentName>("name")
        .response_of_type("text/html", "A page, or a file that a page links to.")
        .or_of_types(&["application/yaml", "application/json"]);
}

fn describe_sheet(call: &mut Call<'_>) {
    call.operation("Health and documentation", "docs_sheet", "Get the style sheet of the documentation")
        .response_of_type("text/css", "A style sheet.");
}

fn describe_script(call: &mut Call<'_>) {
    call.operation("Health and documentation", "docs_script", "Get the script of the documentation")
        .response_of_type("text/javascript", "A script that adds copy buttons.");
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Words that a section must contain, in any case.
    #[schemars(with = "Option<String>")]
    q: Option<String>,
}

/// Parts that all pages share.
struct Frame {
    /// Relative path from the page to the root of the server.
    root: &'static str,
    /// Name of the shown document; empty for the index.
    current: &'static str,
    query: String,
    groups: &'static [Group],
    headings: &'static [Heading],
    version: &'static str,
}

impl Frame {
    fn of(root: &'static str, current: &'static str) -> Frame {
        let headings = guide().document(current).map_or(&[][..], |document| &document.headings);
        Frame {
            root,
            current,
            query: String::new(),
            groups: &guide().groups,
            headings,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

#[derive(Template)]
#[template(path = "docs/document.html")]
struct DocumentPage {
    frame: Frame,
    title: &'static str,
    html: &'static str,
}

#[derive(Template)]
#[template(path = "docs/search.html")]
struct SearchPage {
    frame: Frame,
    hits: Vec<Hit>,
    is_cut: bool,
}

/// The documents and what the search reads, made on first use.
fn guide() -> &'static Guide {
    static GUIDE: LazyLock<Guide> = LazyLock::new(|| Guide::read(&reference::calls(&specification().value)));
    &GUIDE
}

async fn index(request: HttpRequest) -> ApiResult {
    let query: Query = extract::query(&request)?;
    let Some(query) = query.q.filter(|query| !query.trim().is_empty()) else {
        let index = &guide().index;
        return Ok(page(&DocumentPage { frame: Frame::of("", ""), title: &index.title, html: &index.html }));
    };
    let (hits, is_cut) = search::find(&guide().sections, &query);
    Ok(page(&SearchPage { frame: Frame { query, ..Frame::of("", "") }, hits, is_cut }))
}

async fn document(name: Path<String>) -> ApiResult {
    static REFERENCE_PAGE: LazyLock<String> =
        LazyLock::new(|| reference::render(Frame::of("../", REFERENCE), &specification().value));
    if name.as_str() == REFERENCE {
        return Ok(html_page(REFERENCE_PAGE.as_str()));
    }
    if let Some((_, media_type, text)) = FILES.iter().find(|(file, ..)| *file == name.as_str()) {
        return Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, *media_type)).body(*text));
    }
    let found = guide().document(&name);
    let found =
        found.ok_or_else(|| ApiError::not_found("No such page. GET /docs lists the pages of the documentation."))?;
    Ok(page(&DocumentPage { frame: Frame::of("../", found.name), title: &found.title, html: &found.html }))
}

fn page(page: &impl Template) -> HttpResponse {
    html_page(page.render().unwrap_or_else(|error| unreachable!("the page is text: {error}")))
}

fn html_page(html: impl actix_web::body::MessageBody + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'",
        ))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(html)
}

async fn sheet() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8")).body(SHEET)
}

async fn script() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/javascript; charset=utf-8")).body(SCRIPT)
}
