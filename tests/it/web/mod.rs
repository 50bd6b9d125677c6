//! The pages.

mod audit;
mod browser;
mod event_types;
mod overview;
mod people;
mod profiles;
mod settings;
