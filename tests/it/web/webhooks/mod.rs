//! Pages about webhooks.

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

use crate::support::hub::NOON;
use crate::support::visitor::Visitor;
use crate::support::{Hub, Page};

/// Markup, template braces, a right-to-left override, and a character beyond 16 bits.
const ODD: &str = "<script>alert(1)</script> \"' {{ 1234567*9 }} {% raw %} &amp; \u{202e}turned 😀";

/// Opens a portal session for a tenant.
fn portal<'a>(hub: &'a Hub, tenant: &str) -> Visitor<'a> {
    let connection = Store::open_for_command(&hub.database()).unwrap();
    let owner = NewOwner::Portal(tenant.parse().unwrap());
    let cookie = session::begin(&connection, &owner, NOON, DAY).unwrap();
    let visitor = hub.visitor();
    visitor.set_cookie(&visitor.session_cookie(), &cookie);
    visitor
}

/// Checks that the visible text contains this text.
#[track_caller]
fn assert_has(page: &Page, text: &str) {
    assert!(page.contains(text), "no {text:?} in {page}");
}

/// Checks that the text occurs nowhere in the page.
#[track_caller]
fn assert_lacks(page: &Page, text: &str) {
    assert!(!page.holds(text), "{text:?} in {page}");
}
