//! Pages.

mod audit;
mod browser;
mod deliveries;
mod event_types;
mod events;
mod first_run;
mod inbox;
mod long_logs;
mod overview;
mod people;
mod portal;
mod profiles;
mod settings;
mod sheet;
mod webhooks;
mod whole_site;
