//! Public address of the server: base URL, cookies, trusted proxies, embedding of the portal.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
pub use actix_web::http::header::HeaderName;
use url::{Host, Url};

use crate::domain::Invalid;
pub use crate::domain::live::Branding;
use crate::domain::live::Live;
use crate::store::user::Role;

/// URL under which browsers reach the server: scheme, host, port, and optionally the path that a proxy maps to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https://hooks.example.com`
    origin: String,
    /// `/hookpost`, or empty.
    prefix: Arc<str>,
    /// Host without brackets.
    host: String,
    port: u16,
}

impl FromStr for BaseUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<BaseUrl, Invalid> {
        let invalid = || {
            Invalid::new(
                "invalid_base_url",
                "A base URL must be http or https with a host and an optional path, such as https://hooks.example.com or https://example.com/hookpost.",
            )
        };
        let url = Url::parse(text).map_err(|_| invalid())?;
        let is_plain =
            url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_plain {
            return Err(invalid());
        }
        let prefix = url.path().trim_end_matches('/');
        let is_odd = |c: char| !(c.is_ascii_alphanumeric() || "/-_.~".contains(c));
        if prefix.contains(is_odd) || prefix.contains("//") {
            return Err(invalid());
        }
        Ok(BaseUrl {
            origin: url.origin().ascii_serialization(),
            prefix: prefix.into(),
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().ok_or_else(invalid)?,
        })
    }
}

impl BaseUrl {
    /// Default base URL of a server that listens on this address; loopback if it listens on all addresses.
    pub fn from_address(address: SocketAddr) -> BaseUrl {
        let host = match address.ip() {
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            IpAddr::V4(ip) => ip.to_string(),
        };
        let port = address.port();
        BaseUrl { origin: format!("http://{host}:{port}"), prefix: Arc::default(), host, port }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn prefix(&self) -> &Arc<str> {
        &self.prefix
    }

    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// Whether browsers treat the server like one with HTTPS, because nobody between them can read along.
    fn is_loopback(&self) -> bool {
        let url = Url::parse(&self.origin).ok();
        url.is_some_and(|url| match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        })
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin, self.prefix)
    }
}

/// Headers by which trusted proxies name the user whom they have signed in.
#[derive(Debug, Clone)]
pub struct AuthProxy {
    pub user: HeaderName,
    /// Header with the text form of a role. Without it, roles are set in Hookpost.
    pub role: Option<HeaderName>,
}

/// User whom a trusted proxy has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUser {
    pub name: String,
    /// `None` if the proxy sends no roles.
    pub role: Option<Role>,
}

/// Public address of the server.
#[derive(Debug, Default)]
pub struct Site {
    base: OnceLock<BaseUrl>,
    pub auth_proxy: Option<AuthProxy>,
    live: Live,
}

impl Site {
    pub fn new(base: Option<BaseUrl>, live: Live) -> Site {
        Site { base: base.map(OnceLock::from).unwrap_or_default(), auth_proxy: None, live }
    }

    pub fn has_trusted_proxies(&self) -> bool {
        !self.live.get().trusted_proxies.is_empty()
    }

    /// Derives the base URL from the listening address, unless a base URL is set.
    pub fn listens_on(&self, address: SocketAddr) {
        let _ = self.base.set(BaseUrl::from_address(address));
    }

    pub fn base(&self) -> &BaseUrl {
        self.base.get_or_init(|| BaseUrl::from_address(SocketAddr::from(([127, 0, 0, 1], 8080))))
    }

    /// Returns the absolute URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    /// Name of the session cookie. With HTTPS, the prefix `__Host-` keeps other hosts and plain connections from setting
    /// it. Without, the name holds the port, because browsers send a cookie to every port of a host.
    pub fn cookie(&self) -> String {
        match self.base() {
            base if base.is_https() => "__Host-hookpost".to_owned(),
            base => format!("hookpost_{}", base.port),
        }
    }

    /// Whether portal sessions must work inside another site's frame. Their cookies need HTTPS, except on this machine.
    pub fn is_embedded(&self) -> bool {
        !self.live.get().portal.origins.is_empty() && (self.base().is_https() || self.base().is_loopback())
    }

