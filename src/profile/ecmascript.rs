//! JSON as JavaScript serializes it after parsing it.
//!
//! Some receivers verify a signature over `JSON.stringify(req.body)` rather than over the received bytes. The output of
//! [`stringify()`] survives that: parsed and serialized again it is the same bytes.
//!
//! The rules are those of ECMA-262 (<https://tc39.es/ecma262/>), named here by their anchors:
//!
//! - `sec-json.parse`: every number becomes a double; a duplicate name overwrites the value and keeps its place;
//!   `__proto__` is an ordinary name.
//! - `sec-json.stringify`: no white space; a number that is not finite prints as `null`; `sec-quotejsonstring` has the escapes.
//! - `sec-numeric-types-number-tostring`: the spelling of a double; minus zero is `0`.
//! - `sec-ordinaryownpropertykeys`: names that are array indices come first, ascending, then the others by first appearance.
//!
//! Values are printed while they are read, without a tree. An object whose members have to move is reassembled when it
//! closes, so each byte is copied at most once per level: the time is linear for a bounded depth.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// Maximum depth of nesting, which bounds the recursion.
const MAX_DEPTH: u32 = 128;

/// The text is not JSON, is more than 128 levels deep, or escapes half of a surrogate pair (which UTF-8 cannot carry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not JSON that can be printed again: expected {expected} at byte {at_byte}")]
pub struct NotJson {
    at_byte: usize,
    expected: &'static str,
}

/// Returns `JSON.stringify(JSON.parse(json))` of JavaScript. Applying the function twice changes nothing more. The result
/// can be longer than `json`: `1e20` prints as 21 digits.
pub fn stringify(json: &str) -> Result<String, NotJson> {
    let mut printer = Printer { json, at: 0, out: String::with_capacity(json.len()) };
    printer.value(0)?;
    if printer.at < json.len() {
        return Err(printer.expected("the end"));
    }
    Ok(printer.out)
}

struct Printer<'a> {
    json: &'a str,
    /// The next byte of `json` to read.
    at: usize,
    out: String,
}

/// One printed member of an object.
struct Member {
    rank: u32,
    /// `"name":value`, counted from the object's opening brace.
    text: Range<usize>,
}

