//! Filters: conditions of a webhook on the content of events.
//!
//! The syntax is Hookdeck's, whose reference is the npm package `simple-json-match`: a filter is JSON in the shape of the
//! event, with operators in place of values. There are no regular expressions and no functions. Three things differ:
//! numbers compare by all their digits, `$changed` compares with `previous_data`, and what the package would ignore is
//! refused when the filter is read.
//!
//! A filter is read once, into a tree of bounded size. Its evaluation takes a bounded number of steps ([`EventWork`]); an
//! event that cannot be decided within them is delivered, since a lost event is worse than one too many.

mod condition;
mod mismatch;
mod number;
mod parse;
mod rows;
#[cfg(test)]
mod tests;
mod value;
mod work;

use std::fmt;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use self::condition::{Condition, Subject, event_object};
use super::Invalid;
use super::event::Event;

pub use self::condition::{Order, Test, Values};
pub use self::mismatch::{Found, Mismatch, Wanted};
pub use self::parse::{MAX_CONDITIONS, MAX_DEPTH};
pub use self::rows::{Row, RowOperator, of_rows};
pub use self::value::Json;
pub use self::work::EventWork;

/// Maximum bytes of a filter's JSON.
pub const MAX_BYTES: usize = 16 << 10;

/// A condition on events. Two filters are equal if their texts are.
#[derive(Clone)]
pub struct Filter {
    text: Box<str>,
    condition: Condition,
    conditions: usize,
}

impl Filter {
    /// Number of conditions, which the cost of an evaluation grows with.
    pub fn conditions(&self) -> usize {
        self.conditions
    }

    /// JSON as given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the filter lets an event through: if its condition holds, or cannot be decided.
    pub fn accepts(&self, event: &Content<'_>, work: &mut EventWork) -> bool {
        work.run(|work| self.condition.holds(&event.object, event.subject(), work)).unwrap_or(true)
    }

    /// Returns the condition that keeps an event from passing; `None` if the filter lets it through.
    pub fn mismatch(&self, event: &Content<'_>, work: &mut EventWork) -> Option<Mismatch<'_>> {
        let found = work.run(|work| mismatch::of(&self.condition, &event.object, event.subject(), work));
        found.unwrap_or(None)
    }
}

impl FromStr for Filter {
    type Err = Invalid;

    /// Reads a filter. The error names the place, such as `filter.data.amount.$gte`.
    fn from_str(text: &str) -> Result<Filter, Invalid> {
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return Err(parse::invalid("filter", format!("A filter has at most {MAX_BYTES} bytes.")));
        }
        let read = Json::read(text);
        let json = read.ok_or_else(|| parse::invalid("filter", "A filter must be a JSON object."))?;
        let (condition, conditions) = parse::condition(json)?;
        Ok(Filter { text: text.into(), condition, conditions })
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Filter) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.text).finish()
    }
}

/// Text of a filter as a caller gives it: any JSON, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterText(pub Box<str>);

impl<'de> Deserialize<'de> for FilterText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FilterText, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| FilterText(raw.get().into()))
    }
}

impl Serialize for FilterText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Schema of a filter for the API's specification. Cannot express the rules of the operators.
pub fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"],
        "properties": {
            "type": {"description": "Condition on the event type."},
            "tenant": {"description": "Condition on the tenant."},
            "id": {"description": "Condition on the id of the event."},
            "data": {"description": "Condition on the data."},
            "previous_data": {"description": "Condition on the previous data."},
            "$or": {"description": "List of filters, one of which matches.", "type": "array", "items": {}, "minItems": 1},
            "$and": {"description": "List of filters, which all match.", "type": "array", "items": {}, "minItems": 1},
            "$not": {"description": "Filter that does not match."},
        },
        "additionalProperties": false,
        "example": {"data": {"amount": {"$gte": 100}, "country": {"$in": ["DE", "AT"]}}},
    })
}

/// Content of an event, read for filters.
#[derive(Debug)]
pub struct Content<'a> {
    object: Json<'a>,
}

impl<'a> Content<'a> {
    /// Reads an event. `None` if its data is damaged.
    pub fn of(event: &'a Event) -> Option<Content<'a>> {
        let Event { id, tenant, event_type, data, previous_data, .. } = event;
        Content::read(event_type.as_str(), tenant.as_str(), id.as_str(), data, previous_data.as_deref())
    }

    /// Reads an event from its parts.
    pub fn read(
        event_type: &'a str,
        tenant: &'a str,
        id: &'a str,
        data: &'a str,
        previous_data: Option<&'a str>,
    ) -> Option<Content<'a>> {
        let previous = match previous_data.filter(|text| *text != "null") {
            Some(text) => Some(Json::read(text)?),
            None => None,
        };
        let texts = [("type", event_type), ("tenant", tenant), ("id", id)];
        Some(Content { object: Json::Object(event_object(texts, Json::read(data)?, previous)) })
    }

    fn subject(&self) -> Subject<'_> {
        let Json::Object(object) = &self.object else {
            return Subject { data: &self.object, previous_data: None };
        };
        Subject { data: object.get("data").unwrap_or(&Json::Null), previous_data: object.get("previous_data") }
    }
}