    /// Whether a request comes from a page of this server, according to the browser's headers.
    pub fn is_same_site(&self, request: &HttpRequest) -> bool {
        let header = |name: &str| request.headers().get(name)?.to_str().ok();
        if let Some(site) = header("sec-fetch-site")
            && site != "same-origin"
        {
            return false;
        }
        let Some(origin) = header("origin") else {
            return true;
        };
        let host = header("host").unwrap_or_default();
        origin == self.base().origin
            || origin.strip_prefix("http://") == Some(host)
            || origin.strip_prefix("https://") == Some(host)
    }

    fn trusts(&self, address: &IpAddr) -> bool {
        self.live.get().trusted_proxies.iter().any(|range| range.contains(address))
    }

    /// Removes the headers of a sign-in proxy from a request of anybody else.
    pub fn remove_forged_user(&self, request: &mut ServiceRequest) {
        let Some(AuthProxy { user, role }) = &self.auth_proxy else {
            return;
        };
        if !request.peer_addr().is_some_and(|peer| self.trusts(&peer.ip().to_canonical())) {
            for header in [user].into_iter().chain(role) {
                request.headers_mut().remove(header);
            }
        }
    }

    /// Returns the user whom a trusted proxy has signed in; `None` without the header, or if it is empty. A role header that
    /// is missing or holds no known role makes a viewer.
    pub fn proxy_user(&self, request: &HttpRequest) -> Result<Option<ProxyUser>, Invalid> {
        let Some(AuthProxy { user, role }) = &self.auth_proxy else {
            return Ok(None);
        };
        if !request.peer_addr().is_some_and(|peer| self.trusts(&peer.ip().to_canonical())) {
            return Ok(None);
        }
        let name = only_value(request, user)?.unwrap_or_default();
        if name.is_empty() {
            return Ok(None);
        }
        let role = role.as_ref().map(|header| -> Result<Role, Invalid> {
            let text = only_value(request, header)?.unwrap_or_default();
            Ok(text.to_ascii_lowercase().parse().unwrap_or(Role::Viewer))
        });
        Ok(Some(ProxyUser { name: name.to_owned(), role: role.transpose()? }))
    }

    /// Returns the client's address: the peer's, or the one that trusted proxies report. Each proxy appends an address
    /// to `X-Forwarded-For`, some with its port; addresses before the trusted ones may be forged by the client. An IPv4
    /// address in the form of an IPv6 one is the IPv4 address.
    pub fn client_address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let is_trusted = |address: &IpAddr| self.trusts(address);
        let peer = request.peer_addr()?.ip().to_canonical();
        if !is_trusted(&peer) {
            return Some(peer);
        }
        let forwarded = request.headers().get_all("x-forwarded-for");
        let texts: Vec<&str> = forwarded.filter_map(|value| value.to_str().ok()).collect();
        let joined = texts.join(",");
        let mut last = peer;
        for text in joined.rsplit(',') {
            let Some(address) = forwarded_address(text.trim()) else {
                break;
            };
            last = address;
            if !is_trusted(&address) {
                break;
            }
        }
        Some(last)
    }
}

/// Returns the trimmed value of a header. A second one may be the client's own, which the proxy has passed on.
fn only_value<'a>(request: &'a HttpRequest, name: &HeaderName) -> Result<Option<&'a str>, Invalid> {
    let mut values = request.headers().get_all(name);
    let value = values.next().map(|value| std::str::from_utf8(value.as_bytes()));
    match (value.transpose(), values.next()) {
        (Ok(value), None) => Ok(value.map(str::trim)),
        (_, Some(_)) => Err(bad_header(name, "came more than once")),
        (Err(_), None) => Err(bad_header(name, "is not UTF-8")),
    }
}

fn bad_header(name: &HeaderName, fault: &str) -> Invalid {
    Invalid::new(
        "invalid_proxy_header",
        format!("The header {name} of the sign-in proxy {fault}. Correct the proxy's settings."),
    )
}

