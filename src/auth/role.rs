//! Permissions of the roles: one table.

use crate::store::user::Role;

/// Groups of actions on the pages. A role permits or refuses each as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// See everything except secrets.
    Read,
    /// Change webhooks, deliveries, events, inboxes, event types and profiles.
    Operate,
    /// See the secret of a webhook.
    RevealSecret,
    /// Manage API keys, users and portal sessions, and download backups.
    Administer,
}

/// Whether a role may do this. People of a tenant, in the portal, may do what an operator may, in their tenant.
pub fn may(role: Role, action: Action) -> bool {
    match (action, role) {
        (Action::Read, _) | (_, Role::Administrator) => true,
        (Action::Operate | Action::RevealSecret, Role::Operator) => true,
        (Action::Administer, Role::Operator) | (_, Role::Viewer) => false,
    }
}

/// Whether the password must have been typed within the last ten minutes.
pub fn needs_password(action: Action) -> bool {
    matches!(action, Action::RevealSecret | Action::Administer)
}
