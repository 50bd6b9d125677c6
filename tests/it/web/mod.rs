//! The pages.

mod inbox;
mod people;
