//! Custom headers of a webhook's deliveries.

use super::Invalid;

/// Maximum number of custom headers.
pub const MAX_HEADERS: usize = 32;
/// Maximum length of a value in bytes.
pub const MAX_VALUE_BYTES: usize = 4096;
/// Regular expression of a header's name.
pub const NAME_PATTERN: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$";
/// Regular expression of a header's value, without its length. HTTP drops white space at either end.
pub const VALUE_PATTERN: &str = r"^([!-~]([\t -~]*[!-~])?)?$";
/// Text shown in place of a secret value.
pub const MASK: &str = "••••••";

/// Headers that frame the request: a wrong one breaks the connection, or smuggles in a second request.
const FRAMING: [&str; 11] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "content-encoding",
    "content-type",
];

/// Returns a regular expression of the names that no custom header may have, in upper and lower case.
pub fn reserved_pattern() -> String {
    let either = |name: &str| -> String {
        let letter =
            |c: char| if c.is_ascii_alphabetic() { format!("[{}{c}]", c.to_ascii_uppercase()) } else { c.to_string() };
        name.chars().map(letter).collect()
    };
    let whole: Vec<String> = FRAMING.iter().chain(&["user-agent"]).map(|name| format!("{}$", either(name))).collect();
    let begun = [either("proxy-"), either("webhook-")].join("|");
    format!("^({}|{begun})", whole.join("|"))
}

/// Validated custom headers, in the order given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomHeaders(Vec<(String, String)>);

impl CustomHeaders {
    /// Checks each pair. `reserved` are the names that the webhook's profile sets itself, in lower case.
    pub fn parse(pairs: Vec<(String, String)>, reserved: &[String]) -> Result<CustomHeaders, Invalid> {
        if pairs.len() > MAX_HEADERS {
            let message = format!("A webhook has at most {MAX_HEADERS} custom headers.");
            return Err(Invalid::new("too_many_headers", message).in_field("headers"));
        }
        let mut seen = Vec::with_capacity(pairs.len());
        for (name, value) in &pairs {
            let lower = name.to_ascii_lowercase();
            check_name(name, &lower, reserved)
                .and_then(|()| check_value(value))
                .map_err(|reason| not_allowed(name, reason))?;
            if seen.contains(&lower) {
                return Err(not_allowed(name, "It is given twice; header names are case-insensitive."));
            }
            seen.push(lower);
        }
        Ok(CustomHeaders(pairs))
    }

    /// Checks the headers again, against the names that another profile sets.
    pub fn check(self, reserved: &[String]) -> Result<CustomHeaders, Invalid> {
        CustomHeaders::parse(self.0, reserved)
    }

    /// Checks that no value is a secret one, which must not be sent to another origin.
    pub fn without_secrets(self) -> Result<CustomHeaders, Invalid> {
        if let Some((name, _)) = self.iter().find(|(name, value)| shown(name, value) != *value) {
            return Err(given_for_another_origin(name));
        }
        Ok(self)
    }

    /// Wraps headers from the store without checking them again.
    pub fn trusted(pairs: Vec<(String, String)>) -> CustomHeaders {
        CustomHeaders(pairs)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces each masked value by the previous value of the header, so that reading a webhook and writing it back
    /// changes nothing. Fails for a mask without a previous value, and if `is_moved`: the previous values were given for
    /// another origin, and those who may change the URL need not know them.
    pub fn unmasked(self, before: &CustomHeaders, is_moved: bool) -> Result<CustomHeaders, Invalid> {
        let unmask = |(name, value): (String, String)| {
            if value != MASK {
                return Ok((name, value));
            }
            let old = before.iter().find(|(other, _)| other.eq_ignore_ascii_case(&name));
            match old {
                Some(_) if is_moved => Err(given_for_another_origin(&name)),
                Some((_, value)) => Ok((name, value.to_owned())),
                None => Err(not_allowed(&name, "Its value is a mask, but no value is stored for this header.")),
            }
        };
        self.0.into_iter().map(unmask).collect::<Result<_, _>>().map(CustomHeaders)
    }
}

fn given_for_another_origin(name: &str) -> Invalid {
    Invalid::new(
        "invalid_header",
        format!(
            "The value of {name} was given for another origin, and the URL has a new one. Give the value again, or remove \
             the header."
        ),
    )
    .in_field(format!("headers.{name}"))
}

fn not_allowed(name: &str, reason: &str) -> Invalid {
    Invalid::new("invalid_header", format!("The custom header {name:?} is not allowed. {reason}"))
        .in_field(format!("headers.{name}"))
}

/// Returns the value as responses, logs and stored attempts show it: masked if the name suggests a secret.
pub fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    let name = name.to_ascii_lowercase();
    let words = ["auth", "token", "key", "secret", "cookie", "pass", "pwd", "credential", "session"];
    let is_secret = words.iter().any(|word| name.contains(word));
    if is_secret { MASK } else { value }
}

