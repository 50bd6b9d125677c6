//! What the store promises, shown from outside: crashes, damaged files, full disks, clocks that jump.

mod bounds;
mod clock;
mod copy;
mod crash;
mod damage;
mod fault;
mod files;
mod full;
mod held;
mod payload;
mod retention;
mod signals;
mod writer;
