//! Cookies of the pages: the session, the device, the token of a form, the flash message. The portal has a session and a
//! message of its own, so that a browser can have a user's session and a portal session at once; the path of a request
//! decides which counts.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{HeaderValue, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::session;
use crate::auth::users::SignedIn;
use crate::domain::time::{DAY, MINUTE, Millis, SECOND};
use crate::http::App;
use crate::http::web::layout::Flash;

/// Bytes of a flash message at most: a message may quote user input, and a cookie has 4 KiB.
const FLASH_BYTES: usize = 2_000;

/// Lifetime of choices of the visitor.
const YEAR: Millis = 365 * DAY;

/// Value of the session cookie.
pub fn session(request: &HttpRequest, app: &App, is_portal: bool) -> Option<String> {
    value(request, &session_name(app, is_portal))
}

/// Value of the cookie that the form token of an anonymous visitor is derived from.
pub fn form(request: &HttpRequest, app: &App) -> Option<String> {
    value(request, &suffixed(app, "form"))
}

/// Value of the cookie by which earlier sign-ins with this browser are known.
pub fn device(request: &HttpRequest, app: &App) -> Option<String> {
    value(request, &suffixed(app, "device"))
}

/// Value of the cookie between the password and the code of a sign-in.
pub fn pending(request: &HttpRequest, app: &App) -> Option<String> {
    value(request, &suffixed(app, "pending"))
}

/// Message that the previous response left for this page.
pub fn flash(request: &HttpRequest, app: &App, is_portal: bool) -> Option<Flash> {
    let value = value(request, &flash_name(app, is_portal))?;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
    let message = text.strip_prefix(['+', '-'])?;
    Some(Flash { is_ok: text.starts_with('+'), message: message.to_owned() })
}

/// Name of the browser's time zone, as its script stored it.
pub fn zone(request: &HttpRequest, app: &App) -> Option<String> {
    value(request, &readable(app, "zone"))
}

/// Choice of the zone of times.
pub fn times(request: &HttpRequest, app: &App) -> Option<String> {
    value(request, &readable(app, "times"))
}

/// Chosen theme.
pub fn theme(request: &HttpRequest, app: &App) -> Option<String> {
    value(request, &readable(app, "theme"))
}

/// Name of the cookie in which the script stores the browser's time zone, and its attributes.
pub fn for_script(app: &App, is_portal: bool) -> (String, String) {
    let mut attributes = format!("; Path={}; Max-Age={}", path(app), YEAR / SECOND);
    attributes += match (is_portal && app.site.is_embedded(), app.site.base().is_https()) {
        (true, _) => "; SameSite=None; Secure; Partitioned",
        (false, true) => "; SameSite=Lax; Secure",
        (false, false) => "; SameSite=Lax",
    };
    (readable(app, "zone"), attributes)
}

fn value(request: &HttpRequest, name: &str) -> Option<String> {
    request.cookie(name).map(|cookie| cookie.value().to_owned())
}

fn session_name(app: &App, is_portal: bool) -> String {
    if is_portal { suffixed(app, "portal") } else { app.site.cookie() }
}

fn flash_name(app: &App, is_portal: bool) -> String {
    format!("{}_flash", session_name(app, is_portal))
}

/// Name of a cookie that is no secret. Scripts may set such a one, below the path of the server, so it has no prefix.
fn readable(app: &App, suffix: &str) -> String {
    suffixed(app, suffix).trim_start_matches("__Host-").to_owned()
}

/// Path of the server in browsers.
fn path(app: &App) -> &str {
    let prefix: &str = app.site.base().prefix();
    if prefix.is_empty() { "/" } else { prefix }
}

fn suffixed(app: &App, suffix: &str) -> String {
    format!("{}_{suffix}", app.site.cookie())
}

/// A `Set-Cookie` header.
pub struct SetCookie(String);

impl SetCookie {
    /// Session cookie; a lifetime of 0 ms deletes it.
    pub fn session(app: &App, value: String, lasts: Millis, is_portal: bool) -> SetCookie {
        SetCookie::new(app, session_name(app, is_portal), value, lasts, is_portal)
    }

    /// Cookie by which this sign-in is known at the next one.
    pub fn device(app: &App, value: String) -> SetCookie {
        SetCookie::new(app, suffixed(app, "device"), value, session::DEVICE_LASTS, false)
    }

    /// Cookie between the password and the code of a sign-in; a lifetime of 0 ms deletes it.
    pub fn pending(app: &App, value: String, lasts: Millis) -> SetCookie {
        SetCookie::new(app, suffixed(app, "pending"), value, lasts, false)
    }

    /// Cookie that ties the forms of an anonymous visitor to the browser. It outlives any open sign-in page.
    pub fn form(app: &App, value: String, is_portal: bool) -> SetCookie {
        SetCookie::new(app, suffixed(app, "form"), value, DAY, is_portal)
    }

    /// Message for the next page; `None` deletes it.
    pub fn flash(app: &App, flash: Option<&Flash>, is_portal: bool) -> SetCookie {
        let name = flash_name(app, is_portal);
        let Some(Flash { is_ok, message }) = flash else {
            return SetCookie::new(app, name, String::new(), 0, is_portal);
        };
        let sign = if *is_ok { '+' } else { '-' };
        let message = &message[..message.floor_char_boundary(FLASH_BYTES)];
        SetCookie::new(app, name, URL_SAFE_NO_PAD.encode(format!("{sign}{message}")), MINUTE, is_portal)
    }

    /// Chosen theme; an empty value deletes it.
    pub fn theme(app: &App, value: &str, is_portal: bool) -> SetCookie {
        SetCookie::choice(app, readable(app, "theme"), value, is_portal)
    }

    /// Choice of the zone of times; an empty value deletes it.
    pub fn times(app: &App, value: &str, is_portal: bool) -> SetCookie {
        SetCookie::choice(app, readable(app, "times"), value, is_portal)
    }

    fn choice(app: &App, name: String, value: &str, is_portal: bool) -> SetCookie {
        let lasts = if value.is_empty() { 0 } else { YEAR };
        SetCookie::below(app, name, value.to_owned(), lasts, is_portal, path(app))
    }

    /// Hidden from scripts and not sent from other sites. In an embedded portal, browsers send the cookie inside the
    /// parent's page and keep one per parent (`Partitioned`).
    fn new(app: &App, name: String, value: String, lasts: Millis, is_portal: bool) -> SetCookie {
        SetCookie::below(app, name, value, lasts, is_portal, "/")
    }

    fn below(app: &App, name: String, value: String, lasts: Millis, is_portal: bool, path: &str) -> SetCookie {
        let is_embedded = is_portal && app.site.is_embedded();
        let mut cookie = Cookie::new(name, value);
        cookie.set_path(path.to_owned());
        cookie.set_http_only(true);
        cookie.set_secure(is_embedded || app.site.base().is_https());
        cookie.set_max_age(Duration::milliseconds(lasts));
        cookie.set_same_site(if is_embedded { SameSite::None } else { SameSite::Lax });
        // The cookie crate that actix uses does not support this attribute yet.
        let partitioned = if is_embedded { "; Partitioned" } else { "" };
        SetCookie(format!("{cookie}{partitioned}"))
    }

    /// Adds the cookies of a user who signed in.
    pub fn signed_in(app: &App, cookies: SignedIn, response: &mut HttpResponse) {
        SetCookie::session(app, cookies.session, session::LONGEST, false).on(response);
        SetCookie::device(app, cookies.device).on(response);
    }

    /// Adds the header to a response.
    pub fn on(&self, response: &mut HttpResponse) {
        // Names and values consist of characters that a header allows.
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }
}
