//! Filter of response codes: one code, or a class of them.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::Invalid;

/// A code (`404`), or the hundred codes of a class (`4xx`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodePattern {
    Exact(u16),
    /// The first digit.
    Class(u16),
}

impl CodePattern {
    /// Regular expression of the text; the same rule as `from_str`.
    pub const PATTERN: &str = "^[1-9]([0-9]{2}|[xX]{2})$";

    pub fn codes(self) -> RangeInclusive<u16> {
        match self {
            CodePattern::Exact(code) => code..=code,
            CodePattern::Class(digit) => digit * 100..=digit * 100 + 99,
        }
    }
}

impl FromStr for CodePattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<CodePattern, Invalid> {
        let pattern = match text.as_bytes() {
            [digit @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] => Some(CodePattern::Class(u16::from(digit - b'0'))),
            [b'1'..=b'9', _, _] if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().map(CodePattern::Exact)
            }
            _ => None,
        };
        pattern.ok_or_else(|| {
            Invalid::new("invalid_parameter", "Enter a response code such as 500, or a class of codes such as 5xx.")
        })
    }
}

impl fmt::Display for CodePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodePattern::Exact(code) => code.fmt(f),
            CodePattern::Class(digit) => write!(f, "{digit}xx"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_itself_and_a_class_is_its_hundred() {
        assert_eq!("404".parse::<CodePattern>().unwrap().codes(), 404..=404);
        assert_eq!("5XX".parse::<CodePattern>().unwrap().codes(), 500..=599);
        assert_eq!("5xx".parse::<CodePattern>().unwrap().to_string(), "5xx");
        for wrong in ["", "5", "50x", "x00", "0xx", "1000", "5xxx", "+50", "５００", "many"] {
            assert!(wrong.parse::<CodePattern>().is_err(), "{wrong}");
        }
    }
}
