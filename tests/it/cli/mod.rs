//! The command line.

mod backup;
mod demo;
mod doctor;
mod example_db;
mod keys;
mod listen;
mod output;
mod pause;
mod prune;
mod resources;
mod serve;
mod settings;
mod terminal;
mod users;
