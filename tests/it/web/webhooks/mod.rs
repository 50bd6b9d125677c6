//! The pages of webhooks.

mod actions;
mod form;
mod list;
mod looks;
mod rights;
mod secret;
mod test;

use hookpost::auth::session::{self, NewOwner};
use hookpost::domain::time::DAY;
use hookpost::store::Store;

use crate::support::Hub;
use crate::support::hub::NOON;
use crate::support::visitor::Visitor;

/// Markup, template braces, a character that turns text around, and one beyond 16 bits.
const ODD: &str = "<script>alert(1)</script> \"' {{ 7*7 }} {% raw %} &amp; \u{202e}turned 😀";
/// How the first of it looks where it is escaped.
const ESCAPED: &str = "&#60;script&#62;alert(1)&#60;/script&#62;";

/// Somebody of a tenant, who came by a portal link.
fn portal<'a>(hub: &'a Hub, tenant: &str) -> Visitor<'a> {
    let connection = Store::open_for_command(&hub.database()).unwrap();
    let owner = NewOwner::Portal(tenant.parse().unwrap());
    let cookie = session::begin(&connection, &owner, NOON, DAY).unwrap();
    let visitor = hub.visitor();
    visitor.set_cookie(&visitor.session_cookie(), &cookie);
    visitor
}

/// The first webhook that a page names.
#[track_caller]
fn webhook_in(page: &str) -> String {
    let at = page.find("/webhooks/wh_").expect("a link to a webhook") + "/webhooks/".len();
    page[at..at + 29].to_owned()
}

/// Says that a page holds a text.
#[track_caller]
fn assert_has(page: &str, text: &str) {
    assert!(page.contains(text), "no {text:?} in {page}");
}

/// Says that a page does not.
#[track_caller]
fn assert_lacks(page: &str, text: &str) {
    assert!(!page.contains(text), "{text:?} in {page}");
}
