//! Public ids: a prefix for the type, and a ULID (<https://github.com/ulid/spec>). Order goes by the sequence number that
//! the store assigns, never by id.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ulid::Ulid;

use super::time::Millis;

/// Error for text that is not an id of the expected type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// Returns a new id from a time and 80 random bits.
            pub fn generate(now: Millis, random: u128) -> $name {
                $name(Ulid::from_parts(now.max(0) as u64, random))
            }

            /// Returns the 16 bytes that the database stores.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            pub fn from_bytes(bytes: [u8; 16]) -> $name {
                $name(Ulid::from_bytes(bytes))
            }

            /// Returns the first and the last id that begin with a text, with or without the prefix of the type.
            pub fn beginning_with(text: &str) -> Option<RangeInclusive<$name>> {
                let part = text.strip_prefix($prefix).unwrap_or(text);
                let missing = ulid::ULID_LEN.checked_sub(part.len()).filter(|_| !part.is_empty())?;
                let filled = |with: &str| Ulid::from_string(&format!("{part}{}", with.repeat(missing))).ok().map($name);
                Some(filled("0")?..=filled("Z")?)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0u8; ulid::ULID_LEN];
                f.write_str($prefix)?;
                f.write_str(self.0.array_to_str(&mut text))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<$name, NotAnId> {
                let ulid = text.strip_prefix($prefix).ok_or(NotAnId)?;
                Ulid::from_string(ulid).map($name).map_err(|_| NotAnId)
            }
        }
    };
}

id!(
    /// A URL that subscribed to event types. Text form: `wh_` and a 26-character ULID.
    WebhookId, "wh_"
);
id!(
    /// One event bound for one webhook. Text form: `dlv_` and a 26-character ULID.
    DeliveryId, "dlv_"
);
id!(
    /// One try of a delivery. Text form: `att_` and a 26-character ULID.
    AttemptId, "att_"
);
id!(
    /// An API key. Text form: `key_` and a 26-character ULID; not the key itself.
    ApiKeyId, "key_"
);
id!(
    /// The trouble of an endpoint. Text form: `inc_` and a 26-character ULID.
    IncidentId, "inc_"
);
id!(
    /// A portal link. Text form: `pl_` and a 26-character ULID; not the token in its URL.
    PortalLinkId, "pl_"
);

id!(
    /// A person or system that is told about incidents. Text form: `ct_` and a 26-character ULID.
    ContactId, "ct_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_prints() {
        let id = DeliveryId::generate(1_768_471_200_000, 7);
        assert_eq!(id.to_string().len(), 30);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(DeliveryId::from_bytes(id.to_bytes()), id);
    }

    #[test]
    fn the_beginning_of_an_id_is_a_range_of_ids() {
        let id: DeliveryId = "dlv_01KF0AVD80KJ7YV7F6E4E2QHPQ".parse().unwrap();
        for part in
            ["dlv_0", "dlv_01KF0AVD", "01kf0avd80kj7", "01KF0AVD80KJ7YV7F6E4E2QHPQ", "dlv_01KF0AVD80KJ7YV7F6E4E2QHPQ"]
        {
            assert!(DeliveryId::beginning_with(part).unwrap().contains(&id), "{part}");
        }
        assert!(!DeliveryId::beginning_with("dlv_01KF0AVE").unwrap().contains(&id));
        for no_id in ["", "dlv_", "dlv_01KF!", "zoë", "01KF0AVD80KJ7YV7F6E4E2QHPQX", "evt_01KF"] {
            assert_eq!(DeliveryId::beginning_with(no_id), None, "{no_id}");
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = DeliveryId::generate(1, 7).to_string();
        assert_eq!(id.parse::<WebhookId>(), Err(NotAnId));
        for bad in ["", "dlv_", "dlv_short", "dlv_!!!!!!!!!!!!!!!!!!!!!!!!!!"] {
            assert_eq!(bad.parse::<DeliveryId>(), Err(NotAnId), "{bad}");
        }
    }
}
