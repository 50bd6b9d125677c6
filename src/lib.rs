//! Hookpost stores events, signs them, delivers them to every webhook that subscribed, retries what fails,
//! and shows a person what happened. One binary, one SQLite file.
//!
//! Modules in reading order: [`domain`] (words and decisions, pure), [`profile`] (how deliveries look),
//! [`store`] (the file), [`delivery`] (the engine that sends), [`actions`] (what a person or program can do),
//! [`auth`] (who may), [`http`] (the API), [`server`] (everything put together), [`cli`] (the commands).
//! Imports point towards the beginning of that list only; [`clock`], [`metrics`] and [`random`] stand beside the first.

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
