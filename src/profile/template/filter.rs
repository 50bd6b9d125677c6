//! Filters and tests, named and meant as in MiniJinja. Only those are here whose cost is in proportion to their input and
//! result.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::number;
use super::print;
use super::program::Expr;
use super::render::Renderer;
use super::value::{Text, Value};
use super::{Fault, MAX_OUTPUT_BYTES};

/// Longest encoded word of RFC 2047 is 75 characters; these bytes give 60 in base64.
const ENCODED_WORD_BYTES: usize = 45;

/// Filter, after `|`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Filter {
    Abs,
    Capitalize,
    #[strum(serialize = "default", serialize = "d")]
    Default,
    #[strum(serialize = "escape", serialize = "e")]
    Escape,
    First,
    Int,
    Items,
    Join,
    Last,
    #[strum(serialize = "length", serialize = "count")]
    Length,
    List,
    Lower,
    Map,
    Replace,
    Reverse,
    Rfc2047,
    Round,
    Sort,
    Split,
    String,
    Title,
    Tojson,
    Trim,
    Truncate,
    Upper,
    Urlencode,
}

/// Values given to a filter, without the one that it is applied to.
struct Arguments<'a> {
    positional: Vec<Value<'a>>,
    named: Vec<(&'a str, Value<'a>)>,
    names: &'static [&'static str],
}

impl<'a> Arguments<'a> {
    /// Returns a value by its place in the list of names.
    fn get(&self, index: usize) -> Option<&Value<'a>> {
        let name = self.names.get(index)?;
        self.positional
            .get(index)
            .or_else(|| self.named.iter().find(|(known, _)| known == name).map(|(_, value)| value))
    }

    fn text(&self, renderer: &mut Renderer<'a>, index: usize, or: &'static str) -> Result<Text<'a>, Fault> {
        self.get(index).map_or(Ok(Text::Lent(or)), |value| renderer.text(value))
    }

    fn count(&self, renderer: &mut Renderer<'a>, index: usize, or: usize) -> Result<usize, Fault> {
        let Some(value) = self.get(index) else {
            return Ok(or);
        };
        let number = renderer.index(value)?;
        usize::try_from(number).map_err(|_| Fault::new("This must be a positive whole number."))
    }
}

impl Filter {
    /// Returns a sentence with all names.
    pub fn list() -> String {
        let names: Vec<&str> = Filter::VARIANTS.iter().map(|filter| filter.into()).collect();
        format!("The filters are {}.", names.join(", "))
    }

