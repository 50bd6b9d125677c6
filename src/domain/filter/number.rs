//! Numbers by their decimal spelling, so that no digit is lost: a double has 17, an id or an amount may have more.
//!
//! A number is never expanded: `1e999999999` costs as much as `1`.

use std::borrow::Cow;
use std::cmp::Ordering;

/// Bound of an exponent. A larger one counts as this one, which is beyond any double.
const MAX_EXPONENT: i64 = 1 << 53;

/// A number, or a text that JavaScript reads as one.
#[derive(Debug, Clone)]
pub struct Number<'a> {
    is_negative: bool,
    size: Size<'a>,
}

/// Absolute value.
#[derive(Debug, Clone)]
enum Size<'a> {
    Zero,
    /// `0.d1d2d3… × 10^magnitude`, where `d1` and the last digit are not 0.
    Finite {
        /// ASCII digits, with at most one point among them.
        digits: Cow<'a, [u8]>,
        magnitude: i64,
    },
    Infinite,
}

impl<'a> Number<'a> {
    pub const ZERO: Number<'static> = Number { is_negative: false, size: Size::Zero };

    /// Reads a decimal literal of JSON or JavaScript. `None` if the text is no such number.
    pub fn parse(text: &'a str) -> Option<Number<'a>> {
        let (is_negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if unsigned == "Infinity" {
            return Some(Number { is_negative, size: Size::Infinite });
        }
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
            return None;
        }
        let Some(first) = mantissa.find(|c| matches!(c, '1'..='9')) else {
            return Some(Number { is_negative: false, size: Size::Zero });
        };
        let magnitude =
            if first < whole.len() { (whole.len() - first) as i64 } else { -((first - whole.len() - 1) as i64) };
        let digits = &mantissa.as_bytes()[first..];
        let end = digits.iter().rposition(|byte| matches!(byte, b'1'..=b'9')).map_or(0, |last| last + 1);
        let size = Size::Finite { digits: Cow::Borrowed(&digits[..end]), magnitude: magnitude + exponent };
        Some(Number { is_negative, size })
    }

    /// Reads a text as JavaScript's `Number(text)` does. `None` stands for `NaN`.
    ///
    /// ECMA-262, `sec-stringtonumber`. Literals with a radix are read up to 128 bits.
    pub fn of_text(text: &'a str) -> Option<Number<'a>> {
        // JavaScript's white space is Unicode's without NEL, and with the byte order mark.
        let text = text.trim_matches(|c: char| (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}');
        if text.is_empty() {
            return Some(Number::ZERO);
        }
        let radix = match text.get(..2) {
            Some("0x" | "0X") => 16,
            Some("0o" | "0O") => 8,
            Some("0b" | "0B") => 2,
            _ => return Number::parse(text),
        };
        let digits = text[2..].trim_start_matches('0');
        let digits = if digits.is_empty() && text.len() > 2 { "0" } else { digits };
        if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        Some(Number::of_whole(u128::from_str_radix(digits, radix).ok()?))
    }

    fn of_whole(number: u128) -> Number<'static> {
        if number == 0 {
            return Number::ZERO;
        }
        let mut digits = number.to_string().into_bytes();
        let magnitude = digits.len() as i64;
        digits.truncate(digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1));
        Number { is_negative: false, size: Size::Finite { digits: Cow::Owned(digits), magnitude } }
    }

    /// 1 for true, 0 for false.
    pub fn of_bool(value: bool) -> Number<'static> {
        Number::of_whole(value.into())
    }

    fn sign(&self) -> i8 {
        match self.size {
            Size::Zero => 0,
            _ if self.is_negative => -1,
            _ => 1,
        }
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Number<'_>) -> Ordering {
        let order = self.sign().cmp(&other.sign());
        if order.is_ne() {
            return order;
        }
        let order = match (&self.size, &other.size) {
            (Size::Finite { digits, magnitude }, Size::Finite { digits: other_digits, magnitude: other_magnitude }) => {
                magnitude.cmp(other_magnitude).then_with(|| without_point(digits).cmp(without_point(other_digits)))
            }
            (Size::Infinite, Size::Infinite) | (Size::Zero, _) | (_, Size::Zero) => Ordering::Equal,
            (Size::Infinite, Size::Finite { .. }) => Ordering::Greater,
            (Size::Finite { .. }, Size::Infinite) => Ordering::Less,
        };
        if self.is_negative { order.reverse() } else { order }
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Number<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Number<'_>) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number<'_> {}

fn without_point(digits: &[u8]) -> impl Iterator<Item = &u8> {
    digits.iter().filter(|byte| **byte != b'.')
}

/// Reads the digits of an exponent, bounded.
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Too many digits for the type, so beyond the bound.
    let size = digits.parse().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT);
    Some(if text.starts_with('-') { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number<'_> {
        Number::of_text(text).unwrap_or_else(|| panic!("{text:?} is no number"))
    }

    #[test]
    fn numbers_compare_by_all_their_digits() {
        let ascending = [
            "-Infinity",
            "-1e400",
            "-12345678901234567890124",
            "-12345678901234567890123",
            "-100",
            "-1.5",
            "-0.001",
            "0",
            "1e-400",
            "0.1",
            "0.10000000000000000000001",
            "0.11",
            "1",
            "1.0000000000000000000001",
            "9",
            "10",
            "99.99",
            "100",
            "9007199254740992",
            "9007199254740993",
            "12345678901234567890123",
            "12345678901234567890123.5",
            "12345678901234567890124",
            "1e308",
            "1e309",
            "1e999999999999",
            "Infinity",
        ];
        for (index, low) in ascending.iter().enumerate() {
            for (other, high) in ascending.iter().enumerate() {
                assert_eq!(number(low).cmp(&number(high)), index.cmp(&other), "{low} and {high}");
            }
        }
    }

    #[test]
    fn one_number_has_many_spellings() {
        for spellings in [
            ["1.1", "1.10", "11e-1", "0.11E1", "110e-2", "+1.1"],
            ["0", "-0", "0.000", "0e99", "-0.0e-5", ""],
            ["100", "1e2", "1E+2", "100.0", "0100", " 100\n"],
            ["31", "0x1f", "0X1F", "0b11111", "0o37", "\u{feff}31\u{a0}"],
            [
                "1e99999999999999999999",
                "1e9999999999999999999999",
                "1e9007199254740992",
                "1E+9007199254740992",
                "1.0e99999999999999999999",
                "1e99999999999999999999",
            ],
        ] {
            for spelling in spellings {
                assert_eq!(number(spelling), number(spellings[0]), "{spelling}");
            }
        }
    }

    #[test]
    fn a_text_that_javascript_does_not_read_as_a_number_is_none() {
        for text in [
            "a", "1a", "1 2", ".", "+", "-", "e5", "1e", "1e+", "0x", "-0x1", "0xg", "0x+1", "0b2", "infinity",
            "1_000", "\u{85}1", "NaN", "1.2.3",
        ] {
            assert_eq!(Number::of_text(text), None, "{text:?}");
        }
    }
}
