//! Target policy: forbidden addresses, the entries that allow them, and the rule for plain HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{AllowEntry, TargetUrl};

/// The operator's rules: only public addresses are allowed, and those that the entries allow.
#[derive(Debug, Clone, Default)]
pub struct TargetPolicy {
    entries: Vec<AllowEntry>,
}

impl TargetPolicy {
    /// Creates a policy. Without entries it allows only HTTPS to public addresses.
    pub fn new(entries: Vec<AllowEntry>) -> TargetPolicy {
        TargetPolicy { entries }
    }

    /// Returns the policy with an additional entry.
    pub(super) fn with(&self, entry: AllowEntry) -> TargetPolicy {
        self.with_all(&[entry])
    }

    /// Returns the policy with additional entries.
    pub fn with_all(&self, more: &[AllowEntry]) -> TargetPolicy {
        TargetPolicy { entries: [&self.entries, more].concat() }
    }

    pub fn entries(&self) -> &[AllowEntry] {
        &self.entries
    }

    /// Checks all addresses of the URL's host. One forbidden address rejects the target.
    ///
    /// `own` are the addresses of this machine's interfaces, which are forbidden like private ones. Entries can allow
    /// private, loopback, carrier-grade NAT, unique local and own addresses; a metadata address only by an entry for this
    /// address alone; the other forbidden ranges never. Plain HTTP requires an entry for the host, or entries for all of
    /// its addresses.
    ///
    /// # Errors
    /// The refusal of the first forbidden address, or else of plain HTTP.
    pub fn judge(&self, url: &TargetUrl, addresses: &[IpAddr], own: &[IpAddr]) -> Result<(), Refusal> {
        for &address in addresses {
            self.judge_address(url, address, own)?;
        }
        let covers_all = !addresses.is_empty()
            && addresses.iter().all(|&address| self.covers_address(judged_form(address), url.port()));
        if url.is_https() || covers_all || self.covers_host(url) { Ok(()) } else { Err(Refusal::of_plain_http(url)) }
    }

    /// Checks a URL without a resolver, as far as possible: completely if its host is an address or a `localhost` name
    /// (checked as 127.0.0.1), otherwise only for plain HTTP that no entry could allow.
    ///
    /// # Errors
    /// See [`judge`](Self::judge).
    pub fn judge_literal(&self, url: &TargetUrl, own: &[IpAddr]) -> Result<(), Refusal> {
        let loopback = url.is_localhost().then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        if let Some(address) = url.address().or(loopback) {
            return self.judge(url, &[address], own);
        }
        let may_cover = |entry: &AllowEntry| entry.may_cover_addresses_of(url);
        let is_open = url.is_https() || self.covers_host(url) || self.entries.iter().any(may_cover);
        if is_open { Ok(()) } else { Err(Refusal::of_plain_http(url)) }
    }

    fn judge_address(&self, url: &TargetUrl, address: IpAddr, own: &[IpAddr]) -> Result<(), Refusal> {
        let inner = judged_form(address);
        let Some(ban) = ban_on(inner, own) else {
            return Ok(());
        };
        let open = match ban.opens {
            Opens::ByEntry => self.covers_host(url) || self.covers_address(inner, url.port()),
            Opens::ByItsOwnEntry => self.entries.iter().any(|entry| entry.names_address(inner, url.port())),
            Opens::Never => false,
        };
        if open { Ok(()) } else { Err(Refusal::of_address(url, address, ban)) }
    }

    fn covers_address(&self, address: IpAddr, port: u16) -> bool {
        self.entries.iter().any(|entry| entry.covers_address(address, port))
    }

    fn covers_host(&self, url: &TargetUrl) -> bool {
        self.entries.iter().any(|entry| entry.covers_host(url))
    }
}

/// Reason for rejecting a target, with the entry that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// With the setting that would allow the target.
    message: String,
    fact: String,
    /// For people who cannot change what is allowed.
    request: String,
    opened_by: Option<AllowEntry>,
}

