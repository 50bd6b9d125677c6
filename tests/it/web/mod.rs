//! The pages.

mod browser;
mod deliveries;
mod events;
mod people;
