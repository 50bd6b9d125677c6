//! Creating a webhook, or updating the one that the application created before.

use std::sync::Arc;

use crate::actions::unchanged::Unchanged;
use crate::actions::webhook::create::require_settings;
use crate::actions::{ActionError, Actions, Caller, Result};
use crate::domain::event::Tenant;
use crate::domain::id::WebhookId;
use crate::domain::problems::Problems;
use crate::domain::webhook::{ExternalId, Webhook, WebhookSettings, parse_url};
use crate::store::{Connection, StoreError, webhook};

/// Maximum similar webhooks that are named.
const MOST_SIMILAR: usize = 10;

/// How the application knows its webhook.
#[derive(Debug, Clone)]
pub enum KnownBy {
    ExternalId(ExternalId),
    /// By its URL: it was created at the path of a compatible system.
    Url,
}

/// Refuses an external id that another webhook of the tenant has.
pub(super) fn require_free(connection: &Connection, webhook: &Webhook) -> Result<()> {
    let Some(id) = &webhook.external_id else { return Ok(()) };
    match webhook::by_external_id(connection, &webhook.tenant, id)? {
        Some(other) if other != webhook.id => Err(external_id_taken(id)),
        _ => Ok(()),
    }
}

fn external_id_taken(id: &ExternalId) -> ActionError {
    let message =
        format!("Another webhook of the tenant has the external_id {id}. Change that one, or use another id.");
    ActionError::Conflict { code: "external_id_taken", message, field: Some("external_id") }
}

impl KnownBy {
    /// Conflict of a creation with a webhook that is known by the same.
    pub(super) fn taken(&self) -> ActionError {
        match self {
            KnownBy::ExternalId(id) => external_id_taken(id),
            KnownBy::Url => ActionError::conflict(
                "webhook_changed",
                "The webhook was created or deleted in the meantime. Nothing was changed. Send the request again.",
            ),
        }
    }

    fn find(&self, connection: &Connection, tenant: &Tenant, url: &str) -> Result<Option<WebhookId>> {
        let found = match self {
            KnownBy::ExternalId(id) => webhook::by_external_id(connection, tenant, id)?,
            KnownBy::Url => webhook::by_settings(connection, tenant, parse_url(url)?.as_str())?,
        };
        Ok(found)
    }
}

impl Actions {
    /// Creates a webhook, or changes the settings given of the one that is known by the same. Returns whether it was created.
    /// Blocks as both do.
    pub fn put_webhook(
        &self,
        caller: &Caller,
        known_by: &KnownBy,
        settings: WebhookSettings,
        unchanged: impl Fn() -> Unchanged<Webhook>,
    ) -> Result<(Arc<Webhook>, bool)> {
        let mut problems = Problems::default();
        require_settings(&settings, &mut problems);
        problems.end()?;
        let tenant = caller.tenant_for(settings.tenant.as_deref())?;
        let settings = match known_by {
            KnownBy::ExternalId(id) => WebhookSettings { external_id: Some(Some(id.to_string())), ..settings },
            KnownBy::Url => settings,
        };
        let url = settings.url.clone().unwrap_or_default();
        // Another request may create or delete it in between.
        for _ in 0..3 {
            let found = self.store.read(|connection| known_by.find(connection, &tenant, &url))?;
            let put = match found {
                Some(id) => {
                    let settings = WebhookSettings { tenant: None, ..settings.clone() };
                    self.change_webhook(caller, &id.to_string(), settings, unchanged()).map(|webhook| (webhook, false))
                }
                None => self
                    .create_webhook_known_by(caller, settings.clone(), Some(known_by), unchanged())
                    .map(|webhook| (webhook, true)),
            };
            match put {
                Err(ActionError::NotFound(_)) if found.is_some() => {}
                Err(ActionError::Conflict { code: "external_id_taken" | "webhook_changed", .. }) if found.is_none() => {
                }
                put => return put,
            }
        }
        Err(known_by.taken())
    }

    /// Returns the ids of other webhooks of the tenant with the same URL and event types, newest first, up to ten: they may
    /// have been created twice.
    pub fn similar_webhooks(&self, webhook: &Webhook) -> Result<Vec<WebhookId>, StoreError> {
        self.store.read(|connection| webhook::similar(connection, webhook, MOST_SIMILAR))
    }
}
