//! A page that asks before something is done that cannot be taken back.

use askama::Template;

use super::super::frame::Frame;

/// The question. What it is asked with is sent again with `confirmed=yes`.
#[derive(Template)]
#[template(path = "webhooks/confirm.html")]
pub struct ConfirmPage {
    pub frame: Frame,
    pub question: String,
    /// What follows from a yes.
    pub consequence: String,
    /// Where the answer goes, below the server's prefix.
    pub action: String,
    /// Where a no goes.
    pub otherwise: String,
    pub hidden: Vec<(&'static str, String)>,
    /// What the button does.
    pub label: &'static str,
    pub is_dangerous: bool,
}
