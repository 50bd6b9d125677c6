//! The product's terms as types, and its decisions as pure functions.
//!
//! Never reads a clock, draws a random number, or opens a file or a socket: time and randomness are arguments.
//! Text is parsed once, here (`FromStr`), and trusted everywhere above.

pub mod attempt;
pub mod audit_action;
pub mod backup_plan;
pub mod clock_jumps;
pub mod code_pattern;
pub mod contact;
pub mod curl;
pub mod delivery;
pub mod duration_list;
pub mod endpoint_auth;
pub mod event;
pub mod failure_group;
pub mod filter;
pub mod header;
pub mod histogram;
pub mod host_name;
pub mod id;
pub mod incident;
pub mod json;
pub mod live;
pub mod needle;
pub mod pattern;
pub mod problems;
pub mod retention;
pub mod retry;
pub mod same_json;
pub mod schema;
pub mod secret;
pub mod several;
pub mod signing;
pub mod target;
pub mod telling;
pub mod tenant_limits;
pub mod time;
pub mod tls;
pub mod token_bucket;
pub mod webhook;
pub mod zone;

use strum::VariantArray;

/// Error for input that breaks a rule: what is wrong and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// Stable identifier such as `invalid_url`; part of the API.
    pub code: &'static str,
    /// One or two sentences for the sender of the value.
    pub message: String,
    /// Path of the field that holds the value, such as `headers.X-Api-Key`, if known.
    pub field: Option<String>,
    /// Further problems of the same input.
    pub others: Vec<Invalid>,
}

impl Invalid {
    pub fn new(code: &'static str, message: impl Into<String>) -> Invalid {
        Invalid { code, message: message.into(), field: None, others: Vec::new() }
    }

    /// Error for text that names no variant of `T`; the message lists the valid names.
    pub fn unknown_value<T: VariantArray + Copy + Into<&'static str>>(text: &str) -> Invalid {
        let valid: Vec<&str> = T::VARIANTS.iter().map(|&variant| variant.into()).collect();
        Invalid::new("invalid_value", format!("{text:?} is not one of {}.", valid.join(", ")))
    }

    /// Error for a required field that is absent.
    pub fn missing_field(name: &str) -> Invalid {
        Invalid::new("missing_field", format!("The field {name} is missing.")).in_field(name)
    }

    /// Names the field of this and of all further problems as a field of `parent`.
    #[must_use]
    pub fn within(self, parent: &str) -> Invalid {
        Invalid {
            field: self.field.map(|field| format!("{parent}.{field}")),
            others: self.others.into_iter().map(|other| other.within(parent)).collect(),
            ..self
        }
    }

    /// Sets the field that the error is about.
    #[must_use]
    pub fn in_field(mut self, field: impl Into<String>) -> Invalid {
        self.field = Some(field.into());
        self
    }
}
