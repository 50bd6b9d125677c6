//! Who looks at a page, and what they sent.

use std::future::{Ready, ready};
use std::pin::Pin;

use actix_web::cookie::time::Duration as CookieTime;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::actions::{Actor, Caller};
use crate::auth::{session, token};
use crate::domain::event::Tenant;
use crate::domain::time::{DAY, MINUTE, Millis};
use crate::http::backup::Copied;
use crate::http::error::ApiError;
use crate::http::extract::{app, read_in_time};
use crate::http::web::error::{PageError, html, html_framed, see, title};
use crate::http::web::form::Fields;
use crate::http::web::layout::{Flash, Frame, Portal, Section};
use crate::http::{App, blocking};
use crate::store::StoreError;
use crate::store::session::Owner;
use crate::store::user::{Role, User};
use crate::store::webhook::{self, Attention};

/// What handlers answer.
pub type PageResult = Result<HttpResponse, PageError>;

/// Bytes of a form at most, beside three for each byte of a body: percent-encoding makes three of one.
const FORM_BYTES: usize = 64 << 10;
/// Fields of a form at most.
const MOST_FIELDS: usize = 5_000;
/// Bytes of a form of somebody who is not signed in: a name, a password, a token.
const STRANGERS_FORM_BYTES: usize = 16 << 10;

