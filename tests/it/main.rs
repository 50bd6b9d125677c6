//! Integration tests: one binary, the real server, a real receiver, a manual clock.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod api;
mod cli;
mod delivery;
mod layers;
mod profiles;
mod properties;
mod readme;
mod store;
mod support;
mod text_forms;
mod web;
