//! The heartbeat: a request to a monitor, which raises an alarm when none comes any more (a dead-man's switch).
//!
//! The URL is the operator's choice (`--heartbeat-url`), so it may be on a private address, as a monitor on the same machine
//! is. The client is that of deliveries, without the guard.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::USER_AGENT;
use super::http::anywhere::Anywhere;
use super::http::client::{Client, ClientError, ClientOptions};

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends heartbeats to one URL.
pub struct Heartbeat {
    client: Client,
    url: String,
}

impl Heartbeat {
    pub fn new(url: String, extra_certificates: Vec<Vec<u8>>) -> Result<Heartbeat, ClientError> {
        let options = ClientOptions {
            user_agent: USER_AGENT.to_owned(),
            extra_root_certificates: extra_certificates,
            idle_connections: 1,
            ..ClientOptions::default()
        };
        Ok(Heartbeat { client: Client::new(Arc::new(Anywhere), options)?, url })
    }

    /// Sends one heartbeat. Returns why the monitor did not take it, as a sentence.
    pub fn send(&self) -> Result<(), String> {
        match self.client.get(&self.url, TIMEOUT).failure {
            None => Ok(()),
            Some(failure) => Err(failure.message),
        }
    }
}
