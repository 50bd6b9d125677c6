//! The visitor of a page, signed in or anonymous, and the response to the visit.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;

use crate::actions::{Actor, Caller};
use crate::auth::{session, token};
use crate::domain::event::Tenant;
use crate::domain::time::Millis;
use crate::http::backup::BackupCopy;
use crate::http::error::ApiError;
use crate::http::extract::app;
use crate::http::web::cookies::{self, SetCookie};
use crate::http::web::error::{self, PageError};
use crate::http::web::form::Fields;
use crate::http::web::layout::{Bare, Flash, Frame, Portal, Section};
use crate::http::{App, blocking};
use crate::store::Connection;
use crate::store::session::Owner;
use crate::store::user::{Role, User};
use crate::store::webhook::{self, Attention};

/// Result of a page handler.
pub type PageResult = Result<HttpResponse, PageError>;

/// A visitor who is signed in, as a user or through the portal.
pub struct Session {
    pub app: Data<App>,
    pub owner: Owner,
    pub query: Fields,
    /// Path and query of the request, without the server's own prefix.
    pub here: String,
    cookie: String,
    flash: Option<Flash>,
    /// Whether the script refreshes an open page.
    is_live: bool,
}

impl FromRequest for Session {
    type Error = PageError;
    type Future = Ready<Result<Session, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Session::of(request))
    }
}

impl Session {
    /// Authenticates a request by its cookie.
    pub fn of(request: &HttpRequest) -> Result<Session, PageError> {
        let app = data(request)?;
        let prefix = app.site.base().prefix().to_owned();
        let here = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let sign_in = || {
            let next: String = url::form_urlencoded::byte_serialize(here.as_bytes()).collect();
            let location = if cookies::has_portal_mark(request, &app) {
                format!("{prefix}/portal")
            } else if request.method() == "GET" && here != "/" {
                format!("{prefix}/login?next={next}")
            } else {
                format!("{prefix}/login")
            };
            PageError::SignIn { location }
        };
        let cookie = cookies::session(request, &app).ok_or_else(sign_in)?;
        let now = app.actions.clock.now_ms();
        let session = app
            .actions
            .store
            .read(|db| session::authenticate(db, &cookie, now))
            .map_err(|error| PageError::from(error).below(&prefix))?
            .ok_or_else(sign_in)?;
        // The refresh of an open page does not keep the session alive.
        let is_live = request.headers().contains_key("x-live");
        if session.is_stale && !is_live {
            let cookie = cookie.clone();
            // Nobody waits for this write, and the next request repeats a failed one.
            drop(app.actions.store.write(move |tx| session::seen(tx.connection(), &cookie, now)));
        }
        Ok(Session {
            flash: cookies::flash(request, &app),
            owner: session.owner,
            query: Fields::parse(request.query_string().as_bytes()),
            here: here.to_owned(),
            cookie,
            is_live,
            app,
        })
    }

    pub fn now(&self) -> Millis {
        self.app.actions.clock.now_ms()
    }

    /// Path prefix of every link.
    pub fn base(&self) -> &str {
        self.app.site.base().prefix()
    }

    pub fn caller(&self) -> Caller {
        Caller {
            tenant: self.tenant().cloned(),
            default_profile: None,
            actor: Actor::Person(session::actor(&self.owner)),
        }
    }

    /// Tenant of a portal session.
    pub fn tenant(&self) -> Option<&Tenant> {
        match &self.owner {
            Owner::Portal(tenant) => Some(tenant),
            Owner::User(_) => None,
        }
    }

    pub fn user(&self) -> Option<&User> {
        match &self.owner {
            Owner::User(user) => Some(user),
            Owner::Portal(_) => None,
        }
    }

    /// Whether the visitor may change webhooks and deliveries, and see secrets. Viewers may not.
    pub fn may_change(&self) -> bool {
        self.user().is_none_or(|user| user.role == Role::Administrator)
    }

    pub fn may_administer(&self) -> bool {
        self.user().is_some_and(|user| user.role == Role::Administrator)
    }

    /// Requires a user; for portal visitors, the page does not exist.
    pub fn require_operator(&self) -> Result<&User, PageError> {
        self.user().ok_or_else(|| PageError::not_found("page"))
    }

    /// Requires the permission to change things.
    pub fn require_change(&self) -> Result<(), PageError> {
        if self.may_change() {
            Ok(())
        } else {
            Err(PageError::forbidden(
                "Viewers can't make changes. An administrator can change your role under Settings, Users.",
            ))
        }
    }

    /// Requires an administrator.
    pub fn require_administrator(&self) -> Result<&User, PageError> {
        let user = self.require_operator()?;
        self.require_change()?;
        Ok(user)
    }

