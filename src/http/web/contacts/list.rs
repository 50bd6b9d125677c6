//! `/contacts`: who is told about incidents.

use crate::actions::contact::ContactInFull;
use crate::domain::contact::Channel;
use crate::http::web::contacts::section;
use crate::http::web::pager::Pager;
use crate::http::web::{Connection, Frame, PageError, Session, Template};
use crate::store::contact;

#[derive(Template)]
#[template(path = "contacts/list.html")]
pub struct ListPage {
    frame: Frame,
    rows: Vec<ContactInFull>,
    pager: Pager,
}

/// `GET /contacts?cursor=`.
pub fn show(session: &Session, db: &Connection) -> Result<ListPage, PageError> {
    let page = contact::page(db, session.tenant(), &session.query.page_request()?)?;
    let rows = page.rows.into_iter().map(|contact| ContactInFull::read(db, contact)).collect::<Result<_, _>>()?;
    let frame = session.frame(db, "Contacts", section(session))?;
    Ok(ListPage {
        pager: Pager::new(&format!("{}/contacts", frame.base), "", &session.query, page.next),
        rows,
        frame: frame.with_api("GET", "/v1/contacts"),
    })
}

impl ListPage {
    /// Address, or profile and host.
    fn target(&self, row: &ContactInFull) -> String {
        match (&row.contact.channel, &row.webhook) {
            (Channel::Email { address, .. }, _) => address.to_string(),
            (_, Some(webhook)) => format!("{}: {}", webhook.profile, webhook.url.host()),
            _ => String::new(),
        }
    }

    fn scope(&self, row: &ContactInFull) -> String {
        let scope = &row.contact.scope;
        let patterns = scope.webhooks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match (&scope.tenant, patterns.is_empty()) {
            (Some(tenant), true) if self.frame.portal.is_none() => format!("Tenant {tenant}"),
            (Some(tenant), false) if self.frame.portal.is_none() => format!("Tenant {tenant}: {patterns}"),
            (_, true) => "All webhooks".to_owned(),
            (_, false) => patterns,
        }
    }
}