fn check_name(name: &str, lower: &str, reserved: &[String]) -> Result<(), &'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        return Err("A header name is 1 to 128 letters, digits or characters of !#$%&'*+-.^_`|~.");
    }
    if FRAMING.contains(&lower) || lower.starts_with("proxy-") {
        return Err("It controls the connection or the body, which Hookpost sets itself.");
    }
    if lower.starts_with("webhook-") || lower == "user-agent" {
        return Err("Hookpost sets this header itself.");
    }
    if reserved.iter().any(|name| name == lower) {
        return Err("The webhook's profile sets this header.");
    }
    Ok(())
}

fn check_value(value: &str) -> Result<(), &'static str> {
    // The mask stands for the stored value; see `unmasked`.
    if value == MASK {
        return Ok(());
    }
    if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t') {
        return Err("Its value contains a control or non-ASCII character.");
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err("Its value is longer than 4096 bytes.");
    }
    if value.trim() != value {
        return Err("Its value begins or ends with white space, which HTTP does not preserve.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<CustomHeaders, Invalid> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CustomHeaders::parse(pairs, &["x-webhook-signature".to_owned()])
    }

    #[test]
    fn framing_reserved_and_malformed_headers_are_refused_by_name() {
        let long = "v".repeat(4097);
        for (name, value) in [
            ("Host", "a"),
            ("content-length", "99"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
            ("Expect", "100-continue"),
            ("TE", "trailers"),
            ("Trailer", "a"),
            ("Upgrade", "h2c"),
            ("Keep-Alive", "a"),
            ("Proxy-Authorization", "a"),
            ("Content-Encoding", "gzip"),
            ("webhook-id", "a"),
            ("Webhook-Anything", "a"),
            ("X-Webhook-Signature", "a"),
            ("", "a"),
            ("a b", "c"),
            ("a:", "c"),
            ("é", "c"),
            ("X-A", "a\r\nX-B: c"),
            ("X-A", "a\0"),
            ("X-A", "é"),
            ("X-A", " a"),
            ("X-A", &long),
        ] {
            let refused = parse(&[(name, value)]).unwrap_err();
            assert_eq!(refused.code, "invalid_header", "{name}: {value}");
            assert_eq!(refused.field, Some(format!("headers.{name}")));
        }
        assert!(parse(&[("X-A", "1"), ("x-a", "2")]).is_err());
        assert!(parse(&[("X-A", "1"), ("Authorization", "Bearer x"), ("X-E", "")]).is_ok());
    }

    #[test]
    fn more_than_32_headers_are_refused() {
        let pairs = |count: usize| (0..count).map(|n| (format!("X-{n}"), "v".to_owned())).collect();
        assert!(CustomHeaders::parse(pairs(32), &[]).is_ok());
        assert!(CustomHeaders::parse(pairs(33), &[]).is_err());
    }

    #[test]
    fn values_of_headers_that_name_a_secret_are_masked() {
        for name in ["Authorization", "X-Api-Key", "x-token", "Cookie", "My-Secret", "X-Password", "Session-Id"] {
            assert_eq!(shown(name, "v"), MASK, "{name}");
        }
        assert_eq!(shown("X-Team", "v"), "v");
    }

    #[test]
    fn a_mask_without_a_value_before_is_refused() {
        let before = parse(&[("Authorization", "Bearer x")]).unwrap();
        let refused = parse(&[("X-Token", MASK)]).unwrap().unmasked(&before, false);
        assert_eq!(refused.unwrap_err().field.as_deref(), Some("headers.X-Token"));
    }

    #[test]
    fn writing_back_the_mask_keeps_the_value() {
        let before = parse(&[("Authorization", "Bearer x")]).unwrap();
        let after = parse(&[("authorization", MASK), ("X-B", "c")]).unwrap().unmasked(&before, false).unwrap();
        assert_eq!(after.iter().next(), Some(("authorization", "Bearer x")));
    }
}
