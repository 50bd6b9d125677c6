//! How a webhook's deliveries are signed, and the key pair of asymmetric signatures (Standard Webhooks 1.0.0).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;

/// Signatures of a webhook's deliveries.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    EnumString,
    IntoStaticStr,
    Display,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Signing>)]
pub enum Signing {
    /// HMAC with the secret, in the headers of the profile and of Standard Webhooks.
    #[default]
    Hmac,
    /// Ed25519 with the webhook's key pair, in `webhook-signature` only. No header is signed with the secret.
    Ed25519,
    /// HMAC as usual, and Ed25519 in `webhook-signature` too.
    Both,
}

impl Signing {
    pub fn has_hmac(self) -> bool {
        self != Signing::Ed25519
    }

    pub fn has_ed25519(self) -> bool {
        self != Signing::Hmac
    }
}

/// Bytes of a seed, and of a public key.
pub const KEY_BYTES: usize = 32;

/// Key pair of Ed25519 signatures. Stored as `whsk_` and the base64 of seed and public key. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    seed: [u8; KEY_BYTES],
    public: PublicKey,
}

/// Public key of Ed25519 signatures. Text form: `whpk_` and the base64 of its 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; KEY_BYTES]);

impl KeyPair {
    const PREFIX: &str = "whsk_";

    /// `public` belongs to the private key of `seed` (RFC 8032, section 5.1.5).
    pub fn new(seed: [u8; KEY_BYTES], public: [u8; KEY_BYTES]) -> KeyPair {
        KeyPair { seed, public: PublicKey(public) }
    }

    pub fn seed(&self) -> &[u8; KEY_BYTES] {
        &self.seed
    }

    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the text to store.
    pub fn to_stored(&self) -> String {
        format!("{}{}", KeyPair::PREFIX, STANDARD.encode([self.seed, self.public.0].concat()))
    }

    /// Parses the text of [`to_stored`](KeyPair::to_stored).
    pub fn from_stored(text: &str) -> Option<KeyPair> {
        let bytes = STANDARD.decode(text.strip_prefix(KeyPair::PREFIX)?).ok()?;
        let (seed, public) = bytes.split_first_chunk()?;
        Some(KeyPair::new(*seed, public.try_into().ok()?))
    }
}

impl PublicKey {
    /// Regular expression of the text.
    pub const PATTERN: &str = "^whpk_[0-9A-Za-z+/]{43}=$";
    const PREFIX: &str = "whpk_";

    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({}, …)", self.public)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", PublicKey::PREFIX, STANDARD.encode(self.0))
    }
}

impl FromStr for PublicKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<PublicKey, Invalid> {
        let bytes = text.strip_prefix(PublicKey::PREFIX).and_then(|tail| STANDARD.decode(tail).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(PublicKey).ok_or_else(|| {
            Invalid::new(
                "invalid_public_key",
                "A public key is whpk_ and the base64 of 32 bytes, as the webhook shows it.",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_nothing_else_is_one() {
        let pair = KeyPair::new([1; 32], [2; 32]);
        assert_eq!(KeyPair::from_stored(&pair.to_stored()), Some(pair.clone()));
        let public = pair.public_key().to_string();
        assert_eq!(public, "whpk_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
        assert_eq!(public.parse(), Ok(*pair.public_key()));
        for bad in ["", "whpk_", "whpk_AgIC", &public[5..], &public.replace("whpk", "whsk"), &public.replace('=', "")] {
            assert!(bad.parse::<PublicKey>().is_err() && KeyPair::from_stored(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_seed_does_not_show_in_debug_output() {
        let pair = KeyPair::new([1; 32], [2; 32]);
        let text = format!("{pair:?}");
        assert!(text.contains("whpk_") && !text.contains("AQEB") && !text.contains('1'), "{text}");
    }
}
