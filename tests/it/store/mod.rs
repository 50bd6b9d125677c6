//! x
mod crash;