/// Parses an address of `X-Forwarded-For`, with or without a port or brackets.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|with_port: SocketAddr| with_port.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::domain::live::LiveSettings;

    fn trusting(ranges: &[&str]) -> Live {
        let trusted_proxies = ranges.iter().map(|range| range.parse().unwrap()).collect();
        Live::new(LiveSettings { trusted_proxies, ..LiveSettings::default() })
    }

    #[test]
    fn a_base_url_is_an_origin_and_perhaps_a_path() {
        for (text, printed, prefix) in [
            ("https://hooks.example.com", "https://hooks.example.com", ""),
            ("https://hooks.example.com/", "https://hooks.example.com", ""),
            ("http://10.0.0.1:8080/", "http://10.0.0.1:8080", ""),
            ("https://example.com/a/b/", "https://example.com/a/b", "/a/b"),
        ] {
            let base: BaseUrl = text.parse().unwrap();
            assert_eq!(base.to_string(), printed);
            assert_eq!(&**base.prefix(), prefix);
        }
        for bad in [
            "",
            "hooks.example.com",
            "ftp://example.com",
            "https://me@example.com",
            "https://example.com/?a",
            "https://example.com/#a",
            "https://example.com/a//b",
            "https://example.com/a\"b",
        ] {
            assert!(bad.parse::<BaseUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_names_a_user_and_only_once() {
        let named = |peer: &str, headers: &[(&'static str, &'static [u8])], has_roles: bool| {
            let site = Site {
                live: trusting(&["10.0.0.0/8"]),
                auth_proxy: Some(AuthProxy {
                    user: HeaderName::from_static("x-user"),
                    role: has_roles.then(|| HeaderName::from_static("x-role")),
                }),
                ..Site::default()
            };
            let mut request = TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 1));
            for (name, value) in headers {
                let value = actix_web::http::header::HeaderValue::from_bytes(value).unwrap();
                request = request.append_header((*name, value));
            }
            let user = site.proxy_user(&request.to_http_request());
            user.map(|user| user.map(|ProxyUser { name, role }| (name, role))).map_err(|invalid| invalid.message)
        };
        let anna = |role| Ok(Some(("anna".to_owned(), role)));
        assert_eq!(named("10.0.0.1", &[("x-user", b" anna ")], false), anna(None));
        assert_eq!(named("::ffff:10.0.0.1", &[("x-user", b"anna")], false), anna(None));
        assert_eq!(named("192.0.2.1", &[("x-user", b"anna"), ("x-forwarded-for", b"10.0.0.1")], false), Ok(None));
        assert_eq!(named("10.0.0.1", &[("x-user", b"")], false), Ok(None));
        assert_eq!(named("10.0.0.1", &[], true), Ok(None));
        for (role, found) in [("administrator", Role::Administrator), ("Viewer", Role::Viewer), ("root", Role::Viewer)]
        {
            assert_eq!(named("10.0.0.1", &[("x-user", b"anna"), ("x-role", role.as_bytes())], true), anna(Some(found)));
        }
        assert_eq!(named("10.0.0.1", &[("x-user", b"anna")], true), anna(Some(Role::Viewer)));
        let twice = named("10.0.0.1", &[("x-user", b"anna"), ("x-user", b"eve")], false).unwrap_err();
        assert!(twice.contains("x-user") && twice.contains("more than once"), "{twice}");
        assert!(
            named("10.0.0.1", &[("x-user", b"anna"), ("x-role", b"viewer"), ("x-role", b"administrator")], true)
                .is_err()
        );
        assert!(named("10.0.0.1", &[("x-user", b"\xff")], false).is_err());
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_about_the_client() {
        let address = |peer: &str, forwarded: &str, trusted: &[&str]| {
            let site = Site { live: trusting(trusted), ..Site::default() };
            let request = TestRequest::default()
                .peer_addr(SocketAddr::new(peer.parse().unwrap(), 1))
                .insert_header(("x-forwarded-for", forwarded))
                .to_http_request();
            site.client_address(&request).unwrap().to_string()
        };
        let proxy = ["10.0.0.0/8"];
        assert_eq!(address("192.0.2.9", "1.2.3.4", &proxy), "192.0.2.9");
        assert_eq!(address("10.0.0.1", "1.2.3.4", &proxy), "1.2.3.4");
        assert_eq!(address("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", &proxy), "1.2.3.4");
        assert_eq!(address("10.0.0.1", "garbage", &proxy), "10.0.0.1");
        assert_eq!(address("10.0.0.1", "1.2.3.4", &[]), "10.0.0.1");
        for (forwarded, client) in [
            ("1.2.3.4:5678", "1.2.3.4"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
        ] {
            assert_eq!(address("10.0.0.1", forwarded, &proxy), client);
        }
        assert_eq!(address("::ffff:10.0.0.1", "1.2.3.4", &proxy), "1.2.3.4", "a proxy seen on a socket for both");
        assert_eq!(address("::ffff:192.0.2.9", "", &[]), "192.0.2.9");
    }
}
