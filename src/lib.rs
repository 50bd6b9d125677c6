//! Hookpost stores events, signs them, delivers them to every webhook that subscribed, retries failed deliveries,
//! and shows a person what happened. One program, one SQLite file.
//!
//! Modules in reading order: [`domain`] (types and decisions, pure), [`profile`] (formats of deliveries), [`text`]
//! (sentences about events and failures), [`store`] (the database), [`delivery`] (the engine that sends), [`actions`]
//! (everything that changes something), [`auth`] (keys, users, sessions), [`http`] (API and pages), [`server`] (start
//! and stop), [`config`] (settings), [`cli`] (commands). Imports point towards the beginning of this list only;
//! [`clock`], [`metrics`] and [`random`] are beside [`domain`].

#![forbid(unsafe_code)]

// The fixtures of unit and integration tests are one file, which names the crate.
#[cfg(test)]
extern crate self as hookpost;

pub mod actions;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod domain;
pub mod http;
pub mod metrics;
pub mod profile;
pub mod random;
pub mod server;
pub mod store;
pub mod text;
