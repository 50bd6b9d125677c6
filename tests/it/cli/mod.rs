//! The command line, as people and scripts meet it.

mod backup;
mod keys;
mod prune;
mod serve;
