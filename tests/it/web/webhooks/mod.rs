//! Pages about webhooks.

mod actions;
mod certificates;
mod endpoint_auth;
mod filter;
mod form;
mod ignored;
mod list;
mod looks;
mod rights;
mod secret;
mod signing;
mod test;
mod verdict;

use crate::support::Page;

/// Markup, template braces, a right-to-left override, and a character beyond 16 bits.
const ODD: &str = "<script>alert(1)</script> \"' {{ 1234567*9 }} {% raw %} &amp; \u{202e}turned 😀";

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
