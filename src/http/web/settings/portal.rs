//! `/settings/portal`: portal links of tenants, and the sessions that they opened.

use crate::actions::lookup;
use crate::actions::unchanged::Unchanged;
use crate::auth::portal;
use crate::domain::event::Tenant;
use crate::http::web::pager::Pager;
use crate::http::web::portal::PATH;
use crate::http::web::{Confirm, Connection, Fields, Frame, PageError, Response, Section, Session, Template};
use crate::store::portal_link::{self, ListedLink};
use crate::text::humanize;

#[derive(Template)]
#[template(path = "settings/portal.html")]
pub struct PortalPage {
    frame: Frame,
    rows: Vec<ListedLink>,
    /// Tenant of the filter; empty for all.
    tenant: String,
    pager: Pager,
}

impl PortalPage {
    fn state(link: &ListedLink) -> (&'static str, &'static str) {
        if link.link.opened_ms.is_some() { ("active", "Open") } else { ("pending", "Unused") }
    }
}

/// `GET /settings/portal?tenant=&cursor=`.
pub fn show(session: &Session, db: &Connection) -> Result<PortalPage, PageError> {
    session.require_operator()?;
    let tenant: Option<Tenant> = session.query.given("tenant").map(str::parse).transpose()?;
    let page = portal_link::page(db, tenant.as_ref(), session.now(), &session.query.page_request()?)?;
    let frame = session.frame(db, "Portal", Section::Settings)?;
    let query = session.query.query_without(&["cursor"]);
    Ok(PortalPage {
        pager: Pager::new(&format!("{}/settings/portal", frame.base), &query, &session.query, page.next),
        rows: page.rows,
        tenant: tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        frame: frame.with_api("GET", "/v1/portal-links"),
    })
}

/// `POST /settings/portal/open`: opens the portal as a tenant, at a webhook if one is given.
pub fn open(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let user_seq = session.require_operator()?.seq;
    let tenant: Tenant = fields.text("tenant").parse()?;
    let path = match fields.given("webhook") {
        Some(id) => format!("/webhooks/{}", session.read(|db| Ok(lookup::webhook(db, &session.caller(), id)?.id))?),
        None => "/webhooks".to_owned(),
    };
    let opened = portal::open_as(&session.app.actions.store, &session.caller(), user_seq, tenant).wait()?;
    Ok(Response::InPortal(format!("{}{PATH}{path}", session.base()), opened))
}

/// `POST /settings/portal`: ends all links and sessions of a tenant, after a confirmation.
pub fn end_all(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let tenant: Tenant = fields.text("tenant").parse()?;
    if fields.text("confirmed") != "yes" {
        return Confirm {
            heading: format!("End all portal links and sessions of {tenant}?"),
            effect: "The people of the tenant are signed out of the portal at once, and links that were not used yet stop working.".to_owned(),
            action: Some("/settings/portal".to_owned()),
            fields: vec![("tenant".to_owned(), tenant.to_string())],
            back: format!("/settings/portal?tenant={tenant}"),
            button: "End all".to_owned(),
            is_danger: true,
            ..Confirm::default()
        }
        .show(session, Section::Settings);
    }
    let ended = portal::end_all(&session.app.actions.store, &session.caller(), &tenant)?;
    let message = format!("Ended {} of {tenant}.", humanize::counted(ended, "portal link"));
    Ok(session.done("/settings/portal", message))
}

/// `POST /settings/portal/{id}/end`.
pub fn end(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    portal::end(&session.app.actions.store, &session.caller(), id, Unchanged::default()).wait()?;
    Ok(session.done(&session.back(fields, "/settings/portal"), "Ended. The visitor is signed out of the portal."))
}
