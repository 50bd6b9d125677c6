//! Values of `<input type="datetime-local">`, in UTC.

use crate::domain::Invalid;
use crate::domain::time::{Millis, parse_rfc3339, rfc3339_seconds};

/// Parses `2026-01-15T10:00`, with or without seconds, and RFC 3339.
pub fn parse(text: &str) -> Result<Millis, Invalid> {
    let text = text.trim().replace(' ', "T");
    let parsed = match text.len() {
        16 => parse_rfc3339(&format!("{text}:00Z")),
        19 => parse_rfc3339(&format!("{text}Z")),
        _ => parse_rfc3339(&text),
    };
    parsed.map_err(|invalid| Invalid::new(invalid.code, "Enter a time such as 2026-01-15T10:00, in UTC."))
}

/// Formats a time to the second, as the field takes it.
pub fn format(ms: Millis) -> String {
    rfc3339_seconds(ms).trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_send_them_and_as_the_api_spells_them() {
        let ten = 1_768_471_200_000;
        for text in [
            "2026-01-15T10:00",
            "2026-01-15T10:00:00",
            "2026-01-15 10:00:00",
            "2026-01-15T10:00:00Z",
            "2026-01-15T12:00:00+02:00",
        ] {
            assert_eq!(parse(text).unwrap(), ten, "{text}");
        }
        for text in ["", "yesterday", "2026-01-15", "2026-13-15T10:00", "٢٠٢٦"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