    /// Requires that the session, and the role, are unchanged since the form began to arrive.
    pub(super) fn require_unchanged(&self) -> Result<(), PageError> {
        let now = self.now();
        let session = self.read(|db| Ok(session::authenticate(db, &self.cookie, now)?))?;
        let is_same = match (session.map(|session| session.owner), &self.owner) {
            (Some(Owner::User(now)), Owner::User(then)) => now.seq == then.seq && now.role == then.role,
            (Some(now), then) => now == *then,
            (None, _) => false,
        };
        if is_same { Ok(()) } else { Err(PageError::SignIn { location: format!("{}/login", self.base()) }) }
    }

    /// Value of the cookie that the form token is derived from.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Reads within one snapshot on one pooled connection. `read` must not call `Store::read` or an action: a nested
    /// read takes a second connection, and the pool may have none left.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, PageError>) -> Result<T, PageError> {
        self.app.actions.store.snapshot(read)
    }

    /// Frame of a page.
    pub fn frame(&self, db: &Connection, title: impl Into<String>, section: Section) -> Result<Frame, PageError> {
        let attention = webhook::attention(db, self.tenant())?;
        Ok(self.frame_with(title.into(), section, attention))
    }

    fn frame_with(&self, title: String, section: Section, attention: Attention) -> Frame {
        Frame {
            base: self.base().to_owned(),
            url: self.app.site.base().to_string(),
            title,
            section,
            viewer: self.user().map(|user| user.name.clone()).unwrap_or_default(),
            portal: self.tenant().map(|_| Portal::of(&self.app.site.portal)),
            may_change: self.may_change(),
            may_administer: self.may_administer(),
            form_token: token::form_token(&self.cookie),
            flash: self.flash.clone(),
            attention,
            now_ms: self.now(),
            curl: None,
        }
    }

    /// Renders a page on a blocking thread.
    pub async fn show<T: Template>(
        self,
        work: impl FnOnce(&Session) -> Result<T, PageError> + Send + 'static,
    ) -> PageResult {
        self.answer(move |session| Ok(Response::ok(&work(session)?))).await
    }

    /// Runs `work` on a blocking thread and responds with its result. Errors are shown within the frame.
    pub async fn answer(
        self,
        work: impl FnOnce(&Session) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        let clears_flash = self.flash.is_some() && !self.is_live;
        let app = self.app.clone();
        let is_portal = self.tenant().is_some();
        let done = blocking(move || match work(&self) {
            Err(PageError::Problem { error, .. }) => self.problem(&error),
            other => other,
        });
        let mut response = match done.await?? {
            Response::Page(status, text) => html(status, text, parents(&app, is_portal)),
            Response::To(location, flash) => {
                let mut response = see(&location);
                if let Some(flash) = &flash {
                    SetCookie::flash(&app, Some(flash), is_portal).on(&mut response);
                }
                return Ok(response);
            }
            Response::SignedIn(location, flash, cookie) => {
                let mut response = see(&location);
                SetCookie::flash(&app, Some(&flash), is_portal).on(&mut response);
                SetCookie::session(&app, cookie, session::LONGEST, is_portal).on(&mut response);
                return Ok(response);
            }
            Response::Backup(copied) => return Ok(copied.stream()),
            Response::File { media_type, name, bytes } => HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, media_type))
                .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
                .body(bytes),
        };
        if clears_flash {
            SetCookie::flash(&app, None, is_portal).on(&mut response);
        }
        Ok(response)
    }

    /// 404 page.
    pub fn unknown(&self) -> HttpResponse {
        let error = ApiError::not_found("There is no such page.");
        let parents = parents(&self.app, self.tenant().is_some());
        match self.problem(&error) {
            Ok(Response::Page(status, text)) => html(status, text, parents),
            _ => html(error.status(), error.message().to_owned(), parents),
        }
    }

    fn problem(&self, error: &ApiError) -> Result<Response, PageError> {
        let title = error::title(error.status());
        let page = ProblemPage {
            frame: self.frame_with(title.to_owned(), Section::None, Attention::default()),
            message: error.message().to_owned(),
        };
        Ok(Response::page(error.status(), &page))
    }

    /// Redirects to a path below the server's prefix, with a message of success.
    pub fn done(&self, path: &str, message: impl Into<String>) -> Response {
        self.to(path, true, message.into())
    }

    /// Redirects to a path below the server's prefix, with a message of failure.
    pub fn refused(&self, path: &str, message: impl Into<String>) -> Response {
        self.to(path, false, message.into())
    }

    fn to(&self, path: &str, is_ok: bool, message: String) -> Response {
        Response::To(format!("{}{path}", self.base()), Some(Flash { is_ok, message }))
    }

    /// Path of the page that a form came from, with its filters; `otherwise` if the form names no page of this server.
    pub fn back(&self, fields: &Fields, otherwise: &str) -> String {
        local(fields.text("back")).unwrap_or(otherwise).to_owned()
    }
}

