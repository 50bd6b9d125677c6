//! Checks of pass-through JSON beyond its syntax, and readers for stricter or looser JSON types.
//!
//! `serde_json`'s `RawValue` keeps the bytes as received, but accepts any depth of nesting, and escapes that
//! encode no character. Receivers' parsers do not, so both are refused on arrival.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::Invalid;

/// Wrapper that deserializes from an object only. A derived `Deserialize` also accepts an array of the fields in order,
/// which the API does not document.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Object)
    }
}

/// Fields of an object in their order, with those that appear twice.
pub struct Fields<V>(pub Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Fields<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields<V>, D::Error> {
        struct Members<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Members<V> {
            type Value = Fields<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<V>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Whole number in JSON: `5`, or `5.0`, since some libraries only have floating-point numbers.
pub struct Whole<T>(pub T);

impl<'de, T: TryFrom<i64>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Whole<T>, D::Error> {
        struct Number<T>(PhantomData<T>);
        impl<T: TryFrom<i64>> Visitor<'_> for Number<T> {
            type Value = Whole<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number within its range")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Whole<T>, E> {
                let wrong = |_| E::invalid_value(Unexpected::Signed(number), &self);
                T::try_from(number).map(Whole).map_err(wrong)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Whole<T>, E> {
                match i64::try_from(number) {
                    Ok(number) => self.visit_i64(number),
                    Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Whole<T>, E> {
                // Whole numbers are exact up to here.
                let exact = (2_i64.pow(53)) as f64;
                if number.fract() == 0.0 && number.abs() <= exact {
                    self.visit_i64(number as i64)
                } else {
                    Err(E::invalid_type(Unexpected::Float(number), &self))
                }
            }
        }
        deserializer.deserialize_i64(Number(PhantomData))
    }
}

/// Deserializes a field that must be an object.
pub fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(fields)| fields)
}

/// Deserializes a field that is a whole number, null or absent.
pub fn whole<'de, T: TryFrom<i64>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let number = Option::<Whole<T>>::deserialize(deserializer)?;
    Ok(number.map(|Whole(number)| number))
}

/// Maximum depth of nesting; many parsers stop at 128.
pub const MAX_DEPTH: usize = 128;

/// Checks nesting and surrogate escapes; a JSON parser checks the rest. One pass over the bytes, no recursion.
pub fn check(text: &[u8]) -> Result<(), Invalid> {
    let mut depth = 0usize;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Invalid::new(
                        "too_deep",
                        format!("The JSON is nested deeper than {MAX_DEPTH} levels (at byte {at})."),
                    ));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_string(text, at + 1)?,
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Returns the position of the closing quote of the string that starts at `at`, or the end of the text.
fn end_of_string(text: &[u8], mut at: usize) -> Result<usize, Invalid> {
    while at < text.len() {
        match text[at] {
            b'"' => return Ok(at),
            b'\\' => match escaped_unit(text, at) {
                Some(unit) if (0xD800..0xDC00).contains(&unit) => {
                    let low = escaped_unit(text, at + 6);
                    if !low.is_some_and(|unit| (0xDC00..0xE000).contains(&unit)) {
                        return Err(lone_surrogate(at));
                    }
                    at += 12;
                }
                Some(unit) if (0xDC00..0xE000).contains(&unit) => return Err(lone_surrogate(at)),
                _ => at += 2,
            },
            _ => at += 1,
        }
    }
    Ok(at)
}

/// Returns the UTF-16 unit of a `\u` escape at `at`, if there is one.
fn escaped_unit(text: &[u8], at: usize) -> Option<u16> {
    let escape = text.get(at..at + 6)?;
    if escape[0] != b'\\' || escape[1] != b'u' {
        return None;
    }
    let digits = std::str::from_utf8(&escape[2..]).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

fn lone_surrogate(at: usize) -> Invalid {
    Invalid::new(
        "lone_surrogate",
        format!("The escape at byte {at} is half of a surrogate pair, which encodes no character."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_strings_only() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check(nested(128).as_bytes()).is_ok());
        assert_eq!(check(nested(129).as_bytes()).unwrap_err().code, "too_deep");
        let text = format!("{{\"a\\\"{}\": 1}}", "[".repeat(500));
        assert!(check(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_surrogate_escape_without_its_other_half_is_refused() {
        for good in [r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""\u0041""#, r#""\\\ud83d\ude00""#] {
            assert!(check(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx""#,
            r#""\ud83d\u0041""#,
            r#""\ud83d\ud83d\ude00""#,
            r#"{"\uDFFF":1}"#,
        ] {
            assert_eq!(check(bad.as_bytes()).unwrap_err().code, "lone_surrogate", "{bad}");
        }
    }

    #[test]
    fn a_whole_number_may_have_a_point_and_zeros_after_it() {
        for (text, number) in [("5", 5), ("5.0", 5), ("50e-1", 5), ("0", 0), ("4294967295.0", u32::MAX)] {
            let read: Whole<u32> = serde_json::from_str(text).unwrap();
            assert_eq!(read.0, number, "{text}");
        }
        for text in ["5.5", "-1", "4294967296", "1e300", "\"5\"", "true", "18446744073709551615"] {
            assert!(serde_json::from_str::<Whole<u32>>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cut_text_is_left_to_the_parser() {
        for cut in ["\"", "\"\\", "\"\\u", "\"\\ud83", "{\"a", ""] {
            let _ = check(cut.as_bytes());
        }
    }
}
