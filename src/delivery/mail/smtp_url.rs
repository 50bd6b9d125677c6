//! Address of the mail server: `smtp://user:password@host:587?tls=required`.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// Encryption of the connection to the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// TLS from the first byte: `smtps`.
    Implicit,
    /// STARTTLS; a server without it is refused. The default of `smtp`.
    Required,
    /// STARTTLS if the server offers it.
    Opportunistic,
    Off,
}

/// Parsed `--smtp-url`.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub user: Option<String>,
    /// Password in the URL.
    pub password: Option<String>,
}

impl SmtpUrl {
    /// Whether the server is this machine, so that nobody else reads an unencrypted connection.
    fn is_local(&self) -> bool {
        let address = self.host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpUrl({self})")
    }
}

impl fmt::Display for SmtpUrl {
    /// Leaves the credentials out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls == SmtpTls::Implicit { "smtps" } else { "smtp" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl FromStr for SmtpUrl {
    type Err = String;

    /// Parses a URL. The error completes a sentence that begins with the setting, and never has the password.
    fn from_str(text: &str) -> Result<SmtpUrl, String> {
        const FORM: &str = "must be a URL such as smtp://user@mail.example.com:587 or smtps://user@mail.example.com";
        let url: Url = text.trim().parse().map_err(|_| FORM.to_owned())?;
        let is_smtps = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return Err(FORM.to_owned()),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("must end with the port, or with ?tls=required, ?tls=opportunistic or ?tls=none".to_owned());
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) if !host.to_string().is_empty() => host.to_string(),
            _ => return Err(FORM.to_owned()),
        };
        let mut tls = if is_smtps { SmtpTls::Implicit } else { SmtpTls::Required };
        for (name, value) in url.query_pairs() {
            tls = match (name.as_ref(), value.as_ref()) {
                ("tls", _) if is_smtps => {
                    return Err("must not set tls with smtps, which is always encrypted".to_owned());
                }
                ("tls", "required") => SmtpTls::Required,
                ("tls", "opportunistic") => SmtpTls::Opportunistic,
                ("tls", "none") => SmtpTls::Off,
                _ => return Err("knows one parameter: tls=required, tls=opportunistic or tls=none".to_owned()),
            };
        }
        let part = |text: &str| {
            let bytes = percent_decoded(text);
            String::from_utf8(bytes).map_err(|_| "has a user or password that is not UTF-8".to_owned())
        };
        let user = Some(part(url.username())?).filter(|user| !user.is_empty());
        let password = url.password().map(part).transpose()?;
        let port = url.port().unwrap_or(if is_smtps { 465 } else { 587 });
        let parsed = SmtpUrl { host, port, tls, user, password };
        if parsed.user.is_some() && !matches!(tls, SmtpTls::Implicit | SmtpTls::Required) && !parsed.is_local() {
            return Err("must have tls=required with a user, or the password could be read on the way".to_owned());
        }
        Ok(parsed)
    }
}

/// Decodes `%40` and the like.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let decoded = (first == b'%').then(|| after.get(..2)).flatten();
        match decoded.and_then(|digits| hex::decode(digits).ok()).and_then(|byte| byte.first().copied()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_the_usual_ports_and_is_encrypted_unless_it_says_otherwise() {
        for (text, host, port, tls) in [
            ("smtp://mail.example.com", "mail.example.com", 587, SmtpTls::Required),
            ("smtp://mail.example.com:25?tls=none", "mail.example.com", 25, SmtpTls::Off),
            ("smtp://mail.example.com?tls=opportunistic", "mail.example.com", 587, SmtpTls::Opportunistic),
            ("smtps://u:p@mail.example.com/", "mail.example.com", 465, SmtpTls::Implicit),
            ("smtp://u:p@[::1]:25?tls=none", "::1", 25, SmtpTls::Off),
        ] {
            let url: SmtpUrl = text.parse().unwrap();
            assert_eq!((url.host.as_str(), url.port, url.tls), (host, port, tls), "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let url: SmtpUrl = "smtp://alerts%40example.com:p%3A%C3%B6%zz@mail.example.com".parse().unwrap();
        assert_eq!(url.user.as_deref(), Some("alerts@example.com"));
        assert_eq!(url.password.as_deref(), Some("p:ö%zz"));
        assert_eq!(format!("{url} {url:?}"), "smtp://mail.example.com:587 SmtpUrl(smtp://mail.example.com:587)");
    }

    #[test]
    fn a_url_that_would_not_work_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "such as smtp://"),
            ("mail.example.com:587", "such as smtp://"),
            ("https://mail.example.com", "such as smtp://"),
            ("smtp://", "such as smtp://"),
            ("smtp://mail.example.com/inbox", "must end with"),
            ("smtp://mail.example.com?tls=maybe", "one parameter"),
            ("smtp://mail.example.com?ssl=true", "one parameter"),
            ("smtps://mail.example.com?tls=none", "always encrypted"),
            ("smtp://u:secret@mail.example.com?tls=none", "could be read"),
            ("smtp://u:secret@mail.example.com?tls=opportunistic", "could be read"),
            ("smtp://%ff@mail.example.com", "not UTF-8"),
        ] {
            let error = text.parse::<SmtpUrl>().unwrap_err();
            assert!(error.contains(reason) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
