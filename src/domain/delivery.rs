//! The states of a delivery, and the triggers of an attempt.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;
/// State of a delivery in the API and on pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<DeliveryStatus>)]
pub enum DeliveryStatus {
    /// No attempt has failed yet.
    Pending,
    /// At least one attempt failed; another follows.
    Retrying,
    Delivered,
    /// Dead letter: all attempts failed.
    Failed,
    /// Will not be sent; [`DiscardReason`] says why.
    Discarded,
}

impl DeliveryStatus {
    /// Whether no automatic attempt follows.
    pub fn is_finished(self) -> bool {
        !matches!(self, DeliveryStatus::Pending | DeliveryStatus::Retrying)
    }
}

/// Reason why a queued delivery is not sent, whatever its due time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<WaitingFor>)]
pub enum WaitingFor {
    WebhookPaused,
    WebhookDisabled,
    WebhookUnverified,
    /// All deliveries are paused. A state of the webhook comes first, because it outlasts the pause.
    DeliveriesPaused,
}

/// Reason why a delivery was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<DiscardReason>)]
pub enum DiscardReason {
    /// A person or a program discarded it, or resumed its webhook without what had been queued.
    Requested,
    EventErased,
    WebhookDeleted,
}

/// Trigger of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Trigger>)]
pub enum Trigger {
    /// The first attempt of a delivery.
    Initial,
    /// A retry by the schedule.
    Automatic,
    /// A retry by a person.
    Manual,
    Test,
    Challenge,
}

/// Origin of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<Cause>)]
pub enum Cause {
    /// An event was published.
    Event,
    /// A stored event was sent again on request.
    Replay,
    /// A test was requested.
    Test,
}
