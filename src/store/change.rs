//! Changes made by a commit, which the writer passes to the delivery engine.

use std::sync::Arc;

use crate::domain::delivery::Trigger;
use crate::domain::event::{Event, EventType, Tenant};
use crate::domain::id::DeliveryId;
use crate::domain::schema::Schema;
use crate::domain::target::AllowEntry;
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::profile::Profile;

#[derive(Debug, Clone)]
pub enum Change {
    /// A delivery is due now.
    Due(DueDelivery),
    /// An attempt was recorded. The next one is due at `next_due_ms`, if any.
    Recorded {
        webhook_seq: i64,
        delivery_seq: i64,
        next_due_ms: Option<Millis>,
    },
    /// A delivery must not be sent any more.
    Withdrawn {
        webhook_seq: i64,
        delivery_seq: i64,
    },
    /// The webhook's due deliveries must be read again.
    Reread {
        webhook_seq: i64,
    },
    Webhook(Arc<Webhook>),
    WebhookGone {
        webhook_seq: i64,
    },
    /// A custom profile was created or changed. Its webhooks follow as `Webhook`.
    Profile(Arc<Profile>),
    ProfileGone {
        name: String,
    },
    /// An incident opened, changed or closed.
    Incident {
        incident_seq: i64,
    },
    /// The deletion of a tenant began, or is over.
    TenantDeletion {
        tenant: Tenant,
        is_over: bool,
    },
    /// Whether all deliveries are paused.
    Paused(bool),
    /// The targets that administrators allow were changed. All of them follow.
    AllowedTargets(Arc<[AllowEntry]>),
    /// The description of an event type was changed or deleted. `schema` is the new one.
    EventType {
        name: EventType,
        schema: Option<Arc<Schema>>,
    },
}

#[derive(Debug, Clone)]
pub struct DueDelivery {
    pub seq: i64,
    pub id: DeliveryId,
    pub webhook_seq: i64,
    pub event: Arc<Event>,
    pub due_ms: Millis,
    pub attempt_count: u32,
    pub trigger: Trigger,
}

/// Receiver of the changes of each commit, in order. Called on the writer's thread, so it must not wait for the writer.
pub trait Observer: Send + Sync {
    fn committed(&self, changes: Vec<Change>);
}
