//! Pages with a new secret, shown once. Their forms redirect here, so a reload repeats nothing, and no redirect, log or
//! cookie contains the secret.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use askama::Template;

use crate::auth::token;
use crate::domain::time::{MINUTE, Millis};
use crate::http::web::{PageError, Response, Session};
use crate::random;

/// Pages at a time, of all sessions; the oldest give way.
const MOST: usize = 256;
/// Time to follow the redirect.
const LIFETIME: Millis = 5 * MINUTE;

/// Pages that wait for the redirect of their form, one per session.
#[derive(Clone, Default)]
pub struct ShownOnce(Arc<Mutex<VecDeque<Waiting>>>);

struct Waiting {
    token: String,
    session: String,
    /// `None` once it was shown.
    page: Option<String>,
    /// Path of the page behind it, below the server's prefix.
    back: String,
    ends_ms: Millis,
}

/// Response of a form that made a secret: a redirect to `page`, which can be opened once. Opened again, it leads to `back`.
pub fn redirect(session: &Session, page: &impl Template, back: &str) -> Response {
    let text = match Response::ok(page) {
        Response::Page(StatusCode::OK, text) => text,
        failed => return failed,
    };
    let token = random::text::<16>();
    let location = format!("{}/shown-once/{token}", session.base());
    session.app.shown_once.put(Waiting {
        token,
        session: owner(session),
        page: Some(text),
        back: back.to_owned(),
        ends_ms: session.now() + LIFETIME,
    });
    Response::To(location, None)
}

/// `GET /shown-once/{token}`.
pub fn show(session: &Session, token: &str) -> Result<Response, PageError> {
    if session.is_live() {
        // A page without parts to refresh.
        return Ok(Response::Page(StatusCode::OK, String::new()));
    }
    match session.app.shown_once.take(token, &owner(session), session.now()) {
        Some(Ok(page)) => Ok(Response::Page(StatusCode::OK, page)),
        Some(Err(back)) => Ok(session.done(&back, "A new secret is shown only once.")),
        None => Err(PageError::not_found("page")),
    }
}

/// Identifies the session without its cookie.
fn owner(session: &Session) -> String {
    token::form_token(session.cookie())
}

impl ShownOnce {
    fn put(&self, new: Waiting) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|old| old.session != new.session);
        if waiting.len() == MOST {
            waiting.pop_front();
        }
        waiting.push_back(new);
    }

    /// Takes a page out. `Err` is the page behind one that was shown before.
    fn take(&self, token: &str, session: &str, now: Millis) -> Option<Result<String, String>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|old| old.ends_ms > now);
        let found = waiting.iter_mut().find(|old| old.token == token && old.session == session)?;
        Some(found.page.take().ok_or_else(|| found.back.clone()))
    }
}
