//! A page that asks before something is done that cannot be taken back: for who has no script.

use askama::Template;

use super::frame::Frame;

/// The question. A yes sends the form again with `confirmed=yes`.
#[derive(Template)]
#[template(path = "confirm.html")]
pub struct ConfirmPage {
    pub frame: Frame,
    pub question: String,
    /// What follows from a yes.
    pub consequence: String,
    /// Where a yes goes, below the server's prefix.
    pub action: String,
    /// Where a no goes.
    pub otherwise: String,
    /// What the button does.
    pub label: &'static str,
}
