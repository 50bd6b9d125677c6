//! Commands and code of README.md and the documents, run as they are written: commands by a shell, code by its language. The
//! server is the real program on a free port, and nothing leaves the machine.

mod blocks;
mod commands;
mod facts;
mod outbox;
mod proxies;
mod publishers;
mod receivers;
mod settings;
mod world;
