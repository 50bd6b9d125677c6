//! Event types: described, given an example and a schema, forgotten. All tenants share them.

use std::sync::Arc;

use super::audit::AuditEntry;
use super::publish::NewEvent;
use super::{ActionError, Actions, Caller};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::EventType;
use crate::domain::schema::Schema;
use crate::store::event_type::{self, DescribedType};
use crate::store::{Connection, Pending};

/// Characters of a description at most.
pub const MAX_DESCRIPTION: usize = 4 << 10;
/// Bytes of an example at most.
const MAX_EXAMPLE_BYTES: usize = 64 << 10;
/// Event types that are described at most.
const MAX_TYPES: i64 = 10_000;
/// Bytes of all schemas at most: compiled, they stay in memory.
const MAX_SCHEMAS_BYTES: i64 = 4 << 20;

/// What is to be said about an event type.
#[derive(Debug, Clone)]
pub struct TypeDescription {
    pub name: EventType,
    pub description: String,
    /// JSON as it is spelled.
    pub example: Option<Box<str>>,
    /// JSON as it is spelled.
    pub schema: Option<Box<str>>,
}

impl Actions {
    /// Stores what is said about an event type, and whether something was said before. An example that breaks the
    /// schema is refused.
    pub fn put_event_type(
        &self,
        caller: &Caller,
        new: TypeDescription,
    ) -> Result<Pending<(DescribedType, bool), ActionError>, ActionError> {
        let schema = check(&new)?;
        let caller = caller.clone();
        Ok(self.store.write(move |tx| {
            require_room(tx.connection(), &new)?;
            let existed = event_type::get(tx.connection(), &new.name)?.is_some();
            event_type::put(tx, &new.name, &new.description, new.example.as_deref(), schema.map(Arc::new))?;
            caller.audit(tx, AuditEntry::new(AuditAction::EventTypePut, &new.name))?;
            Ok((described(tx.connection(), &new.name)?, existed))
        }))
    }

    /// Forgets what was said about an event type. Events and webhooks of that type go on.
    pub fn delete_event_type(&self, caller: &Caller, name: EventType) -> Pending<(), ActionError> {
        let caller = caller.clone();
        self.store.write(move |tx| {
            if event_type::delete(tx, &name)? {
                Ok(caller.audit(tx, AuditEntry::new(AuditAction::EventTypeDeleted, &name))?)
            } else {
                Err(ActionError::NotFound("event type"))
            }
        })
    }

    /// What was said about the event type of that name.
    pub fn event_type(&self, name: &EventType) -> Result<DescribedType, ActionError> {
        self.store.read(|connection| described(connection, name))
    }

    /// How an event breaks the schema of its type, if it does. A type without a schema costs a look at a map.
    pub(super) fn violation(&self, event: &NewEvent) -> Option<Invalid> {
        let schema = self.store.schemas().find(&event.event_type)?;
        let broken = schema.check(&event.data).err()?;
        Some(broken.in_field("data"))
    }
}

fn described(connection: &Connection, name: &EventType) -> Result<DescribedType, ActionError> {
    event_type::get(connection, name)?.ok_or(ActionError::NotFound("event type"))
}

fn check(new: &TypeDescription) -> Result<Option<Schema>, Invalid> {
    if new.description.chars().count() > MAX_DESCRIPTION {
        return Err(Invalid::new(
            "invalid_description",
            format!("A description has at most {MAX_DESCRIPTION} characters."),
        )
        .in_field("description"));
    }
    let example = new.example.as_deref();
    if example.is_some_and(|example| example.len() > MAX_EXAMPLE_BYTES) {
        return Err(Invalid::new("invalid_example", format!("An example has at most {MAX_EXAMPLE_BYTES} bytes."))
            .in_field("example"));
    }
    let schema = new.schema.as_deref().map(Schema::parse).transpose()?;
    if let (Some(schema), Some(example)) = (&schema, example) {
        schema.check(example).map_err(|broken| broken.in_field("example"))?;
    }
    Ok(schema)
}

fn require_room(connection: &Connection, new: &TypeDescription) -> Result<(), ActionError> {
    let (types, schema_bytes) = event_type::usage_without(connection, &new.name)?;
    let added = new.schema.as_ref().map_or(0, |schema| schema.len() as i64);
    if types < MAX_TYPES && (added == 0 || schema_bytes + added <= MAX_SCHEMAS_BYTES) {
        return Ok(());
    }
    Err(ActionError::conflict(
        "too_many_event_types",
        format!(
            "At most {MAX_TYPES} event types can be described, with schemas of {MAX_SCHEMAS_BYTES} bytes in all. Delete some first."
        ),
    ))
}
