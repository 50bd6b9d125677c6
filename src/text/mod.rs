//! Sentences that people read about events, attempts and failures.
//!
//! Makes text from typed facts, for the API, the pages and the log. Never reads a sentence back, a clock,
//! or a file: the time is an argument.

pub mod audit;
pub mod browser;
pub mod certificate;
pub mod contact;
pub mod explanation;
pub mod failure;
pub mod humanize;
pub mod incident;
pub mod message;
pub mod retry_preview;
