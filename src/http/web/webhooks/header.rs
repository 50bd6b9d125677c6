//! Header of a webhook's pages: name, state, actions, tabs.

use crate::actions::lookup;
use crate::domain::time::Millis;
use crate::domain::webhook::{Waiting, Webhook, WebhookState};
use crate::http::web::{Connection, PageError, Session};
use crate::store::StoreError;
use crate::store::incident::certificate;
use crate::store::incident::read::{self, Condition};
use crate::text::certificate::{endpoint_warning, warning};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Deliveries,
    Settings,
    Secret,
    Metrics,
    /// A page outside the tabs.
    None,
}

pub struct Head {
    pub id: String,
    /// Path of the webhook's pages, below the server's prefix.
    pub path: String,
    pub name: String,
    pub url: String,
    /// `None` for portal visitors.
    pub tenant: Option<String>,
    pub state: WebhookState,
    /// `None` outside the tabs.
    pub condition: Option<Condition>,
    /// `None` while the webhook is sending.
    pub trouble: Option<Trouble>,
    /// Warning of the end of a certificate.
    pub certificate: Option<String>,
    pub has_challenge: bool,
    tab: Tab,
}

/// Why a webhook is not sending, and what to do.
pub struct Trouble {
    pub headline: String,
    pub advice: &'static str,
    /// Time at which Hookpost disabled the webhook.
    pub since_ms: Option<Millis>,
}

impl Head {
    pub fn of(session: &Session, webhook: &Webhook, tab: Tab) -> Head {
        let profile = session.app.actions.store.profiles().find(&webhook.profile);
        Head {
            id: webhook.id.to_string(),
            path: format!("/webhooks/{}", webhook.id),
            name: webhook.name(),
            url: webhook.url.as_str().to_owned(),
            tenant: session.tenant().is_none().then(|| webhook.tenant.to_string()),
            state: webhook.state,
            condition: None,
            trouble: trouble(webhook),
            certificate: webhook.tls.as_deref().and_then(|tls| warning(tls, session.now(), session.zone())),
            has_challenge: profile.is_some_and(|profile| profile.spec().challenge.is_some()),
            tab,
        }
    }

    /// Like [`Head::of`], with the condition of the webhook.
    pub fn read(session: &Session, db: &Connection, webhook: &Webhook, tab: Tab) -> Result<Head, StoreError> {
        let condition = read::condition(db, webhook.seq)?;
        let head = Head::of(session, webhook, tab);
        let is_ending = condition.and_then(|condition| condition.incident).is_some_and(|open| open.is_certificate);
        let of_endpoint = match is_ending && head.certificate.is_none() {
            true => certificate::of_host(db, webhook.url.host_key())?,
            false => None,
        };
        let warning = of_endpoint.map(|ends_ms| endpoint_warning(ends_ms, session.now(), session.zone()));
        Ok(Head { condition, certificate: head.certificate.clone().or(warning), ..head })
    }

    /// Title of one of the pages; empty for the first. A tab of a browser shows some 20 characters, which hold the
    /// beginning and the end of the name, and the end of the ID.
    pub fn title(&self, page: &str) -> String {
        title(&self.name, &self.id, page)
    }

    /// Path and label of each tab, and whether it is open.
    pub fn tabs(&self) -> [(String, &'static str, bool); 4] {
        let tab = |tail: &str, label, tab| (format!("{}{tail}", self.path), label, tab == self.tab);
        [
            tab("", "Deliveries", Tab::Deliveries),
            tab("/settings", "Settings", Tab::Settings),
            tab("/secret", "Secret", Tab::Secret),
            tab("/metrics", "Metrics", Tab::Metrics),
        ]
    }

    pub fn is_active(&self) -> bool {
        self.state == WebhookState::Active
    }

    pub fn is_unverified(&self) -> bool {
        self.state == WebhookState::Unverified
    }
}

/// Title of a page about a webhook.
pub fn title(name: &str, id: &str, page: &str) -> String {
    const BEGINNING: usize = 6;
    const END: usize = 6;
    let name: Vec<char> = name.trim_start_matches("https://").trim_start_matches("http://").chars().collect();
    let short: String = match name.len().checked_sub(BEGINNING + END + 1) {
        None | Some(0) => name.iter().collect(),
        Some(_) => {
            let (beginning, end) = (name.iter().take(BEGINNING), name.iter().skip(name.len() - END));
            beginning.chain(&['…']).chain(end).collect()
        }
    };
    let tail = id.len().saturating_sub(4);
    let page = if page.is_empty() { "Webhook" } else { page };
    format!("{short} ({}) · {page}", &id[tail..])
}

/// Webhook of a page's path, if the visitor may see it.
pub fn find(session: &Session, db: &Connection, id: &str) -> Result<Webhook, PageError> {
    Ok(lookup::webhook(db, &session.caller(), id)?)
}

fn trouble(webhook: &Webhook) -> Option<Trouble> {
    let reason = webhook.disabled_reason.as_deref();
    let (headline, advice) = match webhook.state {
        WebhookState::Active => match webhook.sweep?.waiting {
            Waiting::Resume => (
                "Queued deliveries are being prepared.".to_owned(),
                "There are many. Sending starts when all of them are due.",
            ),
            Waiting::Discard => (
                "Queued deliveries are being discarded.".to_owned(),
                "There are many. Sending starts when all of them are discarded.",
            ),
        },
        WebhookState::Paused => ("Paused.".to_owned(), "New events are queued until you resume."),
        WebhookState::Disabled => (
            format!("Disabled. {}", reason.unwrap_or_default()),
            "Its events are queued; none is lost. Fix the endpoint, send a test event, then resume.",
        ),
        WebhookState::Unverified => (
            match reason {
                Some(reason) => format!("Not verified. {reason}"),
                None => "The endpoint has not answered the challenge yet.".to_owned(),
            },
            "Its events are queued until the endpoint returns the text of a challenge. Fix the endpoint, then verify.",
        ),
    };
    Some(Trouble { headline: headline.trim_end().to_owned(), advice, since_ms: webhook.disabled_ms })
}
