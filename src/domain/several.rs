//! Several values of one filter, separated by commas: `failed,retrying`.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use super::Invalid;

/// Values of a filter at most. Each may be a search of its own.
pub const MOST: usize = 20;

/// Values of which a row has one. Empty: any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several<T>(Vec<T>);

impl<T: PartialEq> Several<T> {
    /// Parses a list with `parse`, the parser of one value. Each value is kept once.
    pub fn parse_with(text: &str, parse: impl Fn(&str) -> Result<T, Invalid>) -> Result<Several<T>, Invalid> {
        let mut values = Vec::new();
        for part in text.split(',') {
            let value = parse(part.trim())?;
            if !values.contains(&value) {
                values.push(value);
            }
        }
        if values.len() > MOST {
            return Err(Invalid::new("invalid_value", format!("Enter at most {MOST} values.")));
        }
        Ok(Several(values))
    }
}

impl<T> Default for Several<T> {
    fn default() -> Several<T> {
        Several(Vec::new())
    }
}

impl<T> Deref for Several<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<T> for Several<T> {
    fn from(value: T) -> Several<T> {
        Several(vec![value])
    }
}

impl<T> FromIterator<T> for Several<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Several<T> {
        Several(values.into_iter().collect())
    }
}

impl<T: FromStr<Err = Invalid> + PartialEq> FromStr for Several<T> {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Several<T>, Invalid> {
        Several::parse_with(text, str::parse)
    }
}

impl<T: fmt::Display> fmt::Display for Several<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            value.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::DeliveryStatus;
    use crate::domain::pattern::EventPattern;

    #[test]
    fn values_are_read_between_commas_and_a_wrong_one_is_named() {
        let parsed: Several<DeliveryStatus> = "failed, retrying".parse().unwrap();
        assert_eq!(&*parsed, [DeliveryStatus::Failed, DeliveryStatus::Retrying]);
        assert_eq!(parsed.to_string(), "failed,retrying");
        for wrong in ["", "failed,", "failed,lost"] {
            assert!(wrong.parse::<Several<DeliveryStatus>>().is_err(), "{wrong}");
        }
        let twice = "failed,failed".parse::<Several<DeliveryStatus>>().unwrap();
        assert_eq!(*twice, [DeliveryStatus::Failed]);
        let many: Vec<String> = (0..=MOST).map(|number| format!("t{number}")).collect();
        assert!(many.join(",").parse::<Several<EventPattern>>().is_err());
        assert!(many[1..].join(",").parse::<Several<EventPattern>>().is_ok());
    }
}
