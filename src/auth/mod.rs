//! Who may: API keys for programs, users and sessions for people.
//!
//! Secrets of all kinds (keys, session cookies, links) are random and known to the database by their hash alone;
//! passwords are hashed with Argon2id.

pub mod api_key;
pub mod password;
pub mod session;
pub mod throttle;
pub mod token;
pub mod users;
