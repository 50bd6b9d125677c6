//! The pages.

mod people;
