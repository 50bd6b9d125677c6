//! `hookpost verify`: checks the signatures of a request.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::CliError;
use super::common::{VerifyingFlags, read};
use super::output::OutputFlags;
use crate::clock::Clock;
use crate::domain::time::SECOND;

/// Check the signatures of a request; exits with 0 if they are valid, with 1 if not, and with 2 if nothing
/// could be checked
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
    #[command(flatten)]
    output: OutputFlags,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), CliError> {
        let verifier = self.keys.verifier()?;
        if !verifier.has_key() {
            return Err(CliError::Other("--secret or --public-key is required".to_owned()));
        }
        let body = read(self.body.as_deref())?;
        let invalid = |reason: String| {
            self.output.negative(&json!({"verified": false, "reason": reason}), format!("not verified: {reason}"))
        };
        let verified = match verifier.verify(&self.headers, &body) {
            Ok(verified) => verified,
            Err(fault) => return invalid(fault.to_string()),
        };
        if let (Some(tolerance), Some(at)) = (self.tolerance_s, verifier.timestamp(&self.headers)) {
            let difference = (Clock::machine().now_ms() / SECOND).abs_diff(at);
            if difference > tolerance {
                return invalid(format!("the timestamp is {difference} seconds from now"));
            }
        }
        self.output.print(&json!({"verified": true, "by": verified}), || format!("verified: {verified}"))
    }
}

fn header(line: &str) -> Result<(String, String), &'static str> {
    let (name, value) = line.split_once(':').ok_or("must be \"Name: value\"")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
