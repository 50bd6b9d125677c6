//! The visitor of a page, signed in as a user or through the portal.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;

use crate::actions::{Actor, Caller};
use crate::auth::role::{Action, may};
use crate::auth::{session, token};
use crate::domain::event::{Event, Tenant};
use crate::domain::needle::Needle;
use crate::domain::time::Millis;
use crate::domain::zone::Zone;
use crate::http::error::ApiError;
use crate::http::extract::app;
use crate::http::site::ProxyUser;
use crate::http::web::cookies::{self, SetCookie};
use crate::http::web::display::Display;
use crate::http::web::error::{self, PageError};
use crate::http::web::form::Fields;
use crate::http::web::layout::{FailingContacts, Flash, Frame, Portal, Section, Shell, base, event_path};
use crate::http::web::portal;
use crate::http::web::response::{PageResult, Response, html, local, parents};
use crate::http::web::search;
use crate::http::web::two_factor;
use crate::http::{App, blocking};
use crate::store::search::TextSearch;
use crate::store::session::Owner;
use crate::store::user::{Role, User};
use crate::store::webhook::{self, Attention};
use crate::store::{self, Connection, StoreError, contact, pause};

/// A visitor who is signed in, as a user or through the portal.
pub struct Session {
    pub app: Data<App>,
    pub owner: Owner,
    /// Whether a proxy's header signed the user in.
    pub by_proxy: bool,
    pub query: Fields,
    /// Path and query of the request, below [`Session::base`].
    pub here: String,
    /// Whether the visitor typed the password lately, or has none to type.
    pub is_confirmed: bool,
    base: String,
    cookie: String,
    /// Address of the client.
    address: Option<IpAddr>,
    flash: Option<Flash>,
    /// Whether the script refreshes an open page.
    is_live: bool,
    display: Display,
    is_get: bool,
}

impl FromRequest for Session {
    type Error = PageError;
    type Future = Ready<Result<Session, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Session::of(request))
    }
}

impl Session {
    /// Authenticates a request by the cookie of the pages or, below its path, of the portal.
    pub fn of(request: &HttpRequest) -> Result<Session, PageError> {
        let app = app(request)?.clone();
        let is_portal = portal::is_portal(request);
        let prefix = app.site.base().prefix();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let here = if is_portal { &path[portal::PATH.len()..] } else { path };
        let sign_in = || {
            let next: String = url::form_urlencoded::byte_serialize(here.as_bytes()).collect();
            let location = if is_portal {
                format!("{prefix}{}", portal::PATH)
            } else if request.method() == "GET" && here != "/" {
                format!("{prefix}/login?next={next}")
            } else {
                format!("{prefix}/login")
            };
            PageError::SignIn { location }
        };
        let outside = |error: PageError| error.within(Shell::of(request, &app));
        // People of a tenant are no users of the proxy.
        let proxy_user = match is_portal {
            true => None,
            false => app.site.proxy_user(request).map_err(|invalid| outside(invalid.into()))?,
        };
        let cookie = cookies::session(request, &app, is_portal).ok_or_else(sign_in)?;
        let now = app.actions.clock.now_ms();
        let session = app
            .actions
            .store
            .read_for_auth(|db| session::authenticate(db, &cookie, now))
            .map_err(|error| outside(error.into()))?
            .filter(|session| is_portal == matches!(session.owner, Owner::Portal(_)))
            .filter(|session| goes_on(session, proxy_user.as_ref()))
            .ok_or_else(sign_in)?;
        if app.live().require_totp
            && two_factor::is_missing(&session)
            && !two_factor::SETUP_PATHS.contains(&request.path())
        {
            let next: String = url::form_urlencoded::byte_serialize(here.as_bytes()).collect();
            return Err(PageError::Redirect {
                location: format!("{prefix}{}?next={next}", two_factor::SETUP_PATHS[0]),
            });
        }
        // The refresh of an open page does not keep the session alive.
        let is_live = request.headers().contains_key("x-live");
        if session.is_stale && !is_live {
            let cookie = cookie.clone();
            let address = app.site.client_address(request).map(|address| address.to_string()).unwrap_or_default();
            // Nobody waits for this write, and the next request repeats a failed one.
            drop(app.actions.store.write(move |tx| session::seen(tx.connection(), &cookie, &address, now)));
        }
        let session = Session {
            flash: cookies::flash(request, &app, is_portal),
            is_confirmed: session::is_confirmed(&session, now),
            address: app.site.client_address(request),
            owner: session.owner,
            by_proxy: session.by_proxy,
            query: Fields::of_query(request),
            here: here.to_owned(),
            base: base(&app, is_portal),
            cookie,
            is_live,
            display: Display::of(request, &app, is_portal),
            is_get: request.method() == "GET",
            app,
        };
        if let Some(tenant) = session.tenant() {
            let counted = session.app.rate_limits.take_of(request, tenant, now);
            counted.map_err(|error| PageError::from(error).within(session.shell()))?;
        }
        Ok(session)
    }

