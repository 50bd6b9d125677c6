//! `/inbox`: what arrived in a tenant's inbox, newest first, and its URL.

use askama::Template;

use super::super::error::PageError;
use super::url;
use crate::domain::event::Tenant;
use crate::http::web::form::{Fields, Submission};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::store::inbox::{self, InboxRequest, KEPT};
use crate::store::page::{DEFAULT_LIMIT, PageRequest};

#[derive(Template)]
#[template(path = "inbox/list.html")]
struct ListPage {
    frame: Frame,
    tenant: String,
    /// Every tenant that has an inbox, for who may see them.
    tenants: Vec<String>,
    /// `None` before the inbox is opened.
    url: Option<String>,
    /// The address that makes a webhook with it.
    create: String,
    rows: Vec<InboxRow>,
    next: Option<String>,
    is_first_page: bool,
    kept: i64,
}

struct InboxRow {
    seq: i64,
    at_ms: i64,
    method: String,
    query: String,
    preview: String,
    bytes: i64,
    is_verified: bool,
    signature_check: String,
    code: u16,
}

impl InboxRow {
    fn of(request: InboxRequest) -> InboxRow {
        let preview = String::from_utf8_lossy(&request.body);
        InboxRow {
            seq: request.seq,
            at_ms: request.at_ms,
            method: request.method,
            query: request.query,
            preview: preview.trim_end_matches('\u{fffd}').to_owned(),
            bytes: request.body_bytes,
            is_verified: request.is_verified,
            signature_check: request.signature_check,
            code: request.code,
        }
    }
}

/// `GET /inbox?tenant=&cursor=`.
pub async fn show(session: Session) -> PageResult {
    session.show(list_page).await
}

fn list_page(session: &Session) -> Result<ListPage, PageError> {
    let named = named(session, &session.query);
    let caller = session.caller();
    let tenant = caller.tenant_for(named.as_deref())?;
    let found = session.app.actions.inbox(&caller, named.as_deref())?;
    let request =
        PageRequest { limit: DEFAULT_LIMIT, cursor: session.query.given("cursor").map(str::parse).transpose()? };
    let store = &session.app.actions.store;
    let mut tenants = Vec::new();
    if session.tenant().is_none() {
        tenants = store.read(inbox::tenants)?;
        if !tenants.contains(&tenant) {
            tenants.push(tenant.clone());
        }
    }
    let mut frame = session.read(|db| session.frame(db, "Inbox", Section::Inbox))?;
    let (mut rows, mut next, mut create) = (Vec::new(), None, String::new());
    let found_url = found.as_ref().map(|inbox| url(session, inbox));
    if let (Some(inbox), Some(url)) = (&found, &found_url) {
        let page = store.read(|connection| inbox::page(connection, inbox.seq, &request))?;
        rows = page.rows.into_iter().map(InboxRow::of).collect();
        next = page.next.map(|cursor| {
            let query = query_of(session, &tenant, &[("cursor", &cursor.to_string())]);
            format!("{}/inbox{query}", frame.base)
        });
        let query = query_of(session, &tenant, &[("url", url)]);
        create = format!("{}/webhooks/new{query}", frame.base);
        frame.curl = Some(format!("curl '{url}' -H 'Content-Type: application/json' -d '{{\"hello\":\"world\"}}'"));
    }
    Ok(ListPage {
        tenant: tenant.to_string(),
        tenants: tenants.iter().map(Tenant::to_string).collect(),
        url: found_url,
        create,
        rows,
        next,
        is_first_page: request.cursor.is_none(),
        kept: KEPT,
        frame,
    })
}

/// The tenant that a query or a form names; portal people have their own alone.
fn named(session: &Session, fields: &Fields) -> Option<String> {
    match session.tenant() {
        Some(_) => None,
        None => fields.given("tenant").map(str::to_owned),
    }
}

/// A query with the tenant in it, where there is more than one to choose from.
fn query_of(session: &Session, tenant: &Tenant, further: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if session.tenant().is_none() && *tenant != Tenant::default_tenant() {
        query.append_pair("tenant", tenant.as_str());
    }
    query.extend_pairs(further);
    match query.finish() {
        text if text.is_empty() => text,
        text => format!("?{text}"),
    }
}

/// `POST /inbox`: opens the inbox.
pub async fn open(form: Submission) -> PageResult {
    form.run(|session, fields| {
        let named = named(session, fields);
        let caller = session.caller();
        let inbox = session.app.actions.open_inbox(&caller, named.as_deref());
        let inbox = inbox.wait()?;
        let query = query_of(session, &inbox.tenant, &[]);
        Ok(session.done(&format!("/inbox{query}"), "The inbox is open."))
    })
    .await
}

#[derive(Template)]
#[template(path = "inbox/empty.html")]
struct EmptyPage {
    frame: Frame,
    tenant: String,
}

/// `GET /inbox/empty`: asks, for who has no script.
pub async fn ask_to_empty(session: Session) -> PageResult {
    session
        .show(|session| {
            session.require_change()?;
            let named = named(session, &session.query);
            empty_page(session, named.as_deref())
        })
        .await
}

fn empty_page(session: &Session, named: Option<&str>) -> Result<EmptyPage, PageError> {
    let tenant = session.caller().tenant_for(named)?;
    Ok(EmptyPage {
        frame: session.read(|db| session.frame(db, "Empty the inbox", Section::Inbox))?,
        tenant: tenant.to_string(),
    })
}

/// `POST /inbox/empty`: forgets what arrived, once it is confirmed.
pub async fn empty(form: Submission) -> PageResult {
    form.run(|session, fields| {
        let named = named(session, fields);
        if !fields.has("confirmed") {
            let page = empty_page(session, named.as_deref())?;
            return Ok(Response::page(actix_web::http::StatusCode::OK, &page));
        }
        let caller = session.caller();
        let emptied = session.app.actions.empty_inbox(&caller, named.as_deref());
        let message = match emptied.wait()? {
            1 => "1 request was removed.".to_owned(),
            count => format!("{count} requests were removed."),
        };
        let tenant = caller.tenant_for(named.as_deref())?;
        let query = query_of(session, &tenant, &[]);
        Ok(session.done(&format!("/inbox{query}"), message))
    })
    .await
}
