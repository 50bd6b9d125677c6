//! Authentication: API keys for programs, users and sessions for people.
//!
//! Keys, session cookies and links are random, and the database stores only their hashes. Passwords are hashed with
//! Argon2id.

pub mod api_key;
mod key_text;
pub mod password;
pub mod pending;
pub mod portal;
pub mod role;
pub mod session;
pub mod throttle;
pub mod token;
pub mod totp;
pub mod two_factor;
pub mod users;
