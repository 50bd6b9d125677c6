//! `/inbox/{id}`: one request with its headers and body.

use crate::actions::inbox;
use crate::domain::event::Tenant;
use crate::domain::header;
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::store::inbox::InboxRequest;
use crate::store::{profile, webhook};

#[derive(Template)]
#[template(path = "inbox/request.html")]
pub struct RequestPage {
    frame: Frame,
    /// Path of the inbox.
    list: String,
    /// Query of the link to the event.
    whose: String,
    request: InboxRequest,
    /// Body as text, with replacement characters for bytes that are not UTF-8.
    body: String,
    is_cut: bool,
    /// Whether the webhook that verified the request still exists.
    has_webhook: bool,
}

/// `GET /inbox/{id}`.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<RequestPage, PageError> {
    let (tenant, mut request) = inbox::request(db, &session.caller(), id)?;
    if !session.may_see_secrets() {
        // As in the log of deliveries.
        for (name, value) in &mut request.headers {
            *value = header::shown(name, value).to_owned();
        }
        profile::signature_headers(db)?.mask(&mut request.headers);
    }
    let has_webhook = match request.webhook {
        Some(id) => webhook::get(db, id)?.is_some(),
        None => false,
    };
    let is_default = session.tenant().is_some() || tenant == Tenant::default_tenant();
    Ok(RequestPage {
        frame: session.frame(db, "Request", Section::Inbox)?,
        list: if is_default { "/inbox".to_owned() } else { format!("/inbox?tenant={tenant}") },
        body: if request.body.is_empty() {
            "(empty)".to_owned()
        } else {
            String::from_utf8_lossy(&request.body).into_owned()
        },
        whose: if session.tenant().is_some() { String::new() } else { format!("?tenant={tenant}") },
        is_cut: request.body_bytes > request.body.len() as i64,
        has_webhook,
        request,
    })
}
