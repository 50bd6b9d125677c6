//! Entries of the operator's allow list (`--allow-target`).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::Host;

use super::{Invalid, TargetUrl, is_port, name_fault, policy};

/// Targets that the operator allows: addresses or one host, on every port or on one.
///
/// Text forms: `10.0.0.0/8`, `10.0.0.0/8:8080`, `127.0.0.1`, `[fd00::/8]:8080`, `[::1]:80`,
/// `hooks.internal`, `hooks.internal:8080`. A bare address covers itself only (/32 or /128). Hosts are compared without
/// regard to case or a final dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowEntry {
    place: AllowTarget,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AllowTarget {
    Net(IpNet),
    /// In lower case, without a final dot.
    Host(String),
}

impl AllowEntry {
    /// Returns the entry for one address on every port.
    pub(super) fn for_address(address: IpAddr) -> AllowEntry {
        AllowEntry { place: AllowTarget::Net(IpNet::from(address)), port: None }
    }

    /// Returns the entry for the URL's host, a name or an address, on every port.
    pub(super) fn for_host(url: &TargetUrl) -> AllowEntry {
        match url.address() {
            Some(address) => AllowEntry::for_address(policy::judged_form(address)),
            None => AllowEntry { place: AllowTarget::Host(url.host().to_owned()), port: None },
        }
    }

    /// Returns the entry for the URL's host on its port only.
    pub(super) fn for_origin(url: &TargetUrl) -> AllowEntry {
        AllowEntry { port: Some(url.port()), ..AllowEntry::for_host(url) }
    }

    /// Returns the entry for the URL's host on its port only, for a person who typed the URL.
    pub fn of_origin(url: &TargetUrl) -> AllowEntry {
        AllowEntry::for_origin(url)
    }

    /// Returns the entry on one port only.
    #[must_use]
    pub fn on_port(self, port: u16) -> AllowEntry {
        AllowEntry { port: Some(port), ..self }
    }

    /// Whether the entry opens a metadata address of a cloud machine.
    pub fn names_metadata(&self) -> bool {
        matches!(&self.place, AllowTarget::Net(net) if policy::is_metadata(*net))
    }

    /// Whether the entry covers an address, given in its judged form.
    pub(super) fn covers_address(&self, address: IpAddr, port: u16) -> bool {
        self.covers_port(port) && matches!(&self.place, AllowTarget::Net(net) if net.contains(&address))
    }

    /// Whether the entry names this address alone.
    pub(super) fn names_address(&self, address: IpAddr, port: u16) -> bool {
        self.covers_port(port) && matches!(&self.place, AllowTarget::Net(net) if *net == IpNet::from(address))
    }

    /// Whether the entry names the URL's host by name.
    pub(super) fn covers_host(&self, url: &TargetUrl) -> bool {
        self.covers_port(url.port()) && matches!(&self.place, AllowTarget::Host(host) if host == url.host())
    }

    /// Whether the entry could cover some address that the URL's host resolves to.
    pub(super) fn may_cover_addresses_of(&self, url: &TargetUrl) -> bool {
        self.covers_port(url.port()) && matches!(self.place, AllowTarget::Net(_))
    }

    fn covers_port(&self, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
    }
}

impl fmt::Display for AllowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            AllowTarget::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
            AllowTarget::Net(net) => net.to_string(),
            AllowTarget::Host(host) => host.clone(),
        };
        match self.port {
            None => f.write_str(&place),
            Some(port) if place.contains(':') => write!(f, "[{place}]:{port}"),
            Some(port) => write!(f, "{place}:{port}"),
        }
    }
}

impl FromStr for AllowEntry {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<AllowEntry, Invalid> {
        let faulty = |fault: &str| Invalid::new("invalid_target", format!("{text:?} is not a valid target: {fault}"));
        let (place, port) = split_port(text).map_err(faulty)?;
        let place = match parse_net(place).map_err(|fault| faulty(&fault))? {
            Some(net) => AllowTarget::Net(net),
            None => AllowTarget::Host(parse_host(place).map_err(|fault| faulty(&fault))?),
        };
        Ok(AllowEntry { place, port })
    }
}

/// Splits off the port. Only brackets distinguish the port of an IPv6 address from its last group.
fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    const BAD_PORT: &str = "the port must be a number from 1 to 65535.";
    let (place, port) = if let Some(rest) = text.strip_prefix('[') {
        let (place, rest) = rest.split_once(']').ok_or("the closing bracket is missing.")?;
        if !place.contains(':') {
            return Err("brackets are for IPv6 addresses only.");
        }
        match rest.strip_prefix(':') {
            None if rest.is_empty() => (place, None),
            None => return Err("after the bracket, write a colon and the port, or nothing."),
            Some(port) => (place, Some(port)),
        }
    } else {
        match text.split_once(':') {
            None => (text, None),
            Some((_, rest)) if rest.starts_with("//") => {
                return Err("this is a URL. Write only the host, or host:port.");
            }
            Some((_, rest)) if rest.contains(':') => (text, None),
            Some((place, port)) => (place, Some(port)),
        }
    };
    match port {
        None => Ok((place, None)),
        Some(digits) if is_port(digits) => Ok((place, digits.parse().ok())),
        Some(_) => Err(BAD_PORT),
    }
}

/// Returns `None` if the text is neither a network nor an address, but possibly a host name.
fn parse_net(text: &str) -> Result<Option<IpNet>, String> {
    let net = if let Ok(address) = text.parse::<IpAddr>() {
        IpNet::from(address)
    } else if let Ok(net) = text.parse::<IpNet>() {
        net
    } else if text.contains('/') {
        return Err("write a network as address/prefix, for example 10.0.0.0/8.".to_owned());
    } else if text.contains(':') {
        return Err("write an IPv6 address with a port in brackets, for example [fd00::1]:8080.".to_owned());
    } else {
        return Ok(None);
    };
    if net != net.trunc() {
        return Err(format!(
            "the network has bits set beyond its prefix. Write {} for all of it, or {} for one address.",
            net.trunc(),
            net.addr()
        ));
    }
    if let IpAddr::V4(inner) = policy::judged_form(net.addr())
        && net.addr().is_ipv6()
        && net.prefix_len() >= 96
    {
        return Err(format!(
            "such addresses are judged by the IPv4 address inside. Write {inner}/{}.",
            net.prefix_len() - 96
        ));
    }
    if let Some(what) = policy::never_opened(net) {
        return Err(format!("every address in it is {what}, which cannot be allowed."));
    }
    Ok(Some(net))
}

fn parse_host(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err("it names no host.".to_owned());
    }
    if let Some(fault) = name_fault(name) {
        return Err(fault);
    }
    // The URL parser reads 127.1 and 2130706433 as addresses: as a name the entry would never match.
    match Host::parse(name) {
        Ok(Host::Domain(host)) => Ok(host),
        Ok(Host::Ipv4(address)) => Err(format!("write the address as {address}.")),
        Ok(Host::Ipv6(_)) | Err(_) => Err("it is neither a host name nor an address.".to_owned()),
    }
}
