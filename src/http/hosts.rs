//! Host names that the server answers to, against DNS rebinding: a page of another site whose name begins to resolve to
//! this server's address shares the browser's origin with the server, and must not reach it.
//!
//! Such a name is a public one, so it contains a dot. IP addresses cannot be rebound, and names without a dot (`localhost`,
//! or a service in a network of containers) are not public. All these pass, and of the others only known ones.

use std::net::{Ipv4Addr, Ipv6Addr};

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};

use super::error::ApiError;
use super::site::BaseUrl;
pub use crate::domain::host_name::HostName;
use crate::domain::live::Live;

/// Names of the server that contain a dot. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    base: Option<HostName>,
    live: Live,
}

/// Paths that tell nothing and change nothing, which load balancers request under any name.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

impl Hosts {
    /// The host of the base URL, and those of the settings.
    pub fn new(base: Option<&BaseUrl>, live: Live) -> Hosts {
        // The host of an IPv6 address is no name.
        Hosts { base: base.and_then(|base| base.host().parse().ok()), live }
    }

    /// Refuses a request for a host that the server does not have.
    pub fn check(&self, request: &HttpRequest) -> Result<(), ApiError> {
        // Browsers always send a host.
        let Some(value) = request.headers().get(header::HOST) else {
            return Ok(());
        };
        if self.has(value.as_bytes()) || OPEN.contains(&request.path()) {
            return Ok(());
        }
        let host: String = String::from_utf8_lossy(value.as_bytes()).chars().take(253).collect();
        Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown_host",
            format!(
                "This server does not answer to the host {host:?}. If that is one of its names, set --base-url to its URL, or add the name with --allow-host."
            ),
        ))
    }

    fn has(&self, host: &[u8]) -> bool {
        let Ok(host) = std::str::from_utf8(host) else {
            return false;
        };
        if let Some(rest) = host.strip_prefix('[') {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port.strip_prefix(':')));
        }
        let name = match host.rsplit_once(':') {
            Some((name, port)) if is_port(Some(port)) => name,
            _ => host,
        };
        if name.is_empty() || name.parse::<Ipv4Addr>().is_ok() {
            return true;
        }
        let Ok(host) = name.parse::<HostName>() else {
            return false;
        };
        let name = host.as_str();
        !name.contains('.')
            || name.ends_with(".localhost")
            || self.base.as_ref() == Some(&host)
            || self.live.get().allow_hosts.contains(&host)
    }
}

fn is_port(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::live::LiveSettings;

    #[test]
    fn addresses_local_names_and_known_names_pass_and_no_other() {
        let base: BaseUrl = "https://Hooks.example.com/hookpost".parse().unwrap();
        let hosts = Hosts::new(
            Some(&base),
            Live::new(LiveSettings {
                allow_hosts: vec!["API.internal.example".parse().unwrap()],
                ..LiveSettings::default()
            }),
        );
        for host in [
            "hooks.example.com",
            "HOOKS.example.com:443",
            "hooks.example.com.",
            "api.internal.example:8080",
            "localhost:8080",
            "app.localhost",
            "hookpost",
            "hookpost_web-1:8080",
            "127.0.0.1:8080",
            "203.0.113.9",
            "[::1]:8080",
            "[2001:db8::1]",
            "",
        ] {
            assert!(hosts.has(host.as_bytes()), "{host}");
        }
        for host in [
            "evil.example",
            "example.com",
            "evil.hooks.example.com",
            "hooks.example.com.evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8080",
            "127.0.0.1:8080.evil.example",
            "[::1].evil.example:80a",
            "[evil.example]",
            "hooks.example.com@evil.example",
            "a b",
            "\u{e9}",
        ] {
            assert!(!hosts.has(host.as_bytes()), "{host}");
        }
        assert!(!hosts.has(b"\xff"));
        for bad in ["", ".", "https://a.example", "a.example:80", "a/b", "*.example.com"] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
    }
}
