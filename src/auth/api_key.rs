//! API keys: shown once at creation, then known only by their hash.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

use super::key_text;
pub use super::key_text::is_well_formed;
use crate::actions::audit::AuditEntry;
use crate::actions::reserved::require_unreserved;
use crate::actions::tenants::being_deleted;
use crate::actions::unchanged::Unchanged;
use crate::actions::{ActionError, Actor, Caller};
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::domain::id::ApiKeyId;
use crate::domain::time::{Millis, SECOND, rfc3339_seconds};
use crate::domain::webhook::{DEFAULT_OVERLAP, MAX_OVERLAP};
use crate::random;
use crate::store::api_key::{self, ApiKey, Scope};
use crate::store::tenant::deletion;
use crate::store::{Connection, Pending, Store, StoreError, profile, user};

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
    /// Requests with the key are refused from then on. `None`: no end.
    pub ends_ms: Option<Millis>,
}

/// Generates a key. Returns it, which is never stored, and the record to store.
pub fn issue(request: KeyRequest, now: Millis) -> Result<(String, ApiKey), Invalid> {
    if request.name.trim().is_empty() || request.name.chars().count() > 128 || request.name.contains(char::is_control) {
        return Err(Invalid::new("invalid_name", "The name must have 1 to 128 characters and no control characters.")
            .in_field("name"));
    }
    if let Some(tenant) = &request.tenant {
        require_unreserved(tenant, "tenant")?;
    }
    if let Some(limit) = request.rate_limit_per_s
        && !RATE_LIMITS.contains(&limit)
    {
        return Err(Invalid::new("invalid_rate_limit", "The rate limit must be 1 to 100000 requests per second.")
            .in_field("rate_limit_per_s"));
    }
    if request.ends_ms.is_some_and(|ends| ends <= now) {
        return Err(Invalid::new("invalid_expires_at", "The key must expire in the future.").in_field("expires_at"));
    }
    let text = key_text::generate();
    let key = ApiKey {
        seq: 0,
        id: ApiKeyId::generate(now, random::bits()),
        name: request.name,
        scope: request.scope,
        tenant: request.tenant,
        profile: request.profile,
        prefix: key_text::shown(&text).to_owned(),
        rate_limit_per_s: request.rate_limit_per_s,
        hash: hash(&text),
        created_ms: now,
        created_by: None,
        created_by_user: None,
        ends_ms: request.ends_ms,
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
    if let Some(tenant) = &new.tenant
        && deletion::get(connection, tenant)?.is_some()
    {
        return Err(being_deleted(tenant));
    }
    insert(connection, actor, new)?;
    let entry = AuditEntry::new(AuditAction::KeyCreated, new.id).in_tenant(new.tenant.as_ref());
    actor.audit(connection, new.created_ms, entry.with_detail(format!("{}, {}", new.name, new.scope)))?;
    Ok(())
}

/// Stores a new key with its creator.
fn insert(connection: &Connection, actor: &Actor, new: &ApiKey) -> Result<(), StoreError> {
    let user = match actor.user_name() {
        Some(name) => user::by_name(connection, name)?,
        None => None,
    };
    let created_by_user = user.map(|user| user.seq);
    api_key::insert(connection, &ApiKey { created_by: Some(actor.to_string()), created_by_user, ..new.clone() })
}

/// Returns the overlap of a rotation, in milliseconds: 0 to 7 days, a day if it is not given.
pub fn overlap(overlap_s: Option<i64>) -> Result<Millis, Invalid> {
    let overlap = overlap_s.map_or(DEFAULT_OVERLAP, |seconds| seconds.saturating_mul(SECOND));
    if (0..=MAX_OVERLAP).contains(&overlap) {
        return Ok(overlap);
    }
    Err(Invalid::new("out_of_range", "overlap_s must be 0 to 604800 seconds (7 days).").in_field("overlap_s"))
}

/// Replaces a key, see [`replace`]. Returns the new key with its record.
pub fn rotate(store: &Store, caller: &Caller, id: &str, overlap: Millis) -> Pending<(String, ApiKey), ActionError> {
    let (actor, id) = (caller.actor.clone(), id.to_owned());
    store.write(move |tx| replace(tx.connection(), &actor, &id, overlap, tx.now_ms()))
}

/// Creates a key with the name, permissions, limits and duration of another one, which ends after the overlap, or at
/// once without one. Runs in the current transaction.
pub fn replace(
    connection: &Connection,
    actor: &Actor,
    id: &str,
    overlap: Millis,
    now: Millis,
) -> Result<(String, ApiKey), ActionError> {
    let old = find(connection, id)?;
    let request = KeyRequest {
        name: old.name.clone(),
        scope: old.scope,
        tenant: old.tenant.clone(),
        profile: old.profile.clone(),
        rate_limit_per_s: old.rate_limit_per_s,
        ends_ms: old.ends_ms.map(|ends| now + (ends - old.created_ms).max(SECOND)),
    };
    let (text, new) = issue(request, now)?;
    insert(connection, actor, &new)?;
    let detail = if overlap == 0 {
        api_key::revoke(connection, old.id, now)?;
        format!("{}, replaces {}, which is revoked", old.name, old.id)
    } else {
        let ends = old.ends_ms.map_or(now + overlap, |ends| ends.min(now + overlap));
        api_key::end_at(connection, old.seq, ends)?;
        format!("{}, replaces {}, which ends at {}", old.name, old.id, rfc3339_seconds(ends))
    };
    let entry = AuditEntry::new(AuditAction::KeyRotated, new.id).in_tenant(new.tenant.as_ref());
    actor.audit(connection, now, entry.with_detail(detail))?;
    Ok((text, find(connection, &new.id.to_string())?))
}

/// Returns a key that is not revoked.
pub fn find(connection: &Connection, id: &str) -> Result<ApiKey, ActionError> {
    let unknown = ActionError::NotFound("API key");
    let id: ApiKeyId = id.parse().map_err(|_| unknown.clone())?;
    api_key::by_id(connection, id)?.ok_or(unknown)
}

/// Revokes a key that meets a condition.
pub fn revoke(store: &Store, caller: &Caller, id: &str, unchanged: Unchanged<ApiKey>) -> Pending<(), ActionError> {
    let (actor, id) = (caller.actor.clone(), id.to_owned());
    store.write(move |tx| {
        unchanged.require(Some(&find(tx.connection(), &id)?))?;
        take_out(tx.connection(), &actor, &id, tx.now_ms())
    })
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
/// by a command counts at once. A hash of 190 random bits needs no salt, and the time of its lookup reveals nothing.
pub fn authenticate(connection: &Connection, text: &str) -> Result<Option<ApiKey>, StoreError> {
    api_key::by_hash(connection, &hash(text))
}

/// Returns the caller that a key acts for.
pub fn caller(key: &ApiKey) -> Caller {
    Caller {
        profiles: None,
        tenant: key.tenant.clone(),
        default_profile: key.profile.clone(),
        sees_secrets: key.scope == Scope::Admin,
        actor: Actor::Key(key.name.clone()),
        api_key_seq: Some(key.seq),
        certificates_denied: false,
    }
}

pub fn covers(scope: Scope, needed: Scope) -> bool {
    scope == Scope::Admin || scope == needed
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
