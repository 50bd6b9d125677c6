//! JSON as a tree that keeps the spelling of numbers and the order of names, and finds a name without a walk.

use std::borrow::Cow;

use super::number::Number;
use super::work::{Exhausted, Work};

/// Maximum depth of nesting, which bounds every recursion over a tree. Data is stored with at most as many levels.
const MAX_DEPTH: u32 = crate::domain::json::MAX_DEPTH as u32;

/// JSON value. Text without escapes is borrowed.
#[derive(Debug, Clone)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    /// As spelled.
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// Members sorted by name. The last of several with one name counts, as in `JSON.parse`.
#[derive(Debug, Clone, Default)]
pub struct Object<'a>(Vec<Member<'a>>);

#[derive(Debug, Clone)]
pub struct Member<'a> {
    pub name: Cow<'a, str>,
    /// Position in JavaScript's order of the members (ECMA-262, `sec-ordinaryownpropertykeys`).
    place: u32,
    pub value: Json<'a>,
}

impl<'a> Json<'a> {
    /// Reads JSON. `None` if the text is not JSON, or nested too deeply.
    pub fn read(text: &'a str) -> Option<Json<'a>> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        (reader.at == text.len()).then_some(value)
    }

    pub fn is_scalar(&self) -> bool {
        !matches!(self, Json::Array(_) | Json::Object(_))
    }

    /// Returns the number that JavaScript compares this value as. `None` stands for `NaN`.
    pub fn number(&self) -> Option<Number<'_>> {
        match self {
            Json::Null => Some(Number::ZERO),
            Json::Bool(value) => Some(Number::of_bool(*value)),
            Json::Number(text) => Number::parse(text),
            Json::Text(text) => Number::of_text(text),
            Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// Whether two values are deeply equal. `by_order` also compares the order of names, as a comparison of the texts that
    /// `JSON.stringify` returns does.
    pub fn equals(&self, other: &Json<'_>, by_order: bool, work: &mut Work) -> Result<bool, Exhausted> {
        work.step()?;
        Ok(match (self, other) {
            (Json::Null, Json::Null) => true,
            (Json::Bool(one), Json::Bool(two)) => one == two,
            (Json::Number(one), Json::Number(two)) => {
                work.numbers()?;
                work.bytes(one.len() + two.len())?;
                Number::parse(one) == Number::parse(two)
            }
            (Json::Text(one), Json::Text(two)) => {
                work.bytes(one.len().min(two.len()))?;
                one == two
            }
            (Json::Array(one), Json::Array(two)) if one.len() == two.len() => {
                for (one, two) in one.iter().zip(two) {
                    if !one.equals(two, by_order, work)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Json::Object(Object(one)), Json::Object(Object(two))) if one.len() == two.len() => {
                for (one, two) in one.iter().zip(two) {
                    work.bytes(one.name.len())?;
                    let is_same = one.name == two.name && (!by_order || one.place == two.place);
                    if !is_same || !one.value.equals(&two.value, by_order, work)? {
                        return Ok(false);
                    }
                }
                true
            }
            _ => false,
        })
    }

    /// Prints as `JSON.stringify` does, but for numbers beyond doubles, until the text is longer than `most` bytes.
    pub fn print(&self, out: &mut String, most: usize) {
        if out.len() > most {
            return;
        }
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(text) => out.push_str(&javascript_number(text)),
            Json::Text(text) => quote(cut(text, most), out),
            Json::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if out.len() > most {
                        return;
                    }
                    if index > 0 {
                        out.push(',');
                    }
                    element.print(out, most);
                }
                out.push(']');
            }
            Json::Object(object) => {
                out.push('{');
                for (index, member) in object.in_order(most).into_iter().enumerate() {
                    if out.len() > most {
                        return;
                    }
                    if index > 0 {
                        out.push(',');
                    }
                    quote(cut(&member.name, most), out);
                    out.push(':');
                    member.value.print(out, most);
                }
                out.push('}');
            }
        }
    }

    pub fn into_owned(self) -> Json<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Json::Null => Json::Null,
            Json::Bool(value) => Json::Bool(value),
            Json::Number(text) => Json::Number(owned(text)),
            Json::Text(text) => Json::Text(owned(text)),
            Json::Array(elements) => Json::Array(elements.into_iter().map(Json::into_owned).collect()),
            Json::Object(Object(members)) => Json::Object(Object(
                members
                    .into_iter()
                    .map(|member| Member {
                        name: owned(member.name),
                        place: member.place,
                        value: member.value.into_owned(),
                    })
                    .collect(),
            )),
        }
    }
}

