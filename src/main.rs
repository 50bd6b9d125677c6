//! The `hookpost` program.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    hookpost::cli::run()
}
