//! The frame of a page (navigation, banners, messages), and the markup of states, times and icons.

use std::fmt;

use actix_web::HttpRequest;
use askama::filters::HtmlSafe;

use super::assets;
use crate::domain::event::{EventId, Tenant};
use crate::domain::id::ContactId;
use crate::domain::needle::Needle;
use crate::domain::time::{Millis, rfc3339};
use crate::domain::zone::Twice;
use crate::http::App;
use crate::http::site::Branding;
use crate::http::web::date_field;
use crate::http::web::display::Display;
use crate::http::web::portal::{self, PATH as PORTAL};
use crate::http::web::response::parents;
use crate::store::pause::Pause;
use crate::store::webhook::Attention;
use crate::text::humanize;

/// Section of the site, as in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Overview,
    Webhooks,
    Deliveries,
    Failed,
    Incidents,
    Events,
    EventTypes,
    Profiles,
    Inbox,
    Settings,
    /// In the portal; the operator's are under the settings.
    Contacts,
    /// A page outside the navigation, such as the own account.
    None,
}

/// Entry of the navigation.
pub struct NavItem {
    pub section: Section,
    pub path: &'static str,
    pub label: &'static str,
    pub icon: &'static str,
    /// Key that opens the section, pressed after `g`.
    pub key: &'static str,
}

/// Characters of a text without spaces that a page shows at once.
const LONG_CHARS: usize = 200;

const NAV: [NavItem; 8] = [
    NavItem { section: Section::Overview, path: "/", label: "Overview", icon: "overview", key: "o" },
    NavItem { section: Section::Webhooks, path: "/webhooks", label: "Webhooks", icon: "webhooks", key: "w" },
    NavItem { section: Section::Deliveries, path: "/deliveries", label: "Deliveries", icon: "deliveries", key: "d" },
    NavItem { section: Section::Failed, path: "/failed", label: "Failed", icon: "failed", key: "f" },
    NavItem { section: Section::Incidents, path: "/incidents", label: "Incidents", icon: "warn", key: "n" },
    NavItem { section: Section::Events, path: "/events", label: "Events", icon: "events", key: "e" },
    NavItem { section: Section::EventTypes, path: "/event-types", label: "Event types", icon: "types", key: "t" },
    NavItem { section: Section::Inbox, path: "/inbox", label: "Inbox", icon: "inbox", key: "i" },
];

/// Entries that portal visitors do not see.
const OPERATOR_NAV: [NavItem; 2] = [
    NavItem { section: Section::Profiles, path: "/profiles", label: "Profiles", icon: "profiles", key: "p" },
    NavItem { section: Section::Settings, path: "/settings", label: "Settings", icon: "settings", key: "s" },
];

/// Entries of portal visitors only.
const PORTAL_NAV: [NavItem; 1] =
    [NavItem { section: Section::Contacts, path: "/contacts", label: "Contacts", icon: "user", key: "c" }];

/// Contacts that do not get their messages.
#[derive(Debug, Clone, Default)]
pub struct FailingContacts {
    /// Name and id of the first ones, longest failing first.
    pub first: Vec<(String, ContactId)>,
}

impl FailingContacts {
    /// Contacts counted at most.
    pub const MOST: u32 = 100;

    /// Whether there may be more.
    pub fn is_cut(&self) -> bool {
        self.first.len() as u32 == FailingContacts::MOST
    }

    /// Page of the only one, or of all.
    pub fn path(&self) -> String {
        match &self.first[..] {
            [(_, id)] => format!("/contacts/{id}"),
            _ => "/contacts".to_owned(),
        }
    }
}

/// Result of an action, shown on the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    pub is_ok: bool,
    pub message: String,
}

/// Frame of every page for a visitor who is signed in.
pub struct Frame {
    /// Path prefix of every link: empty, or `/hookpost`.
    pub base: String,
    /// URL of the server, including its path prefix.
    pub url: String,
    pub title: String,
    pub section: Section,
    /// Name of the user; empty for a portal visitor.
    pub viewer: String,
    /// Branding, for a portal visitor.
    pub portal: Option<Portal>,
    /// Whether the visitor may change webhooks and deliveries.
    pub may_change: bool,
    pub may_administer: bool,
    /// Whether the visitor typed the password lately.
    pub is_confirmed: bool,
    /// Hidden field of every form.
    pub form_token: String,
    pub flash: Option<Flash>,
    pub attention: Attention,
    pub failing_contacts: FailingContacts,
    /// Pause of all deliveries.
    pub pause: Option<Pause>,
    /// Text in the search field.
    pub search: String,
    pub now_ms: Millis,
    /// Time zone and theme.
    pub display: Display,
    /// Path and query of the page below [`Frame::base`]; the start page, if it is the response to a form.
    pub here: String,
    /// Command that does the same with the API.
    pub curl: Option<String>,
}