    pub fn now(&self) -> Millis {
        self.app.actions.clock.now_ms()
    }

    /// Zone of the times on the page.
    pub fn zone(&self) -> &Zone {
        &self.display.zone
    }

    /// Time since which no finished delivery was deleted by retention.
    pub fn kept_since(&self) -> Millis {
        self.app.live().retention.cutoffs(self.now()).finished_ms.unwrap_or(Millis::MIN)
    }

    /// Path prefix of every link.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether the script asks, to refresh an open page.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Address of the client.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Surroundings of an error page outside the frame.
    pub fn shell(&self) -> Shell {
        Shell::with(&self.app, self.tenant().is_some(), self.display.clone())
    }

    pub fn caller(&self) -> Caller {
        Caller {
            tenant: self.tenant().cloned(),
            default_profile: None,
            sees_secrets: self.may_see_secrets(),
            actor: Actor::Person(session::actor(&self.owner)).at(self.address),
            api_key_seq: None,
            profiles: self.tenant().map(|_| Arc::clone(&self.app.live().portal_profiles)),
            certificates_denied: self.tenant().is_some() && !self.app.live().portal_certificates,
        }
    }

    /// Tenant of a portal session.
    pub fn tenant(&self) -> Option<&Tenant> {
        match &self.owner {
            Owner::Portal(visitor) => Some(&visitor.tenant),
            Owner::User(_) => None,
        }
    }

    pub fn user(&self) -> Option<&User> {
        match &self.owner {
            Owner::User(user) => Some(user),
            Owner::Portal(_) => None,
        }
    }

    /// Path of an event, below the prefix. Its tenant is named for those who see several.
    pub fn event_path(&self, event: &Event) -> String {
        event_path(&event.id, self.tenant().is_none().then_some(&event.tenant))
    }

    /// Whether the visitor may do this. In the portal, all that an operator may, in the tenant.
    pub fn may(&self, action: Action) -> bool {
        may(self.user().map_or(Role::Operator, |user| user.role), action)
    }

    /// Whether the visitor may see secrets, and what lets a weak one be guessed. People in the portal see those of their own
    /// tenant.
    pub fn may_see_secrets(&self) -> bool {
        self.user().is_none_or(|user| may(user.role, Action::Administer))
    }

    pub fn may_change(&self) -> bool {
        self.may(Action::Operate)
    }

    /// Requires a user, of any role; for portal visitors, the page does not exist.
    pub fn require_operator(&self) -> Result<&User, PageError> {
        self.user().ok_or_else(|| PageError::not_found("page"))
    }

    /// Requires the permission for this. For portal visitors, a page of administrators does not exist.
    pub fn require(&self, action: Action) -> Result<(), PageError> {
        if self.may(action) {
            return Ok(());
        }
        let role = self.require_operator()?.role;
        let message =
            format!("Your role, {role}, does not allow this. Administrators change roles under Settings, Users.");
        Err(PageError::forbidden(message))
    }

    /// Requires the permission to change webhooks and deliveries.
    pub fn require_change(&self) -> Result<(), PageError> {
        self.require(Action::Operate)
    }

    /// Requires the permission to change what all tenants share, such as event types and profiles. For portal visitors,
    /// the page does not exist.
    pub fn require_shared_change(&self) -> Result<(), PageError> {
        self.require_operator()?;
        self.require_change()
    }

    /// Requires an administrator.
    pub fn require_administrator(&self) -> Result<&User, PageError> {
        self.require(Action::Administer)?;
        self.require_operator()
    }

