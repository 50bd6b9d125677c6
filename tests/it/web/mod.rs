//! The pages.

mod browser;
mod people;
mod webhooks;
