//! Values of a template while it is rendered.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Fault;

/// Maximum depth of the lists and objects that a template builds. Those of a payload count as one level.
const MAX_DEPTH: u16 = 32;

#[derive(Clone)]
pub(super) enum Value<'a> {
    /// A field or variable that does not exist.
    Undefined,
    Null,
    Bool(bool),
    /// As JSON spells it.
    Number(Text<'a>),
    Text(Text<'a>),
    /// Text that is JSON already, the result of `tojson`.
    Printed(Text<'a>),
    List(Rc<List<'a>>),
    Object(Rc<Object<'a>>),
    /// Part of the payload, which is read when it is first looked into, one level at a time.
    Json(Rc<Node<'a>>),
}

/// Borrowed from the event or the template, or built by the template.
#[derive(Clone)]
pub(super) enum Text<'a> {
    Lent(&'a str),
    Built(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Lent(text) => text,
            Text::Built(text) => text,
        }
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Text<'a> {
        match text {
            Cow::Borrowed(text) => Text::Lent(text),
            Cow::Owned(text) => Text::Built(text.into()),
        }
    }
}

pub(super) struct List<'a> {
    pub items: Vec<Value<'a>>,
    depth: u16,
}

/// Members in the order of their first appearance. Of a duplicate name, the last value counts, as in JavaScript.
pub(super) struct Object<'a> {
    pub members: Vec<(Text<'a>, Value<'a>)>,
    depth: u16,
}

pub(super) struct Node<'a> {
    pub raw: &'a str,
    opened: OnceCell<Value<'a>>,
}

impl<'a> Value<'a> {
    pub fn lent(text: &'a str) -> Value<'a> {
        Value::Text(Text::Lent(text))
    }

    pub fn built(text: impl Into<Rc<str>>) -> Value<'a> {
        Value::Text(Text::Built(text.into()))
    }

    pub fn number(text: &'a str) -> Value<'a> {
        Value::Number(Text::Lent(text))
    }

    pub fn count(count: usize) -> Value<'a> {
        Value::Number(Text::Built(count.to_string().into()))
    }

    /// Part of a payload.
    pub fn json(raw: &'a str) -> Value<'a> {
        let raw = raw.trim_ascii();
        match raw.as_bytes().first() {
            Some(b'{' | b'[') => {}
            // Without escapes, the content is the text.
            Some(b'"') if !raw.contains('\\') => {
                return Value::lent(raw.get(1..raw.len().max(2) - 1).unwrap_or_default());
            }
            Some(b'"') => {}
            Some(b't') => return Value::Bool(true),
            Some(b'f') => return Value::Bool(false),
            Some(b'n') => return Value::Null,
            _ => return Value::number(raw),
        }
        Value::Json(Rc::new(Node { raw, opened: OnceCell::new() }))
    }

    /// Object of values that are neither lists nor objects.
    pub fn object<const N: usize>(members: [(&'a str, Value<'a>); N]) -> Value<'a> {
        let members = members.into_iter().map(|(name, value)| (Text::Lent(name), value)).collect();
        Value::Object(Rc::new(Object { members, depth: 1 }))
    }

    pub fn list(items: Vec<Value<'a>>) -> Result<Value<'a>, Fault> {
        let depth = deeper(items.iter())?;
        Ok(Value::List(Rc::new(List { items, depth })))
    }

    pub fn members(members: Vec<(Text<'a>, Value<'a>)>) -> Result<Value<'a>, Fault> {
        let depth = deeper(members.iter().map(|(_, value)| value))?;
        Ok(Value::Object(Rc::new(Object { members, depth })))
    }

    fn depth(&self) -> u16 {
        match self {
            Value::List(list) => list.depth,
            Value::Object(object) => object.depth,
            _ => 0,
        }
    }

    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined)
    }

    /// Name of the type, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Undefined => "undefined",
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) | Value::Printed(_) => "a text",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
            Value::Json(_) => "a part of the payload",
        }
    }
}

/// Depth of a list or object of these values.
fn deeper<'a, 'b: 'a>(values: impl Iterator<Item = &'a Value<'b>>) -> Result<u16, Fault> {
    let depth = values.map(Value::depth).max().unwrap_or(0) + 1;
    if depth > MAX_DEPTH {
        return Err(Fault::new(format!("A template builds at most {MAX_DEPTH} levels of lists and objects.")));
    }
    Ok(depth)
}

impl<'a> Node<'a> {
    /// Returns the value, if it was read before.
    pub fn opened(&self) -> Option<Value<'a>> {
        self.opened.get().cloned()
    }

    /// Reads one level.
    pub fn open(&self) -> Result<Value<'a>, Fault> {
        let read = || -> Result<Value<'a>, serde_json::Error> {
            Ok(match self.raw.as_bytes().first() {
                Some(b'{') => {
                    let Members(members) = serde_json::from_str(self.raw)?;
                    Value::Object(Rc::new(Object { members, depth: 1 }))
                }
                Some(b'[') => {
                    let items: Vec<&'a RawValue> = serde_json::from_str(self.raw)?;
                    let items = items.into_iter().map(|raw| Value::json(raw.get())).collect();
                    Value::List(Rc::new(List { items, depth: 1 }))
                }
                _ => Value::Text(serde_json::from_str::<Name<'a>>(self.raw)?.0),
            })
        };
        let value = read().map_err(|error| Fault::new(format!("The event cannot be read: {error}.")))?;
        Ok(self.opened.get_or_init(|| value).clone())
    }
}

/// Text that is borrowed unless it has escapes.
struct Name<'a>(Text<'a>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Text::Lent(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Text::Built(text.into())))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

struct Members<'a>(Vec<(Text<'a>, Value<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members: Vec<(Text<'de>, Value<'de>)> = Vec::new();
                let mut places: HashMap<Rc<str>, usize> = HashMap::new();
                while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    let value = Value::json(raw.get());
                    match places.get(&*name) {
                        Some(place) => members[*place].1 = value,
                        None => {
                            places.insert((&*name).into(), members.len());
                            members.push((name, value));
                        }
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}
