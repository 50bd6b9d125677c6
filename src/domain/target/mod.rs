//! Targets of webhooks: the URL, the operator's allow list, and the policy for addresses.
//!
//! Rules only: never resolves a name, opens a socket or reads a clock. `delivery::guard` resolves names and has the
//! addresses checked here before every connection.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

use super::Invalid;

mod allow;
mod inbox;
mod policy;
#[cfg(test)]
mod tests;

pub use allow::AllowEntry;
pub use inbox::OwnInbox;
pub use policy::{Refusal, TargetPolicy, way_out};

/// Maximum length of a URL in bytes, both as given and as printed after parsing.
pub const MAX_URL_BYTES: usize = 2048;

/// The URL of a webhook: `http` or `https`, a host, a port from 1 to 65535, no user, no fragment.
///
/// The text is the output of the `url` crate (WHATWG URL Standard): numeric forms such as `http://2130706433` are
/// normalized to `http://127.0.0.1/`, and the same text is stored, checked and connected to. Parsing it again gives an
/// equal value. A valid URL is not necessarily an allowed one: see [`TargetPolicy`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetUrl {
    text: String,
    /// `scheme://host:port`, always with the port.
    origin: String,
    /// End of the host in `origin`.
    host_end: usize,
    address: Option<IpAddr>,
    port: u16,
    https: bool,
}

impl TargetUrl {
    /// Regular expression that every valid URL matches, but not only valid ones.
    pub const PATTERN: &str =
        r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\\#/?\u0000-\u001f\u007f-\u009f]+([/?][^\s\\#\u0000-\u001f\u007f-\u009f]*)?$";

    /// Whole URL as the parser prints it; ASCII, at most 2,048 bytes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host in lower case, an IPv6 address in brackets. Never ends with a dot.
    pub fn host(&self) -> &str {
        &self.origin[self.host_start()..self.host_end]
    }

    /// Port to connect to, 1 to 65535; by default 443 or 80.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the scheme is `https`, not `http`.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// `host:port`, always with the port: the key of limits per host.
    pub fn host_key(&self) -> &str {
        &self.origin[self.host_start()..]
    }

    /// `scheme://host:port`, always with the port. The policy decides the same for all URLs of an origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Address, if the host is one; `None` for a name.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Whether the host is `localhost` or ends in `.localhost`: always loopback (RFC 6761, section 6.3).
    pub fn is_localhost(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.ends_with(".localhost")
    }

    /// Path from its first slash up to the query.
    pub fn path(&self) -> &str {
        let authority = &self.text[self.host_start()..];
        let path = authority.find('/').map_or("/", |at| &authority[at..]);
        path.split('?').next().unwrap_or(path)
    }

    /// URL as logs and the audit list show it: without what follows the host, which often is a secret itself.
    pub fn masked(&self) -> String {
        let path = self.text[self.host_start()..].find('/').map_or(self.text.len(), |at| self.host_start() + at);
        let (host, rest) = self.text.split_at(path);
        if rest.len() > 1 { format!("{host}/…") } else { self.text.clone() }
    }

    fn host_start(&self) -> usize {
        if self.https { "https://".len() } else { "http://".len() }
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for TargetUrl {
    type Err = Invalid;

    /// Refuses text that the parser would repair into another URL: `url` drops tabs and line ends, reads `\` as `/`, decodes
    /// `%` in hosts and turns full-width digits into plain ones.
    fn from_str(text: &str) -> Result<TargetUrl, Invalid> {
        refuse_oversize(text)?;
        refuse_repairable_characters(text)?;
        refuse_ambiguous_authority(authority(text)?)?;
        let url =
            Url::parse(text).map_err(|error| invalid(format!("The URL cannot be read: {error}. Check the host.")))?;
        refuse_oversize(url.as_str())?;
        TargetUrl::from_parsed(url)
    }
}

impl TargetUrl {
    fn from_parsed(url: Url) -> Result<TargetUrl, Invalid> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(invalid(WRONG_SCHEME)),
        };
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.fragment().is_some() {
            return Err(invalid("The URL has a user or a fragment. Leave it out."));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(name)) => {
                name_fault(name).map_or(Ok(()), |fault| Err(invalid(fault)))?;
                None
            }
            None => return Err(invalid(NO_HOST)),
        };
        let host = url.host_str().ok_or_else(|| invalid(NO_HOST))?;
        let port = url.port_or_known_default().ok_or_else(|| invalid(BAD_PORT))?;
        let origin = format!("{}://{host}:{port}", url.scheme());
        let host_end = url.scheme().len() + "://".len() + host.len();
        Ok(TargetUrl { origin, host_end, address, port, https, text: url.into() })
    }
}

