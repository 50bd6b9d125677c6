//! Page that asks before a change that is final or large.

use askama::Template;

use crate::http::web::error::PageError;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::response::Response;
use crate::http::web::session::Session;

/// A question with a form. The form sends `confirmed=yes`.
#[derive(Default)]
pub struct Confirm {
    pub heading: String,
    pub facts: Vec<(&'static str, String)>,
    pub effect: String,
    /// Path of the form, below the server's prefix; `None` if there is nothing to do.
    pub action: Option<String>,
    pub button: String,
    pub is_danger: bool,
    /// Hidden fields of the form, beside its token and `confirmed`.
    pub fields: Vec<(String, String)>,
    pub choice: Option<Choice>,
    /// Path of the link back, below the server's prefix.
    pub back: String,
}

/// Options of which the form sends one.
pub struct Choice {
    pub name: &'static str,
    pub legend: String,
    /// Value, label and explanation of each option. The first is selected.
    pub options: &'static [(&'static str, &'static str, &'static str)],
}

#[derive(Template)]
#[template(path = "confirm.html")]
pub struct ConfirmPage {
    pub frame: Frame,
    ask: Confirm,
}

impl Confirm {
    /// Page of the question, with the heading as title.
    pub fn page(self, session: &Session, section: Section) -> Result<ConfirmPage, PageError> {
        let frame = session.read(|db| session.frame(db, self.heading.clone(), section))?;
        Ok(ConfirmPage { frame, ask: self })
    }

    /// Responds with the page.
    pub fn show(self, session: &Session, section: Section) -> Result<Response, PageError> {
        Ok(Response::ok(&self.page(session, section)?))
    }
}
