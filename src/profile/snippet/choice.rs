//! Choice of the signature that a receiver checks, and the position of its parts.

use crate::profile::spec::{Profile, SignatureSpec};

/// A signature and the headers that checking it takes.
#[derive(Debug, Clone)]
pub struct Check {
    pub spec: SignatureSpec,
    pub place: SignaturePosition,
    /// Header with the event's id, if the signed content includes it.
    pub id_header: Option<String>,
    /// Header with the timestamp, if the signed content includes it and the signature's own header does not.
    pub timestamp_header: Option<String>,
}

/// Position of the signatures in the header's value. Texts are literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignaturePosition {
    Whole,
    Cut { before: String, after: String },
    TimestampFirst { before: String, between: String, after: String },
    SignatureFirst { before: String, between: String, after: String },
}

/// Returns the profile's only signature, or that of Standard Webhooks, or the profile's first.
pub fn choose(profile: &Profile, standard_headers: bool) -> Option<Check> {
    let own = &profile.spec().signatures;
    let mut checks = own.iter().filter_map(|spec| Check::of(profile, spec, standard_headers));
    let standard = crate::profile::standard();
    let spec = &standard.spec().signatures[0];
    // A profile that sets this header itself decides its content.
    let is_own = profile.header_names().contains(&spec.header.to_ascii_lowercase());
    let first = checks.next();
    if own.len() == 1 && first.is_some() {
        return first;
    }
    if standard_headers && !is_own { Check::of(&standard, spec, true) } else { first }
}

impl Check {
    fn of(profile: &Profile, spec: &SignatureSpec, standard_headers: bool) -> Option<Check> {
        let place = SignaturePosition::of(&spec.template)?;
        let in_value = place.holds_timestamp();
        let signs_time = spec.content.contains("{timestamp}");
        if in_value && !signs_time {
            return None;
        }
        let header = |placeholder: &str, standard: &str| {
            let found = profile.headers().iter().find(|(_, value)| value == placeholder);
            let found = found.map(|(name, _)| name.clone());
            found.or_else(|| standard_headers.then(|| standard.to_owned()))
        };
        let id_header = if spec.content.contains("{id}") { Some(header("{id}", "webhook-id")?) } else { None };
        let timestamp_header =
            if signs_time && !in_value { Some(header("{timestamp}", "webhook-timestamp")?) } else { None };
        Some(Check { spec: spec.clone(), place, id_header, timestamp_header })
    }
}

impl SignaturePosition {
    pub fn is_whole(&self) -> bool {
        *self == SignaturePosition::Whole
    }

    /// Whether the header's value holds the timestamp beside the signature.
    pub fn holds_timestamp(&self) -> bool {
        matches!(self, SignaturePosition::TimestampFirst { .. } | SignaturePosition::SignatureFirst { .. })
    }

    /// Returns `None` for a template whose values cannot be taken apart.
    fn of(template: &str) -> Option<SignaturePosition> {
        let (left, right) = template.split_once("{signature}")?;
        let timestamp = "{timestamp}";
        let owned = str::to_owned;
        match (left.split_once(timestamp), right.split_once(timestamp)) {
            (None, None) if left.is_empty() && right.is_empty() => Some(SignaturePosition::Whole),
            (None, None) => Some(SignaturePosition::Cut { before: owned(left), after: owned(right) }),
            (Some((before, between)), None) if !between.is_empty() && !between.contains(timestamp) => {
                Some(SignaturePosition::TimestampFirst {
                    before: owned(before),
                    between: owned(between),
                    after: owned(right),
                })
            }
            (None, Some((between, after))) if !between.is_empty() && !after.contains(timestamp) => {
                Some(SignaturePosition::SignatureFirst {
                    before: owned(left),
                    between: owned(between),
                    after: owned(after),
                })
            }
            _ => None,
        }
    }
}