/// Somebody who is signed in looks at a page.
pub struct Session {
    pub app: Data<App>,
    pub owner: Owner,
    /// The query of the page's address.
    pub query: Fields,
    /// Where the visitor is: path and query, without the server's own prefix.
    pub here: String,
    cookie: String,
    flash: Option<Flash>,
    /// Whether the script asks, to show what changed.
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
    /// Who looks, of a request.
    pub fn of(request: &HttpRequest) -> Result<Session, PageError> {
        let app = data(request)?;
        let prefix = app.site.base().prefix().to_owned();
        let here = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let sign_in = || {
            let next = url::form_urlencoded::byte_serialize(here.as_bytes());
            let next: String = match request.method().as_str() {
                "GET" if here != "/" => format!("?next={}", next.collect::<String>()),
                _ => String::new(),
            };
            let came_by_portal = cookie(request, &format!("{}_portal", app.site.cookie())).is_some();
            PageError::SignIn {
                location: if came_by_portal { format!("{prefix}/portal") } else { format!("{prefix}/login{next}") },
            }
        };
        let cookie = cookie(request, &app.site.cookie()).ok_or_else(sign_in)?;
        let now = app.actions.clock.now_ms();
        let session = app
            .actions
            .store
            .read(|connection| session::authenticate(connection, &cookie, now))
            .map_err(|error: StoreError| PageError::from(error).below(&prefix))?
            .ok_or_else(sign_in)?;
        // A page that is left open asks by itself: that is no use of the session.
        let is_live = request.headers().contains_key("x-live");
        if session.is_stale && !is_live {
            let cookie = cookie.clone();
            // Nobody waits for it, and nobody minds where it is refused.
            drop(app.actions.store.write(move |tx| session::seen(tx.connection(), &cookie, now)));
        }
        Ok(Session {
            flash: flash(request, &app),
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

    /// The path that stands before every link.
    pub fn base(&self) -> &str {
        self.app.site.base().prefix()
    }

    /// On whose behalf the visitor acts.
    pub fn caller(&self) -> Caller {
        Caller {
            tenant: self.tenant().cloned(),
            default_profile: None,
            actor: Actor::Person(session::actor(&self.owner)),
        }
    }

    /// The one tenant whose people look.
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

    /// Whether the visitor may change webhooks and deliveries, and see secrets: all but viewers.
    pub fn may_change(&self) -> bool {
        self.user().is_none_or(|user| user.role == Role::Administrator)
    }

    pub fn may_administer(&self) -> bool {
        self.user().is_some_and(|user| user.role == Role::Administrator)
    }

    /// Refuses what belongs to no tenant: to the people of one it does not exist.
    pub fn require_operator(&self) -> Result<&User, PageError> {
        self.user().ok_or_else(|| PageError::not_found("page"))
    }

    /// Refuses everybody who may not change anything.
    pub fn require_change(&self) -> Result<(), PageError> {
        if self.may_change() {
            Ok(())
        } else {
            Err(PageError::forbidden(
                "You may look at everything and change nothing. An administrator can change that under Settings, Users.",
            ))
        }
    }

    /// Refuses everybody but administrators.
    pub fn require_administrator(&self) -> Result<&User, PageError> {
        let user = self.require_operator()?;
        self.require_change()?;
        Ok(user)
    }

    /// Refuses who was signed in when the form began to arrive, and is no more, or may less by now.
    fn require_still(&self) -> Result<(), PageError> {
        let now = self.now();
        let store = &self.app.actions.store;
        let session = store.read(|connection| session::authenticate(connection, &self.cookie, now))?;
        let is_same = match (session.map(|session| session.owner), &self.owner) {
            (Some(Owner::User(now)), Owner::User(then)) => now.seq == then.seq && now.role == then.role,
            (Some(now), then) => now == *then,
            (None, _) => false,
        };
        if is_same { Ok(()) } else { Err(PageError::SignIn { location: format!("{}/login", self.base()) }) }
    }

    /// What stands around a page.
    pub fn frame(&self, title: impl Into<String>, section: Section) -> Result<Frame, PageError> {
        let attention = self.app.actions.store.read(|connection| webhook::attention(connection, self.tenant()))?;
        Ok(self.frame_with(title.into(), section, attention))
    }

    fn frame_with(&self, title: String, section: Section, attention: Attention) -> Frame {
        let portal = self.tenant().map(|_| Portal::of(&self.app.site.portal));
        Frame {
            base: self.base().to_owned(),
            url: self.app.site.base().to_string(),
            title,
            section,
            viewer: match &self.owner {
                Owner::User(user) => user.name.clone(),
                Owner::Portal(_) => String::new(),
            },
            portal,
            may_change: self.may_change(),
            may_administer: self.may_administer(),
            form_token: token::form_token(&self.cookie),
            flash: self.flash.clone(),
            attention,
            now_ms: self.now(),
            api: None,
        }
    }

    /// Makes a page, off the threads that serve requests.
    pub async fn show<T: Template>(
        self,
        work: impl FnOnce(&Session) -> Result<T, PageError> + Send + 'static,
    ) -> PageResult {
        self.answer(move |session| Ok(Response::page(StatusCode::OK, &work(session)?))).await
    }

    /// Does something and answers with what came of it, off the threads that serve requests. What goes wrong is shown
    /// within the frame.
    pub async fn answer(
        self,
        work: impl FnOnce(&Session) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        let clears_flash = self.flash.is_some() && !self.is_live;
        let app = self.app.clone();
        let parents = match self.tenant() {
            Some(_) => parents(&app),
            None => Vec::new(),
        };
        let is_portal = self.tenant().is_some();
        let done = blocking(move || match work(&self) {
            Err(PageError::Problem { error, .. }) => self.problem(&error),
            other => other,
        });
        let done = done.await??;
        let mut answer = match done {
            Response::Page(status, text) => html_framed(status, text, &parents),
            Response::To(location, flash) => {
                let flash = flash.map(|flash| flash_cookie(&app, &flash, is_portal));
                return Ok(see(&location, flash));
            }
            Response::SignedIn(location, flash, cookie) => {
                let flash = flash_cookie(&app, &flash, is_portal);
                let mut answer = see(&location, Some(flash));
                session_cookie(&app, cookie, session::LONGEST, is_portal).on(&mut answer);
                return Ok(answer);
            }
            Response::Backup(copied) => return Ok(copied.stream()),
            Response::File { media_type, name, bytes } => HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, media_type))
                .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
                .body(bytes),
        };
        if clears_flash {
            small_cookie(&app, "flash", String::new(), 0, is_portal).on(&mut answer);
        }
        Ok(answer)
    }

    /// The page for where there is none.
    pub fn unknown(&self) -> HttpResponse {
        let error = ApiError::not_found("There is no such page.");
        match self.problem(&error) {
            Ok(Response::Page(status, text)) => match self.tenant() {
                Some(_) => html_framed(status, text, &parents(&self.app)),
                None => html(status, text),
            },
            _ => html(error.status(), error.message().to_owned()),
        }
    }

    fn problem(&self, error: &ApiError) -> Result<Response, PageError> {
        let title = title(error.status());
        let page = ProblemPage {
            frame: self.frame_with(title.to_owned(), Section::None, Attention::default()),
            message: error.message().to_owned(),
        };
        Ok(Response::page(error.status(), &page))
    }
}

#[derive(Template)]
#[template(path = "parts/problem.html")]
struct ProblemPage {
    frame: Frame,
    message: String,
}

/// What came of a visit.
pub enum Response {
    Page(StatusCode, String),
    /// A redirect, with a message to be shown there.
    To(String, Option<Flash>),
    /// The same, with the cookie of a session that begins.
    SignedIn(String, Flash, String),
    /// A copy of the database.
    Backup(Copied),
    /// A file to keep.
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

