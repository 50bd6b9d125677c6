//! The pages.

mod browser;
mod overview;
mod people;
