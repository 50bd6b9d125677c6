//! Signatures of a webhook: its choices in the form, and its names on pages.

use crate::domain::signing::Signing;

/// Choices of the form, with labels.
pub const CHOICES: [(Signing, &str); 3] = [
    (Signing::Hmac, "HMAC with the secret"),
    (Signing::Both, "HMAC with the secret, and Ed25519 with a key pair"),
    (Signing::Ed25519, "Ed25519 with a key pair only"),
];

pub fn label(signing: Signing) -> &'static str {
    CHOICES.iter().find(|(known, _)| *known == signing).map_or("", |(_, label)| label)
}

/// Returns the noun for what signs `webhook-signature` during a rotation, twice.
pub fn both(signing: Signing) -> &'static str {
    match signing {
        Signing::Hmac => "both secrets",
        Signing::Ed25519 => "both key pairs",
        Signing::Both => "both secrets and both key pairs",
    }
}
