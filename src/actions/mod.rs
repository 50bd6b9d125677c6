//! What a person or a program can do, one verb a file. The API, the pages and the command line call these.
//!
//! Owns: the rules of who sees what (tenants), the order of checks, what one change means for another. Never
//! does: parse HTTP, or write SQL.

pub mod audit;
pub mod batched;
pub mod delivery;
pub mod event_types;
pub mod inbox;
pub mod lookup;
pub mod profiles;
pub mod prune;
pub mod publish;
pub mod publish_batch;
pub mod replay;
pub mod show_event;
pub mod statistics;
pub mod test_event;
pub mod webhook;

use std::sync::Arc;

use thiserror::Error;

use crate::clock::Clock;
use crate::delivery::{Engine, Guard};
use crate::domain::Invalid;
use crate::domain::event::Tenant;
use crate::domain::retention::Retention;
use crate::store::{Store, StoreError};

/// Everything that actions work with. Cheap to clone.
#[derive(Clone)]
pub struct Actions {
    pub store: Store,
    pub engine: Engine,
    pub guard: Arc<Guard>,
    pub clock: Clock,
    /// The profile of a webhook where neither the request nor the key names one.
    pub default_profile: Arc<str>,
    /// How long the server keeps what is finished.
    pub retention: Retention,
}

/// On whose behalf something is done.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The one tenant that the caller acts in; `None` for all.
    pub tenant: Option<Tenant>,
    /// The profile of webhooks that the caller makes, where none is named.
    pub default_profile: Option<String>,
    pub actor: Actor,
}

/// Who acts, for the audit list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with a shell on the server's machine.
    #[default]
    Command,
    /// A program; the name of its API key.
    Key(String),
    /// Somebody at the pages, in words.
    Person(String),
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Actor::Command => f.write_str("command line"),
            Actor::Key(name) => write!(f, "API key {name}"),
            Actor::Person(name) => f.write_str(name),
        }
    }
}

/// Why an action was not carried out. Nothing was changed, but where `Partly` says so.
#[derive(Debug, Clone, Error)]
pub enum ActionError {
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// What was named does not exist, or is another tenant's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It makes no sense in the state that things are in.
    #[error("{message}")]
    Conflict { code: &'static str, message: String, field: Option<&'static str> },
    /// The caller may not.
    #[error("{0}")]
    Forbidden(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An action in steps ended between two of them; what the first ones changed stays.
    #[error("{done} were done, then: {cause}")]
    Partly { done: u64, cause: StoreError },
}

impl ActionError {
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> ActionError {
        ActionError::Conflict { code, message: message.into(), field: None }
    }
}

impl Caller {
    /// Whether the caller sees what belongs to a tenant.
    pub fn sees(&self, tenant: &Tenant) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    /// The tenant that something new belongs to: the one named, the caller's own, or `default`.
    pub fn tenant_for(&self, named: Option<&str>) -> Result<Tenant, ActionError> {
        let named: Option<Tenant> =
            named.map(|text| text.parse().map_err(|e: Invalid| e.in_field("tenant"))).transpose()?;
        match (&self.tenant, named) {
            (Some(own), Some(named)) if *own != named => Err(ActionError::Forbidden(format!(
                "This key is for the tenant {own} alone; it cannot act in {named}."
            ))),
            (Some(own), _) => Ok(own.clone()),
            (None, Some(named)) => Ok(named),
            (None, None) => Ok(Tenant::default_tenant()),
        }
    }

    /// The tenant that a list is limited to: the one named, the caller's own, or none.
    pub fn tenant_filter(&self, named: Option<&str>) -> Result<Option<Tenant>, ActionError> {
        if named.is_none() && self.tenant.is_none() {
            return Ok(None);
        }
        self.tenant_for(named).map(Some)
    }
}
