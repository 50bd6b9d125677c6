//! `hookpost verify`: checks the signatures of a request.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::common::{SigningFlags, read};
use crate::clock::Clock;
use crate::domain::time::SECOND;
use crate::profile::verify::{timestamp, verify};

/// Check the signatures of a request; exits with 0 if they are valid, and with 1 if not
#[derive(Args)]
pub(super) struct Verify {
    #[command(flatten)]
    signing: SigningFlags,
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
        let profile = self.signing.profile()?;
        let secret = self.signing.required_secret()?;
        let body = read(self.body.as_deref())?;
        let invalid = |reason: &dyn std::fmt::Display| CliError::Other(format!("not verified: {reason}"));
        let verified = verify(&profile, &secret, &self.headers, &body).map_err(|fault| invalid(&fault))?;
        if let (Some(tolerance), Some(at)) = (self.tolerance_s, timestamp(&profile, &self.headers)) {
            let difference = (Clock::machine().now_ms() / SECOND).abs_diff(at);
            if difference > tolerance {
                return Err(invalid(&format_args!("the timestamp is {difference} seconds from now")));
            }
        }
        println!("verified: {}", verified.join(", "));
        Ok(())
    }
}

fn header(line: &str) -> Result<(String, String), &'static str> {
    let (name, value) = line.split_once(':').ok_or("must be \"Name: value\"")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
