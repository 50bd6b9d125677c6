//! A visitor who is not signed in.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use askama::Template;

use crate::auth::token;
use crate::auth::users::{Browser, Opened, UserError};
use crate::domain::time::Millis;
use crate::http::error::ApiError;
use crate::http::extract::app;
use crate::http::web::cookies::{self, SetCookie};
use crate::http::web::display::Display;
use crate::http::web::error::PageError;
use crate::http::web::form::Fields;
use crate::http::web::layout::{Bare, Shell, base};
use crate::http::web::portal;
use crate::http::web::response::{PageResult, html, parents};
use crate::http::{App, blocking};
use crate::store::session::Client;
use crate::store::{Connection, StoreError, device};
use crate::text;

/// Browser of a request, for a sign-in.
pub(super) fn browser(request: &HttpRequest, app: &App) -> Browser {
    let agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let client = Client {
        browser: text::browser::words(agent.unwrap_or_default()),
        address: app.site.client_address(request).map(|address| address.to_string()).unwrap_or_default(),
        by_proxy: false,
    };
    Browser { client, device: cookies::device(request, app), session: cookies::session(request, app, false) }
}

/// A visitor who is not signed in. A cookie ties forms to the browser that they were shown in.
pub struct Anonymous {
    pub app: Data<App>,
    pub query: Fields,
    cookie: String,
    has_new_cookie: bool,
    is_portal: bool,
    display: Display,
}

impl FromRequest for Anonymous {
    type Error = PageError;
    type Future = Ready<Result<Anonymous, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Anonymous::of(request))
    }
}

impl Anonymous {
    pub fn of(request: &HttpRequest) -> Result<Anonymous, PageError> {
        let app = app(request)?.clone();
        let cookie = cookies::form(request, &app);
        Ok(Anonymous {
            has_new_cookie: cookie.is_none(),
            cookie: cookie.unwrap_or_else(token::generate),
            query: Fields::of_query(request),
            is_portal: portal::is_portal(request),
            display: Display::of(request, &app, portal::is_portal(request)),
            app,
        })
    }

    pub fn now(&self) -> Millis {
        self.app.actions.clock.now_ms()
    }

    /// Path prefix of every link.
    pub fn base(&self) -> String {
        base(&self.app, self.is_portal)
    }

    /// Frame of a page.
    pub fn frame(&self, title: &'static str) -> Bare {
        let Shell { base, portal, display, .. } = self.shell();
        Bare { base, title, form_token: token::form_token(&self.cookie), portal, display }
    }

    pub(super) fn shell(&self) -> Shell {
        Shell::with(&self.app, self.is_portal, self.display.clone())
    }

    /// The visitor's browser, for a sign-in.
    pub fn browser(&self, request: &HttpRequest) -> Browser {
        browser(request, &self.app)
    }

    /// Value of the cookie that the form token is derived from.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Whether the user with this name has signed in with this device.
    pub async fn knows(&self, device: [u8; 32], name: &str) -> Result<bool, PageError> {
        let (name, now) = (name.to_owned(), self.now());
        self.read(move |db| device::is_known(db, &device, &name, now)).await
    }

    /// Reads within one snapshot on a blocking thread.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PageError> {
        let store = self.app.actions.store.clone();
        self.run(move || store.snapshot(read)).await
    }

    /// Runs `work` on a blocking thread.
    pub async fn run<T: Send + 'static, E: Into<ApiError> + Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, PageError> {
        let done = blocking(work).await.map_err(|error| self.error(error))?;
        done.map_err(|error| self.error(error))
    }

    /// Starts a session by a one-time link. A token that does not exist costs no write.
    pub async fn open(
        &self,
        token: String,
        is_link: fn(&Connection, &str, Millis) -> Result<bool, StoreError>,
        enter: fn(&Connection, &str, Millis) -> Result<Opened, UserError>,
    ) -> Result<Result<Opened, UserError>, PageError> {
        let (wanted, now) = (token.clone(), self.now());
        if !self.read(move |db| is_link(db, &wanted, now)).await? {
            return Ok(Err(UserError::LinkEnded));
        }
        Ok(self.app.actions.store.write(move |tx| enter(tx.connection(), &token, tx.now_ms())).committed().await)
    }

    /// Error page for this visitor.
    pub fn error(&self, error: impl Into<ApiError>) -> PageError {
        PageError::from(error).within(self.shell())
    }

    /// Responds with a page, which the parents of an embedded portal may frame.
    pub fn show(&self, status: StatusCode, page: &impl Template) -> PageResult {
        let text = page.render().map_err(|error| self.error(ApiError::internal(&error)))?;
        let mut response = html(status, text, &parents(&self.app, self.is_portal));
        if self.has_new_cookie {
            SetCookie::form(&self.app, self.cookie.clone(), self.is_portal).on(&mut response);
        }
        Ok(response)
    }
}