    /// A form again, with what is wrong in it.
    pub fn again(page: &impl Template) -> Response {
        Response::page(StatusCode::UNPROCESSABLE_ENTITY, page)
    }
}

/// Somebody who is signed in sent a form of ours: its token is right, and the browser says that it comes from here.
pub struct Submission {
    session: Session,
    pub fields: Fields,
}

impl FromRequest for Submission {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Submission, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = Session::of(request);
        let payload = payload.take();
        let request = request.clone();
        Box::pin(async move {
            let session = session?;
            let limit = session.app.limits.single * 3 + FORM_BYTES;
            let form = FormBody::read(&request, payload, limit).await?;
            form.require_token(&session.cookie).map_err(|error| error.below(session.base()))?;
            Ok(Submission { session, fields: form.fields })
        })
    }
}

impl Submission {
    /// The server's state, for who has to wait for a turn before the work begins.
    pub fn app(&self) -> Data<App> {
        self.session.app.clone()
    }

    /// Whether the people of one tenant sent it.
    pub fn is_portal(&self) -> bool {
        self.session.tenant().is_some()
    }

    /// Does what was asked for, off the threads that serve requests; by somebody who may change things.
    pub async fn run(
        self,
        work: impl FnOnce(&Session, &Fields) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        self.run_as_anybody(move |session, fields| {
            session.require_change()?;
            work(session, fields)
        })
        .await
    }

    /// The same, for what viewers may do too: their own account.
    pub async fn run_as_anybody(
        self,
        work: impl FnOnce(&Session, &Fields) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        let Submission { session, fields } = self;
        session
            .answer(move |session| {
                session.require_still()?;
                work(session, &fields)
            })
            .await
    }
}

impl Session {
    /// To another page, given by its path below the server's prefix, with a message that something was done.
    pub fn done(&self, path: &str, message: impl Into<String>) -> Response {
        self.to(path, true, message.into())
    }

    /// The same with a message that it was not.
    pub fn refused(&self, path: &str, message: impl Into<String>) -> Response {
        self.to(path, false, message.into())
    }

    fn to(&self, path: &str, is_ok: bool, message: String) -> Response {
        let flash = Flash { is_ok, message };
        Response::To(format!("{}{path}", self.base()), Some(flash))
    }

    /// Where a form says that it came from, when that is a page of ours: so that no filter is lost. Else the path.
    pub fn back(&self, fields: &Fields, otherwise: &str) -> String {
        local(fields.text("back")).unwrap_or(otherwise).to_owned()
    }
}

/// A path of this server: one slash first, and nothing that a browser could take for another host.
pub fn local(path: &str) -> Option<&str> {
    let is_odd = |c: char| c.is_control() || c == '\\';
    (path.starts_with('/') && !path.starts_with("//") && !path.contains(is_odd)).then_some(path)
}

/// A form as it came, before anybody knows who sent it.
pub struct FormBody {
    pub fields: Fields,
    is_same_site: bool,
}

impl FromRequest for FormBody {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<FormBody, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { FormBody::read(&request, payload, STRANGERS_FORM_BYTES).await })
    }
}

impl FormBody {
    async fn read(request: &HttpRequest, payload: Payload, limit: usize) -> Result<FormBody, PageError> {
        let app = data(request)?;
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_form = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| text.starts_with("application/x-www-form-urlencoded"));
        let is_same_site = app.site.is_same_site(request);
        let below = |error: ApiError| PageError::from(error).below(app.site.base().prefix());
        if !is_form {
            return Err(below(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "A form is expected here. Programs use the API, under /v1.",
            )));
        }
        let body = read_in_time(payload, limit).await.map_err(below)?;
        if body.iter().filter(|byte| **byte == b'&').count() > MOST_FIELDS {
            return Err(below(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("A form has at most {MOST_FIELDS} fields."),
            )));
        }
        Ok(FormBody { fields: Fields::parse(&body), is_same_site })
    }

    /// Refuses a form that another site may have sent.
    pub fn require_token(&self, cookie: &str) -> Result<(), PageError> {
        if self.is_same_site && token::is_form_token(self.fields.text("form_token"), cookie) {
            return Ok(());
        }
        Err(PageError::forbidden(
            "This form is not of this session: it was open for too long, or another site sent it. Nothing was changed. Go back, reload the page, and send it again.",
        ))
    }
}

/// What handlers work with.
pub fn data(request: &HttpRequest) -> Result<Data<App>, PageError> {
    app(request)?;
    let data = request.app_data::<Data<App>>().cloned();
    data.ok_or_else(|| ApiError::internal(&"the server was put together without its state").into())
}

/// The value of a cookie.
pub fn cookie(request: &HttpRequest, name: &str) -> Option<String> {
    request.cookie(name).map(|cookie| cookie.value().to_owned())
}

