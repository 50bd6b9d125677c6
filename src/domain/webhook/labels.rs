//! The application's own id of a webhook, and its own facts about it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use crate::domain::Invalid;
use crate::domain::problems::Problems;

/// The application's own id of a webhook, unique in a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalId(String);

impl ExternalId {
    /// It is a segment of a path.
    pub const PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:@=+-]{0,127}$";

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ExternalId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<ExternalId, Invalid> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@=+-".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins && text.len() <= 128 && text.bytes().all(is_allowed) {
            return Ok(ExternalId(text.to_owned()));
        }
        let message = "An external_id has 1 to 128 letters, digits and characters of . _ : @ = + -, and begins with a letter or digit.";
        Err(Invalid::new("invalid_external_id", message).in_field("external_id"))
    }
}

/// Facts of the application about a webhook: texts by name.
pub type Metadata = BTreeMap<String, String>;

/// Maximum entries of the metadata.
const MAX_ENTRIES: usize = 50;
const NAME_PATTERN: &str = "^[A-Za-z0-9._:-]{1,40}$";
/// Maximum characters of a value.
const MAX_VALUE: usize = 500;
const VALUE_PATTERN: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$";

/// Schema of metadata.
pub(super) fn metadata_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"],
        "maxProperties": MAX_ENTRIES,
        "propertyNames": {"pattern": NAME_PATTERN},
        "additionalProperties": {"type": "string", "maxLength": MAX_VALUE, "pattern": VALUE_PATTERN},
    })
}

/// Checks metadata. The error names all fields.
pub(super) fn parse_metadata(given: Map<String, Value>) -> Result<Metadata, Invalid> {
    if given.len() > MAX_ENTRIES {
        let message = format!("metadata has at most {MAX_ENTRIES} entries.");
        return Err(Invalid::new("invalid_metadata", message).in_field("metadata"));
    }
    let mut problems = Problems::default();
    let mut metadata = Metadata::new();
    for (name, value) in given {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        let is_refused = |c: char| c.is_control() && c != '\n' && c != '\t' && c != '\r';
        let fault = match &value {
            _ if name.is_empty() || name.len() > 40 || !name.bytes().all(is_allowed) => {
                "A name in metadata has 1 to 40 letters, digits and characters of . _ : -."
            }
            Value::String(text) if text.chars().count() <= MAX_VALUE && !text.contains(is_refused) => {
                metadata.insert(name, text.clone());
                continue;
            }
            _ => "A value in metadata is a text of at most 500 characters, without control characters.",
        };
        problems.add(Invalid::new("invalid_metadata", fault).in_field(format!("metadata.{name}")));
    }
    problems.end().map(|()| metadata)
}
