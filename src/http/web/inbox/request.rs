//! `/inbox/{id}`: one request that arrived, with its headers and its body.

use actix_web::web::Path;
use askama::Template;

use super::super::error::PageError;
use crate::domain::event::Tenant;
use crate::domain::header;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::store::inbox::InboxRequest;
use crate::store::webhook;

#[derive(Template)]
#[template(path = "inbox/request.html")]
struct RequestPage {
    frame: Frame,
    tenant: String,
    is_default_tenant: bool,
    request: InboxRequest,
    /// Bytes that are no text are shown as replacement characters.
    body: String,
    is_cut: bool,
    /// The webhook that it was checked with, while there is one.
    webhook: Option<String>,
}

/// `GET /inbox/{id}`.
pub async fn show(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| request_page(session, &id)).await
}

fn request_page(session: &Session, id: &str) -> Result<RequestPage, PageError> {
    let (tenant, mut request) = session.app.actions.inbox_request(&session.caller(), id)?;
    if !session.may_change() {
        // As in the log: who may not see a webhook's headers does not see them here.
        for (name, value) in &mut request.headers {
            *value = header::shown(name, value).to_owned();
        }
    }
    let webhook = match request.webhook {
        Some(id) => session.app.actions.store.read(|connection| webhook::get(connection, id))?,
        None => None,
    };
    Ok(RequestPage {
        frame: session.read(|db| session.frame(db, "Request", Section::Inbox))?,
        is_default_tenant: session.tenant().is_some() || tenant == Tenant::default_tenant(),
        tenant: tenant.to_string(),
        body: String::from_utf8_lossy(&request.body).into_owned(),
        is_cut: request.body_bytes > request.body.len() as i64,
        webhook: webhook.map(|webhook| webhook.id.to_string()),
        request,
    })
}