impl<'a> Printer<'a> {
    /// Reads and prints one value with the white space around it.
    fn value(&mut self, depth: u32) -> Result<(), NotJson> {
        self.skip_space();
        match self.peek() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => {
                return Err(self.expected("at most 128 levels of nesting"));
            }
            Some(b'{') => self.object(depth + 1)?,
            Some(b'[') => self.array(depth + 1)?,
            Some(b'"') => quote(&self.string()?, &mut self.out),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.literal()?,
        }
        self.skip_space();
        Ok(())
    }

    fn object(&mut self, depth: u32) -> Result<(), NotJson> {
        let start = self.out.len();
        let mut members: Vec<Member> = Vec::new();
        let mut places: HashMap<Cow<'a, str>, usize> = HashMap::new();
        let mut has_duplicates = false;

        if self.open(b'}') {
            return Ok(());
        }
        loop {
            let from = self.out.len() - start;
            self.skip_space();
            let name = self.string()?;
            quote(&name, &mut self.out);
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.expected("a colon"));
            }
            self.print_next();
            self.value(depth)?;

            let text = from..self.out.len() - start;
            if let Some(&place) = places.get(&name) {
                members[place].text = text;
                has_duplicates = true;
            } else {
                members.push(Member { rank: rank(&name), text });
                places.insert(name, members.len() - 1);
            }
            match self.peek() {
                Some(b',') => self.print_next(),
                Some(b'}') => break,
                _ => return Err(self.expected("a comma or a closing brace")),
            }
        }
        if has_duplicates || !members.is_sorted_by_key(|member| member.rank) {
            // The sort is stable, so names of equal rank stay in the order of their first appearance.
            members.sort_by_key(|member| member.rank);
            let as_read = self.out.split_off(start);
            for (i, member) in members.into_iter().enumerate() {
                self.out.push(if i == 0 { '{' } else { ',' });
                self.out.push_str(&as_read[member.text]);
            }
        }
        self.print_next();
        Ok(())
    }

    /// Prints the opening bracket, and `end` if it follows. Returns whether it does.
    fn open(&mut self, end: u8) -> bool {
        self.print_next();
        self.skip_space();
        let is_empty = self.peek() == Some(end);
        if is_empty {
            self.print_next();
        }
        is_empty
    }

    fn array(&mut self, depth: u32) -> Result<(), NotJson> {
        if self.open(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            match self.peek() {
                Some(b',') => self.print_next(),
                Some(b']') => break,
                _ => return Err(self.expected("a comma or a closing bracket")),
            }
        }
        self.print_next();
        Ok(())
    }

    fn literal(&mut self) -> Result<(), NotJson> {
        let rest = &self.json[self.at..];
        let Some(literal) = ["true", "false", "null"].into_iter().find(|literal| rest.starts_with(literal)) else {
            return Err(self.expected("a value"));
        };
        self.at += literal.len();
        self.out.push_str(literal);
        Ok(())
    }

    fn number(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'-') || self.take(b'+');
            self.digits()?;
        }
        let double = double(&self.json[start..self.at]).ok_or_else(|| self.expected("a number"))?;
        if double.is_finite() {
            let mut buffer = ryu_js::Buffer::new();
            self.out.push_str(buffer.format_finite(double));
        } else {
            self.out.push_str("null");
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.expected("a digit"));
        }
        Ok(())
    }

    /// Reads a string; it is borrowed unless it has escapes.
    fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
        if !self.take(b'"') {
            return Err(self.expected("a string"));
        }
        let mut decoded = String::new();
        let mut run_start = self.at;
        loop {
            let run = run_start..self.at;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    let run = &self.json[run];
                    return Ok(if decoded.is_empty() { Cow::Borrowed(run) } else { Cow::Owned(decoded + run) });
                }
                Some(b'\\') => {
                    decoded.push_str(&self.json[run]);
                    self.at += 1;
                    decoded.push(self.escape()?);
                    run_start = self.at;
                }
                Some(b' '..) => self.at += 1,
                _ => return Err(self.expected("a character of a string or its closing quote")),
            }
        }
    }

    /// Reads the escape after a backslash.
    fn escape(&mut self) -> Result<char, NotJson> {
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        Ok(character)
    }

    /// Reads an escape after its backslash: `u` and four hexadecimal digits, or two such escapes for a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, NotJson> {
        let mut code = self.code_unit()?;
        if (0xd800..0xdc00).contains(&code) && self.take(b'\\') {
            let low = self.code_unit()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(self.expected("a whole surrogate pair before this"));
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        char::from_u32(code).ok_or_else(|| self.expected("a whole surrogate pair before this"))
    }

    fn code_unit(&mut self) -> Result<u32, NotJson> {
        if !self.take(b'u') {
            return Err(self.expected("the escape of a low surrogate"));
        }
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit << 4 | digit.ok_or_else(|| self.expected("a hexadecimal digit"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Prints the next byte, which must be punctuation, unchanged.
    fn print_next(&mut self) {
        self.out.extend(self.peek().map(char::from));
        self.at += 1;
    }

    fn expected(&self, expected: &'static str) -> NotJson {
        NotJson { at_byte: self.at, expected }
    }
}

/// Returns the double nearest to a JSON number; infinity if the number is too large.
///
/// The standard library rounds correctly, but stops reading an exponent at 655,360 (rustc 1.95), and a body has room for
/// more zeros than that. So a long exponent is first added to the position of the decimal point.
fn double(number: &str) -> Option<f64> {
    let Some((significand, exponent)) = number.split_once(['e', 'E']).filter(|(_, exponent)| exponent.len() > 5) else {
        return number.parse().ok();
    };
    let (sign, significand) = match significand.strip_prefix('-') {
        Some(positive) => ("-", positive),
        None => ("", significand),
    };
    let (whole, fraction) = significand.split_once('.').unwrap_or((significand, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_start_matches('0');
    let leading_zeros = digits.len() - significant.len();

    let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
    // `0.` and digits, the first of them not zero: beyond 10^±1000 the result is infinite or zero with any digits.
    let exponent = exponent.saturating_add(whole.len() as i64).saturating_sub(leading_zeros as i64).clamp(-1000, 1000);
    format!("{sign}0.{significant}e{exponent}").parse().ok()
}

/// Returns the sort key of a name in its object: an array index (`sec-array-index`: "0" to "4294967294", canonical) by its
/// number, any other name after them.
fn rank(name: &str) -> u32 {
    let is_canonical = name == "0"
        || name.starts_with(|first: char| matches!(first, '1'..='9')) && name.bytes().all(|byte| byte.is_ascii_digit());
    // 4294967295 is not an array index; u32::MAX is the key of all other names.
    if is_canonical { name.parse().unwrap_or(u32::MAX) } else { u32::MAX }
}

/// Prints a string as `sec-quotejsonstring` does: serde_json writes the same escapes.
fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("text is always JSON"));
}
