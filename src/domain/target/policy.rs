//! The verdict: which addresses are forbidden, which entries open them, and the rule for plain HTTP.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{AllowEntry, TargetUrl};

/// The operator's rules: everything that is not the public internet is closed, except what the entries open.
#[derive(Debug, Clone, Default)]
pub struct TargetPolicy {
    entries: Vec<AllowEntry>,
}

impl TargetPolicy {
    /// A policy with these entries; with none, only HTTPS to public addresses is open.
    pub fn new(entries: Vec<AllowEntry>) -> TargetPolicy {
        TargetPolicy { entries }
    }

    /// The same rules with one more entry.
    pub(super) fn with(&self, entry: AllowEntry) -> TargetPolicy {
        let mut entries = self.entries.clone();
        entries.push(entry);
        TargetPolicy { entries }
    }

    /// Judges every address that the URL's host resolved to; one that is forbidden rejects the target.
    ///
    /// `own` are the addresses of this machine's interfaces, which are forbidden like private ones.
    /// Entries open private, loopback, carrier-grade NAT, unique local and own addresses; a metadata
    /// address only if an entry names it and nothing else; the other forbidden ranges never.
    /// Plain HTTP is open only to a host that an entry names, or if entries cover each address.
    ///
    /// # Errors
    /// The refusal for the first forbidden address, or else for plain HTTP.
    pub fn judge(&self, url: &TargetUrl, addresses: &[IpAddr], own: &[IpAddr]) -> Result<(), Refusal> {
        for &address in addresses {
            self.judge_address(url, address, own)?;
        }
        let covers_all = !addresses.is_empty()
            && addresses.iter().all(|&address| self.covers_address(judged_form(address), url.port()));
        if url.is_https() || covers_all || self.covers_host(url) { Ok(()) } else { Err(Refusal::of_plain_http(url)) }
    }

    /// What can be said without a resolver: the whole verdict on a host that is an address or a
    /// `localhost` name (judged as 127.0.0.1), and on plain HTTP that no entry could open.
    ///
    /// `Ok` for any other name means only that its addresses have to be judged.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub fn judge_literal(&self, url: &TargetUrl, own: &[IpAddr]) -> Result<(), Refusal> {
        if let Some(address) = url.address() {
            return self.judge(url, &[address], own);
        }
        if url.is_localhost() {
            return self.judge(url, &[IpAddr::V4(Ipv4Addr::LOCALHOST)], own);
        }
        let may_cover = |entry: &AllowEntry| entry.may_cover_addresses_of(url);
        if url.is_https() || self.covers_host(url) || self.entries.iter().any(may_cover) {
            Ok(())
        } else {
            Err(Refusal::of_plain_http(url))
        }
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

/// Why a target may not be called: a sentence for the person who set it up, and what would open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    message: String,
    opened_by: Option<AllowEntry>,
}

impl Refusal {
    /// What is forbidden and which setting opens it; one or two sentences.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The entry that would open what was refused; `None` if none does. Another refusal may follow it.
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
            // The name opens 127.0.0.1 and ::1 at once. Any other name is in the hands of whoever
            // keeps its zone, so for those only the address is proposed.
            Opens::ByEntry if url.is_localhost() => Some(AllowEntry::for_host(url)),
            Opens::ByEntry | Opens::ByItsOwnEntry => Some(AllowEntry::for_address(inner)),
        };
        let way_out = match &opened_by {
            Some(entry) => format!("To allow it, start the server with --allow-target {entry}"),
            None => "No setting opens it".to_owned(),
        };
        Refusal { message: format!("{subject}is {}. {way_out}", ban.what), opened_by }
    }

    fn of_plain_http(url: &TargetUrl) -> Refusal {
        let entry = AllowEntry::for_host(url);
        Refusal {
            message: format!(
                "Plain HTTP is refused, because anyone on the way could read and alter what is sent: \
                 use https:// or start the server with --allow-target {entry}"
            ),
            opened_by: Some(entry),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Refusal {}

/// What an address is, in words that follow "is", and what opens it.
#[derive(Debug, Clone, Copy)]
struct Ban {
    what: &'static str,
    opens: Opens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    /// By an entry for the host, or for a network that the address is in.
    ByEntry,
    /// By an entry for this one address only.
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

/// What is in use of IPv6 for everyone (IANA IPv6 Address Space); outside of it, all is forbidden.
const V6_GLOBAL: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Names for the best known ranges outside of 2000::/3, and the exceptions within it
/// (IANA IPv6 Special-Purpose Address Registry; 3fff::/20 from RFC 9637).
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

/// The address that a packet would reach in the end: the IPv4 one inside a mapped (`::ffff:0:0/96`)
/// or NAT64 (`64:ff9b::/96`) address, or else the address itself.
pub(super) fn judged_form(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(nat64) if NAT64.contains(&nat64) => {
            let [.., a, b, c, d] = nat64.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

/// What every address of the network is, if it lies in a single range that no entry opens.
pub(super) fn never_opened(net: IpNet) -> Option<&'static str> {
    let single = net.prefix_len() == net.max_prefix_len();
    if single && METADATA_ADDRESSES.contains(&net.addr()) {
        return None;
    }
    let is_wider = |range: IpNet| range.contains(&net);
    let known = match net {
        IpNet::V4(_) => V4_BANS.iter().find(|ban| is_wider(ban.0.into())).map(|ban| ban.1),
        IpNet::V6(_) => V6_BANS.iter().find(|ban| is_wider(ban.0.into())).map(|ban| ban.1),
    };
    known.filter(|ban| ban.opens == Opens::Never).map(|ban| ban.what)
}

/// Why this address, in its judged form, is forbidden; `None` for a public one.
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
