//! The built-in inbox: the only URL of this server that webhooks may always target.

use super::{AllowEntry, Invalid, TargetPolicy, TargetUrl};

/// Location of the inbox: an origin and a path prefix.
#[derive(Debug, Clone)]
pub struct OwnInbox {
    start: TargetUrl,
    /// `scheme://host:port/prefix/in/`, which differs from every origin.
    name: String,
}

impl OwnInbox {
    /// Returns the inbox of a server at this URL, which may have a path and must not end with a slash.
    ///
    /// # Errors
    /// If a webhook could not have such a URL.
    pub fn below(base_url: &str) -> Result<OwnInbox, Invalid> {
        let start: TargetUrl = format!("{base_url}/in/").parse()?;
        Ok(OwnInbox { name: format!("{}{}", start.origin(), start.path()), start })
    }

    /// Whether a URL is that of an inbox: the same origin, and the inbox's path followed by a token. A query may follow. A
    /// token contains nothing that a proxy could read as a way out of the path.
    pub fn covers(&self, url: &TargetUrl) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let token = url.path().strip_prefix(self.start.path());
        url.origin() == self.start.origin()
            && token.is_some_and(|token| !token.is_empty() && token.bytes().all(is_plain))
    }

    /// Key of the inbox's decisions in the guard's cache.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the policy for URLs that [`covers`](Self::covers): the operator's, plus the inbox's own host and port.
    pub fn opened(&self, policy: &TargetPolicy) -> TargetPolicy {
        policy.with(AllowEntry::for_origin(&self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_token_below_the_path_is_the_inbox() {
        let covers = |base: &str, url: &str| {
            let inbox = OwnInbox::below(base).unwrap();
            url.parse::<TargetUrl>().is_ok_and(|url| inbox.covers(&url))
        };
        let local = "http://127.0.0.1:8080";
        for (base, url) in [
            (local, "http://127.0.0.1:8080/in/aZ09_-"),
            (local, "http://127.0.0.1:8080/in/abc?status=500&delay_s=3"),
            (local, "http://127.1:8080/x/../in/abc"),
            ("http://10.0.0.1", "http://10.0.0.1:80/in/abc"),
            ("https://example.com", "https://EXAMPLE.com:443/in/abc"),
            ("https://example.com/hooks", "https://example.com/hooks/in/abc"),
            ("http://[::1]:8080", "http://[::1]:8080/in/abc"),
        ] {
            assert!(covers(base, url), "{url} below {base}");
        }
        for (base, url) in [
            (local, "http://127.0.0.1:8080/in/"),
            (local, "http://127.0.0.1:8080/in"),
            (local, "http://127.0.0.1:8080/in/abc/def"),
            (local, "http://127.0.0.1:8080/in/abc/"),
            (local, "http://127.0.0.1:8080//in/abc"),
            (local, "http://127.0.0.1:8080/in/../v1/events"),
            (local, "http://127.0.0.1:8080/in/%2e%2e/v1/events"),
            (local, "http://127.0.0.1:8080/in/..%2fv1%2fevents"),
            (local, "http://127.0.0.1:8080/in/%61bc"),
            (local, "http://127.0.0.1:8080/in/abc;x"),
            (local, "http://127.0.0.1:8080/IN/abc"),
            (local, "http://127.0.0.1:8080/v1/events?/in/abc"),
            (local, "http://127.0.0.1:8081/in/abc"),
            (local, "https://127.0.0.1:8080/in/abc"),
            (local, "http://localhost:8080/in/abc"),
            ("http://10.0.0.1", "http://10.0.0.1:8080/in/abc"),
            ("https://example.com/hooks", "https://example.com/in/abc"),
            ("https://example.com/hooks", "https://example.com/hooksin/abc"),
        ] {
            assert!(!covers(base, url), "{url} below {base}");
        }
    }
}
