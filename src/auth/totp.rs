//! Codes of an authenticator app (TOTP, RFC 6238): SHA-1, six digits, 30 seconds, which all apps know.

use totp_rs::{Builder, Secret, Totp};

use crate::domain::time::{Millis, SECOND};
use crate::random;

/// Duration of a time step, in seconds.
const STEP_S: i64 = 30;
/// Bytes of a secret (RFC 4226, section 4: 160 bits).
const SECRET_BYTES: usize = 20;

/// Shared secret of an authenticator app and the server.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret([u8; SECRET_BYTES]);

impl TotpSecret {
    pub fn generate() -> TotpSecret {
        TotpSecret(random::bytes())
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<TotpSecret> {
        bytes.try_into().ok().map(TotpSecret)
    }

    /// Parses the text form, ignoring spaces.
    pub fn from_text(text: &str) -> Option<TotpSecret> {
        let secret = Secret::try_from_base32(text.replace(' ', "")).ok()?;
        TotpSecret::from_bytes(secret.as_bytes())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Text form for typing: base32 in groups of four.
    pub fn text(&self) -> String {
        let text = Secret::from(self.0).to_base32();
        let groups = text.as_bytes().chunks(4).map(String::from_utf8_lossy);
        groups.collect::<Vec<_>>().join(" ")
    }

    /// URI for an authenticator app, which its QR code holds. `site` tells the account from those of other servers.
    pub fn uri(&self, name: &str, site: &str) -> String {
        // A colon separates the two in the URI.
        let name = name.replace(':', "_");
        let totp = self
            .builder()
            .with_account_name(format!("{name}@{}", site.replace(':', "_")))
            .with_issuer(Some("Hookpost"));
        totp.build().ok().and_then(|totp| totp.to_url().ok()).unwrap_or_default()
    }

    /// Returns the time step of a code, if it is one of the previous, the current or the next step. Ignores spaces.
    pub fn step_of(&self, code: &str, now: Millis) -> Option<i64> {
        let seconds = u64::try_from(now / SECOND).ok()?;
        let step = self.totp()?.check(&code.replace(' ', ""), seconds)?;
        i64::try_from(step).ok()
    }

    /// Returns the code at a time, as an app shows it.
    pub fn code_at(&self, now: Millis) -> String {
        let seconds = u64::try_from(now / SECOND).unwrap_or_default();
        self.totp().map(|totp| totp.generate(seconds).to_string()).unwrap_or_default()
    }

    fn totp(&self) -> Option<Totp> {
        self.builder().build().ok()
    }

    fn builder(&self) -> Builder {
        Builder::new().with_secret(self.0).with_skew(1).with_step_duration(STEP_S as u64)
    }
}

/// Whether a step may be used after another one: each code counts once. A last step in the future is from a clock that was
/// ahead, and must not keep the user out until then.
pub fn is_new(step: i64, last: i64, now: Millis) -> bool {
    step > last || last > now / SECOND / STEP_S + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, with six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code_at(seconds * SECOND), code);
            let step = seconds / STEP_S;
            for (early, found) in [(-60, None), (-30, Some(step)), (0, Some(step)), (30, Some(step)), (60, None)] {
                let now = (step * STEP_S + early) * SECOND;
                assert_eq!(secret.step_of(code, now), found.filter(|_| now >= 0), "{seconds} {early}");
            }
            assert_eq!(secret.step_of(&format!("{} {}", &code[..3], &code[3..]), seconds * SECOND), Some(step));
        }
        for odd in ["", "28708", "2870820", "+87082", "abcdef"] {
            assert_eq!(secret.step_of(odd, 59 * SECOND), None, "{odd}");
        }
    }

    #[test]
    fn a_secret_reads_back_and_its_uri_names_account_and_server() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        assert_eq!(secret.text(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert!(TotpSecret::from_text(&secret.text()) == Some(secret.clone()));
        for odd in ["", "GEZDGNBV", "not base32 !", &"A".repeat(64)] {
            assert!(TotpSecret::from_text(odd).is_none(), "{odd}");
        }
        let uri = secret.uri("Otto <b>: x", "localhost:8080");
        assert!(
            uri.starts_with("otpauth://totp/Hookpost:Otto%20%3Cb%3E_%20x%40localhost_8080?secret=GEZDGNBV"),
            "{uri}"
        );
        assert!(uri.contains("issuer=Hookpost"), "{uri}");
    }

    #[test]
    fn a_step_is_used_once_unless_the_clock_was_ahead() {
        let now = 100 * STEP_S * SECOND;
        assert!(is_new(100, 99, now));
        assert!(!is_new(100, 100, now) && !is_new(99, 100, now) && !is_new(100, 101, now));
        assert!(is_new(100, 102, now));
    }
}
