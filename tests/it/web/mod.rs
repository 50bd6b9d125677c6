//! The pages.

mod browser;
mod first_run;
mod inbox;
mod people;
mod portal;
mod webhooks;
