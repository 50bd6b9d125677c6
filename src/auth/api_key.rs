//! API keys: shown once at creation, then known only by their hash.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

use crate::actions::audit::AuditEntry;
use crate::actions::{ActionError, Actor, Caller};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::domain::id::ApiKeyId;
use crate::domain::time::Millis;
use crate::random;
use crate::store::api_key::{self, ApiKey, Scope};
use crate::store::{Connection, Pending, Store, StoreError, profile};

/// Prefix of all keys, by which people and secret scanners recognize them.
const PREFIX: &str = "hp_";
/// Characters of a key that are shown later.
const SHOWN: usize = 9;

/// Range of rate limits, in requests per second.
pub const RATE_LIMITS: RangeInclusive<u32> = 1..=100_000;

#[derive(Debug, Clone)]
pub struct KeyRequest {
    /// Display name, 1 to 128 characters.
    pub name: String,
    pub scope: Scope,
    pub tenant: Option<Tenant>,
    pub profile: Option<String>,
    /// Requests per second, 1 to 100,000. `None`: the server's default.
    pub rate_limit_per_s: Option<u32>,
}

/// Generates a key of 24 random bytes. Returns the key, which is never stored, and the record to store.
pub fn issue(request: KeyRequest, now: Millis) -> Result<(String, ApiKey), Invalid> {
    if request.name.trim().is_empty() || request.name.chars().count() > 128 || request.name.contains(char::is_control) {
        return Err(Invalid::new("invalid_name", "The name must have 1 to 128 characters and no control characters.")
            .in_field("name"));
    }
    if let Some(limit) = request.rate_limit_per_s
        && !RATE_LIMITS.contains(&limit)
    {
        return Err(Invalid::new("invalid_rate_limit", "The rate limit must be 1 to 100000 requests per second.")
            .in_field("rate_limit_per_s"));
    }
    let text = format!("{PREFIX}{}", random::text::<24>());
    let key = ApiKey {
        seq: 0,
        id: ApiKeyId::generate(now, random::bits()),
        name: request.name,
        scope: request.scope,
        tenant: request.tenant,
        profile: request.profile,
        prefix: text[..SHOWN].to_owned(),
        rate_limit_per_s: request.rate_limit_per_s,
        hash: hash(&text),
        created_ms: now,
        last_used_ms: None,
    };
    Ok((text, key))
}

/// Refuses a default profile that does not exist, as of the current transaction.
pub fn require_profile(connection: &Connection, name: Option<&str>) -> Result<(), ActionError> {
    match name {
        Some(name) if !profile::exists(connection, name)? => {
            Err(Invalid::new("unknown_profile", format!("There is no profile {name:?}.")).in_field("profile").into())
        }
        _ => Ok(()),
    }
}

/// Stores a new key. Returns the stored record.
pub fn store(store: &Store, caller: &Caller, new: ApiKey) -> Pending<ApiKey, ActionError> {
    let actor = caller.actor.clone();
    store.write(move |tx| {
        add(tx.connection(), &actor, &new)?;
        api_key::by_hash(tx.connection(), &new.hash)?.ok_or(ActionError::NotFound("API key"))
    })
}

/// Stores a new key in the current transaction.
pub fn add(connection: &Connection, actor: &Actor, new: &ApiKey) -> Result<(), ActionError> {
    require_profile(connection, new.profile.as_deref())?;
    api_key::insert(connection, new)?;
    let entry = AuditEntry::new(AuditAction::KeyCreated, new.id).in_tenant(new.tenant.as_ref());
    actor.audit(connection, new.created_ms, entry.with_detail(format!("{}, {}", new.name, new.scope)))?;
    Ok(())
}

pub fn revoke(store: &Store, caller: &Caller, id: &str) -> Pending<(), ActionError> {
    let (actor, id) = (caller.actor.clone(), id.to_owned());
    store.write(move |tx| take_out(tx.connection(), &actor, &id, tx.now_ms()))
}

/// Revokes the key with this id in the current transaction.
pub fn take_out(connection: &Connection, actor: &Actor, id: &str, now: Millis) -> Result<(), ActionError> {
    let unknown = ActionError::NotFound("API key");
    let id: ApiKeyId = id.parse().map_err(|_| unknown.clone())?;
    match api_key::revoke(connection, id, now)? {
        Some(name) => {
            actor.audit(connection, now, AuditEntry::new(AuditAction::KeyRevoked, id).with_detail(name))?;
            Ok(())
        }
        None => Err(unknown),
    }
}

/// Returns the stored record of a key, unless it was revoked. Reads the table each time, so that a key created or revoked
/// by a command counts at once. A hash of 192 random bits needs no salt, and the time of its lookup reveals nothing.
pub fn authenticate(connection: &Connection, text: &str) -> Result<Option<ApiKey>, StoreError> {
    api_key::by_hash(connection, &hash(text))
}

/// Returns the caller that a key acts for.
pub fn caller(key: &ApiKey) -> Caller {
    Caller {
        tenant: key.tenant.clone(),
        default_profile: key.profile.clone(),
        actor: Actor::Key(key.name.clone()),
        api_key_seq: Some(key.seq),
    }
}

pub fn covers(scope: Scope, needed: Scope) -> bool {
    scope == Scope::Admin || scope == needed
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
