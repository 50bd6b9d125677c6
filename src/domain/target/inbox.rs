//! The built-in inbox: the one place of this server itself that a webhook may point at.

use super::{AllowEntry, Invalid, TargetPolicy, TargetUrl};

/// Where the inbox is: an origin, and how its paths begin.
#[derive(Debug, Clone)]
pub struct OwnInbox {
    start: TargetUrl,
    /// `scheme://host:port/prefix/in/`: no origin looks like it.
    name: String,
}

impl OwnInbox {
    /// The inbox of a server that is reached at this URL, which may have a path and has no slash at its end.
    ///
    /// # Errors
    /// Where a webhook could not have such a URL at all.
    pub fn below(base_url: &str) -> Result<OwnInbox, Invalid> {
        let start: TargetUrl = format!("{base_url}/in/").parse()?;
        Ok(OwnInbox { name: format!("{}{}", start.origin(), start.path()), start })
    }

    /// Whether a URL is that of an inbox: the same origin, and a path that is nothing but the inbox's and a token.
    /// A query may follow. Nothing in a token can be read as a way out of the path, by whoever stands in between.
    pub fn covers(&self, url: &TargetUrl) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let token = url.path().strip_prefix(self.start.path());
        url.origin() == self.start.origin()
            && token.is_some_and(|token| !token.is_empty() && token.bytes().all(is_plain))
    }

    /// How its verdicts are called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules for what [`covers`](Self::covers) says: the operator's, and the inbox's own host and port.
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