impl<'a> Object<'a> {
    /// Builds an object of members in the order of their first appearance.
    pub fn new(members: impl IntoIterator<Item = (Cow<'a, str>, Json<'a>)>) -> Object<'a> {
        let members = members.into_iter().zip(0..).map(|((name, value), place)| Member { name, place, value });
        let mut members: Vec<Member<'a>> = members.collect();
        let count = members.len();
        // Stable, so the last of several with one name is the last written.
        members.sort_by(|one, two| one.name.cmp(&two.name));
        members.dedup_by(|later, first| {
            let is_same = later.name == first.name;
            if is_same {
                std::mem::swap(&mut first.value, &mut later.value);
            }
            is_same
        });
        let starts_with_digit = |member: &Member<'_>| member.name.starts_with(|c: char| c.is_ascii_digit());
        if members.len() < count || members.iter().any(starts_with_digit) {
            let mut places: Vec<usize> = (0..members.len()).collect();
            places.sort_by_key(|at| (index(&members[*at].name).unwrap_or(u32::MAX), members[*at].place));
            for (place, at) in (0..).zip(places) {
                members[at].place = place;
            }
        }
        Object(members)
    }

    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        let found = self.0.binary_search_by(|member| (*member.name).cmp(name));
        found.ok().map(|at| &self.0[at].value)
    }

    /// Returns the members sorted by name.
    pub fn by_name(&self) -> &[Member<'a>] {
        &self.0
    }

    /// Returns the first `most` members in JavaScript's order.
    pub fn in_order(&self, most: usize) -> Vec<&Member<'a>> {
        let mut members: Vec<&Member<'a>> = self.0.iter().collect();
        members.sort_by_key(|member| member.place);
        members.truncate(most);
        members
    }

    pub fn into_members(self) -> impl Iterator<Item = (Cow<'a, str>, Json<'a>)> {
        let mut members = self.0;
        members.sort_by_key(|member| member.place);
        members.into_iter().map(|member| (member.name, member.value))
    }
}

/// Returns a name as an array index, which JavaScript sorts before other names.
fn index(name: &str) -> Option<u32> {
    let is_canonical = name == "0" || !name.starts_with(['0', '+']);
    name.parse().ok().filter(|index| is_canonical && *index < u32::MAX)
}

/// Prints a number as JavaScript does.
pub fn javascript_number(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => ryu_js::Buffer::new().format(number).to_owned(),
        _ => "null".to_owned(),
    }
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most.saturating_add(1))]
}

fn quote(text: &str, out: &mut String) {
    // Text is always printable as JSON, with JavaScript's escapes.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

struct Reader<'a> {
    text: &'a str,
    /// The next byte to read.
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads a value with the white space around it.
    fn value(&mut self, depth: u32) -> Option<Json<'a>> {
        self.skip_space();
        let value = match self.peek()? {
            b'{' if depth < MAX_DEPTH => self.object(depth + 1)?,
            b'[' if depth < MAX_DEPTH => self.array(depth + 1)?,
            b'"' => Json::Text(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            _ => self.literal()?,
        };
        self.skip_space();
        Some(value)
    }

    fn object(&mut self, depth: u32) -> Option<Json<'a>> {
        let mut members = Vec::new();
        if !self.opens(b'}') {
            loop {
                self.skip_space();
                let name = self.string()?;
                self.skip_space();
                if self.next()? != b':' {
                    return None;
                }
                members.push((name, self.value(depth)?));
                match self.next()? {
                    b',' => {}
                    b'}' => break,
                    _ => return None,
                }
            }
        }
        Some(Json::Object(Object::new(members)))
    }

    fn array(&mut self, depth: u32) -> Option<Json<'a>> {
        let mut elements = Vec::new();
        if !self.opens(b']') {
            loop {
                elements.push(self.value(depth)?);
                match self.next()? {
                    b',' => {}
                    b']' => break,
                    _ => return None,
                }
            }
        }
        Some(Json::Array(elements))
    }

    /// Reads the opening bracket, and `end` if it follows. Returns whether it does.
    fn opens(&mut self, end: u8) -> bool {
        self.at += 1;
        self.skip_space();
        let is_empty = self.peek() == Some(end);
        self.at += usize::from(is_empty);
        is_empty
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = start;
        let mut is_escaped = false;
        loop {
            match bytes.get(end)? {
                b'"' => break,
                b'\\' => {
                    is_escaped = true;
                    end += 2;
                }
                0..0x20 => return None,
                _ => end += 1,
            }
        }
        self.at = end + 1;
        if is_escaped {
            let text: String = serde_json::from_str(&self.text[start - 1..=end]).ok()?;
            return Some(Cow::Owned(text));
        }
        Some(Cow::Borrowed(&self.text[start..end]))
    }

    fn number(&mut self) -> Option<Json<'a>> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let text = &rest[..end];
        Number::parse(text)?;
        self.at += end;
        Some(Json::Number(Cow::Borrowed(text)))
    }

    fn literal(&mut self) -> Option<Json<'a>> {
        let rest = &self.text[self.at..];
        let known = [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))];
        let (word, value) = known.into_iter().find(|(word, _)| rest.starts_with(word))?;
        self.at += word.len();
        Some(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