/// Branding of the tenant portal.
#[derive(Debug, Clone)]
pub struct Portal {
    pub name: String,
    pub has_logo: bool,
    pub has_accent: bool,
}

impl Portal {
    pub fn of(look: &Branding) -> Portal {
        Portal {
            name: look.name.clone().unwrap_or_else(|| "Webhooks".to_owned()),
            has_logo: look.logo.is_some(),
            has_accent: look.accent.is_some(),
        }
    }
}

impl Frame {
    pub fn asset(&self, name: &str) -> String {
        format!("{}{}", self.base, assets::path(name))
    }

    /// Whether the visitor may change what all tenants share: event types and profiles.
    pub fn may_change_shared(&self) -> bool {
        self.may_change && self.portal.is_none()
    }

    pub fn nav(&self) -> impl Iterator<Item = &'static NavItem> {
        let further = if self.portal.is_none() { &OPERATOR_NAV[..] } else { &PORTAL_NAV[..] };
        NAV.iter().chain(further)
    }

    /// Path of an event, below the prefix. Its tenant is named for those who see several.
    pub fn event_path(&self, id: &EventId, tenant: &Tenant) -> String {
        event_path(id, self.portal.is_none().then_some(tenant))
    }

    /// Adds the API call that does the same as the page; `path` is below the server's URL.
    #[must_use]
    pub fn with_api(self, method: &str, path: &str) -> Frame {
        self.with_call(method, path, "")
    }

    /// Like [`Frame::with_api`], with a JSON body.
    #[must_use]
    pub fn with_api_body(self, method: &str, path: &str, body: &str) -> Frame {
        let body = body.replace('\'', r"'\''");
        let further = format!(" \\\n  -H 'Content-Type: application/json' -d '{body}'");
        self.with_call(method, path, &further)
    }

    fn with_call(mut self, method: &str, path: &str, further: &str) -> Frame {
        // Portal visitors have no API key.
        if self.portal.is_none() {
            let method = match method {
                "GET" => String::new(),
                other => format!("-X {other} "),
            };
            let url = format!("{}{path}", self.url).replace('\'', "%27");
            self.curl = Some(format!("curl {method}'{url}' -H \"Authorization: Bearer $HOOKPOST_KEY\"{further}"));
        }
        self
    }

    /// Decorative icon, hidden from screen readers.
    pub fn icon(&self, name: &str) -> Html {
        Html(icon(&self.base, name))
    }

    /// Badge of a state of the API, such as `delivered` or `active`: icon, word and colour.
    pub fn badge(&self, status: &str) -> Html {
        self.badge_labeled(status, &capitalized(status))
    }

    /// Like [`Frame::badge`], with another word.
    pub fn badge_labeled(&self, status: &str, word: &str) -> Html {
        let icon = icon(&self.base, status_icon(status));
        Html(format!("<span class=\"badge\" data-status=\"{}\">{icon}{}</span>", escape(status), escape(word)))
    }

    /// Name of the zone of all times on the page: `Europe/Berlin (UTC+1)`.
    pub fn zone(&self) -> String {
        self.display.zone.label(self.now_ms)
    }

    /// Name of that zone for labels, where its difference to UTC may be another.
    pub fn zone_name(&self) -> &str {
        self.display.zone.name()
    }

    /// Value of a date field for a time of the URL; what is no time stays as it is.
    pub fn date_value(&self, text: &str) -> String {
        let (zone, twice) = (&self.display.zone, Twice::First);
        date_field::parse(text, zone, twice).map_or_else(|_| text.to_owned(), |at| date_field::format(at, zone))
    }

    /// A text without spaces, such as a URL. One that would fill the page is folded after its beginning.
    pub fn long(&self, text: &str) -> Html {
        let whole = escape(text);
        Html(match text.char_indices().nth(LONG_CHARS) {
            Some((end, _)) => {
                format!("<details class=\"long\"><summary>{}…</summary>{whole}</details>", escape(&text[..end]))
            }
            None => whole,
        })
    }

    /// Time that the script shows as relative.
    pub fn ago(&self, ms: &Millis) -> Html {
        Html(self.time_element(*ms, " data-relative"))
    }

    /// Like [`Frame::ago`], with a fallback text for `None`.
    pub fn ago_or(&self, ms: &Option<Millis>, otherwise: &str) -> Html {
        match ms {
            Some(ms) => self.ago(ms),
            None => Html(format!("<span class=\"muted\">{}</span>", escape(otherwise))),
        }
    }

    /// Absolute time, to the second.
    pub fn time(&self, ms: &Millis) -> Html {
        Html(self.time_element(*ms, ""))
    }

    /// Time that the script shows as a countdown.
    pub fn countdown(&self, ms: &Millis) -> Html {
        Html(self.time_element(*ms, " data-countdown"))
    }

    fn time_element(&self, ms: Millis, attributes: &str) -> String {
        let (utc, zone) = (rfc3339(ms), &self.display.zone);
        format!(
            "<time datetime=\"{utc}\" title=\"{}&#10;{utc}\"{attributes}>{}</time>",
            humanize::in_full(ms, zone),
            humanize::to_the_second(ms, zone)
        )
    }
}

