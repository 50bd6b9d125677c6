//! Checks of the network: addresses, proxy, names, outgoing requests, clock, mail server.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use serde_json::Value;
use url::{Host, Url};

use super::super::CliError;
use super::super::api::own_client;
use super::super::common::reachable;
use super::Finding;
use crate::clock::Clock;
use crate::delivery::endpoint::USER_AGENT;
use crate::delivery::http::anywhere::Anywhere;
use crate::delivery::http::client::{Client, ClientOptions, ClientResult};
use crate::delivery::mail::{self, MailOptions};
use crate::domain::time::{MINUTE, Millis, SECOND, parse_http_date};
use crate::http::site::BaseUrl;
use crate::server::ServerOptions;

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer of this machine's server that are read.
const MOST_BYTES: usize = 16 << 10;
/// Time that the lookup of a name should not take.
const SLOW: Duration = Duration::from_secs(2);
/// Difference to the clock of another server that is still normal.
const SMALL_DIFFERENCE: Millis = 30 * SECOND;
/// Difference from which on receivers reject signatures.
const LARGE_DIFFERENCE: Millis = 4 * MINUTE;

/// The network as this server uses it.
#[derive(Clone)]
pub(super) struct Network {
    client: Client,
    /// Client for the server of this machine, whatever its certificate.
    own: Client,
    /// Whether that server speaks HTTPS itself.
    has_tls: bool,
    probe: Url,
    /// Names that the settings have.
    names: Vec<String>,
}

impl Network {
    pub(super) fn new(options: &ServerOptions, probe: Url) -> Result<Network, CliError> {
        let client_options = ClientOptions {
            user_agent: USER_AGENT.to_owned(),
            extra_root_certificates: options.extra_certificates.clone(),
            ..ClientOptions::default()
        };
        let client = Client::new(Arc::new(Anywhere), client_options);
        let client = client.map_err(|error| CliError::Other(format!("--ca-file: {error}")))?;
        let host = |url: &Url| match url.host() {
            Some(Host::Domain(name)) => Some(name.to_owned()),
            _ => None,
        };
        let of_text = |text: &str| Url::parse(text).ok().as_ref().and_then(host);
        let names = [
            host(&probe),
            options.base_url.as_ref().and_then(|base| of_text(&base.to_string())),
            options.heartbeat_url.as_deref().and_then(of_text),
            options.mail.as_ref().and_then(|mail| of_text(&format!("http://{}/", mail.url.host))),
        ];
        let mut names: Vec<String> = names.into_iter().flatten().collect();
        names.sort();
        names.dedup();
        Ok(Network { client, own: own_client(MOST_BYTES)?, has_tls: options.tls.is_some(), probe, names })
    }

    fn scheme(&self) -> &'static str {
        if self.has_tls { "https" } else { "http" }
    }

    fn get(&self, url: &str) -> ClientResult {
        self.client.get(url, TIMEOUT)
    }

    /// Checks that the address is free, or that this program listens there.
    pub(super) fn listen(&self, address: SocketAddr) -> Vec<Finding> {
        vec![match TcpListener::bind(address) {
            Ok(_) => Finding::ok("listen", format!("{address} is free. The server does not run there.")),
            Err(error) if error.kind() == ErrorKind::AddrInUse => self.running(address),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::problem(
                "listen",
                format!("This user may not listen on {address}: {error}."),
                "Choose a port above 1023 with --listen, and put a proxy in front.",
            ),
            Err(error) => Finding::problem(
                "listen",
                format!("{address} cannot be listened on: {error}."),
                "Set --listen to an address of this machine.",
            ),
        }]
    }

    fn running(&self, address: SocketAddr) -> Finding {
        let own = format!("{}://{}", self.scheme(), reachable(address));
        let ready = self.own.get(&format!("{own}/readyz"), TIMEOUT).answer.filter(|_| self.is_ours(&own));
        match ready {
            Some(answer) if answer.code == 200 => Finding::ok("listen", format!("The server runs on {address}.")),
            Some(answer) if answer.code == 503 => Finding::problem(
                "listen",
                format!("The server on {address} is not ready: {}", String::from_utf8_lossy(&answer.body)),
                "See the server's log.",
            ),
            _ => Finding::problem(
                "listen",
                format!("Another program listens on {address}."),
                "Stop it, or choose another port with --listen.",
            ),
        }
    }

    /// Whether a server of this program answers at a URL.
    fn is_ours(&self, url: &str) -> bool {
        let alive = self.own.get(&format!("{url}/healthz"), TIMEOUT);
        alive.answer.is_some_and(|answer| answer.code == 200 && is_health(&answer.body))
    }

    /// Checks the URL in browsers and the proxy in front.
    pub(super) fn base_url(&self, base: Option<&BaseUrl>, listen: SocketAddr, proxies: &[IpNet]) -> Vec<Finding> {
        let proxy = proxy(base.filter(|_| !self.has_tls), proxies);
        let Some(base) = base else {
            let own_url = BaseUrl::from_address(listen, self.has_tls);
            let own = if listen.ip().is_loopback() {
                Finding::ok("base URL", format!("It is not set, so links lead to {own_url}."))
            } else {
                let message = format!("It is not set, so links in e-mails and in the portal lead to {own_url}.");
                Finding::warning("base URL", message, "Set --base-url to the URL that browsers use.")
            };
            return vec![own, proxy];
        };
        let answer = self.get(&format!("{base}/healthz"));
        let reached = match (&answer.answer, &answer.failure) {
            (Some(response), None) if is_health(&response.body) => {
                Finding::ok("base URL", format!("{base} leads to the server."))
            }
            (Some(response), _) => Finding::problem(
                "base URL",
                format!("{base}/healthz answered {}, which is not this server's answer.", response.code),
                "Check the proxy in front: it must pass all paths below the base URL on, with the Host header.",
            ),
            (None, failure) => {
                let reason = failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
                Finding::warning(
                    "base URL",
                    format!("{base} cannot be reached from this machine: {reason}"),
                    "Check that the server and the proxy run, and the DNS name.",
                )
            }
        };
        vec![reached, proxy]
    }

    /// Looks up the names that the settings have.
    pub(super) fn dns(&self) -> Vec<Finding> {
        if self.names.is_empty() {
            return vec![Finding::skipped("DNS", "The settings have no names.")];
        }
        let look_up = |name: &String| {
            let began = Instant::now();
            let found = (name.as_str(), 443).to_socket_addrs().map(|addresses| addresses.count());
            let took = began.elapsed();
            let advice = "Check the name servers in /etc/resolv.conf.";
            match found {
                Ok(1..) if took > SLOW => {
                    Finding::warning("DNS", format!("The lookup of {name} took {} s.", took.as_secs()), advice)
                }
                Ok(1..) => Finding::ok("DNS", format!("{name} has an address.")),
                Ok(0) => Finding::problem("DNS", format!("{name} has no address."), advice),
                Err(error) => Finding::problem("DNS", format!("{name} cannot be looked up: {error}."), advice),
            }
        };
        self.names.iter().map(look_up).collect()
    }

    /// Checks an outgoing request, and the clock by the date of its answer.
    pub(super) fn outgoing(&self) -> Vec<Finding> {
        let url = &self.probe;
        let result = self.get(url.as_str());
        let Some(answer) = result.answer else {
            let reason = result.failure.map(|failure| failure.message).unwrap_or_default();
            let advice =
                "Deliveries need outgoing connections, to port 443 mostly, without an HTTP proxy. Check the firewall.";
            let reached = Finding::problem("outgoing HTTPS", format!("{url} cannot be reached: {reason}"), advice);
            return vec![reached, Finding::skipped("clock", "There is no other clock to compare with.")];
        };
        let reached = Finding::ok("outgoing HTTPS", format!("{url} answered {}.", answer.code));
        let date = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("date"));
        let there = date.and_then(|(_, value)| parse_http_date(value));
        vec![reached, clock(there, Clock::machine().now_ms())]
    }
}

