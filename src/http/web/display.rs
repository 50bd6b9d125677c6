//! The visitor's time zone and theme, kept in cookies of the browser. The script stores the browser's time zone; a form stores
//! the rest.

use actix_web::HttpRequest;
use strum::{Display as Text, EnumString, IntoStaticStr};

use crate::domain::zone::Zone;
use crate::http::App;
use crate::http::web::cookies::{self, SetCookie};
use crate::http::web::form::Submission;
use crate::http::web::layout::{Html, escape};
use crate::http::web::{PageResult, Response};

/// Colors of the pages; those of the system if none is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, Text)]
#[strum(serialize_all = "lowercase")]
pub enum Theme {
    Light,
    Dark,
}

/// How pages look to a visitor.
#[derive(Debug, Clone)]
pub struct Display {
    /// Zone of all times on the page.
    pub zone: Zone,
    /// Zone of the browser; that of the server if the browser has not named its own.
    pub own: Zone,
    pub theme: Option<Theme>,
    /// Whether the script may load the page again if the browser's zone is another. Pages that cannot be loaded twice may not.
    can_reload: bool,
    /// Name of the cookie in which the script stores the browser's zone, and the attributes of the cookie.
    cookie: Option<(String, String)>,
}

impl Default for Display {
    fn default() -> Display {
        Display { zone: Zone::UTC, own: Zone::UTC, theme: None, can_reload: false, cookie: None }
    }
}

impl Display {
    /// Reads the cookies of a request. A value that is not known counts as none.
    pub fn of(request: &HttpRequest, app: &App, is_portal: bool) -> Display {
        let own = cookies::zone(request, app).and_then(|name| name.parse().ok());
        let own: Zone = own.unwrap_or_else(|| app.live().time_zone.clone());
        let is_utc = cookies::times(request, app).is_some_and(|times| times == UTC);
        let is_message = cookies::flash(request, app, is_portal).is_some();
        Display {
            zone: if is_utc { Zone::UTC } else { own.clone() },
            own,
            theme: cookies::theme(request, app).and_then(|theme| theme.parse().ok()),
            can_reload: request.method() == "GET" && !is_utc && !is_message,
            cookie: Some(cookies::for_script(app, is_portal)),
        }
    }

    /// Value of `color-scheme`.
    pub fn color_scheme(&self) -> &'static str {
        self.theme.map_or("light dark", Into::into)
    }

    /// Whether this is the theme; an empty name is that of the system.
    pub fn has_theme(&self, name: &str) -> bool {
        self.theme.map_or("", Into::into) == name
    }

    /// Attributes of the root element, for the sheet and the script.
    pub fn attributes(&self) -> Html {
        let mut html = String::new();
        let mut add = |name: &str, value: &str| html += &format!(" data-{name}=\"{}\"", escape(value));
        if let Some(theme) = self.theme {
            add("theme", theme.into());
        }
        add("zone", self.zone.name());
        if let Some((name, attributes)) = &self.cookie {
            add("zone-cookie", name);
            add("cookie-attributes", attributes);
        }
        if self.can_reload {
            add("reload", "");
        }
        Html(html)
    }
}

/// Value of the field and of the cookie `times` that shows all times in UTC.
const UTC: &str = "utc";

/// `POST /account/display` with `theme` or `times`: for viewers and in the portal too.
pub async fn change(form: Submission) -> PageResult {
    let (app, is_portal) = (form.app(), form.is_portal());
    let mut changed = Vec::new();
    if form.fields.has("theme") {
        let theme: Option<Theme> = form.fields.text("theme").parse().ok();
        changed.push(SetCookie::theme(&app, theme.map_or("", Into::into), is_portal));
    }
    if form.fields.has("times") {
        let times = if form.fields.text("times") == UTC { UTC } else { "" };
        changed.push(SetCookie::times(&app, times, is_portal));
    }
    let work = form.run_as_anybody(|session, fields| {
        let location = format!("{}{}", session.base(), session.back(fields, "/"));
        Ok(Response::To(location, None))
    });
    let mut response = work.await?;
    changed.iter().for_each(|cookie| cookie.on(&mut response));
    Ok(response)
}
