//! `/inbox`: the URL of a tenant's inbox, and the requests it received.

use crate::actions::unchanged::Unchanged;
use crate::domain::event::Tenant;
use crate::http::web::confirm::ConfirmPage;
use crate::http::web::list_query::below;
use crate::http::web::pager::Pager;
use crate::http::web::{Confirm, Connection, Fields, Frame, PageError, Response, Section, Session, Template};
use crate::store::inbox::{self, InboxRequest};
use crate::text::humanize;

#[derive(Template)]
#[template(path = "inbox/list.html")]
pub struct InboxPage {
    frame: Frame,
    tenant: String,
    /// Tenants with an inbox, for operators.
    tenants: Vec<String>,
    /// `None` if the inbox is not open yet.
    url: Option<String>,
    /// URL of the form that creates a webhook to the inbox.
    create: String,
    rows: Vec<InboxRequest>,
    /// Requests that the inbox keeps.
    kept: String,
    pager: Pager,
}

impl InboxPage {
    fn preview(request: &InboxRequest) -> String {
        // The stored part may end within a character.
        String::from_utf8_lossy(&request.body).trim_end_matches('\u{fffd}').to_owned()
    }
}

/// `GET /inbox?tenant=&cursor=`.
pub fn show(session: &Session, db: &Connection) -> Result<InboxPage, PageError> {
    let tenant = session.caller().tenant_for(named(session, &session.query).as_deref())?;
    let request = session.query.page_request()?;
    let mut tenants = Vec::new();
    if session.tenant().is_none() {
        tenants = inbox::tenants(db)?;
        if !tenants.contains(&tenant) {
            tenants.push(tenant.clone());
        }
    }
    let mut page = InboxPage {
        frame: session.frame(db, "Inbox", Section::Inbox)?,
        tenant: tenant.to_string(),
        tenants: tenants.iter().map(Tenant::to_string).collect(),
        url: None,
        create: String::new(),
        rows: Vec::new(),
        kept: humanize::number(session.app.actions.limits().inbox_requests.into()),
        pager: Pager::default(),
    };
    let Some(inbox) = inbox::of_tenant(db, &tenant)? else {
        return Ok(page);
    };
    let url = session.app.site.url(&format!("/in/{}", inbox.token));
    let requests = inbox::page(db, inbox.seq, &request)?;
    let base = session.base();
    page.rows = requests.rows;
    page.pager = Pager::new(&format!("{base}/inbox"), &tenant_query(session, &tenant), &session.query, requests.next);
    let mut create = url::form_urlencoded::Serializer::new(tenant_query(session, &tenant));
    page.create = format!("{base}{}", below("/webhooks/new", &create.append_pair("url", &url).finish()));
    page.frame.curl = Some(format!("curl '{url}' -H 'Content-Type: application/json' -d '{{\"hello\":\"world\"}}'"));
    page.url = Some(url);
    Ok(page)
}

/// Tenant named in a query or a form. Ignored for portal visitors, who have one tenant.
fn named(session: &Session, fields: &Fields) -> Option<String> {
    match session.tenant() {
        Some(_) => None,
        None => fields.given("tenant").map(str::to_owned),
    }
}

/// Query that names the tenant; empty for the default one.
fn tenant_query(session: &Session, tenant: &Tenant) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if session.tenant().is_none() && *tenant != Tenant::default_tenant() {
        query.append_pair("tenant", tenant.as_str());
    }
    query.finish()
}

/// Path of the inbox.
fn inbox_path(session: &Session, tenant: &Tenant) -> String {
    below("/inbox", &tenant_query(session, tenant))
}

/// `POST /inbox`: opens the inbox.
pub fn open(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let named = named(session, fields);
    let inbox = session.app.actions.open_inbox(&session.caller(), named.as_deref()).wait()?;
    Ok(session.done(&inbox_path(session, &inbox.tenant), "The inbox is open."))
}

