//! Asymmetric signatures of Standard Webhooks 1.0.0: `v1a,` and the base64 of an Ed25519 signature of
//! `{id}.{timestamp}.{body}`, in the header `webhook-signature`, after a space if other signatures precede it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::sign::Signed;
use super::verify::{SignatureFault, find};
use crate::domain::signing::{KEY_BYTES, KeyPair, PublicKey};
use crate::domain::time::Millis;

/// Header with the signatures.
pub const HEADER: &str = "webhook-signature";
const VERSION: &str = "v1a,";

/// Returns the key pair of a random seed.
pub fn key_pair(seed: [u8; KEY_BYTES]) -> KeyPair {
    let public = prepare(&seed).public_key().as_ref().try_into().expect("a public key has 32 bytes");
    KeyPair::new(seed, public)
}

fn prepare(seed: &[u8; KEY_BYTES]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are a seed")
}

/// Prepared keys of one webhook.
pub(super) struct Ed25519Signer {
    new: Ed25519KeyPair,
    /// Previous key of a rotation, and the end of the overlap.
    old: Option<(Ed25519KeyPair, Millis)>,
}

impl Ed25519Signer {
    pub(super) fn new(pair: &KeyPair, old: Option<(&KeyPair, Millis)>) -> Ed25519Signer {
        Ed25519Signer { new: prepare(pair.seed()), old: old.map(|(pair, ends_ms)| (prepare(pair.seed()), ends_ms)) }
    }

    /// Whether both keys sign at `now`.
    pub(super) fn is_rotating(&self, now: Millis) -> bool {
        self.old.as_ref().is_some_and(|(_, ends_ms)| now < *ends_ms)
    }

    /// Returns the signatures for the header, separated by a space.
    pub(super) fn value(&self, signed: &Signed<'_>, timestamp: &str) -> String {
        let content = content(signed.event_id.as_str(), timestamp, signed.body);
        let sign = |key: &Ed25519KeyPair| format!("{VERSION}{}", STANDARD.encode(key.sign(&content)));
        match &self.old {
            Some((old, _)) if self.is_rotating(signed.at_ms) => format!("{} {}", sign(&self.new), sign(old)),
            _ => sign(&self.new),
        }
    }
}

fn content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

/// Checks that one of the signatures of a request fits one of the keys. Does not check the age of the timestamp.
pub fn verify(keys: &[PublicKey], headers: &[(String, String)], body: &[u8]) -> Result<(), SignatureFault> {
    let find = |name: &str| find(headers, name).ok_or_else(|| SignatureFault::Missing(name.to_owned()));
    let signatures = find(HEADER)?;
    let content = content(find("webhook-id")?, find("webhook-timestamp")?, body);
    let mut signatures = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix(VERSION)?).ok());
    let fits = |signature: &Vec<u8>| {
        keys.iter().any(|key| UnparsedPublicKey::new(&ED25519, key.as_bytes()).verify(&content, signature).is_ok())
    };
    if signatures.any(|signature| fits(&signature)) { Ok(()) } else { Err(SignatureFault::NotOfKey(HEADER.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{EventId, EventType};
    use crate::domain::id::DeliveryId;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// RFC 8032, section 7.1: seed, public key, message, signature.
    const RFC_8032: [[&str; 4]; 3] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ],
    ];

    #[test]
    fn keys_and_signatures_are_those_of_rfc_8032() {
        for [seed, public, message, signature] in RFC_8032 {
            let pair = key_pair(bytes(seed));
            assert_eq!(hex::encode(pair.public_key().as_bytes()), public);
            assert_eq!(hex::encode(prepare(pair.seed()).sign(&hex::decode(message).unwrap())), signature);
        }
    }

    fn signed<'a>(id: &'a EventId, event_type: &'a EventType, at_ms: Millis, body: &'a [u8]) -> Signed<'a> {
        Signed { event_id: id, event_type, delivery_id: DeliveryId::generate(0, 1), at_ms, body }
    }

    /// Key and signature of the test `TestAsymmetricWebhookSign` in the repository of Standard Webhooks (Go, unreleased).
    #[test]
    fn a_signature_is_that_of_the_reference_implementation() {
        let seed = STANDARD.decode("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=").unwrap();
        let (id, event_type) = ("msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap(), "a.b".parse().unwrap());
        let signed = signed(&id, &event_type, 1_614_265_330_000, br#"{"test": 2432232314}"#);
        let pair = key_pair(seed.try_into().unwrap());
        let expected = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";
        assert_eq!(Ed25519Signer::new(&pair, None).value(&signed, "1614265330"), expected);
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does() {
        let (new, old, other) = (key_pair([1; 32]), key_pair([2; 32]), key_pair([3; 32]));
        let (id, event_type) = ("evt_1".parse().unwrap(), "a.b".parse().unwrap());
        let signer = Ed25519Signer::new(&new, Some((&old, 5_000)));
        let request = |at_ms: Millis, before: &str| {
            let timestamp = (at_ms / 1_000).to_string();
            let value = signer.value(&signed(&id, &event_type, at_ms, b"{}"), &timestamp);
            [("webhook-id", "evt_1"), ("Webhook-Timestamp", &timestamp), (HEADER, &format!("{before}{value}"))]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let fits = |pair: &KeyPair, headers: &[(String, String)], body: &[u8]| {
            verify(&[*pair.public_key()], headers, body).is_ok()
        };
        for before in ["", "v1,AAAA ", "v1a,AAAA v1a v2,x  "] {
            let during = request(4_000, before);
            assert!(fits(&new, &during, b"{}") && fits(&old, &during, b"{}") && !fits(&other, &during, b"{}"));
            let after = request(5_000, before);
            assert!(fits(&new, &after, b"{}") && !fits(&old, &after, b"{}"));
            assert!(verify(&[*other.public_key(), *new.public_key()], &after, b"{}").is_ok());
            assert!(!fits(&new, &after, b"{ }"));
            let mut moved = after.clone();
            moved[1].1 = "6".to_owned();
            assert!(!fits(&new, &moved, b"{}"));
            for missing in 0..3 {
                let mut rest = after.to_vec();
                rest.remove(missing);
                assert!(matches!(verify(&[*new.public_key()], &rest, b"{}"), Err(SignatureFault::Missing(_))));
            }
        }
    }
}