#[derive(Template)]
#[template(path = "parts/problem.html")]
struct ProblemPage {
    frame: Frame,
    message: String,
}

/// Response of a page's work, before it becomes HTTP.
pub enum Response {
    Page(StatusCode, String),
    /// A redirect, with a message for the next page.
    To(String, Option<Flash>),
    /// A redirect, with a message and the cookie of a new session.
    SignedIn(String, Flash, String),
    /// A copy of the database.
    Backup(BackupCopy),
    /// A download.
    File {
        media_type: &'static str,
        name: String,
        bytes: Vec<u8>,
    },
}

impl Response {
    pub fn page(status: StatusCode, page: &impl Template) -> Response {
        match page.render() {
            Ok(text) => Response::Page(status, text),
            Err(error) => {
                let error = ApiError::internal(&error);
                Response::Page(error.status(), error.message().to_owned())
            }
        }
    }

    pub fn ok(page: &impl Template) -> Response {
        Response::page(StatusCode::OK, page)
    }

    /// A form with its errors, as a 422.
    pub fn again(page: &impl Template) -> Response {
        Response::page(StatusCode::UNPROCESSABLE_ENTITY, page)
    }
}

/// A visitor who is not signed in. A cookie ties forms to the browser that they were shown in.
pub struct Anonymous {
    pub app: Data<App>,
    pub query: Fields,
    cookie: String,
    has_new_cookie: bool,
}

impl FromRequest for Anonymous {
    type Error = PageError;
    type Future = Ready<Result<Anonymous, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Anonymous::of(request))
    }
}

impl Anonymous {
    pub(super) fn of(request: &HttpRequest) -> Result<Anonymous, PageError> {
        let app = data(request)?;
        let cookie = cookies::form(request, &app);
        Ok(Anonymous {
            has_new_cookie: cookie.is_none(),
            cookie: cookie.unwrap_or_else(token::generate),
            query: Fields::parse(request.query_string().as_bytes()),
            app,
        })
    }

    /// Path prefix of every link.
    pub fn base(&self) -> &str {
        self.app.site.base().prefix()
    }

    /// Frame of a page.
    pub fn frame(&self, title: &'static str) -> Bare {
        Bare { base: self.base().to_owned(), title, form_token: token::form_token(&self.cookie) }
    }

    /// Value of the cookie that the form token is derived from.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Error page for this visitor.
    pub fn error(&self, error: impl Into<ApiError>) -> PageError {
        PageError::from(error).below(self.base())
    }

    /// Responds with a page. `is_portal` lets the parents of an embedded portal frame the page.
    pub fn show(&self, status: StatusCode, page: &impl Template, is_portal: bool) -> PageResult {
        let text = page.render().map_err(|error| ApiError::internal(&error))?;
        let mut response = html(status, text, parents(&self.app, is_portal));
        if self.has_new_cookie {
            SetCookie::form(&self.app, self.cookie.clone(), is_portal).on(&mut response);
        }
        Ok(response)
    }
}

/// Returns `path` if it is a path of this server: one slash first, and nothing that a browser takes for another host.
pub fn local(path: &str) -> Option<&str> {
    let is_odd = |c: char| c.is_control() || c == '\\';
    (path.starts_with('/') && !path.starts_with("//") && !path.contains(is_odd)).then_some(path)
}

/// Shared state of the server.
pub fn data(request: &HttpRequest) -> Result<Data<App>, PageError> {
    Ok(app(request)?.clone())
}

/// Origins that may frame a page.
fn parents(app: &App, is_portal: bool) -> &[String] {
    if is_portal && app.site.is_embedded() { &app.site.portal.origins } else { &[] }
}

/// A redirect that the browser follows with GET.
pub(super) fn see(location: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
}

/// An HTML response under the policy of all pages; only `parents` may frame the page.
pub(super) fn html(status: StatusCode, text: String, parents: &[String]) -> HttpResponse {
    let parents = match parents {
        [] => "'none'".to_owned(),
        origins => format!("'self' {}", origins.join(" ")),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors {parents}"
    );
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        // Under "no-referrer", browsers send "Origin: null" with the pages' own forms, and over plain HTTP no other
        // header distinguishes those forms from another site's.
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .body(text)
}