    /// Requires that the session, and the role, are unchanged since the form began to arrive.
    pub(super) fn require_unchanged(&self) -> Result<(), PageError> {
        let now = self.now();
        let session = self.app.actions.store.read_for_auth(|db| session::authenticate(db, &self.cookie, now))?;
        let is_same = match (session.map(|session| session.owner), &self.owner) {
            (Some(Owner::User(now)), Owner::User(then)) => now.seq == then.seq && now.role == then.role,
            (Some(now), then) => now == *then,
            (None, _) => false,
        };
        let path = if self.tenant().is_some() { "" } else { "/login" };
        if is_same { Ok(()) } else { Err(PageError::SignIn { location: format!("{}{path}", self.base()) }) }
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

    /// Searches by text, in short reads outside of a snapshot. Otherwise like [`Session::read`].
    pub fn search<T>(
        &self,
        needle: &Needle,
        read: impl FnOnce(&Connection, &TextSearch) -> Result<T, StoreError>,
    ) -> Result<T, PageError> {
        let text = self.app.search(needle.clone());
        Ok(self.app.actions.store.read(|db| read(db, &text))?)
    }

    /// Frame of a page.
    pub fn frame(&self, db: &Connection, title: impl Into<String>, section: Section) -> Result<Frame, PageError> {
        let attention = webhook::attention(db, self.tenant())?;
        let failing = contact::failing(db, self.tenant(), self.now(), FailingContacts::MOST)?;
        let first = failing.into_iter().map(|contact| (contact.name, contact.id)).collect();
        let pause = pause::current(db)?;
        let failing_contacts = FailingContacts { first };
        Ok(Frame { failing_contacts, pause, ..self.frame_with(title.into(), section, attention) })
    }

    fn frame_with(&self, title: String, section: Section, attention: Attention) -> Frame {
        Frame {
            base: self.base().to_owned(),
            url: self.app.site.base().to_string(),
            title,
            section,
            viewer: self.user().map(|user| user.name.clone()).unwrap_or_default(),
            portal: self.tenant().map(|_| Portal::of(&self.app.live().portal)),
            may_change: self.may_change(),
            may_administer: self.may(Action::Administer),
            is_confirmed: self.is_confirmed,
            form_token: token::form_token(&self.cookie),
            flash: self.flash.clone(),
            attention,
            failing_contacts: FailingContacts::default(),
            pause: None,
            search: if self.here.starts_with(search::PATH) { self.query.text("q").to_owned() } else { String::new() },
            now_ms: self.now(),
            display: self.display.clone(),
            here: if self.is_get { self.here.clone() } else { "/".to_owned() },
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

    /// Runs a read on a blocking thread and responds with its result.
    pub async fn answer(
        self,
        read: impl FnOnce(&Session) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        let place = match self.query.given("q") {
            Some(_) => self.app.reads.search_place(self.tenant()).await,
            None => self.app.reads.place(self.tenant()).await,
        };
        let place = place.map_err(|error| PageError::from(error).within(self.shell()))?;
        self.run(move |session| {
            let _place = place;
            read(session)
        })
        .await
    }

    /// Runs `work` on a blocking thread and responds with its result. Errors are shown within the frame.
    pub(super) async fn run(
        self,
        work: impl FnOnce(&Session) -> Result<Response, PageError> + Send + 'static,
    ) -> PageResult {
        let clears_flash = self.flash.is_some() && !self.is_live;
        let app = self.app.clone();
        let (is_portal, shell) = (self.tenant().is_some(), self.shell());
        let done = blocking(move || match work(&self) {
            Err(PageError::Problem { error, .. }) => Ok((self.problem(&error)?, Some(error))),
            other => other.map(|done| (done, None)),
        });
        let done = done.await.map_err(|error| PageError::from(error).within(shell))?;
        let (done, error): (_, Option<Box<ApiError>>) = done?;
        // A flash message stays for the page that a redirect leads to.
        let clears_flash = clears_flash && matches!(done, Response::Page(..) | Response::File { .. });
        let mut response = done.into_http(&app, is_portal);
        if let Some(error) = &error {
            error::add_header(&mut response, error);
        }
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
            Ok(Response::Page(status, text)) => html(status, text, &parents),
            _ => html(error.status(), error.message().to_owned(), &parents),
        }
    }

    fn problem(&self, error: &ApiError) -> Result<Response, PageError> {
        let title = error::title(error.status());
        let page = ProblemPage {
            frame: self.frame_with(title.to_owned(), Section::None, Attention::default()),
            message: if self.tenant().is_some() { error.tenant_message() } else { error.message() }.to_owned(),
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

/// Whether a session goes on with the user whom a sign-in proxy names. One that the proxy began ends when it names nobody; any
/// ends when it names somebody else, or another role.
pub(super) fn goes_on(session: &store::session::Session, named: Option<&ProxyUser>) -> bool {
    match (&session.owner, named) {
        (Owner::Portal(_), _) => true,
        (Owner::User(_), None) => !session.by_proxy,
        (Owner::User(user), Some(named)) => {
            user.name.eq_ignore_ascii_case(&named.name) && named.role.is_none_or(|role| role == user.role)
        }
    }
}

#[derive(Template)]
#[template(path = "parts/problem.html")]
struct ProblemPage {
    frame: Frame,
    message: String,
}