impl Refusal {
    /// One or two sentences for the operator who entered the URL, with the setting to change.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The reason alone.
    pub fn fact(&self) -> &str {
        &self.fact
    }

    /// Advice for people of a tenant, without settings and resolved addresses.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Entry that would allow the address or plain HTTP, if any can. Another refusal may follow.
    pub fn opened_by(&self) -> Option<&AllowEntry> {
        self.opened_by.as_ref()
    }

    fn of_address(url: &TargetUrl, address: IpAddr, ban: Ban) -> Refusal {
        let inner = judged_form(address);
        let mut subject = if url.address().is_some() {
            format!("{address} ")
        } else {
            format!("{} resolves to {address}, which ", url.host())
        };
        if inner != address {
            subject.push_str(&format!("stands for {inner}, which "));
        }
        let opened_by = match ban.opens {
            Opens::Never => None,
            // The name covers 127.0.0.1 and ::1. The owner of any other name can point it anywhere, so the address is
            // proposed instead.
            Opens::ByEntry if url.is_localhost() => Some(AllowEntry::for_host(url)),
            Opens::ByEntry | Opens::ByItsOwnEntry => Some(AllowEntry::for_address(inner)),
        };
        let fact = format!("{subject}is {}.", ban.what);
        let request = format!("{} does not lead to a public address. Use a public https:// URL.", url.host());
        Refusal { message: format!("{fact} {}", way_out(opened_by.as_ref())), fact, request, opened_by }
    }

    fn of_plain_http(url: &TargetUrl) -> Refusal {
        let entry = Some(AllowEntry::for_host(url));
        let fact = "Plain HTTP is refused, because anyone on the way could read and alter what is sent.".to_owned();
        let request = format!("{fact} Use https://.");
        Refusal { message: format!("{request} {}", way_out(entry.as_ref())), fact, request, opened_by: entry }
    }
}

/// Sentence about the setting that would allow a target. Ends with the entry, without a full stop, to be copied.
pub fn way_out(entry: Option<&AllowEntry>) -> String {
    match entry {
        Some(entry) => {
            format!("To allow it, add it under Settings, Targets, or start the server with --allow-target {entry}")
        }
        None => "No setting opens it".to_owned(),
    }
}

/// Forbidden kind of address.
#[derive(Debug, Clone, Copy)]
struct Ban {
    /// The kind, in words that follow "is".
    what: &'static str,
    opens: Opens,
}

/// Entries that allow a forbidden address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// An entry for the host, or for a network with the address.
    ByEntry,
    /// An entry for this address alone.
    ByItsOwnEntry,
    Never,
}

const fn closed(what: &'static str) -> Ban {
    Ban { what, opens: Opens::Never }
}