/// A change of the inbox that is asked about first.
struct Question {
    path: &'static str,
    heading: &'static str,
    effect: &'static str,
    button: &'static str,
}

const EMPTY: Question = Question {
    path: "/inbox/empty",
    heading: "Empty the inbox?",
    effect: "All requests in the inbox are deleted. Deliveries and their log are not changed.",
    button: "Empty the inbox",
};
const CHANGE_URL: Question = Question {
    path: "/inbox/url",
    heading: "Change the inbox URL?",
    effect: "The old URL is refused from then on. Webhooks that point at it fail until you change their URL.",
    button: "Change the URL",
};
const CLOSE: Question = Question {
    path: "/inbox/close",
    heading: "Close the inbox?",
    effect: "All requests in the inbox are deleted, and its URL is refused. Webhooks that point at it fail.",
    button: "Close the inbox",
};

/// `GET /inbox/empty`: asks for confirmation.
pub fn ask_to_empty(session: &Session) -> Result<ConfirmPage, PageError> {
    ask(session, &EMPTY)
}

/// `GET /inbox/url`: asks for confirmation.
pub fn ask_to_change_url(session: &Session) -> Result<ConfirmPage, PageError> {
    ask(session, &CHANGE_URL)
}

/// `GET /inbox/close`: asks for confirmation.
pub fn ask_to_close(session: &Session) -> Result<ConfirmPage, PageError> {
    ask(session, &CLOSE)
}

fn ask(session: &Session, question: &Question) -> Result<ConfirmPage, PageError> {
    session.require_change()?;
    confirm(session, question, named(session, &session.query))?.page(session, Section::Inbox)
}

fn confirm(session: &Session, question: &Question, named: Option<String>) -> Result<Confirm, PageError> {
    let tenant = session.caller().tenant_for(named.as_deref())?;
    let (facts, fields) = match session.tenant() {
        Some(_) => (Vec::new(), Vec::new()),
        None => (vec![("Tenant", tenant.to_string())], vec![("tenant".to_owned(), tenant.to_string())]),
    };
    Ok(Confirm {
        choice: None,
        heading: question.heading.to_owned(),
        facts,
        effect: question.effect.to_owned(),
        action: Some(question.path.to_owned()),
        button: question.button.to_owned(),
        is_danger: true,
        fields,
        back: inbox_path(session, &tenant),
    })
}

/// `POST /inbox/empty`: deletes the requests after a confirmation.
pub fn empty(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let named = named(session, fields);
    if !fields.has("confirmed") {
        return confirm(session, &EMPTY, named)?.show(session, Section::Inbox);
    }
    let caller = session.caller();
    let message = match session.app.actions.empty_inbox(&caller, named.as_deref()).wait()? {
        1 => "1 request was deleted.".to_owned(),
        count => format!("{count} requests were deleted."),
    };
    let tenant = caller.tenant_for(named.as_deref())?;
    Ok(session.done(&inbox_path(session, &tenant), message))
}

/// `POST /inbox/url`: changes the URL after a confirmation.
pub fn change_url(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let named = named(session, fields);
    if !fields.has("confirmed") {
        return confirm(session, &CHANGE_URL, named)?.show(session, Section::Inbox);
    }
    let inbox = session.app.actions.change_inbox_url(&session.caller(), named.as_deref()).wait()?;
    Ok(session.done(&inbox_path(session, &inbox.tenant), "The inbox has a new URL. The old one is refused."))
}

/// `POST /inbox/close`: closes the inbox after a confirmation.
pub fn close(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let named = named(session, fields);
    if !fields.has("confirmed") {
        return confirm(session, &CLOSE, named)?.show(session, Section::Inbox);
    }
    let caller = session.caller();
    session.app.actions.close_inbox(&caller, named.as_deref(), Unchanged::default()).wait()?;
    let tenant = caller.tenant_for(named.as_deref())?;
    Ok(session.done(&inbox_path(session, &tenant), "The inbox is closed."))
}
