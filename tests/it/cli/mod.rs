//! The command line.

mod backup;
mod config_check;
mod demo;
mod doctor;
mod example_db;
mod keys;
mod listen;
mod moving;
mod names;
mod output;
mod pause;
mod prune;
mod reload;
mod resources;
mod restore;
mod serve;
mod settings;
mod systemd;
mod terminal;
mod users;
