//! The table of profiles that people made, and all profiles by name.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::error::StoreError;
use super::row;
use super::writer::{Change, WriteTx};
use crate::profile::{self, Profile, ProfileSpec};

/// Every profile by name: the built-in ones, and the custom ones as of the last commit. Cheap to clone.
#[derive(Clone, Default)]
pub struct Profiles {
    custom: Arc<RwLock<BTreeMap<String, Arc<Profile>>>>,
}

impl Profiles {
    pub(super) fn load(connection: &Connection) -> Result<Profiles, StoreError> {
        let profiles = Profiles::default();
        let mut statement = connection.prepare("SELECT name, spec FROM profile")?;
        let found = row::collect(&mut statement, [], |row| {
            let text: String = row.get("spec")?;
            parse(&text)
        })?;
        found.into_iter().for_each(|profile| profiles.put(Arc::new(profile)));
        Ok(profiles)
    }

    /// The profile of that name.
    pub fn find(&self, name: &str) -> Option<Arc<Profile>> {
        profile::find(name).or_else(|| self.read(|custom| custom.get(name).cloned()))
    }

    /// All of them by name, the built-in ones first.
    pub fn all(&self) -> Vec<Arc<Profile>> {
        let mut all: Vec<_> = profile::builtin().values().cloned().collect();
        all.extend(self.read(|custom| custom.values().cloned().collect::<Vec<_>>()));
        all
    }

    pub(super) fn apply(&self, notice: &Change) {
        match notice {
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

fn parse(text: &str) -> Result<Profile, StoreError> {
    let spec: ProfileSpec = row::json(text, "spec")?;
    Profile::parse(spec).map_err(|_| row::corrupt("spec"))
}

/// Whether there is a profile of that name, as of the transaction at hand.
pub fn exists(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    if profile::find(name).is_some() {
        return Ok(true);
    }
    let found = connection
        .prepare_cached("SELECT 1 FROM profile WHERE name = :name")?
        .query_row(named_params! {":name": name}, |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// How many webhooks use a profile.
pub fn uses(connection: &Connection, name: &str) -> Result<u64, StoreError> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM webhook WHERE profile = :name AND deleted_ms IS NULL")?
        .query_row(named_params! {":name": name}, |row| row.get(0))?;
    Ok(count as u64)
}

/// How many webhooks use each profile; those that none uses are left out.
pub fn uses_of_all(connection: &Connection) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT profile, count(*) AS count FROM webhook WHERE deleted_ms IS NULL GROUP BY profile")?;
    let found = row::collect(&mut statement, [], |row| Ok((row.get("profile")?, row.get::<_, i64>("count")? as u64)))?;
    Ok(found.into_iter().collect())
}

/// How many API keys have a profile as their default.
pub fn keys(connection: &Connection, name: &str) -> Result<u64, StoreError> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM api_key WHERE profile = :name AND revoked_ms IS NULL")?
        .query_row(named_params! {":name": name}, |row| row.get(0))?;
    Ok(count as u64)
}

/// Stores a profile, new or changed. Webhooks that use it go by it from the commit on.
pub fn put(tx: &mut WriteTx<'_>, profile: Profile) -> Result<Arc<Profile>, StoreError> {
    let spec = serde_json::to_string(profile.spec()).expect("a profile is plain data");
    tx.connection()
        .prepare_cached(
            "INSERT INTO profile (name, spec, created_ms, updated_ms) VALUES (:name, :spec, :now, :now)
             ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, updated_ms = excluded.updated_ms",
        )?
        .execute(named_params! {":name": profile.name(), ":spec": spec, ":now": tx.now_ms()})?;
    let profile = Arc::new(profile);
    tx.notify(Change::Profile(Arc::clone(&profile)));
    let users = tx.directory().iter();
    let users: Vec<_> = users.filter(|webhook| webhook.profile == profile.name()).cloned().collect();
    for webhook in users {
        tx.notify(Change::Webhook(webhook));
    }
    Ok(profile)
}

/// Takes a profile away that no webhook uses. Whether there was one.
pub fn delete(tx: &mut WriteTx<'_>, name: &str) -> Result<bool, StoreError> {
    let deleted = tx
        .connection()
        .prepare_cached("DELETE FROM profile WHERE name = :name")?
        .execute(named_params! {":name": name})?;
    tx.notify(Change::ProfileGone { name: name.to_owned() });
    Ok(deleted == 1)
}
