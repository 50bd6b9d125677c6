//! Two-factor authentication of users: a code of an authenticator app, or a recovery code, after the password.

use sha2::{Digest, Sha256};

use super::token;
use super::totp::{self, TotpSecret};
use super::users::{self, Browser, Result, SignedIn, UserError, require_unchanged};
use crate::actions::Actor;
use crate::actions::audit::AuditEntry;
use crate::domain::Invalid;
use crate::domain::audit_action::AuditAction;
use crate::domain::time::Millis;
use crate::random;
use crate::store::user::{self, User};
use crate::store::{Connection, StoreError, recovery_code, session};

/// Recovery codes of a user at first.
pub const RECOVERY_CODES: usize = 10;

/// Valid code that was not used yet.
enum Proof {
    Step(i64),
    Recovery([u8; 32]),
}

fn prove(connection: &Connection, user_seq: i64, code: &str, now: Millis) -> Result<Option<Proof>, StoreError> {
    let Some(stored) = user::totp(connection, user_seq)? else {
        return Ok(None);
    };
    let step = TotpSecret::from_bytes(&stored.secret).and_then(|secret| secret.step_of(code, now));
    if let Some(step) = step {
        return Ok(Some(step).filter(|step| totp::is_new(*step, stored.last_step, now)).map(Proof::Step));
    }
    let hash = recovery_hash(code);
    Ok(recovery_code::exists(connection, user_seq, &hash)?.then_some(Proof::Recovery(hash)))
}

/// Whether a code of the user is valid and unused. Changes nothing.
pub fn is_valid(connection: &Connection, user: &User, code: &str, now: Millis) -> Result<bool, StoreError> {
    Ok(prove(connection, user.seq, code, now)?.is_some())
}

/// Uses a code up. Returns how many recovery codes are left, if it was one.
fn spend(connection: &Connection, actor: &Actor, user: &User, code: &str, now: Millis) -> Result<Option<u64>> {
    match prove(connection, user.seq, code, now)?.ok_or(UserError::WrongCode)? {
        Proof::Step(step) => {
            user::set_totp_step(connection, user.seq, step)?;
            Ok(None)
        }
        Proof::Recovery(hash) => {
            recovery_code::delete(connection, user.seq, &hash)?;
            let left = recovery_code::count(connection, user.seq)?;
            audit(connection, actor, user, AuditAction::RecoveryCodeUsed, format!("{left} left"), now)?;
            Ok(Some(left))
        }
    }
}

/// Starts the session of a user whose password was verified, and uses the code up. Returns how many recovery codes are left,
/// if it was one.
pub fn sign_in(
    connection: &Connection,
    user: &User,
    code: &str,
    browser: &Browser,
    now: Millis,
) -> Result<(SignedIn, Option<u64>)> {
    let left = spend(connection, &browser.actor(&user.name), user, code, now)?;
    Ok((users::sign_in(connection, user, browser, now)?, left))
}

/// Turns two-factor authentication on, if the code is the secret's, and ends the user's sessions except the one with this
/// cookie. Returns the recovery codes.
pub fn enable(
    connection: &Connection,
    actor: &Actor,
    user: &User,
    secret: &TotpSecret,
    code: &str,
    kept: &str,
    now: Millis,
) -> Result<Vec<String>> {
    require_unchanged(connection, user)?;
    if user.has_totp {
        let message = "Two-factor authentication is on already. Turn it off first to set it up with another phone.";
        return Err(Invalid::new("already_on", message).into());
    }
    let step = secret.step_of(code, now).ok_or(UserError::WrongCode)?;
    user::set_totp(connection, user.seq, Some(secret.bytes()), step)?;
    session::end_others(connection, user.seq, Some(&token::hash(kept)))?;
    audit(connection, actor, user, AuditAction::TotpEnabled, String::new(), now)?;
    replace_codes(connection, user)
}

/// Replaces the recovery codes, and uses the code up. Returns the new ones.
pub fn renew_codes(
    connection: &Connection,
    actor: &Actor,
    user: &User,
    code: &str,
    now: Millis,
) -> Result<Vec<String>> {
    spend(connection, actor, user, code, now)?;
    audit(connection, actor, user, AuditAction::RecoveryCodesRenewed, String::new(), now)?;
    replace_codes(connection, user)
}

/// Turns two-factor authentication off.
pub fn disable(connection: &Connection, actor: &Actor, user: &User, code: &str, now: Millis) -> Result<()> {
    spend(connection, actor, user, code, now)?;
    remove(connection, user)?;
    audit(connection, actor, user, AuditAction::TotpDisabled, String::new(), now)
}

/// Turns the two-factor authentication of a user off who has lost their phone, ends their sessions, and removes their
/// devices.
pub fn reset(connection: &Connection, actor: &Actor, name: &str, now: Millis) -> Result<()> {
    let user = users::find(connection, name)?;
    remove(connection, &user)?;
    user::end_everywhere(connection, user.seq)?;
    actor.audit(connection, now, AuditEntry::new(AuditAction::TotpReset, user.name))?;
    Ok(())
}

fn remove(connection: &Connection, user: &User) -> Result<()> {
    user::set_totp(connection, user.seq, None, 0)?;
    recovery_code::replace(connection, user.seq, &[])?;
    Ok(())
}

fn replace_codes(connection: &Connection, user: &User) -> Result<Vec<String>> {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    let hashes: Vec<_> = codes.iter().map(|code| recovery_hash(code)).collect();
    recovery_code::replace(connection, user.seq, &hashes)?;
    Ok(codes)
}

fn audit(
    connection: &Connection,
    actor: &Actor,
    user: &User,
    action: AuditAction,
    detail: String,
    now: Millis,
) -> Result<()> {
    actor.audit(connection, now, AuditEntry::new(action, &user.name).with_detail(detail))?;
    Ok(())
}

/// Generates a code of 80 random bits, as `xxxxx-xxxxx-xxxxx-xxxxx` in hexadecimal digits.
fn recovery_code() -> String {
    let digits = hex::encode(random::bytes::<14>());
    let groups = digits.as_bytes().chunks(5).map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("-")
}

/// Returns the hash under which a code is stored, ignoring case, spaces and hyphens. A code of 80 random bits needs no salt.
fn recovery_hash(code: &str) -> [u8; 32] {
    let digits: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    Sha256::digest(digits.to_ascii_lowercase().as_bytes()).into()
}
