//! The table of custom profiles, and all profiles by name.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::sql;
use super::sql_types::Json;
use super::{Change, WriteTx};
use crate::domain::event::Tenant;
use crate::profile::{self, Profile, SignatureHeaders};

/// All profiles by name: the built-in ones, and the custom ones as of the last commit. Cheap to clone.
#[derive(Clone, Default)]
pub struct Profiles {
    custom: Arc<RwLock<BTreeMap<String, Arc<Profile>>>>,
}

impl Profiles {
    pub(super) fn load(connection: &Connection) -> Result<Profiles> {
        let profiles = Profiles::default();
        for profile in sql::all(connection, "SELECT spec FROM profile", [], |row| row.get("spec"))? {
            profiles.put(Arc::new(profile));
        }
        Ok(profiles)
    }

    pub fn find(&self, name: &str) -> Option<Arc<Profile>> {
        profile::find(name).or_else(|| self.read(|custom| custom.get(name).cloned()))
    }

    /// Returns all profiles by name, the built-in ones first.
    pub fn all(&self) -> Vec<Arc<Profile>> {
        let mut all: Vec<_> = profile::builtin().values().cloned().collect();
        all.extend(self.read(|custom| custom.values().cloned().collect::<Vec<_>>()));
        all
    }

    pub(super) fn apply(&self, change: &Change) {
        match change {
            Change::Profile(profile) => self.put(Arc::clone(profile)),
            Change::ProfileGone { name } => {
                self.custom.write().unwrap_or_else(PoisonError::into_inner).remove(name);
            }
            _ => {}
        }
    }

    fn put(&self, profile: Arc<Profile>) {
        self.custom.write().unwrap_or_else(PoisonError::into_inner).insert(profile.name().to_owned(), profile);
    }

    fn read<T>(&self, read: impl FnOnce(&BTreeMap<String, Arc<Profile>>) -> T) -> T {
        read(&self.custom.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the names of the headers with signatures.
pub fn signature_headers(connection: &Connection) -> Result<SignatureHeaders> {
    let custom: Vec<Profile> = sql::all(connection, "SELECT spec FROM profile", [], |row| row.get("spec"))?;
    Ok(SignatureHeaders::of(profile::builtin().values().map(Arc::as_ref).chain(&custom)))
}

/// Whether a profile with this name exists, as of the current transaction.
pub fn exists(connection: &Connection, name: &str) -> Result<bool> {
    if profile::find(name).is_some() {
        return Ok(true);
    }
    let query = "SELECT EXISTS (SELECT 1 FROM profile WHERE name = :name)";
    sql::value(connection, query, named_params! {":name": name})
}

/// Returns the custom profile with this name, as of the current transaction.
pub fn get(connection: &Connection, name: &str) -> Result<Option<Profile>> {
    let query = "SELECT spec FROM profile WHERE name = :name";
    sql::first(connection, query, named_params! {":name": name}, |row| row.get("spec"))
}

pub fn uses(connection: &Connection, name: &str) -> Result<u64> {
    let query = "SELECT count(*) FROM webhook WHERE profile = :name AND deleted_ms IS NULL";
    sql::value(connection, query, named_params! {":name": name})
}

/// Returns the profiles of a tenant's webhooks.
pub fn of_tenant(connection: &Connection, tenant: &Tenant) -> Result<Vec<String>> {
    let query = "SELECT DISTINCT profile FROM webhook WHERE tenant = :tenant AND deleted_ms IS NULL";
    sql::all(connection, query, named_params! {":tenant": tenant}, |row| row.get("profile"))
}

/// Counts the webhooks by profile. Unused profiles are left out.
pub fn uses_of_all(connection: &Connection) -> Result<BTreeMap<String, u64>> {
    let query = "SELECT profile, count(*) AS count FROM webhook WHERE deleted_ms IS NULL GROUP BY profile";
    let counts = sql::all(connection, query, [], |row| Ok((row.get("profile")?, row.get("count")?)))?;
    Ok(counts.into_iter().collect())
}

/// Counts the API keys whose default is this profile.
pub fn keys(connection: &Connection, name: &str) -> Result<u64> {
    let query = "SELECT count(*) FROM api_key WHERE profile = :name AND revoked_ms IS NULL";
    sql::value(connection, query, named_params! {":name": name})
}

/// Stores a new or changed profile. Its webhooks use it from the commit on.
pub fn put(tx: &mut WriteTx<'_>, profile: Profile) -> Result<Arc<Profile>> {
    sql::run(
        tx.connection(),
        "INSERT INTO profile (name, spec, created_ms, updated_ms) VALUES (:name, :spec, :now, :now)
         ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, updated_ms = excluded.updated_ms",
        named_params! {":name": profile.name(), ":spec": Json(profile.spec()), ":now": tx.now_ms()},
    )?;
    let profile = Arc::new(profile);
    tx.notify(Change::Profile(Arc::clone(&profile)));
    let users = tx.directory().iter();
    let users: Vec<_> = users.filter(|webhook| webhook.profile == profile.name()).cloned().collect();
    for webhook in users {
        tx.notify(Change::Webhook(webhook));
    }
    Ok(profile)
}

/// Deletes a profile that no webhook uses. Returns whether it existed.
pub fn delete(tx: &mut WriteTx<'_>, name: &str) -> Result<bool> {
    let statement = "DELETE FROM profile WHERE name = :name";
    let deleted = sql::change(tx.connection(), statement, named_params! {":name": name})?;
    tx.notify(Change::ProfileGone { name: name.to_owned() });
    Ok(deleted == 1)
}
