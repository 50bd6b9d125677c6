//! The pages.

mod first_run;
mod inbox;
mod people;
mod portal;
