//! The command line, as people and scripts meet it.

mod backup;
mod demo;
mod example_db;
mod keys;
mod prune;
mod serve;
mod settings;
