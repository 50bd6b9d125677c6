//! Text to search for, in JSON as applications write it and in plain text.

use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};

use super::Invalid;

/// Characters of a generated id that a text must have to be looked for in one. Short texts occur in many ids by chance.
pub const MIN_ID_CHARS: usize = 6;

/// Text to search for, ignoring case. In JSON, the escaped spellings of its characters are found too, and white space
/// after a colon or a comma may differ. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Needle {
    text: String,
    pattern: Regex,
}

impl Needle {
    /// Maximum length in characters.
    pub const MAX_CHARS: usize = 200;

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the place of the first match. The haystack need not be valid UTF-8.
    pub fn find(&self, haystack: &[u8]) -> Option<Range<usize>> {
        self.pattern.find(haystack).map(|found| found.range())
    }

    pub fn is_in(&self, haystack: &[u8]) -> bool {
        self.pattern.is_match(haystack)
    }

    /// Whether an id contains the text.
    pub fn is_in_id(&self, id: &str) -> bool {
        let is_generated = ["evt_", "dlv_", "wh_"].iter().any(|prefix| id.starts_with(prefix));
        (!is_generated || self.text.len() >= MIN_ID_CHARS) && self.is_in(id.as_bytes())
    }
}

impl FromStr for Needle {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Needle, Invalid> {
        let invalid = || Invalid::new("invalid_search", "Search for a text of 1 to 200 characters.");
        let is_long = text.chars().count() > Needle::MAX_CHARS;
        let text = text.trim();
        if text.is_empty() || is_long {
            return Err(invalid());
        }
        let pattern = RegexBuilder::new(&pattern(text)).case_insensitive(true).build().map_err(|_| invalid())?;
        Ok(Needle { text: text.to_owned(), pattern })
    }
}

/// Returns a regular expression of the spellings of a text.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ':' | ',' => {
                pattern.push(c);
                pattern.push_str("[ \\t\\r\\n]*");
                while chars.next_if(|next| next.is_ascii_whitespace()).is_some() {}
            }
            '/' => pattern.push_str("\\\\?/"),
            // Typed as it is, or as it stands in JSON.
            '\\' => pattern.push_str("\\\\{1,2}"),
            // Some libraries escape these for HTML.
            '"' => pattern.push_str("(?:\\\\?\"|\\\\u0022)"),
            '&' | '\'' | '+' | '<' | '>' | '`' => or_escaped(&mut pattern, c, [c]),
            '\n' => pattern.push_str("(?:\\n|\\\\n)"),
            '\r' => pattern.push_str("(?:\\r|\\\\r)"),
            '\t' => pattern.push_str("(?:\\t|\\\\t)"),
            _ if c.is_control() || !c.is_ascii() => {
                or_escaped(&mut pattern, c, [c].into_iter().chain(c.to_lowercase()).chain(c.to_uppercase()));
            }
            _ => pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern
}

/// Adds a character or the escape of one of its cases.
fn or_escaped(pattern: &mut String, c: char, cases: impl IntoIterator<Item = char>) {
    write!(pattern, "(?:{}", regex::escape(c.encode_utf8(&mut [0; 4]))).expect("writing to text succeeds");
    for case in cases {
        pattern.push('|');
        for unit in case.encode_utf16(&mut [0; 2]) {
            write!(pattern, "\\\\u{unit:04x}").expect("writing to text succeeds");
        }
    }
    pattern.push(')');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_found(text: &str, haystack: &str) -> bool {
        text.parse::<Needle>().unwrap().is_in(haystack.as_bytes())
    }

    #[test]
    fn a_text_is_found_in_any_case_and_in_each_spelling_of_json() {
        for (text, haystack) in [
            ("1001", r#"{"order":1001}"#),
            ("ord-1001", r#"{"id":"ORD-1001"}"#),
            ("ORD-1001", r#"{"id":"ord-1001"}"#),
            (" 1001 ", r#"[1001]"#),
            ("a/b", r#"{"path":"a\/b"}"#),
            ("a/b", r#"{"path":"a/b"}"#),
            ("Zoë", r#"{"name":"zoë"}"#),
            ("Zoë", r#"{"name":"Zo\u00EB"}"#),
            ("ZOË", r#"{"name":"zo\u00eb"}"#),
            ("\u{1f600}", r#"{"smile":"\ud83d\uDE00"}"#),
            ("say \"hi\"", r#"{"text":"say \"hi\""}"#),
            ("say \"hi\"", r#"{"text":"say \u0022hi\u0022"}"#),
            ("\"order\":1001", r#"{"order": 1001}"#),
            ("\"order\":  1001", r#"{"order":1001}"#),
            ("\"a\": 1, \"b\": 2", r#"{"a":1,"b":2}"#),
            (r"C:\temp", r#"{"file":"C:\\temp"}"#),
            (r#"C:\\temp"#, r#"{"file":"C:\\temp"}"#),
            ("two\nlines", r#"{"text":"two\nlines"}"#),
            ("you & me", r#"{"text":"you \u0026 me"}"#),
            ("a\u{0}b", r#"{"text":"a\u0000b"}"#),
            (".*+?()[]{}|^$#~-", r#"{"odd":".*+?()[]{}|^$#~-"}"#),
        ] {
            assert!(is_found(text, haystack), "{text:?} in {haystack}");
        }
        for (text, haystack) in [
            ("1001", r#"{"order":1002}"#),
            ("a.b", r#"{"id":"axb"}"#),
            ("ord 1001", r#"{"id":"ord1001"}"#),
            ("%", r#"{"id":1}"#),
        ] {
            assert!(!is_found(text, haystack), "{text:?} in {haystack}");
        }
        assert!("x".parse::<Needle>().unwrap().is_in(b"\xff\xfex"));
    }

    #[test]
    fn a_short_text_is_not_looked_for_in_generated_ids() {
        let short: Needle = "01kf0".parse().unwrap();
        let long: Needle = "pr2tz8h".parse().unwrap();
        let generated = "evt_01KF0AVD80A4NYB3X1YPR2TZ8H";
        assert!(!short.is_in_id(generated) && long.is_in_id(generated));
        assert!("1001".parse::<Needle>().unwrap().is_in_id("order-1001"));
    }

    #[test]
    fn a_text_has_1_to_200_characters_of_any_kind() {
        for bad in ["", "  ", &"x".repeat(201)] {
            assert_eq!(bad.parse::<Needle>().unwrap_err().code, "invalid_search");
        }
        for longest in ["\u{1f600}", "\"", "\u{1}", "Ǆ", "x", ":"] {
            assert!(longest.repeat(200).parse::<Needle>().is_ok(), "{longest}");
        }
    }
}
