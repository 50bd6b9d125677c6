//! What the pages of one webhook share: its name, its state in words, what can be done with it, its tabs.

use crate::actions::{ActionError, lookup};
use crate::domain::time::Millis;
use crate::domain::webhook::{Waiting, Webhook, WebhookState};
use crate::http::web::session::Session;

/// Which tab is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Deliveries,
    Settings,
    Secret,
    Metrics,
    /// A page beside the tabs.
    None,
}

/// The top of a webhook's pages.
pub struct Head {
    pub id: String,
    /// Its description, or where it has none its URL.
    pub name: String,
    pub url: String,
    /// Of whom it is; nothing for the people of the tenant themselves.
    pub tenant: Option<String>,
    pub state: WebhookState,
    /// Why it is not sending, where it is not.
    pub trouble: Option<Trouble>,
    /// Whether its profile has a challenge.
    pub has_challenge: bool,
    tab: Tab,
}

/// Why a webhook is not sending and what to do, in words.
pub struct Trouble {
    pub headline: String,
    pub advice: String,
    /// When Hookpost disabled it.
    pub since_ms: Option<Millis>,
}

impl Head {
    pub fn of(session: &Session, webhook: &Webhook, tab: Tab) -> Head {
        let profile = session.app.actions.store.profiles().find(&webhook.profile);
        Head {
            id: webhook.id.to_string(),
            name: webhook.name(),
            url: webhook.url.as_str().to_owned(),
            tenant: session.tenant().is_none().then(|| webhook.tenant.to_string()),
            state: webhook.state,
            trouble: trouble(webhook),
            has_challenge: profile.is_some_and(|profile| profile.spec().challenge.is_some()),
            tab,
        }
    }

    /// The path of its pages, below the server's prefix.
    pub fn path(&self) -> String {
        format!("/webhooks/{}", self.id)
    }

    /// Each tab's path, label, and whether it is the one that is shown.
    pub fn tabs(&self) -> [(String, &'static str, bool); 4] {
        let tab = |tail: &str, label, tab| (format!("{}{tail}", self.path()), label, tab == self.tab);
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

/// The webhook of a page's address, as far as the visitor sees it.
pub fn find(session: &Session, id: &str) -> Result<Webhook, ActionError> {
    let store = &session.app.actions.store;
    store.read(|connection| lookup::webhook(connection, &session.caller(), id))
}

fn trouble(webhook: &Webhook) -> Option<Trouble> {
    let reason = webhook.disabled_reason.as_deref();
    let (headline, advice) = match webhook.state {
        WebhookState::Active => match webhook.sweep?.waiting {
            Waiting::Resume => (
                "What waited is being made ready.".to_owned(),
                "There is much of it. Sending begins when all of it is due again.",
            ),
            Waiting::Discard => {
                ("What waited is being discarded.".to_owned(), "There is much of it. Sending begins when that is done.")
            }
        },
        WebhookState::Paused => (
            "Paused by a person.".to_owned(),
            "Its events go on becoming deliveries, and they wait. Resume it to deliver or to discard them.",
        ),
        WebhookState::Disabled => (
            format!("Disabled. {}", reason.unwrap_or_default()),
            "Its events wait, nothing is lost. Correct the endpoint, send a test event to see that it answers, then resume.",
        ),
        WebhookState::Unverified => (
            match reason {
                Some(reason) => format!("Not verified. {reason}"),
                None => "Its endpoint has not answered the challenge yet.".to_owned(),
            },
            "Its events wait until the endpoint sends back the text of a challenge. Correct the endpoint, then verify.",
        ),
    };
    Some(Trouble { headline: headline.trim_end().to_owned(), advice: advice.to_owned(), since_ms: webhook.disabled_ms })
}
