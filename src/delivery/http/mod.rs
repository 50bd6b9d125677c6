//! One HTTP request to a receiver: from the address to the classified result.

mod any_certificate;
pub mod anywhere;
mod classify;
pub mod client;
mod connection;
pub(super) mod exchange;
mod identity;
mod pool;
mod transport;
