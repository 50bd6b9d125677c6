//! The pages.

mod browser;
mod people;
