//! Operations on values: their comparison, and their forms as text and as JSON.

use std::cmp::Ordering;

use super::Fault;
use super::number;
use super::print::quote;
use super::program::Comparison;
use super::render::Renderer;
use super::value::{Object, Text, Value};

impl<'a> Renderer<'a> {
    pub fn number(&mut self, value: &Value<'a>) -> Result<Text<'a>, Fault> {
        match self.open(value)? {
            Value::Number(number) => Ok(number),
            other => Err(Fault::new(format!("This must be a number, and is {}.", other.kind()))),
        }
    }

    pub fn index(&mut self, value: &Value<'a>) -> Result<i64, Fault> {
        let number = self.number(value)?;
        self.spend(number.len())?;
        number::to_index(&number).ok_or_else(|| Fault::new("This must be a whole number."))
    }

    pub fn compare(&mut self, comparison: Comparison, left: &Value<'a>, right: &Value<'a>) -> Result<bool, Fault> {
        let order = |renderer: &mut Self| renderer.order(left, right);
        Ok(match comparison {
            Comparison::Equal => self.equal(left, right)?,
            Comparison::Unequal => !self.equal(left, right)?,
            Comparison::Less => order(self)?.is_lt(),
            Comparison::LessOrEqual => order(self)?.is_le(),
            Comparison::Greater => order(self)?.is_gt(),
            Comparison::GreaterOrEqual => order(self)?.is_ge(),
            Comparison::In => self.contains(right, left)?,
            Comparison::NotIn => !self.contains(right, left)?,
        })
    }

    pub fn equal(&mut self, left: &Value<'a>, right: &Value<'a>) -> Result<bool, Fault> {
        if let (Value::Json(left), Value::Json(right)) = (left, right)
            && left.raw == right.raw
        {
            self.spend(left.raw.len())?;
            return Ok(true);
        }
        let (left, right) = (self.open(left)?, self.open(right)?);
        Ok(match (&left, &right) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Number(left), Value::Number(right)) => {
                self.spend(left.len() + right.len())?;
                number::compare(left, right).is_eq()
            }
            (Value::Text(left) | Value::Printed(left), Value::Text(right) | Value::Printed(right)) => {
                self.spend(left.len().min(right.len()))?;
                **left == **right
            }
            (Value::List(left), Value::List(right)) => self.equal_items(&left.items, &right.items)?,
            (Value::Object(object), Value::Object(other)) => {
                object.members.len() == other.members.len() && self.equal_members(object, &right)?
            }
            _ => false,
        })
    }

    fn equal_items(&mut self, left: &[Value<'a>], right: &[Value<'a>]) -> Result<bool, Fault> {
        if left.len() != right.len() {
            return Ok(false);
        }
        for (left, right) in left.iter().zip(right) {
            self.spend(0)?;
            if !self.equal(left, right)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn equal_members(&mut self, left: &Object<'a>, right: &Value<'a>) -> Result<bool, Fault> {
        for (name, value) in &left.members {
            let counterpart = self.member(right, name)?;
            if counterpart.is_undefined() || !self.equal(value, &counterpart)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Compares two numbers, or two texts.
    pub fn order(&mut self, left: &Value<'a>, right: &Value<'a>) -> Result<Ordering, Fault> {
        let (left, right) = (self.open(left)?, self.open(right)?);
        match (&left, &right) {
            (Value::Number(left), Value::Number(right)) => {
                self.spend(left.len() + right.len())?;
                Ok(number::compare(left, right))
            }
            (Value::Text(left), Value::Text(right)) => {
                self.spend(left.len().min(right.len()))?;
                Ok(left.cmp(right))
            }
            _ => Err(Fault::new(format!("{} and {} have no order.", left.kind(), right.kind()))),
        }
    }

    pub fn contains(&mut self, whole: &Value<'a>, part: &Value<'a>) -> Result<bool, Fault> {
        match self.open(whole)? {
            Value::Text(text) => {
                let part = self.text(part)?;
                self.spend(text.len() + part.len())?;
                Ok(text.contains(&*part))
            }
            Value::List(list) => {
                for item in &list.items {
                    self.spend(0)?;
                    if self.equal(item, part)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            object @ Value::Object(_) => {
                let name = self.text(part)?;
                Ok(!self.member(&object, &name)?.is_undefined())
            }
            other => Err(Fault::new(format!("{} contains nothing.", other.kind()))),
        }
    }

    /// Returns a text as it is, and any other value as JSON.
    pub fn text(&mut self, value: &Value<'a>) -> Result<Text<'a>, Fault> {
        match self.open_text(value)? {
            Value::Text(text) | Value::Printed(text) | Value::Number(text) => Ok(text),
            other => Ok(Text::Built(self.json(&other)?.into())),
        }
    }

    /// Reads a text of the payload. A list or an object of it is left as it is, since its JSON is there already.
    fn open_text(&mut self, value: &Value<'a>) -> Result<Value<'a>, Fault> {
        match value {
            Value::Json(node) if node.raw.starts_with('"') => self.open(value),
            _ => Ok(value.clone()),
        }
    }

    /// Returns a value as JSON. Parts of the payload are as the application wrote them.
    pub fn json(&mut self, value: &Value<'a>) -> Result<String, Fault> {
        let mut json = String::new();
        self.write_json(value, &mut json)?;
        Ok(json)
    }

    fn write_json(&mut self, value: &Value<'a>, json: &mut String) -> Result<(), Fault> {
        match value {
            Value::Undefined => return Err(Fault::new("A value is undefined.")),
            Value::Null => json.push_str("null"),
            Value::Bool(is_true) => json.push_str(if *is_true { "true" } else { "false" }),
            Value::Number(text) | Value::Printed(text) => {
                self.spend(text.len())?;
                json.push_str(text);
            }
            Value::Json(node) => {
                self.spend(node.raw.len())?;
                json.push_str(node.raw);
            }
            Value::Text(text) => {
                self.spend(text.len())?;
                quote(text, json);
            }
            Value::List(list) => {
                json.push('[');
                for (index, item) in list.items.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    self.spend(0)?;
                    self.write_json(item, json)?;
                }
                json.push(']');
            }
            Value::Object(object) => {
                json.push('{');
                for (index, (name, value)) in object.members.iter().enumerate() {
                    json.push_str(if index == 0 { "" } else { "," });
                    self.spend(name.len())?;
                    quote(name, json);
                    json.push(':');
                    self.write_json(value, json)?;
                }
                json.push('}');
            }
        }
        Ok(())
    }
}
