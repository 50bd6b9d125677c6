//! The page that asks before something that cannot be taken back, or that meets very much.

use askama::Template;

use crate::http::web::layout::Frame;

#[derive(Template)]
#[template(path = "confirm.html")]
pub struct ConfirmPage {
    pub frame: Frame,
    /// The question.
    pub heading: String,
    /// What is meant, a line each.
    pub facts: Vec<(&'static str, String)>,
    /// What it does, in sentences.
    pub effect: String,
    /// Where the form goes, below the server's prefix; `None` where there is nothing to do.
    pub action: Option<String>,
    /// What the button says.
    pub button: String,
    pub is_danger: bool,
    /// What the form carries beside its token and `confirmed`.
    pub fields: Vec<(String, String)>,
    /// Where it leads back to, below the server's prefix.
    pub back: String,
}
