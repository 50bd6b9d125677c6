//! Passwords: Argon2id with 19 MiB, two passes and one lane (OWASP Password Storage Cheat Sheet, second set of
//! parameters), in the PHC string format. At most two run at once, so that sign-ins cannot exhaust the memory.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::domain::Invalid;
use crate::random;

/// Minimum characters of a password.
pub const SHORTEST: usize = 10;
/// Maximum bytes of a password.
const LONGEST: usize = 1024;
/// Maximum hashes computed at once.
const AT_A_TIME: usize = 2;

static ROOM: Mutex<usize> = Mutex::new(AT_A_TIME);
static FREED: Condvar = Condvar::new();

/// Checks the length of a new password, the only rule (NIST SP 800-63B, 3.1.1.2).
pub fn check(password: &str) -> Result<(), Invalid> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        return Err(Invalid::new(
            "invalid_password",
            format!("A password has {SHORTEST} characters or more; a sentence is a good one."),
        )
        .in_field("password"));
    }
    Ok(())
}

/// Hashes a password. Takes about 20 ms and 19 MiB; do not call it on a thread that serves requests.
pub fn hash(password: &str) -> String {
    let _room = Room::wait();
    argon2()
        .hash_password_with_salt(password.as_bytes(), &random::bytes::<16>())
        .expect("the parameters and the salt length are in range")
        .to_string()
}

/// Whether a password matches its hash. Takes the same time without a hash (unknown user).
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let _room = Room::wait();
    match hash.and_then(|text| PasswordHash::new(text).ok()) {
        Some(hash) => argon2().verify_password(password.as_bytes(), &hash).is_ok(),
        None => {
            let spent = argon2().hash_password_with_salt(password.as_bytes(), &[0; 16]);
            drop(std::hint::black_box(spent));
            false
        }
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Slot for computing a hash, released on drop.
struct Room;

impl Room {
    fn wait() -> Room {
        let room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room = FREED.wait_while(room, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *room -= 1;
        Room
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *ROOM.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREED.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_verified_against_its_hash() {
        let stored = hash("correct horse battery");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse battery", Some(&stored)));
        assert!(!verify("correct horse batterz", Some(&stored)));
        assert!(!verify("correct horse battery", None));
        assert!(!verify("correct horse battery", Some("garbage")));
    }

    #[test]
    fn a_short_password_is_refused_by_characters_not_bytes() {
        assert!(check("éééééééééé").is_ok());
        assert!(check("ééééééééé").is_err());
        assert!(check(&"x".repeat(1025)).is_err());
    }
}
