//! Choice of the signature that a receiver checks, and the position of its parts.

use crate::profile::ed25519;
use crate::profile::spec::{Profile, SignatureSpec};

/// A signature and the headers that checking it takes.
#[derive(Debug, Clone)]
pub struct Check {
    pub spec: SignatureSpec,
    pub place: SignaturePosition,
    /// Text before each signature of a header that separates signatures by a space, as Standard Webhooks does.
    pub prefix: Option<String>,
    /// Header with the event's id, if the signed content includes it.
    pub id_header: Option<String>,
    /// Header with the timestamp, if the signed content includes it and the signature's own header does not.
    pub timestamp_header: Option<String>,
}

/// Literal texts around the signatures in the header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignaturePosition {
    pub before: String,
    pub after: String,
    pub timestamp: Option<TimestampPosition>,
}

/// Timestamp beside the signatures, and the text between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimestampPosition {
    First(String),
    Last(String),
}

/// Returns the profile's only signature, or that of Standard Webhooks, or the profile's first.
pub fn choose(profile: &Profile, standard_headers: bool) -> Option<Check> {
    let own = &profile.spec().signatures;
    let mut checks = own.iter().filter_map(|spec| Check::of(profile, spec, standard_headers));
    // A profile that sets this header itself decides its content.
    let is_own = profile.header_names().iter().any(|name| name == ed25519::HEADER);
    let first = checks.next();
    if own.len() == 1 && first.is_some() {
        return first;
    }
    if standard_headers && !is_own { Check::standard() } else { first }
}

impl Check {
    /// Check of the signatures of Standard Webhooks.
    pub fn standard() -> Option<Check> {
        let standard = crate::profile::standard();
        Check::of(&standard, &standard.spec().signatures[0], true)
    }

    fn of(profile: &Profile, spec: &SignatureSpec, standard_headers: bool) -> Option<Check> {
        let mut place = SignaturePosition::of(&spec.template)?;
        let in_value = place.has_timestamp();
        let signs_time = spec.content.contains("{timestamp}");
        if in_value && !signs_time {
            return None;
        }
        let header = |placeholder: &str, standard: &str| {
            let own = profile.headers().iter().find(|(_, value)| value == placeholder).map(|(name, _)| name.clone());
            own.or_else(|| standard_headers.then(|| standard.to_owned()))
        };
        let id_header = if spec.content.contains("{id}") { Some(header("{id}", "webhook-id")?) } else { None };
        let timestamp_header =
            if signs_time && !in_value { Some(header("{timestamp}", "webhook-timestamp")?) } else { None };
        let mut spec = spec.clone();
        let is_list = !in_value && place.after.is_empty() && !place.before.is_empty();
        let prefix =
            (is_list && spec.join == Some(format!(" {}", place.before))).then(|| std::mem::take(&mut place.before));
        if prefix.is_some() {
            spec.join = Some(" ".to_owned());
        }
        Some(Check { spec, place, prefix, id_header, timestamp_header })
    }
}

impl SignaturePosition {
    pub fn is_whole(&self) -> bool {
        self.before.is_empty() && self.after.is_empty() && self.timestamp.is_none()
    }

    /// Whether the header's value has the timestamp beside the signature.
    pub fn has_timestamp(&self) -> bool {
        self.timestamp.is_some()
    }

    /// Returns `None` for a template whose values cannot be split.
    fn of(template: &str) -> Option<SignaturePosition> {
        let (left, right) = template.split_once("{signature}")?;
        let placeholder = "{timestamp}";
        let (before, timestamp, after) = match (left.split_once(placeholder), right.split_once(placeholder)) {
            (None, None) => (left, None, right),
            (Some((before, between)), None) if !between.is_empty() && !between.contains(placeholder) => {
                (before, Some(TimestampPosition::First(between.to_owned())), right)
            }
            (None, Some((between, after))) if !between.is_empty() && !after.contains(placeholder) => {
                (left, Some(TimestampPosition::Last(between.to_owned())), after)
            }
            _ => return None,
        };
        Some(SignaturePosition { before: before.to_owned(), after: after.to_owned(), timestamp })
    }
}
