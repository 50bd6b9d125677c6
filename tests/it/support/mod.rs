//! What the tests stand on: a real server with a clock that they move, and a real receiver.

pub mod browser;
pub mod crawl;
pub mod fixtures;
pub mod hub;
pub mod page;
pub mod process;
pub mod receiver;
pub mod visitor;

use std::io::Write as _;

pub use hub::Hub;
pub use page::Page;

/// Says that a test was not made, past the harness, which swallows what a passing test prints; a failure where
/// `required` is set.
pub fn skipped(required: &str, why: &str) {
    assert!(std::env::var_os(required).is_none(), "{required}: {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
