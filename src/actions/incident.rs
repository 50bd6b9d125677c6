//! Changes of an incident by a person: notes and mute. Its webhooks are changed by their own actions.

use super::audit::AuditEntry;
use super::{ActionError, Actions, Caller, Pending, Result, lookup};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::incident::EntryKind;
use crate::store::incident::entry;
use crate::store::{Change, WriteTx};

/// Longest note in characters.
pub const MAX_NOTE_CHARS: usize = 2_000;
/// A note is not blank, and has no NUL.
pub const NOTE_PATTERN: &str = r"^[^\u0000]*[^\u0000-\u0020][^\u0000]*$";

impl Actions {
    /// Adds a note to the time line of an incident. A tenant's notes are seen by its own people and the operator, the
    /// operator's by the operator alone.
    pub fn add_note(&self, caller: &Caller, id: &str, text: &str) -> Pending<()> {
        let (caller, id, text) = (caller.clone(), id.to_owned(), text.to_owned());
        self.store.write(move |tx| {
            check_note(&text)?;
            let incident = lookup::incident(tx.connection(), &caller, &id)?;
            let tenant = caller.tenant.as_ref();
            if entry::count_notes(tx.connection(), incident.seq, tenant)? >= entry::MAX_NOTES {
                let message = format!("The incident has {} notes, and takes no more.", entry::MAX_NOTES);
                return Err(ActionError::conflict("note_limit", message));
            }
            entry::add_of_person(tx, incident.seq, tenant, EntryKind::Note, &caller.author(), text.trim())?;
            caller.audit(tx, AuditEntry::new(AuditAction::IncidentNoted, incident.id).in_tenant(tenant))?;
            tx.notify(Change::Incident { incident_seq: incident.seq });
            Ok(())
        })
    }

    /// Mutes or unmutes an incident for the caller's tenant, or for the operator.
    pub fn mute_incident(&self, caller: &Caller, id: &str, is_muted: bool) -> Pending<()> {
        let (caller, id) = (caller.clone(), id.to_owned());
        self.store.write(move |tx| mute(tx, &caller, &id, is_muted))
    }
}

fn mute(tx: &mut WriteTx<'_>, caller: &Caller, id: &str, is_muted: bool) -> Result<()> {
    let incident = lookup::incident(tx.connection(), caller, id)?;
    let tenant = caller.tenant.as_ref();
    if !entry::set_muted(tx, incident.seq, tenant, is_muted)? {
        return Ok(());
    }
    let (kind, action) = match is_muted {
        true => (EntryKind::Muted, AuditAction::IncidentMuted),
        false => (EntryKind::Unmuted, AuditAction::IncidentUnmuted),
    };
    entry::add_of_person(tx, incident.seq, tenant, kind, &caller.author(), "")?;
    caller.audit(tx, AuditEntry::new(action, incident.id).in_tenant(tenant))?;
    tx.notify(Change::Incident { incident_seq: incident.seq });
    Ok(())
}

fn check_note(text: &str) -> Result<(), Invalid> {
    let is_blank = text.chars().all(|c| c <= ' ');
    if !is_blank && text.chars().count() <= MAX_NOTE_CHARS && !text.contains('\0') {
        return Ok(());
    }
    let message = format!("Enter a note of 1 to {MAX_NOTE_CHARS} characters.");
    Err(Invalid::new("invalid_note", message).in_field("text"))
}
