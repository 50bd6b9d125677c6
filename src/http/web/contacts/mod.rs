//! Pages of contacts: under the settings for the operator, and in the portal for a tenant's own.

pub mod confirm;
mod form;
pub mod list;
pub mod show;

use super::layout::Section;
use super::session::Session;

/// Section that the pages are in.
fn section(session: &Session) -> Section {
    if session.tenant().is_some() { Section::Contacts } else { Section::Settings }
}
