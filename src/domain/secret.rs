//! Signing secret of a webhook.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Invalid;

const PREFIX: &str = "whsec_";

/// 1 to 256 printable ASCII characters, given by a person or generated. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Regular expression of the text; the same rule as `from_str`.
    pub const PATTERN: &str = "^[ -~]{1,256}$";

    /// Returns `whsec_` and the base64 of 32 random bytes, the form of Standard Webhooks 1.0.0.
    pub fn generate(random: [u8; 32]) -> Secret {
        Secret(format!("{PREFIX}{}", STANDARD.encode(random)).into())
    }

    /// Whole string, the key of a profile's own signatures.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key of the Standard Webhooks signature: the decoded tail of a `whsec_` secret, or the bytes of the whole
    /// string if the tail is not padded base64 or the prefix is missing.
    pub fn standard_key(&self) -> Vec<u8> {
        self.0
            .strip_prefix(PREFIX)
            .filter(|tail| !tail.is_empty())
            .and_then(|tail| STANDARD.decode(tail).ok())
            .unwrap_or_else(|| self.0.as_bytes().to_vec())
    }

    /// Returns the secret for off-the-shelf libraries, which always decode the part after `whsec_`.
    pub fn standard_form(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.standard_key()))
    }
}

impl FromStr for Secret {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Secret, Invalid> {
        let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if (1..=256).contains(&text.len()) && printable {
            Ok(Secret(text.into()))
        } else {
            Err(Invalid::new(
                "invalid_secret",
                "A secret is 1 to 256 printable ASCII characters. Leave it blank to generate one.",
            ))
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_key_is_the_decoded_tail_or_else_the_whole_string() {
        let generated = Secret::generate([7; 32]);
        assert_eq!(generated.standard_key(), [7; 32]);
        assert_eq!(generated.standard_form(), generated.as_str());
        for text in ["your_webhook_secret", "whsec_xxxxxxxxxxxxx", "whsec_", "whsec_YQ"] {
            let secret: Secret = text.parse().unwrap();
            assert_eq!(secret.standard_key(), text.as_bytes(), "{text}");
            let standard: Secret = secret.standard_form().parse().unwrap();
            assert_eq!(standard.standard_key(), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn only_printable_ascii_is_taken() {
        let long = "a".repeat(257);
        for bad in ["", "a\nb", "é", "a\u{7f}", &long] {
            assert!(bad.parse::<Secret>().is_err(), "{bad:?}");
        }
        assert!(long[..256].parse::<Secret>().is_ok());
        assert!("with spaces ~".parse::<Secret>().is_ok());
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let secret: Secret = "hunter2".parse().unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
