//! Names that are Hookpost's own: the tenant `hookpost`, and the event types below `hookpost.`.
//!
//! Nobody else publishes under them, so that a receiver can trust what it reads there, and no key, portal link or contact of
//! a tenant is for that tenant, since its events are about all tenants.

use crate::domain::Invalid;
use crate::domain::event::{EventType, Tenant};

/// Refuses the tenant of Hookpost itself. The error names the field.
pub fn require_unreserved(tenant: &Tenant, field: &str) -> Result<(), Invalid> {
    if !tenant.is_hookpost() {
        return Ok(());
    }
    let message = "The tenant hookpost is reserved for Hookpost's own events. Use another name.";
    Err(Invalid::new("reserved_tenant", message).in_field(field))
}

/// Refuses an event type of Hookpost itself. The error names the field.
pub fn require_unreserved_type(event_type: &EventType, field: &str) -> Result<(), Invalid> {
    if !event_type.is_of_hookpost() {
        return Ok(());
    }
    let message = "Event types that begin with hookpost are reserved for Hookpost's own events. Use another name.";
    Err(Invalid::new("reserved_event_type", message).in_field(field))
}