fn invalid(message: impl Into<String>) -> Invalid {
    Invalid::new("invalid_url", message)
}

const NO_HOST: &str = "The URL names no host. Write it as https://host/path.";
const WRONG_SCHEME: &str = "The URL must begin with https:// (or http://, where the operator allows it).";
const BAD_PORT: &str = "The port must be a number from 1 to 65535. Correct it, or leave it and its colon out.";

fn refuse_oversize(text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(invalid("The URL is empty. Write it as https://host/path."));
    }
    if text.len() > MAX_URL_BYTES {
        return Err(invalid(format!(
            "The URL has {} bytes, percent-encoding included, and {MAX_URL_BYTES} are the limit. Shorten it.",
            text.len()
        )));
    }
    Ok(())
}

fn refuse_repairable_characters(text: &str) -> Result<(), Invalid> {
    let fault = text.chars().find_map(|c| match c {
        _ if c.is_control() => {
            Some(format!("The URL contains the control character U+{:04X}. Remove it.", u32::from(c)))
        }
        _ if c.is_whitespace() => {
            Some("The URL contains a space. Remove it, or write %20 in the path or the query.".to_owned())
        }
        '\\' => Some("The URL contains a backslash. Write / instead, or %5C in the path or the query.".to_owned()),
        '#' => Some("The URL has a fragment (#), which is never sent. Remove it, or write %23.".to_owned()),
        _ => None,
    });
    fault.map_or(Ok(()), |fault| Err(invalid(fault)))
}

/// Returns the text between `://` and the path, as the parser cuts it if there are no backslashes.
fn authority(text: &str) -> Result<&str, Invalid> {
    let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid(WRONG_SCHEME))?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(invalid(WRONG_SCHEME));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    Ok(&rest[..end])
}

fn refuse_ambiguous_authority(authority: &str) -> Result<(), Invalid> {
    if authority.contains('@') {
        return Err(invalid(
            "The URL has a user or password before an @. Remove it; secrets go into a header of the webhook.",
        ));
    }
    let (host, port) = if authority.starts_with('[') {
        let end = authority
            .find(']')
            .ok_or_else(|| invalid("The IPv6 address has no closing bracket. Write it as [2001:db8::1]."))?;
        authority.split_at(end + 1)
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    refuse_ambiguous_host(host)?;
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(()),
        Some(digits) if is_port(digits) => Ok(()),
        Some(rest) if rest.contains(':') => Err(invalid(
            "The host has several colons. Write an IPv6 address in brackets, as in https://[2001:db8::1]/.",
        )),
        _ => Err(invalid(BAD_PORT)),
    }
}

/// Whether the text is a port from 1 to 65535, in ASCII digits only.
fn is_port(digits: &str) -> bool {
    // `parse` alone would take a leading plus sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|port| port != 0)
}

fn refuse_ambiguous_host(host: &str) -> Result<(), Invalid> {
    if host.is_empty() {
        return Err(invalid(NO_HOST));
    }
    if !host.is_ascii() {
        return Err(invalid(
            "The host contains characters beyond ASCII. Write an international name in punycode (xn--…).",
        ));
    }
    if host.starts_with('[') {
        if host.contains('%') {
            return Err(invalid(
                "The IPv6 address has a zone id (%). Zones belong to one machine's links; leave it out.",
            ));
        }
        return Ok(());
    }
    if host.contains('%') {
        return Err(invalid("The host is percent-encoded. Write the characters themselves."));
    }
    // A name with the final dot would be another key for limits and allow entries, and no certificate has it.
    if host.ends_with('.') {
        return Err(invalid("The host ends with a dot. Leave the dot out."));
    }
    name_fault(host).map_or(Ok(()), |fault| Err(invalid(fault)))
}

/// Returns the fault of a host name as a sentence. Allows letters, digits, `-`, `_` and dots; lengths as in RFC 1035,
/// section 2.3.4.
fn name_fault(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(odd) = name.chars().find(|&c| !plain(c)) {
        return Some(format!(
            "The host contains {odd:?}. Only letters, digits, hyphens, underscores and dots make a host name."
        ));
    }
    if name.len() > 253 {
        return Some("The host name is longer than 253 characters. Shorten it.".to_owned());
    }
    if name.split('.').any(|label| label.is_empty()) {
        return Some("The host name has an empty part between two dots. Correct it.".to_owned());
    }
    if name.split('.').any(|label| label.len() > 63) {
        return Some("A part of the host name is longer than 63 characters. Shorten it.".to_owned());
    }
    None
}
