//! The command line.

mod backup;
mod demo;
mod example_db;
mod keys;
mod listen;
mod output;
mod prune;
mod resources;
mod serve;
mod settings;
mod users;
