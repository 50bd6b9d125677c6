//! Actions on one webhook.

pub mod change;
pub mod create;
pub mod put;
pub mod rotate_secret;
pub mod verify;
