//! Texts of the API: one type each, with a JSON Schema that states the bounds of the domain type's parser.

use std::borrow::Cow;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strum::VariantArray as _;

use super::call::without_null;
use crate::actions::{show_event, statistics};
use crate::domain::time::{Millis, rfc3339};
use crate::domain::{
    attempt, audit_action, code_pattern, contact, delivery, event, incident, needle, pattern, secret, several, signing,
    webhook,
};
use crate::profile;
use crate::store::{api_key, page};

/// Returns the schema of an object type without one of its fields.
pub(in crate::http) fn without<T: JsonSchema>(field: &str, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    if let Some(Value::Object(properties)) = schema.pointer_mut("/properties") {
        properties.shift_remove(field);
    }
    schema
}

/// Takes null out of the types of fields.
pub(in crate::http) fn require_values(schema: &mut Schema, fields: &[&str]) {
    for field in fields {
        if let Some(property) = schema.pointer_mut(&format!("/properties/{field}")) {
            *property = without_null(property.take());
        }
    }
}

/// Lets members of objects be null, which removes them (RFC 7396).
pub(in crate::http) fn with_null_members(schema: &mut Schema, fields: &[&str]) {
    for field in fields {
        if let Some(Value::Object(member)) = schema.pointer_mut(&format!("/properties/{field}/additionalProperties")) {
            member.insert("type".to_owned(), json!(["string", "null"]));
        }
    }
}

