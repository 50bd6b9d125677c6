//! The command line.

mod backup;
mod demo;
mod doctor;
mod example_db;
mod keys;
mod listen;
mod output;
mod prune;
mod resources;
mod serve;
mod settings;
mod systemd;
mod terminal;
mod users;
