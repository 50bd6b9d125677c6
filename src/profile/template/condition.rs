//! Tests of values, named and meant as in MiniJinja.

use strum::{EnumString, IntoStaticStr, VariantArray};

use super::Fault;
use super::program::Expr;
use super::render::Renderer;
use super::value::Value;

/// Test, after `is`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Test {
    Boolean,
    Defined,
    EndingWith,
    False,
    Integer,
    Mapping,
    None,
    Number,
    Sequence,
    StartingWith,
    String,
    True,
    Undefined,
}

impl Test {
    /// Returns a sentence with all names.
    pub fn list() -> String {
        let names: Vec<&str> = Test::VARIANTS.iter().map(|test| test.into()).collect();
        format!("The tests are {}.", names.join(", "))
    }

    pub fn holds<'a>(self, renderer: &mut Renderer<'a>, of: &Value<'a>, arguments: &'a [Expr]) -> Result<bool, Fault> {
        let value = renderer.open(of)?;
        if matches!(self, Test::StartingWith | Test::EndingWith) {
            let Some(argument) = arguments.first() else {
                return Err(Fault::new("This test needs a text."));
            };
            let argument = renderer.defined(argument)?;
            let (part, text) = (renderer.text(&argument)?, renderer.text(&value)?);
            renderer.spend(part.len())?;
            return Ok(if self == Test::StartingWith { text.starts_with(&*part) } else { text.ends_with(&*part) });
        }
        Ok(match self {
            Test::Defined => !value.is_undefined(),
            Test::Undefined => value.is_undefined(),
            Test::None => matches!(value, Value::Null),
            Test::Boolean => matches!(value, Value::Bool(_)),
            Test::True => matches!(value, Value::Bool(true)),
            Test::False => matches!(value, Value::Bool(false)),
            Test::Number => matches!(value, Value::Number(_)),
            Test::Integer => match &value {
                Value::Number(number) => !number.contains(['.', 'e', 'E']),
                _ => false,
            },
            Test::String => matches!(value, Value::Text(_) | Value::Printed(_)),
            Test::Mapping => matches!(value, Value::Object(_)),
            Test::Sequence | Test::StartingWith | Test::EndingWith => matches!(value, Value::List(_)),
        })
    }
}
