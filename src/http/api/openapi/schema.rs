//! The words of the API as JSON Schemas, each with the bounds that its type is held to when it is parsed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use strum::VariantArray;

use crate::actions::show_event;
use crate::domain::{attempt, delivery, event, pattern, secret, webhook};
use crate::profile;
use crate::store::{api_key, page};

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident { $($key:literal: $value:expr),* $(,)? })+) => {$(
        $(#[doc = $doc])+
        pub(in super::super) enum $name {}

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "description": concat!($($doc),+).trim(), $($key: $value),*})
            }
        }
    )+};
}

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident = $all:expr;)+) => {
        texts! {$(
            $(#[doc = $doc])+
            $name { "enum": $all.iter().map(|word| word.into_str()).collect::<Vec<_>>() }
        )+}
    };
}

/// A ULID (26 characters of Crockford's base 32, the first at most 7) after a prefix.
macro_rules! ulid {
    ($prefix:literal) => {
        concat!("^", $prefix, "_[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$")
    };
}

texts! {
    /// The id of a webhook.
    WebhookId { "pattern": ulid!("wh"), "examples": ["wh_01KF0AVD80Q5RJBBPG8YQH7XWB"] }
    /// The id of a delivery.
    DeliveryId { "pattern": ulid!("dlv"), "examples": ["dlv_01KF0AVD80KJ7YV7F6E4E2QHPQ"] }
    /// The id of an attempt.
    AttemptId { "pattern": ulid!("att"), "examples": ["att_01KF0AVD80HN2FAV4PZ36HVTQC"] }
    /// The id of an API key; not the key itself.
    ApiKeyId { "pattern": ulid!("key"), "examples": ["key_01KF0AVD80W0PPFFQY8AY3BFJE"] }
    /// The id of an event: generated, or the application's own.
    EventId { "pattern": event::EventId::PATTERN, "examples": ["evt_01KF0AVD80A4NYB3X1YPR2TZ8H"] }
    /// One customer of the application.
    TenantName { "pattern": event::Tenant::PATTERN, "examples": ["default"] }
    /// A dotted name.
    EventTypeName {
        "pattern": event::EventType::PATTERN, "maxLength": event::EventType::MAX_BYTES,
        "examples": ["content.published"],
    }
    /// An event type, `content.*` for everything below `content` at any depth, or `*` for everything.
    EventTypePattern {
        "pattern": pattern::EventPattern::PATTERN, "maxLength": event::EventType::MAX_BYTES,
        "examples": ["content.*"],
    }
    /// The name of a profile.
    ProfileName { "pattern": profile::spec::NAME_PATTERN, "examples": ["generic"] }
    /// A secret: printable ASCII.
    SecretText { "pattern": secret::Secret::PATTERN, "examples": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }
    /// A time in RFC 3339, years 1970 to 9999. Answers are in UTC, with milliseconds.
    Time { "format": "date-time", "examples": ["2026-01-15T10:00:00.000Z"] }
    /// Where a page begins: `next_cursor` of the page before.
    Cursor {
        // A positive number of eight bytes, in base64.
        "pattern": "^[A-Za-f][A-Za-z0-9_-]{9}[AEIMQUYcgkosw048]$", "not": serde_json::json!({"const": "AAAAAAAAAAA"}),
        "examples": ["AAAAAAAAAAE"],
    }
    /// An `Idempotency-Key`: printable ASCII.
    IdempotencyKey { "pattern": "^[!-~]([ -~]{0,253}[!-~])?$", "examples": ["order-1001-paid"] }
}

words! {
    /// Whether a webhook's deliveries are sent or wait.
    WebhookState = webhook::WebhookState::VARIANTS;
    /// Where a delivery stands.
    DeliveryStatus = delivery::DeliveryStatus::VARIANTS;
    /// What set off an attempt.
    Trigger = delivery::Trigger::VARIANTS;
    /// Why an attempt failed.
    ErrorCode = attempt::ErrorCode::VARIANTS;
    /// What an API key may do.
    Scope = api_key::Scope::VARIANTS;
    /// Why an event was not delivered to a webhook.
    MissedReason = show_event::MissedReason::VARIANTS;
    /// How far back statistics look.
    Window = crate::actions::statistics::Window::VARIANTS;
    /// Which secret signs a header.
    Signs = crate::profile::sign::Signs::VARIANTS;
}

texts! {
    /// What a delivery of an inactive webhook waits for.
    WaitingFor {
        "enum": webhook::WebhookState::VARIANTS.iter().filter_map(|state| state.waiting_for()).collect::<Vec<_>>()
    }
}

/// A JSON Schema.
pub(in super::super) enum JsonSchemaText {}

impl JsonSchema for JsonSchemaText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "JsonSchema".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["object", "boolean"]})
    }
}

/// How many rows a page holds at most.
pub(in super::super) enum Limit {}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": page::MAX_LIMIT, "default": page::DEFAULT_LIMIT})
    }
}
