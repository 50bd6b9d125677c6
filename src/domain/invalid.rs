//! Input that breaks a rule.

use std::fmt;

/// What is wrong with a value and what to do about it. The code is part of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// A stable word such as `invalid_url`.
    pub code: &'static str,
    /// One or two sentences for the person who sent the value.
    pub message: String,
    /// The path of the field that holds the value, `headers.X-Api-Key` say, where it is known.
    pub field: Option<String>,
}

impl Invalid {
    pub fn new(code: &'static str, message: impl Into<String>) -> Invalid {
        Invalid { code, message: message.into(), field: None }
    }

    /// The same, in the field named.
    #[must_use]
    pub fn in_field(mut self, field: impl Into<String>) -> Invalid {
        self.field = Some(field.into());
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Invalid {}
