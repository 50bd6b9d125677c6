//! The states of a delivery and what set off an attempt.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;
/// Where a delivery stands, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<DeliveryStatus>)]
pub enum DeliveryStatus {
    /// No attempt has failed yet.
    Pending,
    /// At least one attempt failed, another will follow.
    Retrying,
    Delivered,
    /// A dead letter: its attempts are used up.
    Failed,
    /// Given up by a person.
    Discarded,
}

impl DeliveryStatus {
    /// Whether no further attempt follows by itself.
    pub fn is_finished(self) -> bool {
        !matches!(self, DeliveryStatus::Pending | DeliveryStatus::Retrying)
    }
}

/// What set off an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Trigger>)]
pub enum Trigger {
    /// The first attempt of a delivery.
    Initial,
    /// The schedule.
    Automatic,
    /// A person.
    Manual,
    Test,
    Challenge,
}

/// How a delivery came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Cause>)]
pub enum Cause {
    /// An event was published.
    Event,
    /// A stored event was sent again on request.
    Replay,
    /// A test was asked for.
    Test,
}
