//! Guarantees of the store: crashes, damaged files, full disks, clock changes.

mod clock;
mod copy;
mod crash;
mod fault;
mod files;
mod full;
mod held;
mod payload;
mod retention;
mod signals;
