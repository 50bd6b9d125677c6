//! Contacts that do not get their messages, for the banner of every page.

use crate::domain::id::ContactId;

/// Contacts that do not get their messages.
#[derive(Debug, Clone, Default)]
pub struct FailingContacts {
    /// Name and id of the first ones, longest failing first.
    pub first: Vec<(String, ContactId)>,
}

impl FailingContacts {
    /// Contacts counted at most.
    pub const MOST: u32 = 100;

    /// Whether there may be more.
    pub fn is_cut(&self) -> bool {
        self.first.len() as u32 == FailingContacts::MOST
    }

    /// Page of the only one, or of all.
    pub fn path(&self) -> String {
        match &self.first[..] {
            [(_, id)] => format!("/contacts/{id}"),
            _ => "/contacts".to_owned(),
        }
    }
}
