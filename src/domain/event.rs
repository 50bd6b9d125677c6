//! Events, and the names that they carry: tenants, event types, event ids.

use std::fmt;
use std::str::FromStr;

use super::Invalid;
use super::time::Millis;

/// Whether `text` is one segment of an event type: 1 or more of `A-Z a-z 0-9 _ -`.
pub(super) fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $max_bytes:literal, $is_valid:expr, $code:literal, $message:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            pub const MAX_BYTES: usize = $max_bytes;

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<$name, Invalid> {
                let is_valid: fn(&str) -> bool = $is_valid;
                if text.len() <= $max_bytes && is_valid(text) {
                    Ok($name(text.into()))
                } else {
                    Err(Invalid::new($code, $message))
                }
            }
        }
    };
}

text_type!(
    /// One customer of the application. 1 to 64 of `A-Z a-z 0-9 _ -`.
    Tenant, 64, is_segment,
    "invalid_tenant", "A tenant is 1 to 64 of the characters A-Z a-z 0-9 _ -."
);

impl Tenant {
    /// Regular expression of the text; the same rule as `from_str`.
    pub const PATTERN: &str = "^[A-Za-z0-9_-]{1,64}$";

    /// Tenant of requests that name none.
    pub fn default_tenant() -> Tenant {
        Tenant("default".into())
    }

    /// Tenant of Hookpost itself: of its operational events, and of the webhooks of contacts.
    pub fn hookpost() -> Tenant {
        Tenant(RESERVED.into())
    }

    /// Whether this is the tenant of Hookpost itself.
    pub fn is_hookpost(&self) -> bool {
        self.as_str() == RESERVED
    }
}

/// Tenant of Hookpost itself, and the first segment of its event types.
const RESERVED: &str = "hookpost";

text_type!(
    /// Dotted name such as `content.published`: segments of `A-Z a-z 0-9 _ -` joined by single dots, 128 bytes at most.
    EventType, 128, |text| text.split('.').all(is_segment),
    "invalid_event_type",
    "An event type is a dotted name such as content.published: segments of A-Z a-z 0-9 _ - joined by single dots, 128 bytes at most."
);

impl EventType {
    /// Regular expression of the text, without its length; the same rule as `from_str`.
    pub const PATTERN: &str = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$";

    /// First segment of the types of Hookpost's own events.
    pub fn hookpost() -> EventType {
        EventType(RESERVED.into())
    }

    /// Whether only Hookpost itself publishes events of this type.
    pub fn is_of_hookpost(&self) -> bool {
        self.as_str().split('.').next() == Some(RESERVED)
    }
}

text_type!(
    /// Id of an event: generated (`evt_` and a ULID), or the application's own. 1 to 128 of `A-Z a-z 0-9 _ -`: it is
    /// sent as `webhook-id`, which must not contain a dot (Standard Webhooks 1.0.0).
    EventId, 128, is_segment,
    "invalid_event_id",
    "An event id is 1 to 128 of the characters A-Z a-z 0-9 _ -. It is sent as webhook-id, which must not contain a dot."
);

impl EventId {
    /// Regular expression of the text; the same rule as `from_str`.
    pub const PATTERN: &str = "^[A-Za-z0-9_-]{1,128}$";

    /// Returns a new id from a time and 80 random bits.
    pub fn generate(now: Millis, random: u128) -> EventId {
        let ulid = ulid::Ulid::from_parts(now.max(0) as u64, random);
        EventId(format!("evt_{ulid}").into())
    }
}

/// Something that happened in the application; immutable. `data` and `previous_data` are JSON, byte for byte as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub tenant: Tenant,
    pub event_type: EventType,
    /// Time of the event: the application's, or that of receipt.
    pub created_ms: Millis,
    /// Time at which Hookpost stored the event.
    pub received_ms: Millis,
    pub data: Box<str>,
    pub previous_data: Option<Box<str>>,
    pub test: bool,
}

impl Event {
    /// Returns a checksum over the delivered fields, to detect a flipped byte on the disk before sending.
    pub fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for part in
            [self.id.as_str(), self.event_type.as_str(), &self.data, self.previous_data.as_deref().unwrap_or("")]
        {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        hasher.update(&self.created_ms.to_le_bytes());
        hasher.finalize()
    }

    /// Returns the approximate memory use in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Event>()
            + self.data.len()
            + self.previous_data.as_deref().map_or(0, str::len)
            + self.id.as_str().len()
            + self.event_type.as_str().len()
            + self.tenant.as_str().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_their_alphabet_and_length() {
        let long = "a".repeat(129);
        for good in ["a", "content.published", "A-1_b.c.d", &long[..128]] {
            assert!(good.parse::<EventType>().is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a.*", "é", "a\n", &long] {
            assert!(bad.parse::<EventType>().is_err(), "{bad}");
        }
        for bad in ["", "a.b", "a b", "ü", &long[..65]] {
            assert!(bad.parse::<Tenant>().is_err(), "{bad}");
        }
        assert!(long[..64].parse::<Tenant>().is_ok());
        for bad in ["", "a.b", "a/b", &long] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }
}
