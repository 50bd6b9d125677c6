//! Suggestions for the fields of filters, which the template `parts/suggestions.html` writes.

use crate::domain::event::{EventType, Tenant};
use crate::http::web::{Connection, Session};
use crate::store::webhook::{self, Label};
use crate::store::{StoreError, event_type, tenant};

/// Suggestions of each kind at most.
const MOST: u32 = 100;

#[derive(Default)]
pub struct Suggestions {
    /// The newest, of the visitor's tenant only.
    pub webhooks: Vec<Label>,
    pub types: Vec<EventType>,
    /// For operators only.
    pub tenants: Vec<Tenant>,
}

impl Suggestions {
    pub fn read(session: &Session, db: &Connection) -> Result<Suggestions, StoreError> {
        // The script replaces the list below the form only.
        if session.is_live() {
            return Ok(Suggestions::default());
        }
        Ok(Suggestions {
            webhooks: webhook::newest_labels(db, session.tenant(), MOST)?,
            types: event_type::names(db, session.tenant(), "", MOST)?,
            tenants: if session.tenant().is_none() { tenant::names(db, "", MOST)? } else { Vec::new() },
        })
    }
}
