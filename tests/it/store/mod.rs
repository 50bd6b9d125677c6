//! What the store promises, shown from outside: crashes, damaged files, full disks, clocks that jump.

mod clock;
mod copy;
mod crash;
mod fault;
mod files;
mod full;
mod held;
mod kill_points;
mod payload;
mod power_cut;
mod retention;
mod signals;
