//! The actions of users and programs, one verb per file. The API, the pages and the command line call them.
//!
//! Owns tenant visibility, the order of checks, and the effects of one change on others. Never parses HTTP or runs SQL.

pub mod audit;
pub mod backups;
pub mod batched;
pub mod contact;
pub mod delivery;
pub mod erase;
pub mod event_types;
mod filtering;
pub mod find;
pub mod inbox;
pub mod incident;
pub mod lookup;
pub mod pause;
pub mod profiles;
pub mod prune;
pub mod publish;
pub mod publish_batch;
pub mod replay;
pub mod reserved;
pub mod show_event;
pub mod statistics;
pub mod targets;
pub mod telling;
pub mod tenant_limits;
pub mod tenants;
pub mod test_event;
pub mod try_filter;
pub mod unchanged;
pub mod webhook;

use std::net::IpAddr;
use std::sync::Arc;

use strum::Display;
use thiserror::Error;

use crate::clock::Clock;
use crate::delivery::mail::Mailer;
use crate::delivery::{Engine, Guard};
use crate::domain::Invalid;
use crate::domain::event::Tenant;
use crate::domain::live::Live;
use crate::domain::problems::Problems;
use crate::domain::tenant_limits::TenantLimits;
use crate::store::incident::entry::Author;
use crate::store::{Store, StoreError};
use backups::Backups;

/// Dependencies of all actions. Cheap to clone.
#[derive(Clone)]
pub struct Actions {
    pub store: Store,
    pub engine: Engine,
    pub guard: Arc<Guard>,
    pub mailer: Mailer,
    pub backups: Backups,
    pub clock: Clock,
    /// Profile of a webhook if neither the request nor the key names one.
    pub default_profile: Arc<str>,
    pub live: Live,
}

impl Actions {
    /// Returns the limits of each tenant as they are now.
    pub fn limits(&self) -> TenantLimits {
        self.live.get().tenant_limits
    }
}

/// User or program on whose behalf an action runs.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Tenant that the caller is limited to; `None` for all.
    pub tenant: Option<Tenant>,
    /// Default profile of webhooks that the caller creates.
    pub default_profile: Option<String>,
    /// Whether the caller may see secrets, and what lets a weak one be guessed: signatures and fingerprints.
    pub sees_secrets: bool,
    pub actor: Actor,
    /// API key of a program.
    pub api_key_seq: Option<i64>,
    /// Profiles that the caller may choose, beside those of the tenant's webhooks; `None` for all.
    pub profiles: Option<Arc<[String]>>,
    /// Whether the caller may not set certificates: in the portal, unless the operator allows it.
    pub certificates_denied: bool,
}

/// Actor in the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Display)]
pub enum Actor {
    /// Command on the server's machine.
    #[default]
    #[strum(to_string = "command line")]
    Command,
    /// Program, with the name of its API key.
    #[strum(to_string = "API key {0}")]
    Key(String),
    /// User of the pages, with a display name.
    #[strum(to_string = "{0}")]
    Person(String),
    /// Visitor who is not signed in.
    #[strum(to_string = "not signed in")]
    Stranger,
    /// Another actor, with the address of the client.
    #[strum(to_string = "{actor}")]
    At { actor: Box<Actor>, address: IpAddr },
}

impl Actor {
    /// Adds the address of the client.
    #[must_use]
    pub fn at(self, address: Option<IpAddr>) -> Actor {
        match address {
            Some(address) => Actor::At { actor: Box::new(self), address },
            None => self,
        }
    }

    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Actor::At { address, .. } => Some(*address),
            _ => None,
        }
    }

    /// Name of the user, if the actor is one.
    pub fn user_name(&self) -> Option<&str> {
        match self {
            Actor::Person(name) => Some(name),
            Actor::At { actor, .. } => actor.user_name(),
            Actor::Command | Actor::Key(_) | Actor::Stranger => None,
        }
    }
}

pub type Result<T, E = ActionError> = std::result::Result<T, E>;
/// Result of an action that writes, once it is committed.
pub type Pending<T, E = ActionError> = crate::store::Pending<T, E>;

/// Error of an action. Nothing was changed, except with `Partly`.
#[derive(Debug, Clone, Error)]
pub enum ActionError {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The object does not exist or belongs to another tenant.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The action conflicts with the current state.
    #[error("{message}")]
    Conflict { code: &'static str, message: String, field: Option<&'static str> },
    /// The object is not the one that the caller knows.
    #[error("It has changed since you read it. Nothing was changed. Read it again, then repeat your change.")]
    Changed,
    #[error("{0}")]
    Forbidden(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A batched action failed between two steps. The changes of the first ones stay.
    #[error("stopped after {done}: {cause}")]
    Partly { done: u64, cause: StoreError },
    /// The tenant has as many queued deliveries as it may have. A batched action queued `done` before, which stay.
    #[error("{}", tenant_limits::queue_full(.tenant, *.most, *.done))]
    QueueFull { tenant: Tenant, most: u64, done: u64 },
}

/// Records what is invalid, so that the rest is checked too. Any other error ends the action.
pub(crate) fn collect<T>(problems: &mut Problems, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ActionError::Invalid(invalid)) => {
            problems.add(invalid);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl ActionError {
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> ActionError {
        ActionError::Conflict { code, message: message.into(), field: None }
    }
}

impl Caller {
    /// Adds the address of the client.
    #[must_use]
    pub fn at(self, address: Option<IpAddr>) -> Caller {
        Caller { actor: self.actor.at(address), ..self }
    }

    /// Returns the author of an entry in the time line of an incident.
    pub(crate) fn author(&self) -> Author {
        Author { name: self.actor.to_string(), is_operator: self.tenant.is_none() }
    }

    /// Whether a person of a tenant acts, who knows nothing of the server's settings.
    pub fn is_in_portal(&self) -> bool {
        self.tenant.is_some() && self.api_key_seq.is_none()
    }

    pub fn sees(&self, tenant: &Tenant) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    /// Returns the tenant of a new object: the given one, the caller's own, or `default`.
    pub fn tenant_for(&self, named: Option<&str>) -> Result<Tenant> {
        let named: Option<Tenant> =
            named.map(|text| text.parse().map_err(|e: Invalid| e.in_field("tenant"))).transpose()?;
        match (&self.tenant, named) {
            (Some(own), Some(named)) if *own != named => Err(ActionError::Forbidden(format!(
                "This key is limited to the tenant {own} and cannot act in {named}."
            ))),
            (Some(own), _) => Ok(own.clone()),
            (None, Some(named)) => Ok(named),
            (None, None) => Ok(Tenant::default_tenant()),
        }
    }

    /// Returns the tenant that a list is limited to: the given one, the caller's own, or none.
    pub fn tenant_filter(&self, named: Option<&str>) -> Result<Option<Tenant>> {
        if named.is_none() && self.tenant.is_none() {
            return Ok(None);
        }
        self.tenant_for(named).map(Some)
    }
}
