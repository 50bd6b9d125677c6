//! The pages.

mod audit;
mod browser;
mod overview;
mod people;
mod settings;
