//! The pages.

mod browser;
mod deliveries;
mod events;
mod first_run;
mod inbox;
mod overview;
mod people;
mod portal;
mod webhooks;
mod whole_site;