    /// Maximum number of values by place, and the names of all.
    pub fn parameters(self) -> (usize, &'static [&'static str]) {
        let names: &'static [&'static str] = match self {
            Filter::Default => &["value", "boolean"],
            Filter::Join => &["separator", "attribute"],
            Filter::Map | Filter::Sort => &["attribute"],
            Filter::Replace => &["from", "to"],
            Filter::Round => &["precision"],
            Filter::Split => &["separator"],
            Filter::Tojson => &["indent"],
            Filter::Truncate => &["length", "end"],
            _ => &[],
        };
        (names.len(), names)
    }

    /// Applies the filter to the first argument.
    pub fn apply<'a>(
        self,
        renderer: &mut Renderer<'a>,
        arguments: &'a [Expr],
        named: &'a [(Box<str>, Expr)],
    ) -> Result<Value<'a>, Fault> {
        let Some((of, positional)) = arguments.split_first() else {
            return Err(Fault::new("A filter needs a value."));
        };
        let of = if self == Filter::Default { renderer.eval(of)? } else { renderer.defined(of)? };
        let positional = positional.iter().map(|expr| renderer.defined(expr)).collect::<Result<Vec<_>, _>>()?;
        let mut given = Vec::new();
        for (name, expr) in named {
            given.push((&**name, renderer.defined(expr)?));
        }
        let arguments = Arguments { positional, named: given, names: self.parameters().1 };
        self.apply_to(renderer, of, &arguments)
    }

    fn apply_to<'a>(
        self,
        renderer: &mut Renderer<'a>,
        of: Value<'a>,
        arguments: &Arguments<'a>,
    ) -> Result<Value<'a>, Fault> {
        match self {
            Filter::Default => default(renderer, of, arguments),
            Filter::Abs => Ok(match renderer.number(&of)? {
                number if number.starts_with('-') => Value::Number(Text::Built(number[1..].into())),
                number => Value::Number(number),
            }),
            Filter::Round => {
                let number = renderer.number(&of)?;
                let decimals = arguments.count(renderer, 0, 0)?;
                let decimals = u32::try_from(decimals).unwrap_or(u32::MAX);
                Ok(Value::Number(Text::Built(number::round(&number, decimals).into())))
            }
            Filter::Int => int(renderer, &of),
            Filter::First | Filter::Last => {
                let items = characters_or_items(renderer, &of)?;
                let item = if self == Filter::First { items.into_iter().next() } else { items.into_iter().next_back() };
                Ok(item.unwrap_or(Value::Undefined))
            }
            Filter::Length => {
                let length = match renderer.open(&of)? {
                    Value::Text(text) => {
                        renderer.spend(text.len())?;
                        text.chars().count()
                    }
                    Value::List(list) => list.items.len(),
                    Value::Object(object) => object.members.len(),
                    other => return Err(Fault::new(format!("{} has no length.", other.kind()))),
                };
                Ok(Value::count(length))
            }
            Filter::Items => match renderer.open(&of)? {
                Value::Object(object) => {
                    renderer.spend(object.members.len() * 64)?;
                    let pairs = object.members.iter();
                    let pairs = pairs.map(|(name, value)| Value::list(vec![Value::Text(name.clone()), value.clone()]));
                    Value::list(pairs.collect::<Result<_, _>>()?)
                }
                other => Err(Fault::new(format!("Only an object has items, and this is {}.", other.kind()))),
            },
            Filter::List => Value::list(characters_or_items(renderer, &of)?),
            Filter::Reverse => {
                let mut items = characters_or_items(renderer, &of)?;
                items.reverse();
                match renderer.open(&of)? {
                    Value::Text(_) => join(renderer, &items, ""),
                    _ => Value::list(items),
                }
            }
            Filter::Sort => {
                let items = renderer.items_of(&of)?;
                sort(renderer, items, arguments)
            }
            Filter::Map => {
                let path = arguments.text(renderer, 0, "")?;
                let items = renderer.items_of(&of)?;
                let items = items.iter().map(|item| attribute(renderer, item, &path)).collect::<Result<_, _>>()?;
                Value::list(items)
            }
            Filter::Join => {
                let separator = arguments.text(renderer, 0, "")?;
                let path = arguments.text(renderer, 1, "")?;
                let items = characters_or_items(renderer, &of)?;
                let items: Vec<Value<'a>> =
                    items.iter().map(|item| attribute(renderer, item, &path)).collect::<Result<_, _>>()?;
                join(renderer, &items, &separator)
            }
            Filter::Split => {
                let (text, separator) = (renderer.text(&of)?, arguments.text(renderer, 0, " ")?);
                renderer.spend(text.len())?;
                if separator.is_empty() {
                    return Err(Fault::new("The separator is empty."));
                }
                let mut parts = Vec::new();
                for part in text.split(&*separator) {
                    renderer.spend(part.len())?;
                    parts.push(Value::built(part));
                }
                Value::list(parts)
            }
            Filter::Tojson => {
                let json = renderer.json(&of)?;
                let width = arguments.count(renderer, 0, 0)?;
                let json = if width == 0 { json } else { print::indent(&json, width.min(8))? };
                renderer.spend(json.len())?;
                Ok(Value::Printed(Text::Built(json.into())))
            }
            _ => {
                let text = renderer.text(&of)?;
                renderer.spend(text.len())?;
                let changed = self.change_text(renderer, &text, arguments)?;
                renderer.spend(changed.len())?;
                Ok(Value::built(changed))
            }
        }
    }

    /// Filters from a text to a text.
    fn change_text<'a>(
        self,
        renderer: &mut Renderer<'a>,
        text: &str,
        arguments: &Arguments<'a>,
    ) -> Result<String, Fault> {
        Ok(match self {
            Filter::Lower => text.to_lowercase(),
            Filter::Upper => text.to_uppercase(),
            Filter::Capitalize => capitalized(text, false),
            Filter::Title => capitalized(text, true),
            Filter::Trim => text.trim().to_owned(),
            Filter::Escape => {
                let mut escaped = String::with_capacity(text.len());
                for character in text.chars() {
                    match character {
                        '&' => escaped.push_str("&amp;"),
                        '<' => escaped.push_str("&lt;"),
                        '>' => escaped.push_str("&gt;"),
                        '"' => escaped.push_str("&quot;"),
                        '\'' => escaped.push_str("&#x27;"),
                        other => escaped.push(other),
                    }
                }
                escaped
            }
            Filter::Replace => {
                let (from, to) = (arguments.text(renderer, 0, "")?, arguments.text(renderer, 1, "")?);
                if from.is_empty() {
                    return Err(Fault::new("The text to replace is empty."));
                }
                // The count comes first, since a long text may take the place of every short one.
                let count = text.matches(&*from).count();
                let length = text.len() + count.saturating_mul(to.len());
                renderer.spend(length)?;
                check_length(length)?;
                text.replace(&*from, &to)
            }
            Filter::Truncate => {
                let length = arguments.count(renderer, 0, 255)?;
                let end = arguments.text(renderer, 1, "…")?;
                match text.char_indices().nth(length) {
                    None => text.to_owned(),
                    Some(_) => {
                        let kept = length.saturating_sub(end.chars().count());
                        let kept = text.chars().take(kept);
                        kept.chain(end.chars().take(length)).collect()
                    }
                }
            }
            Filter::Urlencode => {
                let mut encoded = String::with_capacity(text.len());
                for byte in text.bytes() {
                    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                        encoded.push(char::from(byte));
                    } else {
                        encoded.push_str(&format!("%{byte:02X}"));
                    }
                }
                encoded
            }
            Filter::Rfc2047 => encoded_words(text),
            // The rest has been handled by its type.
            _ => text.to_owned(),
        })
    }
}

