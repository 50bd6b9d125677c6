//! Domain types as column values: enums and names as text, ids as their 16 bytes, lists as JSON.
//!
//! A stored value that does not parse is an `InvalidType`, which names its column (see [`StoreError::Corrupt`]).
//!
//! [`StoreError::Corrupt`]: super::StoreError::Corrupt

use std::collections::BTreeSet;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api_key::Scope;
use super::one_time_link::LinkKind;
use super::user::Role;
use crate::domain::attempt::ErrorCode;
use crate::domain::contact::{EmailAddress, QuietHours, QuietHoursSpec, Topic, WebhookPattern};
use crate::domain::delivery::{Cause, DeliveryStatus, DiscardReason, Trigger};
use crate::domain::endpoint_auth::{AuthSpec, EndpointAuth};
use crate::domain::event::{EventId, EventType, Tenant};
use crate::domain::filter::Filter;
use crate::domain::header::CustomHeaders;
use crate::domain::histogram::Histogram;
use crate::domain::id::{ApiKeyId, AttemptId, ContactId, DeliveryId, IncidentId, PortalLinkId, WebhookId};
use crate::domain::incident::{EntryKind, OpenReason};
use crate::domain::pattern::EventPattern;
use crate::domain::retry::{Schedule, ScheduleSpec};
use crate::domain::schema::Schema;
use crate::domain::secret::Secret;
use crate::domain::signing::{KeyPair, Signing};
use crate::domain::target::{AllowEntry, TargetUrl};
use crate::domain::telling::EdgeKind;
use crate::domain::webhook::{ExternalId, Waiting, WebhookState, parse_events};
use crate::profile::{Profile, ProfileSpec};

fn corrupt<E>(_: E) -> FromSqlError {
    FromSqlError::InvalidType
}

macro_rules! stored_as_text {
    ($text:ident: $($name:ty),+ $(,)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.$text().into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                value.as_str()?.parse().map_err(corrupt)
            }
        }
    )+};
}

stored_as_text!(as_str: EmailAddress, EventId, EventType, ExternalId, Secret, TargetUrl, Tenant);
stored_as_text!(to_string: AllowEntry);
stored_as_text!(into_str: Cause, DeliveryStatus, DiscardReason, EdgeKind, EntryKind, ErrorCode, LinkKind, OpenReason, Role, Scope, Signing, Trigger);
stored_as_text!(into_str: Waiting, WebhookState);

macro_rules! stored_as_bytes {
    ($($name:ty),+ $(,)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.to_bytes().to_vec().into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                <[u8; 16]>::column_result(value).map(<$name>::from_bytes)
            }
        }
    )+};
}

stored_as_bytes!(ApiKeyId, AttemptId, ContactId, DeliveryId, IncidentId, PortalLinkId, WebhookId);

/// Value stored as JSON text.
pub(super) struct Json<T>(pub T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(&self.0);
        text.map(Into::into).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Json<T>> {
        serde_json::from_str(value.as_str()?).map(Json).map_err(corrupt)
    }
}

/// Event patterns of a webhook, stored as a JSON list.
pub(super) struct Patterns(pub Vec<EventPattern>);

/// Webhooks that a contact is told about, stored as a JSON list.
pub(super) struct WebhookPatterns(pub Vec<WebhookPattern>);

/// Topics of a contact, stored as a JSON list.
pub(super) struct Topics(pub BTreeSet<Topic>);

macro_rules! read_from {
    ($($name:ty: $stored:ty => $parse:expr;)+) => {$(
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                let parse: fn($stored) -> Result<$name, _> = $parse;
                <$stored>::column_result(value).and_then(|stored| parse(stored).map_err(corrupt))
            }
        }
    )+};
}

read_from! {
    CustomHeaders: Json<Vec<(String, String)>> => |Json(pairs)| Ok::<_, ()>(CustomHeaders::trusted(pairs));
    EndpointAuth: Json<AuthSpec> => |Json(spec)| EndpointAuth::parse(spec, None, false);
    Filter: String => |text| text.parse();
    Histogram: Vec<u8> => |bytes| Histogram::from_bytes(&bytes).ok_or(());
    KeyPair: String => |text| KeyPair::from_stored(&text).ok_or(());
    Patterns: Json<Vec<String>> => |Json(texts)| parse_events(&texts).map(Patterns);
    Topics: Json<Vec<String>> => |Json(texts)| texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Topics);
    WebhookPatterns: Json<Vec<String>> => |Json(texts)| {
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(WebhookPatterns)
    };
    Profile: Json<ProfileSpec> => |Json(spec)| Profile::parse(spec);
    QuietHours: Json<QuietHoursSpec> => |Json(spec)| QuietHours::parse(&spec);
    Schedule: Json<ScheduleSpec> => |Json(spec)| Schedule::parse(&spec);
    Schema: String => |text| Schema::parse(&text);
}
