//! What every page has around it, and how pages show the things that all of them show: states, times, icons.

use std::fmt;

use askama::filters::HtmlSafe;

use super::assets;
use crate::domain::time::{Millis, rfc3339, rfc3339_seconds};
use crate::http::site::Branding;
use crate::store::webhook::Attention;

/// The parts of the site, as the navigation names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Overview,
    Webhooks,
    Deliveries,
    Failed,
    Events,
    EventTypes,
    Profiles,
    Inbox,
    Settings,
    /// Of no part: one's own account.
    None,
}

/// An entry of the navigation.
pub struct NavItem {
    pub section: Section,
    pub path: &'static str,
    pub label: &'static str,
    pub icon: &'static str,
    /// Pressed after `g`.
    pub key: &'static str,
}

const fn item(
    section: Section,
    path: &'static str,
    label: &'static str,
    icon: &'static str,
    key: &'static str,
) -> NavItem {
    NavItem { section, path, label, icon, key }
}

/// What everybody sees.
const NAV: [NavItem; 7] = [
    item(Section::Overview, "/", "Overview", "overview", "o"),
    item(Section::Webhooks, "/webhooks", "Webhooks", "webhooks", "w"),
    item(Section::Deliveries, "/deliveries", "Deliveries", "deliveries", "d"),
    item(Section::Failed, "/failed", "Failed", "failed", "f"),
    item(Section::Events, "/events", "Events", "events", "e"),
    item(Section::EventTypes, "/event-types", "Event types", "types", "t"),
    item(Section::Inbox, "/inbox", "Inbox", "inbox", "i"),
];

/// What the people of a tenant do not see.
const OPERATOR_NAV: [NavItem; 2] = [
    item(Section::Profiles, "/profiles", "Profiles", "profiles", "p"),
    item(Section::Settings, "/settings", "Settings", "settings", "s"),
];

/// A message after something was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    /// Whether it went well.
    pub is_ok: bool,
    pub message: String,
}

/// The call of the API that does what a page does.
#[derive(Debug, Clone)]
pub struct ApiCall {
    pub curl: String,
}

/// Around every page of somebody who is signed in.
pub struct Frame {
    /// The path that stands before every link: empty, or `/hookpost`.
    pub base: String,
    /// Where the server is reached, its path included.
    pub url: String,
    pub title: String,
    pub section: Section,
    /// Who looks.
    pub viewer: String,
    /// The one tenant whose things are shown, to its own people.
    pub portal: Option<Portal>,
    /// Whether the viewer may change webhooks and deliveries.
    pub may_change: bool,
    /// Whether the viewer may do everything.
    pub may_administer: bool,
    /// The token that every form carries.
    pub form_token: String,
    pub flash: Option<Flash>,
    pub attention: Attention,
    pub now_ms: Millis,
    pub api: Option<ApiCall>,
}

/// How the pages are called for the people of a tenant.
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

    pub fn nav(&self) -> impl Iterator<Item = &'static NavItem> {
        let operator = OPERATOR_NAV.iter().filter(|_| self.portal.is_none());
        NAV.iter().chain(operator)
    }

    /// The same page with the call of the API that answers the same: a method, and a path below the server's.
    #[must_use]
    pub fn with_api(self, method: &str, path: &str) -> Frame {
        self.with_call(method, path, "")
    }

    /// The same for a call with a body of JSON.
    #[must_use]
    pub fn with_api_body(self, method: &str, path: &str, body: &str) -> Frame {
        let body = body.replace('\'', r"'\''");
        let further = format!(" \\\n  -H 'Content-Type: application/json' -d '{body}'");
        self.with_call(method, path, &further)
    }

    fn with_call(mut self, method: &str, path: &str, further: &str) -> Frame {
        // Portal people have no key.
        if self.portal.is_none() {
            let method = match method {
                "GET" => String::new(),
                other => format!("-X {other} "),
            };
            let url = format!("{}{path}", self.url).replace('\'', "%27");
            self.api = Some(ApiCall {
                curl: format!("curl {method}'{url}' -H \"Authorization: Bearer $HOOKPOST_KEY\"{further}"),
            });
        }
        self
    }

    /// An icon, for the eye alone.
    pub fn icon(&self, name: &str) -> Html {
        Html(icon(&self.base, name))
    }

    /// A state as icon, word and colour. Words of the API: `delivered`, `active`, …
    pub fn badge(&self, status: &str) -> Html {
        self.badge_saying(status, &capitalized(status))
    }

    /// The same in another word.
    pub fn badge_saying(&self, status: &str, word: &str) -> Html {
        let icon = icon(&self.base, status_icon(status));
        Html(format!("<span class=\"badge\" data-status=\"{}\">{icon}{}</span>", escape(status), escape(word)))
    }

    /// A time, relative where a script runs.
    pub fn ago(&self, ms: &Millis) -> Html {
        Html(self.time_element(*ms, " data-relative"))
    }

    /// The same for a time that may not be.
    pub fn ago_or(&self, ms: &Option<Millis>, otherwise: &str) -> Html {
        match ms {
            Some(ms) => self.ago(ms),
            None => Html(format!("<span class=\"muted\">{}</span>", escape(otherwise))),
        }
    }

    /// A time, to the second.
    pub fn time(&self, ms: &Millis) -> Html {
        Html(self.time_element(*ms, ""))
    }

    /// A time that is counted down to.
    pub fn countdown(&self, ms: &Millis) -> Html {
        Html(self.time_element(*ms, " data-countdown"))
    }

    fn time_element(&self, ms: Millis, attributes: &str) -> String {
        format!(
            "<time datetime=\"{}\"{attributes}>{}</time>",
            rfc3339(ms),
            rfc3339_seconds(ms).replace('T', " ").replace('Z', " UTC")
        )
    }
}

/// What a page without navigation has around it: login, setup, problems.
pub struct Bare {
    pub base: String,
    pub title: String,
    pub form_token: String,
}

impl Bare {
    pub fn new(base: &str, title: &str) -> Bare {
        Bare { base: base.to_owned(), title: title.to_owned(), form_token: String::new() }
    }

    pub fn asset(&self, name: &str) -> String {
        format!("{}{}", self.base, assets::path(name))
    }

    pub fn icon(&self, name: &str) -> Html {
        Html(icon(&self.base, name))
    }
}

/// Markup that is not escaped again.
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

/// The symbol of a state in the sheet of icons: those are named alike.
fn status_icon(status: &str) -> &str {
    match status {
        "delivered" | "active" | "verified" | "ok" | "failed" | "error" | "retrying" | "pending" | "discarded"
        | "paused" | "disabled" | "unverified" | "warn" | "test" => status,
        _ => "info",
    }
}

/// A word with a capital.
pub fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().collect::<String>() + letters.as_str(),
        None => String::new(),
    }
}

/// A code of the API as words: `TLS expired` of `tls_expired`.
pub fn spoken(code: &str) -> String {
    let words = capitalized(&code.replace('_', " "));
    words.replacen("Tls ", "TLS ", 1).replacen("Dns ", "DNS ", 1)
}

/// A text as HTML shows it, in an attribute too.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
