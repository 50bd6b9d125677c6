//! Test support: a real server with a manual clock, a real receiver, an HTML reader, a browser.

pub mod browser;
pub mod crawl;
pub mod disk;
pub mod fixtures;
pub mod hub;
pub mod page;
pub mod process;
pub mod receiver;
pub mod smtp;
pub mod visitor;

use std::io::Write as _;

pub use hub::Hub;
pub use page::Page;

/// Prints that a test was skipped, directly to standard error, because the harness hides the output of a passing test.
/// Fails if the environment variable `required` is set.
pub fn skipped(required: &str, why: &str) {
    assert!(std::env::var_os(required).is_none(), "{required}: {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
