//! `/webhooks/{id}/delete`: asks to type the host of the webhook's URL.

use super::header::{self, Head, Tab};
use crate::actions::unchanged::Unchanged;
use crate::domain::Invalid;
use crate::domain::webhook::Webhook;
use crate::http::web::{Connection, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template};

#[derive(Template)]
#[template(path = "webhooks/delete.html")]
pub struct DeletePage<'a> {
    frame: Frame,
    head: Head,
    host: String,
    typed: &'a str,
    errors: FormErrors,
}

fn delete_page<'a>(
    session: &Session,
    db: &Connection,
    webhook: &Webhook,
    typed: &'a str,
    errors: FormErrors,
) -> Result<DeletePage<'a>, PageError> {
    session.require_change()?;
    let frame =
        session.frame(db, header::title(&webhook.name(), &webhook.id.to_string(), "Delete"), Section::Webhooks)?;
    Ok(DeletePage {
        frame: frame.with_api("DELETE", &format!("/v1/webhooks/{}", webhook.id)),
        head: Head::of(session, webhook, Tab::None),
        host: webhook.url.host().to_owned(),
        typed,
        errors,
    })
}

/// `GET /webhooks/{id}/delete`.
pub fn ask(session: &Session, db: &Connection, id: &str) -> Result<DeletePage<'static>, PageError> {
    delete_page(session, db, &header::find(session, db, id)?, "", FormErrors::default())
}

/// `POST /webhooks/{id}/delete`.
pub fn delete(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let webhook = session.read(|db| header::find(session, db, id))?;
    let (typed, host) = (fields.text("typed").trim(), webhook.url.host());
    if !typed.eq_ignore_ascii_case(host) {
        let invalid = Invalid::new("wrong_name", format!("This is not {host}. Nothing was deleted.")).in_field("typed");
        let page = session.read(|db| delete_page(session, db, &webhook, typed, invalid.into()))?;
        return Ok(Response::again(&page));
    }
    session.app.actions.delete_webhook(&session.caller(), id, Unchanged::default()).wait()?;
    let message = format!("{} deleted. Its queued deliveries are discarded.", webhook.name());
    Ok(session.done("/webhooks", message))
}
