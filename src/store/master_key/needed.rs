//! The key that a copy needs.

use std::path::Path;

use rusqlite::Connection;

use super::super::open::OpenError;
use super::super::seal::key_id;
use super::{KeySource, Vault};

/// Key that the secrets of a copy need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeededKey {
    /// Nothing is encrypted yet.
    None,
    Present {
        id: String,
    },
    /// `origin` is the place with another key, or without one.
    Absent {
        id: String,
        origin: String,
    },
}

/// Returns the key that a copy needs in the place of a database, and whether it is at hand.
pub(in crate::store) fn needed(copy: &Connection, database: &Path, source: &KeySource) -> Result<NeededKey, OpenError> {
    let vault = Vault { connection: copy, path: database, source };
    let query = "SELECT count(*) FROM sqlite_schema WHERE name = 'master_key'";
    let tables: u32 = copy.query_row(query, [], |row| row.get(0)).map_err(OpenError::sqlite(database))?;
    let Some(state) = (if tables == 0 { None } else { vault.state()? }) else {
        return Ok(NeededKey::None);
    };
    let id = key_id(&state.proof).unwrap_or_default().to_owned();
    // A key file that cannot be parsed is none that fits.
    let key = vault.current_key().unwrap_or_else(|error| {
        log::warn!("{error}");
        None
    });
    Ok(match key.filter(|key| key.fits(&state.proof)) {
        Some(_) => NeededKey::Present { id },
        None => NeededKey::Absent { id, origin: vault.origin() },
    })
}