/// A `Set-Cookie` header.
pub struct SetCookie(String);

impl SetCookie {
    /// Adds it to an answer.
    pub fn on(&self, answer: &mut HttpResponse) {
        // Names and values are ours, of characters that a header takes.
        if let Ok(value) = header::HeaderValue::from_str(&self.0) {
            answer.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}

/// The cookie of a session, which ends with it.
pub fn session_cookie(app: &App, value: String, lasts: Millis, is_portal: bool) -> SetCookie {
    set_cookie(app, app.site.cookie(), value, lasts, is_portal)
}

/// A cookie beside the session's.
fn small_cookie(app: &App, suffix: &str, value: String, lasts: Millis, is_portal: bool) -> SetCookie {
    let name = format!("{}_{suffix}", app.site.cookie());
    set_cookie(app, name, value, lasts, is_portal)
}

/// A cookie that no script reads and that no other site sends along, but inside of the pages that may hold the
/// portal; there it is kept apart for each of them (`Partitioned`). A time of 0 takes it away.
fn set_cookie(app: &App, name: String, value: String, lasts: Millis, is_portal: bool) -> SetCookie {
    let is_embedded = is_portal && app.site.is_embedded();
    let mut cookie = Cookie::new(name, value);
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_secure(app.site.base().is_https());
    cookie.set_max_age(CookieTime::milliseconds(lasts));
    cookie.set_same_site(if is_embedded { SameSite::None } else { SameSite::Lax });
    // The cookie crate that actix brings does not know the word yet.
    let partitioned = if is_embedded { "; Partitioned" } else { "" };
    SetCookie(format!("{cookie}{partitioned}"))
}

/// Notes that somebody came by a portal link, so that they are not asked for a password when their session has ended;
/// or takes the note away.
pub fn portal_mark(app: &App, is_portal: bool) -> SetCookie {
    let lasts = if is_portal { 30 * DAY } else { 0 };
    small_cookie(app, "portal", "1".to_owned(), lasts, true)
}

/// The origins whose pages may hold the portal in a frame.
fn parents(app: &App) -> Vec<String> {
    if app.site.is_embedded() { app.site.portal.origins.clone() } else { Vec::new() }
}

fn flash_cookie(app: &App, flash: &Flash, is_portal: bool) -> SetCookie {
    let kind = if flash.is_ok { "+" } else { "-" };
    // Long messages quote what was sent; a cookie has 4 KiB.
    let end = flash.message.floor_char_boundary(2_000);
    let value = URL_SAFE_NO_PAD.encode(format!("{kind}{}", &flash.message[..end]));
    small_cookie(app, "flash", value, MINUTE, is_portal)
}

fn flash(request: &HttpRequest, app: &App) -> Option<Flash> {
    let value = cookie(request, &format!("{}_flash", app.site.cookie()))?;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
    let message = text.strip_prefix(['+', '-'])?;
    Some(Flash { is_ok: text.starts_with('+'), message: message.to_owned() })
}

/// Before anybody is signed in: a cookie that ties a form to the browser it was shown in.
pub struct Anonymous {
    pub app: Data<App>,
    /// What the cookie holds; a new one where there was none.
    pub cookie: String,
    pub query: Fields,
    is_new: bool,
}

impl FromRequest for Anonymous {
    type Error = PageError;
    type Future = Ready<Result<Anonymous, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(data(request).map(|app| {
            let known = cookie(request, &format!("{}_form", app.site.cookie()));
            Anonymous {
                is_new: known.is_none(),
                cookie: known.unwrap_or_else(token::generate),
                query: Fields::parse(request.query_string().as_bytes()),
                app,
            }
        }))
    }
}

impl Anonymous {
    /// The token of a form shown now.
    pub fn form_token(&self) -> String {
        token::form_token(&self.cookie)
    }

    /// A page with its form's cookie.
    pub fn show(&self, status: StatusCode, page: &impl Template) -> PageResult {
        self.answer(status, page, false)
    }

    /// The same for who comes by a portal link: it works inside of the pages that may hold the portal.
    pub fn show_portal(&self, status: StatusCode, page: &impl Template) -> PageResult {
        self.answer(status, page, true)
    }

    fn answer(&self, status: StatusCode, page: &impl Template, is_portal: bool) -> PageResult {
        let text = page.render().map_err(|error| ApiError::internal(&error))?;
        let mut answer = if is_portal { html_framed(status, text, &parents(&self.app)) } else { html(status, text) };
        if self.is_new {
            // Longer than anybody leaves a sign-in page open.
            small_cookie(&self.app, "form", self.cookie.clone(), DAY, is_portal).on(&mut answer);
        }
        Ok(answer)
    }
}