/// Declares text types. Views create them from domain types; in requests they contain any text, which handlers parse.
macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident { $($key:literal: $value:expr),* $(,)? })+) => {$(
        text!($(#[doc = $doc])+ $name);

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

macro_rules! text {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        pub(in crate::http) struct $name(String);

        impl<T: std::fmt::Display> From<T> for $name {
            fn from(value: T) -> $name {
                $name(value.to_string())
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident = $all:expr;)+) => {
        /// Pattern of a text in one line that is more than white space.
pub const LINE: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

texts! {$(
            $(#[doc = $doc])+
            $name { "enum": $all.iter().map(ToString::to_string).collect::<Vec<_>>() }
        )+}
    };
}

/// Pattern of a prefix and a ULID: 26 characters of Crockford's base 32, the first at most 7.
macro_rules! ulid {
    ($prefix:literal) => {
        concat!("^", $prefix, "_[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$")
    };
}

texts! {
    /// The id of a webhook.
    WebhookId { "pattern": ulid!("wh"), "examples": ["wh_01KF0AVD80Q5RJBBPG8YQH7XWB"] }
    /// The application's own id of a webhook, unique in its tenant.
    ExternalId { "pattern": webhook::ExternalId::PATTERN, "examples": ["shop-42"] }
    /// Public key of a webhook's Ed25519 signatures: `whpk_` and the base64 of 32 bytes.
    PublicKey { "pattern": signing::PublicKey::PATTERN, "examples": ["whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="] }
    /// The id of a delivery.
    DeliveryId { "pattern": ulid!("dlv"), "examples": ["dlv_01KF0AVD80KJ7YV7F6E4E2QHPQ"] }
    /// The id of an attempt.
    AttemptId { "pattern": ulid!("att"), "examples": ["att_01KF0AVD80HN2FAV4PZ36HVTQC"] }
    /// The id of an API key, which is not the key itself.
    ApiKeyId { "pattern": ulid!("key"), "examples": ["key_01KF0AVD80W0PPFFQY8AY3BFJE"] }
    /// The id of an incident.
    IncidentId { "pattern": ulid!("inc"), "examples": ["inc_01KF0AVD80W0PPFFQY8AY3BFJE"] }
    /// The id of a contact.
    ContactId { "pattern": ulid!("ct"), "examples": ["ct_01KF0AVD80W0PPFFQY8AY3BFJE"] }
    /// The id of a portal link.
    PortalLinkId { "pattern": ulid!("pl"), "examples": ["pl_01KF0AVD80W0PPFFQY8AY3BFJE"] }
    /// The id of an event, generated or chosen by the application.
    EventId { "pattern": event::EventId::PATTERN, "examples": ["evt_01KF0AVD80A4NYB3X1YPR2TZ8H"] }
    /// The name of a tenant: one customer of the application.
    TenantName { "pattern": event::Tenant::PATTERN, "examples": ["default"] }
    /// An event type: a dotted name.
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
    /// Name of a page of the documentation.
    DocumentName { "pattern": "^[a-z][a-z0-9.-]{0,63}$", "examples": ["receiving"] }
    /// A secret: printable ASCII.
    SecretText { "pattern": secret::Secret::PATTERN, "examples": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }
    /// A time in RFC 3339, from 1970 to 9999. Responses use UTC with milliseconds.
    Time { "format": "date-time", "examples": ["2026-01-15T10:00:00.000Z"] }
    /// The start of a page: `next_cursor` of the previous page.
    Cursor {
        // A positive number of eight bytes and a checksum of four, in base64.
        "pattern": "^[A-Za-f][A-Za-z0-9_-]{15}$", "examples": ["AAAAAAAAAAEfSw5Y"],
    }
    /// The start of a page of a list by name: `next_cursor` of the previous page.
    NameCursor {
        // 1 to 64 bytes of a name and a checksum of four, in base64.
        "pattern": "^[A-Za-z0-9_-]{7,91}$", "examples": ["YWNtZR9LDlg"],
    }
    /// A place in the list of events: the id of an event, or a `next_cursor`.
    Place { "pattern": event::EventId::PATTERN, "examples": ["evt_01KF0AVD80A4NYB3X1YPR2TZ8H"] }
    /// A time to wait, from 0 to 60 seconds.
    WaitS { "pattern": "^([0-9]|[1-5][0-9]|60)$", "examples": ["20"] }
    /// Order of a list: `desc`, newest first, or `asc`, oldest first.
    SortOrder { "enum": ["asc", "desc"] }
    /// Text to search for, ignoring case. Escaped spellings of JSON are found too.
    SearchText { "pattern": "[^\\s\\u0085]", "maxLength": needle::Needle::MAX_CHARS, "examples": ["order-1001"] }
    /// An `Idempotency-Key`: printable ASCII.
    IdempotencyKey { "pattern": "^[!-~]([ -~]{0,253}[!-~])?$", "examples": ["order-1001-paid"] }
}

words! {
    /// State of a webhook. Deliveries are sent while it is `active`, and queued otherwise.
    WebhookState = webhook::WebhookState::VARIANTS;
    /// Condition of a webhook. `failing`: attempts have failed since the last success.
    WebhookHealth = incident::Health::VARIANTS;
    /// Rule by which an incident opened: a delivery ran out of attempts (`exhausted`), ten attempts failed in a row over at
    /// least a minute (`many_failures`), nothing but failures for an hour (`hour_of_failures`), the webhook was
    /// `disabled`, or events have waited for an hour for its verification (`unverified`).
    OpenReason = incident::OpenReason::VARIANTS;
    /// Kind of an entry in the time line of an incident.
    IncidentEntryKind = incident::EntryKind::VARIANTS;
    /// Condition of a contact. `failing`: messages do not reach it; `unconfirmed`: nothing is sent until the address is
    /// confirmed.
    ContactStatus = contact::Health::VARIANTS;
    /// Status of a delivery.
    DeliveryStatus = delivery::DeliveryStatus::VARIANTS;
    /// Reason why a queued delivery is not sent: the state of its webhook, or else the pause of all deliveries.
    WaitingFor = delivery::WaitingFor::VARIANTS;
    /// Reason why a delivery was discarded. `requested`: by a call or a person, or on resuming its webhook. The other two
    /// discard what is queued.
    DiscardReason = delivery::DiscardReason::VARIANTS;
    /// Trigger of an attempt.
    Trigger = delivery::Trigger::VARIANTS;
    /// Reason why an attempt failed.
    ErrorCode = attempt::ErrorCode::VARIANTS;
    /// Action in the audit log.
    AuditAction = audit_action::AuditAction::VARIANTS;
    /// Permissions of an API key.
    Scope = api_key::Scope::VARIANTS;
    /// Reason why an event was not delivered to a webhook.
    MissedReason = show_event::MissedReason::VARIANTS;
    /// Time window of statistics.
    Window = statistics::Window::VARIANTS;
    /// The secret that signs a header.
    Signs = profile::sign::Signs::VARIANTS;
}

/// Regular expression of one or several values, from that of one.
fn several(pattern: &str) -> String {
    let one = pattern.trim_start_matches('^').trim_end_matches('$');
    format!("^({one})(,({one})){{0,{}}}$", several::MOST - 1)
}

/// Like [`several`], for words.
fn several_of<T: ToString>(words: &[T]) -> String {
    several(&words.iter().map(ToString::to_string).collect::<Vec<_>>().join("|"))
}

texts! {
    /// Ids of webhooks, with commas in between.
    WebhookIds { "pattern": several(ulid!("wh")), "examples": ["wh_01KF0AVD80Q5RJBBPG8YQH7XWB"] }
    /// Statuses of deliveries, with commas in between.
    DeliveryStatuses { "pattern": several_of(delivery::DeliveryStatus::VARIANTS), "examples": ["failed,retrying"] }
    /// States of webhooks, with commas in between.
    WebhookStates { "pattern": several_of(webhook::WebhookState::VARIANTS), "examples": ["disabled,unverified"] }
    /// Reasons why attempts failed, with commas in between.
    ErrorCodes { "pattern": several_of(attempt::ErrorCode::VARIANTS), "examples": ["timeout,connect_refused"] }
    /// Response codes, or classes of them such as `5xx`, with commas in between.
    ResponseCodes { "pattern": several(code_pattern::CodePattern::PATTERN), "examples": ["5xx,429"] }
    /// Event types, or patterns of them such as `content.*`, with commas in between.
    EventTypePatterns {
        "pattern": several(pattern::EventPattern::PATTERN), "maxLength": event::EventType::MAX_BYTES,
        "examples": ["content.*,order.paid"],
    }
}

impl Time {
    pub(in crate::http) fn at(ms: Millis) -> Time {
        Time(rfc3339(ms))
    }
}

/// Schema of a JSON Schema.
pub(in crate::http) enum JsonSchemaText {}

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

text!(
    /// Largest number of rows in a page.
    Limit
);

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Largest number of rows in a page.",
            "type": "integer", "minimum": 1, "maximum": page::MAX_LIMIT, "default": page::DEFAULT_LIMIT,
        })
    }
}
