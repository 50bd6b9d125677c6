//! Verification of a request as a receiver does it, for the command line and the built-in receivers.

use super::Profile;
use super::sign::sign_content;
use super::spec::SignatureSpec;
use crate::domain::secret::Secret;

/// Reason why a request does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    #[error("the header {0} is missing")]
    Missing(String),
    #[error("{0} does not match: the secret is another one, or the body was changed in transit")]
    Differs(String),
    #[error("{0} has no Ed25519 signature of this key: the key is another one, or the body was changed in transit")]
    NotOfKey(String),
    #[error("this profile signs nothing")]
    NoSignature,
}

/// Checks every signature of a profile and returns the names of their headers. Does not check the age of the timestamp.
pub fn verify(
    profile: &Profile,
    secret: &Secret,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Vec<String>, SignatureFault> {
    let specs = &profile.spec().signatures;
    if specs.is_empty() {
        return Err(SignatureFault::NoSignature);
    }
    specs.iter().map(|spec| check(profile, spec, secret, headers, body)).collect()
}

/// Returns the timestamp of a request in seconds since 1970, if its profile sends one.
pub fn timestamp(profile: &Profile, headers: &[(String, String)]) -> Option<i64> {
    let spec = profile.spec().signatures.first()?;
    let value = find(headers, &spec.header)?;
    moment(profile, spec, headers, value)?.parse().ok()
}

fn check(
    profile: &Profile,
    spec: &SignatureSpec,
    secret: &Secret,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<String, SignatureFault> {
    let value = find(headers, &spec.header).ok_or_else(|| SignatureFault::Missing(spec.header.clone()))?;
    let timestamp = if spec.content.contains("{timestamp}") {
        moment(profile, spec, headers, value).ok_or_else(|| SignatureFault::Missing("with the timestamp".to_owned()))?
    } else {
        ""
    };
    let id = if spec.content.contains("{id}") {
        let name = header_with(profile, "{id}").unwrap_or("webhook-id");
        find(headers, name).ok_or_else(|| SignatureFault::Missing(name.to_owned()))?
    } else {
        ""
    };
    let expected = sign_content(spec, secret, id, timestamp, body);
    let template = spec.template.replace("{timestamp}", timestamp);
    let (before, after) = template.split_once("{signature}").unwrap_or((&template, ""));
    let signatures = value.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let matches = signatures.is_some_and(|signatures| match &spec.join {
        // Signatures of other kinds may follow after a space, as in Standard Webhooks.
        Some(join) => signatures
            .split(join.as_str())
            .any(|signature| signature == expected || signature.split(' ').next() == Some(expected.as_str())),
        None => signatures == expected,
    });
    if matches { Ok(spec.header.clone()) } else { Err(SignatureFault::Differs(spec.header.clone())) }
}

/// Returns the text of the timestamp, from the signature's header or from a header of its own.
fn moment<'a>(
    profile: &Profile,
    spec: &SignatureSpec,
    headers: &'a [(String, String)],
    value: &'a str,
) -> Option<&'a str> {
    if let Some((before, after)) = spec.template.split_once("{timestamp}") {
        if let Some((_, between)) = before.split_once("{signature}") {
            // Read from the end: a timestamp is digits, so the last separator is the one before it.
            let value = value.strip_suffix(after).unwrap_or(value);
            return Some(&value[value.rfind(between)? + between.len()..]);
        }
        let rest = value.strip_prefix(before)?;
        let end = match after.split('{').next() {
            Some(literal) if !literal.is_empty() => rest.find(literal)?,
            _ => rest.len(),
        };
        return Some(&rest[..end]);
    }
    let name = header_with(profile, "{timestamp}").unwrap_or("webhook-timestamp");
    find(headers, name)
}

/// Returns the name of the header whose whole value is this placeholder.
fn header_with<'a>(profile: &'a Profile, placeholder: &str) -> Option<&'a str> {
    profile.headers().iter().find(|(_, value)| value == placeholder).map(|(name, _)| name.as_str())
}

pub(super) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Event;
    use crate::domain::id::DeliveryId;
    use crate::domain::webhook::OldSecret;
    use crate::profile::sign::Signed;
    use crate::profile::{Signer, builtin};

    const AT_MS: i64 = 1_768_471_200_000;

    fn signed(profile: &Profile, secret: &Secret, old: Option<&OldSecret>) -> Vec<(String, String)> {
        let event = Event {
            id: "evt_1".parse().unwrap(),
            tenant: "default".parse().unwrap(),
            event_type: "a.b".parse().unwrap(),
            created_ms: AT_MS,
            received_ms: AT_MS,
            data: "{}".into(),
            previous_data: None,
            test: false,
        };
        Signer::new(profile, None, secret, old).headers(&Signed {
            event_id: &event.id,
            event_type: &event.event_type,
            delivery_id: DeliveryId::generate(AT_MS, 1),
            at_ms: AT_MS,
            body: b"{}",
        })
    }

    #[test]
    fn what_every_profile_signs_verifies_and_nothing_else_does() {
        let secret: Secret = "your_webhook_secret".parse().unwrap();
        let other: Secret = "another".parse().unwrap();
        for profile in builtin().values() {
            let headers = signed(profile, &secret, None);
            assert!(verify(profile, &secret, &headers, b"{}").is_ok(), "{}", profile.name());
            for (secret, body) in [(&other, &b"{}"[..]), (&secret, b"{ }")] {
                let fault = verify(profile, secret, &headers, body).unwrap_err();
                assert!(matches!(fault, SignatureFault::Differs(_)), "{}: {fault}", profile.name());
            }
            let fault = verify(profile, &secret, &[], b"{}").unwrap_err();
            assert!(matches!(fault, SignatureFault::Missing(_)), "{}", profile.name());
        }
    }

    #[test]
    fn during_a_rotation_both_secrets_verify_where_the_header_can_carry_two() {
        let new: Secret = "new".parse().unwrap();
        let old: Secret = "old".parse().unwrap();
        let overlap = OldSecret { secret: old.clone(), key_pair: None, overlap_ends_ms: AT_MS + 1 };
        for profile in builtin().values() {
            let headers = signed(profile, &new, Some(&overlap));
            assert!(verify(profile, &old, &headers, b"{}").is_ok(), "{}", profile.name());
            let carries_two = profile.spec().signatures.iter().all(|spec| spec.join.is_some());
            assert_eq!(verify(profile, &new, &headers, b"{}").is_ok(), carries_two, "{}", profile.name());
        }
    }
}