/// Whether a body is that of `/healthz`.
fn is_health(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|health| health["status"] == "ok")
}

/// Compares the clock with another one.
fn clock(there: Option<Millis>, here: Millis) -> Finding {
    let Some(there) = there else {
        return Finding::skipped("clock", "The answer had no date to compare with.");
    };
    let difference = (here - there).abs();
    let side = if here > there { "ahead of" } else { "behind" };
    let message = format!("The clock is {} s {side} that of the other server.", difference / SECOND);
    let advice = "Turn on time synchronization (NTP). Receivers reject signatures whose time is minutes off.";
    match difference {
        ..=SMALL_DIFFERENCE => Finding::ok("clock", "The clock agrees with that of the other server."),
        LARGE_DIFFERENCE.. => Finding::problem("clock", message, advice),
        _ => Finding::warning("clock", message, advice),
    }
}

/// Checks that clients behind a proxy are told apart, and that nobody can pretend to be another.
fn proxy(base: Option<&BaseUrl>, proxies: &[IpNet]) -> Finding {
    if let Some(all) = proxies.iter().find(|range| range.prefix_len() == 0) {
        let message = format!("{all} trusts the X-Forwarded-For header of everybody.");
        return Finding::problem("proxy", message, "Set --trusted-proxy to the address of the proxy alone.");
    }
    match (base.is_some_and(BaseUrl::is_https), proxies) {
        (true, []) => Finding::warning(
            "proxy",
            "The base URL has https, so a proxy is in front, but none is trusted: all clients have the proxy's address.",
            "Set --trusted-proxy to the address of the proxy, and have it set X-Forwarded-For.",
        ),
        (_, []) => Finding::skipped("proxy", "No proxy is trusted, and none is needed."),
        (_, proxies) => {
            let list: Vec<String> = proxies.iter().map(ToString::to_string).collect();
            Finding::ok("proxy", format!("X-Forwarded-For is taken from {}.", list.join(", ")))
        }
    }
}

/// Connects to the mail server and signs in.
pub(super) fn mail(options: Option<MailOptions>) -> Vec<Finding> {
    let Some(options) = options else {
        let message = "No mail server is configured (--smtp-url), so contacts by e-mail get no messages.";
        return vec![Finding::skipped("mail", message)];
    };
    vec![match mail::probe(&options) {
        Ok(()) => Finding::ok("mail", format!("{} takes connections.", options.url)),
        Err(reason) => Finding::problem("mail", reason, "Check --smtp-url and --smtp-password-file, and the firewall."),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    #[test]
    fn a_clock_that_is_minutes_off_is_a_problem_in_both_directions() {
        let now = 1_768_471_200_000;
        for (difference, grade) in
            [(0, Grade::Ok), (20, Grade::Ok), (60, Grade::Warning), (239, Grade::Warning), (240, Grade::Problem)]
        {
            for there in [now + difference * SECOND, now - difference * SECOND] {
                assert_eq!(clock(Some(there), now).grade, grade, "{difference}");
            }
        }
        assert_eq!(clock(None, now).grade, Grade::Skipped);
    }
}
