//! Profiles: the built-in ones compared with their documents on both sides, and custom ones.

mod challenge;
mod commands;
mod custom;
mod ecmascript;
mod exact;
mod receivers;
mod requests;
mod rotation;
mod schedules;
pub mod snippets;
mod templates;
mod vectors;
mod vendors;

use crate::support::skipped;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::receiver::{Received, Receiver, Reply};

/// Every built-in profile.
pub const ALL: [&str; 8] =
    ["generic", "irisync", "iverton", "socialsyncer", "influship", "standard", "github", "stripe"];

/// If set, a missing `node` or `python3` is a failure.
const REQUIRE_NODE: &str = "HOOKPOST_TEST_REQUIRE_NODE";
/// If set, missing published packages (`stripe`, `standardwebhooks`) are a failure.
pub const REQUIRE_PACKAGES: &str = "HOOKPOST_TEST_REQUIRE_PACKAGES";

/// Starts a receiver that responds to the challenge of `influship` as documented, and to everything else with this
/// status.
fn answering(status: u16) -> Receiver {
    Receiver::with(move |request| if is_challenge(request) { echo(request) } else { Reply::status(status) })
}

fn is_challenge(request: &Received) -> bool {
    request.header("x-influship-event") == Some("webhook.verify")
}

fn echo(request: &Received) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let answer = serde_json::json!({"challenge": body["challenge"]});
    Reply::status(200).body(answer.to_string())
}

/// Received requests without challenges.
fn deliveries(receiver: &Receiver) -> Vec<Received> {
    let mut requests = receiver.requests();
    requests.retain(|request| !is_challenge(request));
    requests
}

/// Returns a program's output for this input, or `None` if the program is not installed.
pub fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        child => child.unwrap(),
    };
    let mut stdin = child.stdin.take().unwrap();
    // These programs read all input before they print, so neither side blocks the other.
    stdin.write_all(input).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    Some(output.stdout)
}
