//! Changes of one webhook.

pub mod change;
pub mod create;
pub mod delete;
pub mod rotate_secret;
pub mod verify;
