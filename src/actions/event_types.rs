//! Describing event types with examples and schemas. All tenants share them.

use std::sync::Arc;

use super::audit::AuditEntry;
use super::publish::NewEvent;
use super::unchanged::Unchanged;
use super::{ActionError, Actions, Caller, Pending, Result};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::EventType;
use crate::domain::problems::Problems;
use crate::domain::schema::{CheckBudget, Schema};
use crate::store::Connection;
use crate::store::event_type::{self, DescribedType};

/// Maximum characters of a description.
pub const MAX_DESCRIPTION: usize = 4 << 10;
const MAX_EXAMPLE_BYTES: usize = 64 << 10;
/// Maximum described event types.
const MAX_TYPES: i64 = 10_000;
/// Maximum bytes of all schemas, which are compiled in memory.
const MAX_SCHEMAS_BYTES: i64 = 4 << 20;

#[derive(Debug, Clone)]
pub struct TypeDescription {
    pub name: EventType,
    pub description: String,
    /// JSON as received.
    pub example: Option<Box<str>>,
    /// JSON as received.
    pub schema: Option<Box<str>>,
}

impl Actions {
    /// Stores the description of an event type. Also returns whether it replaced one. Refuses an example that violates the
    /// schema.
    pub fn put_event_type(
        &self,
        caller: &Caller,
        new: TypeDescription,
        unchanged: Unchanged<DescribedType>,
    ) -> Result<Pending<(DescribedType, bool)>> {
        let schema = check(&new)?;
        let caller = caller.clone();
        Ok(self.store.write(move |tx| {
            require_room(tx.connection(), &new)?;
            let stored = event_type::get(tx.connection(), &new.name)?;
            unchanged.require(stored.as_ref())?;
            let existed = stored.is_some();
            event_type::put(tx, &new.name, &new.description, new.example.as_deref(), schema.map(Arc::new))?;
            caller.audit(tx, AuditEntry::new(AuditAction::EventTypePut, &new.name))?;
            Ok((described(tx.connection(), &new.name)?, existed))
        }))
    }

    /// Deletes the description of an event type. Events and webhooks of the type are not affected.
    pub fn delete_event_type(
        &self,
        caller: &Caller,
        name: EventType,
        unchanged: Unchanged<DescribedType>,
    ) -> Pending<()> {
        let caller = caller.clone();
        self.store.write(move |tx| {
            unchanged.require(Some(&described(tx.connection(), &name)?))?;
            if event_type::delete(tx, &name)? {
                Ok(caller.audit(tx, AuditEntry::new(AuditAction::EventTypeDeleted, &name))?)
            } else {
                Err(ActionError::NotFound("event type"))
            }
        })
    }

    pub fn event_type(&self, name: &EventType) -> Result<DescribedType> {
        self.store.read(|connection| described(connection, name))
    }

    /// Returns how an event violates the schema of its type, if it does.
    pub(super) fn violation(&self, event: &NewEvent, budget: &mut CheckBudget) -> Option<Invalid> {
        let schema = self.store.schemas().find(&event.event_type)?;
        let broken = schema.check(&event.data, budget).err()?;
        Some(broken.in_field("data"))
    }
}

fn described(connection: &Connection, name: &EventType) -> Result<DescribedType> {
    event_type::get(connection, name)?.ok_or(ActionError::NotFound("event type"))
}

fn check(new: &TypeDescription) -> Result<Option<Schema>, Invalid> {
    let mut problems = Problems::default();
    if new.description.chars().count() > MAX_DESCRIPTION {
        let message = format!("A description has at most {MAX_DESCRIPTION} characters.");
        problems.add(Invalid::new("invalid_description", message).in_field("description"));
    }
    let example = new.example.as_deref();
    let is_long = example.is_some_and(|example| example.len() > MAX_EXAMPLE_BYTES);
    if is_long {
        let message = format!("An example has at most {MAX_EXAMPLE_BYTES} bytes.");
        problems.add(Invalid::new("invalid_example", message).in_field("example"));
    }
    let schema = problems.check(new.schema.as_deref().map(Schema::parse).transpose()).flatten();
    if let (Some(schema), Some(example), false) = (&schema, example, is_long) {
        let checked = schema.check(example, &mut CheckBudget::default());
        problems.check(checked.map_err(|broken| broken.in_field("example")));
    }
    problems.end().map(|()| schema)
}

fn require_room(connection: &Connection, new: &TypeDescription) -> Result<()> {
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
