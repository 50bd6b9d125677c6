//! `hookpost verify`: checks the signatures of a request.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::common::{VerifyingFlags, read};
use crate::clock::Clock;
use crate::domain::time::SECOND;

/// Check the signatures of a request; exits with 0 if they are valid, and with 1 if not
#[derive(Args)]
pub(super) struct Verify {
    #[command(flatten)]
    keys: VerifyingFlags,
    /// Header of the request; repeat the flag for each header
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", required = true, value_parser = header)]
    headers: Vec<(String, String)>,
    /// Maximum difference between the timestamp and now; unlimited if unset
    #[arg(long, value_name = "SECONDS")]
    tolerance_s: Option<u64>,
    /// File with the body; standard input if unset or -
    #[arg(value_name = "FILE")]
    body: Option<PathBuf>,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), CliError> {
        let verifier = self.keys.verifier()?;
        if !verifier.has_key() {
            return Err(CliError::Other("--secret or --public-key is required".to_owned()));
        }
        let body = read(self.body.as_deref())?;
        let invalid = |reason: &dyn std::fmt::Display| CliError::Other(format!("not verified: {reason}"));
        let verified = verifier.verify(&self.headers, &body).map_err(|fault| invalid(&fault))?;
        if let (Some(tolerance), Some(at)) = (self.tolerance_s, verifier.timestamp(&self.headers)) {
            let difference = (Clock::machine().now_ms() / SECOND).abs_diff(at);
            if difference > tolerance {
                return Err(invalid(&format_args!("the timestamp is {difference} seconds from now")));
            }
        }
        println!("verified: {verified}");
        Ok(())
    }
}

fn header(line: &str) -> Result<(String, String), &'static str> {
    let (name, value) = line.split_once(':').ok_or("must be \"Name: value\"")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
