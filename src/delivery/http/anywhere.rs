//! Resolver of requests to URLs that the operator or the user of a command chose. They may be on private addresses.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Instant;

use url::Url;

use super::client::Resolve;
use crate::domain::attempt::FailureCause;

/// Resolver without a policy.
pub struct Anywhere;

impl Resolve for Anywhere {
    fn resolve(&self, url: &str, _tenant: &str, _deadline: Instant) -> Result<Arc<[SocketAddr]>, FailureCause> {
        let failed = |error: &dyn std::fmt::Display| FailureCause::LookupFailed { reason: error.to_string() };
        let url = Url::parse(url).map_err(|error| failed(&error))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(FailureCause::NoAddress);
        };
        let host = host.trim_matches(['[', ']']);
        Ok((host, port).to_socket_addrs().map_err(|error| failed(&error))?.collect())
    }
}
