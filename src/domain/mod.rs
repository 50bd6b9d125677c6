//! The words of the product as types, and its decisions as pure functions.
//!
//! Nothing here reads a clock, draws a random number, opens a file or a socket: time and chance are
//! arguments. Text is parsed here once (`FromStr`), and trusted everywhere above.

pub mod attempt;
pub mod audit_action;
pub mod curl;
pub mod delivery;
pub mod duration_list;
pub mod event;
pub mod failure_group;
pub mod header;
pub mod histogram;
pub mod id;
pub mod invalid;
pub mod json;
pub mod pattern;
pub mod retention;
pub mod retry;
pub mod schema;
pub mod secret;
pub mod target;
pub mod time;
pub mod webhook;

pub use invalid::Invalid;
