//! What happened: tenants, event types, event ids, events.

use std::fmt;
use std::str::FromStr;

use super::Invalid;
use super::time::Millis;

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Whether `text` is one segment of an event type: 1 or more of `A-Z a-z 0-9 _ -`.
pub(super) fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_word_byte)
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type!(
    /// One customer of the application. 1 to 64 of `A-Z a-z 0-9 _ -`.
    Tenant
);

impl Tenant {
    /// What its text matches, for who describes it. The same rule as `from_str`.
    pub const PATTERN: &str = "^[A-Za-z0-9_-]{1,64}$";

    /// The tenant of everything that names none.
    pub fn default_tenant() -> Tenant {
        Tenant("default".into())
    }
}

impl FromStr for Tenant {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Tenant, Invalid> {
        if is_segment(text) && text.len() <= 64 {
            Ok(Tenant(text.into()))
        } else {
            Err(Invalid::new("invalid_tenant", "A tenant is 1 to 64 of the characters A-Z a-z 0-9 _ -."))
        }
    }
}

text_type!(
    /// A dotted name such as `content.published`: segments of `A-Z a-z 0-9 _ -` joined by single dots, 128 bytes at most.
    EventType
);

impl EventType {
    /// What its text matches, up to its length; the same rule as `from_str`.
    pub const PATTERN: &str = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$";
    /// Bytes, and characters, at most.
    pub const MAX_BYTES: usize = 128;
}

impl FromStr for EventType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<EventType, Invalid> {
        if text.len() <= EventType::MAX_BYTES && text.split('.').all(is_segment) {
            Ok(EventType(text.into()))
        } else {
            Err(Invalid::new(
                "invalid_event_type",
                "An event type is a dotted name such as content.published: segments of A-Z a-z 0-9 _ - joined by single dots, 128 bytes at most.",
            ))
        }
    }
}

text_type!(
    /// The id of an event: generated (`evt_` and a ULID), or the application's own.
    /// It travels as `webhook-id`, which must hold no dot (Standard Webhooks 1.0.0), so: 1 to 128 of `A-Z a-z 0-9 _ -`.
    EventId
);

impl EventId {
    /// What its text matches; the same rule as `from_str`.
    pub const PATTERN: &str = "^[A-Za-z0-9_-]{1,128}$";

    /// A new id from a time and 80 random bits.
    pub fn generate(now: Millis, random: u128) -> EventId {
        let ulid = ulid::Ulid::from_parts(now.max(0) as u64, random);
        EventId(format!("evt_{ulid}").into())
    }
}

impl FromStr for EventId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<EventId, Invalid> {
        if is_segment(text) && text.len() <= 128 {
            Ok(EventId(text.into()))
        } else {
            Err(Invalid::new(
                "invalid_event_id",
                "An event id is 1 to 128 of the characters A-Z a-z 0-9 _ -. It is sent as webhook-id, which must hold no dot.",
            ))
        }
    }
}

/// One thing that happened; immutable. `data` and `previous_data` are JSON exactly as the application spelled it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    pub tenant: Tenant,
    pub event_type: EventType,
    /// When it happened, as the application says, or else when it was received.
    pub created_ms: Millis,
    /// When Hookpost stored it.
    pub received_ms: Millis,
    pub data: Box<str>,
    pub previous_data: Option<Box<str>>,
    /// A test event is real but for this mark.
    pub test: bool,
}

impl Event {
    /// A checksum over what is delivered, so that a flipped byte on the disk is noticed before it is sent.
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

    /// About how many bytes of memory the event takes.
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