/// Text in which the part that was searched for is marked.
pub fn marked(needle: Option<&Needle>, text: &str) -> Html {
    let parts = needle.and_then(|needle| {
        let found = needle.find(text.as_bytes())?;
        Some((text.get(..found.start)?, text.get(found.clone())?, text.get(found.end..)?))
    });
    Html(match parts {
        Some((before, found, after)) => format!("{}<mark>{}</mark>{}", escape(before), escape(found), escape(after)),
        None => escape(text),
    })
}

/// Path of an event. Its id is unique within a tenant only.
pub fn event_path(id: &EventId, tenant: Option<&Tenant>) -> String {
    match tenant {
        Some(tenant) => format!("/events/{id}?tenant={tenant}"),
        None => format!("/events/{id}"),
    }
}

/// Surroundings of a page without a session.
#[derive(Debug, Clone, Default)]
pub struct Shell {
    /// Path prefix of every link.
    pub base: String,
    /// Branding, in the portal.
    pub portal: Option<Portal>,
    /// Origins that may frame the page.
    pub parents: Vec<String>,
    pub display: Display,
}

impl Shell {
    pub fn of(request: &HttpRequest, app: &App) -> Shell {
        let is_portal = portal::is_portal(request);
        Shell::with(app, is_portal, Display::of(request, app, is_portal))
    }

    pub fn with(app: &App, is_portal: bool, display: Display) -> Shell {
        Shell {
            display,
            base: base(app, is_portal),
            portal: is_portal.then(|| Portal::of(&app.live().portal)),
            parents: parents(app, is_portal),
        }
    }
}

/// Path prefix of the pages, or of those of the portal.
pub fn base(app: &App, is_portal: bool) -> String {
    let prefix = app.site.base().prefix();
    if is_portal { format!("{prefix}{PORTAL}") } else { prefix.to_string() }
}

/// Frame of a page for a visitor who is not signed in: sign-in, setup, errors.
pub struct Bare {
    pub base: String,
    pub title: &'static str,
    pub form_token: String,
    /// Branding, in the portal.
    pub portal: Option<Portal>,
    pub display: Display,
}

impl Bare {
    pub fn asset(&self, name: &str) -> String {
        format!("{}{}", self.base, assets::path(name))
    }

    pub fn icon(&self, name: &str) -> Html {
        Html(icon(&self.base, name))
    }
}

/// Markup that templates do not escape.
pub struct Html(pub String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

fn icon(base: &str, name: &str) -> String {
    let sprite = assets::path("icons.svg");
    format!("<svg class=\"icon\" aria-hidden=\"true\"><use href=\"{base}{sprite}#{name}\"/></svg>")
}

/// Icon of a state.
fn status_icon(status: &str) -> &str {
    match status {
        "delivered" | "active" | "verified" | "ok" | "failed" | "error" | "retrying" | "pending" | "discarded"
        | "paused" | "disabled" | "unverified" | "warn" | "test" => status,
        _ => "info",
    }
}

/// Returns a word with a capital first letter.
pub fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().collect::<String>() + letters.as_str(),
        None => String::new(),
    }
}

/// Label of an error code: `TLS expired` for `tls_expired`.
pub fn code_label(code: &str) -> String {
    let words = capitalized(&code.replace('_', " "));
    words.replacen("Tls ", "TLS ", 1).replacen("Dns ", "DNS ", 1)
}

/// Escapes a text for HTML content and attributes.
pub fn escape(text: &str) -> String {
    askama::filters::escape(text, askama::filters::Html).map(|escaped| escaped.to_string()).unwrap_or_default()
}