fn default<'a>(renderer: &mut Renderer<'a>, of: Value<'a>, arguments: &Arguments<'a>) -> Result<Value<'a>, Fault> {
    let also_false = match arguments.get(1) {
        Some(value) => renderer.truth(value)?,
        None => false,
    };
    let is_absent = of.is_undefined() || also_false && !renderer.truth(&of)?;
    let fallback = || arguments.get(0).cloned().unwrap_or(Value::lent(""));
    Ok(if is_absent { fallback() } else { of })
}

fn int<'a>(renderer: &mut Renderer<'a>, of: &Value<'a>) -> Result<Value<'a>, Fault> {
    let opened = renderer.open(of)?;
    let number = match &opened {
        Value::Number(number) => number.clone(),
        Value::Text(text) if number::is_number(text.trim()) => Text::Built(text.trim().into()),
        Value::Bool(is_true) => Text::Lent(if *is_true { "1" } else { "0" }),
        other => return Err(Fault::new(format!("This must be a number, and is {}.", other.kind()))),
    };
    renderer.spend(number.len())?;
    let one = number::compute(number::Operation::FloorDivide, number.trim_start_matches('-'), "1");
    let whole = one.ok_or_else(|| Fault::new("This number has too many digits for arithmetic."))?;
    let whole = if number.starts_with('-') && whole != "0" { number::negate(&whole) } else { whole };
    Ok(Value::Number(Text::Built(whole.into())))
}

/// Returns the characters of a text, or the items of a list or object.
fn characters_or_items<'a>(renderer: &mut Renderer<'a>, of: &Value<'a>) -> Result<Vec<Value<'a>>, Fault> {
    let Value::Text(text) = renderer.open(of)? else {
        return renderer.items_of(of);
    };
    // Each character becomes a value.
    renderer.spend(text.len() * 64)?;
    Ok(text.chars().map(|character| Value::built(character.to_string())).collect())
}

/// Returns a field of an item by a path such as `owner.name`. An empty path is the item itself.
fn attribute<'a>(renderer: &mut Renderer<'a>, item: &Value<'a>, path: &str) -> Result<Value<'a>, Fault> {
    let mut value = item.clone();
    for name in path.split('.').filter(|name| !name.is_empty()) {
        value = renderer.member(&value, name)?;
    }
    if value.is_undefined() {
        return Err(Fault::new(format!("An item has no field {path:?}.")));
    }
    Ok(value)
}

fn join<'a>(renderer: &mut Renderer<'a>, items: &[Value<'a>], separator: &str) -> Result<Value<'a>, Fault> {
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        let text = renderer.text(item)?;
        renderer.spend(text.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&text);
    }
    Ok(Value::built(joined))
}

fn sort<'a>(renderer: &mut Renderer<'a>, items: Vec<Value<'a>>, arguments: &Arguments<'a>) -> Result<Value<'a>, Fault> {
    let path = arguments.text(renderer, 0, "")?;
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let key = attribute(renderer, &item, &path)?;
        keyed.push((renderer.open(&key)?, item));
    }
    let mut fault = None;
    keyed.sort_by(|(left, _), (right, _)| {
        if fault.is_some() {
            return std::cmp::Ordering::Equal;
        }
        renderer.spend(0).and_then(|()| renderer.order(left, right)).unwrap_or_else(|error| {
            fault = Some(error);
            std::cmp::Ordering::Equal
        })
    });
    match fault {
        Some(fault) => Err(fault),
        None => Value::list(keyed.into_iter().map(|(_, item)| item).collect()),
    }
}

/// Makes the first letter large and the others small, of the text or of each word.
fn capitalized(text: &str, each_word: bool) -> String {
    let mut result = String::with_capacity(text.len());
    let mut is_first = true;
    for character in text.chars() {
        if is_first {
            result.extend(character.to_uppercase());
        } else {
            result.extend(character.to_lowercase());
        }
        is_first = each_word && !character.is_alphanumeric() && character != '\'';
    }
    result
}

/// Encodes a text for a header (RFC 2047) unless it is printable ASCII.
fn encoded_words(text: &str) -> String {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if word.len() + character.len_utf8() > ENCODED_WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join(" ")
}

fn check_length(length: usize) -> Result<(), Fault> {
    if length > 2 * MAX_OUTPUT_BYTES {
        return Err(Fault::new(format!("A text is longer than {} MiB.", (2 * MAX_OUTPUT_BYTES) >> 20)));
    }
    Ok(())
}
