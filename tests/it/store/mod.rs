//! Guarantees of the store: crashes, damaged files, full disks, clock changes.

mod bounds;
mod clock;
mod copy;
mod crash;
mod damage;
mod files;
mod full;
mod held;
mod kill_points;
mod kills;
pub mod large;
mod limits;
mod litestream;
mod migrations;
mod payload;
mod power_cut;
mod releases;
mod retention;
mod scheduled_backups;
mod sealed;
mod signals;
mod writer;
