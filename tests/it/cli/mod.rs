//! The command line.

mod backup;
mod demo;
mod example_db;
mod keys;
mod prune;
mod serve;
mod settings;
mod users;
