//! `/confirm-contact`: confirms the address of a tenant's contact, by the link in an e-mail.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use crate::actions::Actor;
use crate::actions::contact::confirm::of_link;
use crate::http::web::anonymous::Anonymous;
use crate::http::web::form::AnonymousSubmission;
use crate::http::web::layout::Bare;
use crate::http::web::{PageResult, Template};

#[derive(Template)]
#[template(path = "contacts/confirm.html")]
struct ConfirmPage {
    frame: Bare,
    state: LinkState,
}

enum LinkState {
    Usable { token: String },
    Confirmed { address: String },
    Expired,
}

fn page(visitor: &Anonymous, state: LinkState) -> PageResult {
    let status = if let LinkState::Expired = state { StatusCode::GONE } else { StatusCode::OK };
    visitor.show(status, &ConfirmPage { frame: visitor.frame("Confirm address"), state })
}

/// `GET /confirm-contact?token=…`: shows a button and does not use the link up, since programs that check mails follow links.
pub async fn show(visitor: Anonymous) -> PageResult {
    let token = visitor.query.text("token").to_owned();
    let (wanted, now) = (token.clone(), visitor.now());
    let is_open = visitor.read(move |db| Ok(of_link(db, &wanted, now)?.is_some())).await?;
    page(&visitor, if is_open { LinkState::Usable { token } } else { LinkState::Expired })
}

/// `POST /confirm-contact`.
pub async fn confirm(request: HttpRequest, form: AnonymousSubmission) -> PageResult {
    let AnonymousSubmission { visitor, fields } = form;
    let (actions, token) = (visitor.app.actions.clone(), fields.text("token").to_owned());
    let actor = Actor::Stranger.at(visitor.app.site.client_address(&request));
    let confirmed = visitor.run(move || actions.confirm_contact(&token, actor)).await?;
    let state = confirmed.map(|address| LinkState::Confirmed { address: address.to_string() });
    page(&visitor, state.unwrap_or(LinkState::Expired))
}