const fn openable(what: &'static str) -> Ban {
    Ban { what, opens: Opens::ByEntry }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

const METADATA: Ban =
    Ban { what: "a metadata address of a cloud machine, which hands out its credentials", opens: Opens::ByItsOwnEntry };

/// AWS, Google Cloud, Azure and most others; AWS over IPv6; Azure's wire server.
const METADATA_ADDRESSES: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// From the IANA IPv4 Special-Purpose Address Registry (RFC 6890); 192.88.99.0/24 from RFC 7526.
#[rustfmt::skip]
const V4_BANS: [(Ipv4Net, Ban); 15] = [
    (v4(0, 0, 0, 0, 8), closed("an address of \"this network\", 0.0.0.0/8")),
    (v4(10, 0, 0, 0, 8), openable("a private address")),
    (v4(100, 64, 0, 0, 10), openable("a carrier-grade NAT address")),
    (v4(127, 0, 0, 0, 8), openable("a loopback address")),
    (v4(169, 254, 0, 0, 16), closed("a link-local address")),
    (v4(172, 16, 0, 0, 12), openable("a private address")),
    (v4(192, 0, 0, 0, 24), closed("an address for protocol assignments")),
    (v4(192, 0, 2, 0, 24), closed("an address for documentation")),
    (v4(192, 88, 99, 0, 24), closed("an address of the retired 6to4 relays")),
    (v4(192, 168, 0, 0, 16), openable("a private address")),
    (v4(198, 18, 0, 0, 15), closed("an address for benchmarks")),
    (v4(198, 51, 100, 0, 24), closed("an address for documentation")),
    (v4(203, 0, 113, 0, 24), closed("an address for documentation")),
    (v4(224, 0, 0, 0, 4), closed("a multicast address")),
    (v4(240, 0, 0, 0, 4), closed("a reserved address")),
];

/// Public IPv6 range (IANA IPv6 Address Space); all other addresses are forbidden.
const V6_GLOBAL: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Well-known ranges outside of 2000::/3, and the forbidden ranges within (IANA IPv6 Special-Purpose Address Registry;
/// 3fff::/20 from RFC 9637).
#[rustfmt::skip]
const V6_BANS: [(Ipv6Net, Ban); 11] = [
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), openable("a loopback address")),
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), closed("the unspecified address")),
    (v6(0, 0, 0, 96), closed("an IPv4-compatible address, a retired form")),
    (v6(0xfc00, 0, 0, 7), openable("a unique local (private) address")),
    (v6(0xfe80, 0, 0, 10), closed("a link-local address")),
    (v6(0xff00, 0, 0, 8), closed("a multicast address")),
    (v6(0x2001, 0, 0, 23), closed("an address for protocol assignments, Teredo among them")),
    (v6(0x2001, 0xdb8, 0, 32), closed("an address for documentation")),
    (v6(0x2002, 0, 0, 16), closed("a 6to4 address, which hides an IPv4 address")),
    (v6(0x3fff, 0, 0, 20), closed("an address for documentation")),
    (v6(0x64, 0xff9b, 1, 48), closed("an address of a local NAT64 translator")),
];

const OTHER_V6: Ban = closed("outside of the public IPv6 range 2000::/3");

/// The well-known prefix of NAT64 (RFC 6052, section 2.1): the last 32 bits are an IPv4 address.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// Returns the address that packets reach: the IPv4 address inside a mapped (`::ffff:0:0/96`) or NAT64 (`64:ff9b::/96`)
/// address, otherwise the address itself.
pub(super) fn judged_form(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(nat64) if NAT64.contains(&nat64) => {
            let [.., a, b, c, d] = nat64.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

/// Whether a network is one metadata address.
pub(super) fn is_metadata(net: IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len() && METADATA_ADDRESSES.contains(&net.addr())
}

/// Returns the kind of a network's addresses, if the network is within a range that no entry allows.
pub(super) fn never_opened(net: IpNet) -> Option<&'static str> {
    if is_metadata(net) {
        return None;
    }
    let covers = |range: IpNet| range.contains(&net);
    let v4 = V4_BANS.iter().find(|ban| covers(ban.0.into())).map(|ban| ban.1);
    let known = v4.or_else(|| V6_BANS.iter().find(|ban| covers(ban.0.into())).map(|ban| ban.1));
    known.filter(|ban| ban.opens == Opens::Never).map(|ban| ban.what)
}

/// Returns the ban on an address in its judged form; `None` for a public address.
fn ban_on(address: IpAddr, own: &[IpAddr]) -> Option<Ban> {
    if METADATA_ADDRESSES.contains(&address) {
        return Some(METADATA);
    }
    let by_range = match address {
        IpAddr::V4(v4) => V4_BANS.iter().find(|ban| ban.0.contains(&v4)).map(|ban| ban.1),
        IpAddr::V6(v6) => V6_BANS
            .iter()
            .find(|ban| ban.0.contains(&v6))
            .map(|ban| ban.1)
            .or_else(|| (!V6_GLOBAL.contains(&v6)).then_some(OTHER_V6)),
    };
    let is_own = || own.iter().any(|&mine| judged_form(mine) == address);
    by_range.or_else(|| is_own().then_some(openable("this machine's own address")))
}
