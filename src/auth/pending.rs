//! Sign-ins between the password and the code. Kept in memory, so a restart asks for the password again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::token;
use crate::domain::time::{MINUTE, Millis};
use crate::store::user::User;

/// Time to enter the code, in milliseconds.
pub const LASTS: Millis = 5 * MINUTE;
/// Sign-ins of one user at most. The oldest is dropped first.
const MOST_OF_A_USER: usize = 5;
/// Sign-ins of all users at most. The oldest is dropped first.
const MOST: usize = 1_000;

/// Users whose password was right and whose code is awaited, by the hash of their cookie. Cheap to clone.
#[derive(Clone, Default)]
pub struct PendingSignIns(Arc<Mutex<HashMap<[u8; 32], PendingSignIn>>>);

struct PendingSignIn {
    user: User,
    ends_ms: Millis,
}

impl PendingSignIns {
    /// Adds a user whose password was right. Returns the cookie.
    pub fn begin(&self, user: User, now: Millis) -> String {
        let mut pending = self.lock();
        pending.retain(|_, sign_in| sign_in.ends_ms > now);
        drop_oldest(&mut pending, MOST_OF_A_USER - 1, |sign_in| sign_in.user.seq == user.seq);
        drop_oldest(&mut pending, MOST - 1, |_| true);
        let cookie = token::generate();
        pending.insert(token::hash(&cookie), PendingSignIn { user, ends_ms: now + LASTS });
        cookie
    }

    /// Returns the user whose password was right, as of then.
    pub fn user(&self, cookie: &str, now: Millis) -> Option<User> {
        let pending = self.lock();
        let sign_in = pending.get(&token::hash(cookie)).filter(|sign_in| sign_in.ends_ms > now);
        sign_in.map(|sign_in| sign_in.user.clone())
    }

    /// Removes a sign-in. Returns false if it was removed before.
    pub fn end(&self, cookie: &str) -> bool {
        self.lock().remove(&token::hash(cookie)).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], PendingSignIn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_oldest(
    pending: &mut HashMap<[u8; 32], PendingSignIn>,
    kept: usize,
    is_counted: impl Fn(&PendingSignIn) -> bool,
) {
    let counted = pending.iter().filter(|(_, sign_in)| is_counted(sign_in));
    let mut counted: Vec<_> = counted.map(|(hash, sign_in)| (sign_in.ends_ms, *hash)).collect();
    counted.sort_unstable();
    for (_, hash) in counted.iter().take(counted.len().saturating_sub(kept)) {
        pending.remove(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::user::Role;

    fn user(seq: i64) -> User {
        User {
            seq,
            name: format!("user-{seq}"),
            role: Role::Viewer,
            password: String::new(),
            has_totp: true,
            created_ms: 0,
            last_login_ms: None,
        }
    }

    #[test]
    fn a_pending_sign_in_ends_by_use_and_after_five_minutes() {
        let pending = PendingSignIns::default();
        let cookie = pending.begin(user(1), 0);
        assert_eq!(pending.user(&cookie, LASTS - 1), Some(user(1)));
        assert_eq!(pending.user(&cookie, LASTS), None);
        assert_eq!(pending.user("another", 0), None);
        assert!(pending.end(&cookie));
        assert!(!pending.end(&cookie));
        assert_eq!(pending.user(&cookie, 0), None);
    }

    #[test]
    fn memory_is_bounded_and_one_user_takes_no_place_of_the_others() {
        let pending = PendingSignIns::default();
        let first = pending.begin(user(1), 0);
        for _ in 0..10 {
            pending.begin(user(2), 1);
        }
        assert_eq!(pending.lock().len(), 1 + MOST_OF_A_USER);
        assert!(pending.user(&first, 1).is_some());
        for seq in 0..MOST as i64 + 50 {
            pending.begin(user(10 + seq), 2);
        }
        assert_eq!(pending.lock().len(), MOST);
    }
}
