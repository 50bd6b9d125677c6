//! Values of `<input type="datetime-local">`, in the zone of the page. URLs have RFC 3339, which means the same to everybody.

use jiff::civil::DateTime;

use crate::domain::Invalid;
use crate::domain::time::{Millis, parse_rfc3339, rfc3339_seconds};
use crate::domain::zone::{Twice, Zone};
use crate::http::web::{PageError, Session};

/// Parses `2026-01-15T10:00` in a zone, with or without seconds, and RFC 3339.
pub fn parse(text: &str, zone: &Zone, twice: Twice) -> Result<Millis, Invalid> {
    let parsed = match local(text) {
        Some(local) => zone.at(local, twice).filter(|at| *at >= 0),
        None => parse_rfc3339(&text.trim().replace(' ', "T")).ok(),
    };
    parsed.ok_or_else(|| {
        Invalid::new("invalid_time", format!("Enter a time such as 2026-01-15T10:00, in {}.", zone.name()))
    })
}

/// The value of a field without a zone.
fn local(text: &str) -> Option<DateTime> {
    let text = text.trim();
    let is_local = matches!(text.len(), 16 | 19)
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            10 => byte == b'T' || byte == b' ',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    if is_local { text.parse().ok() } else { None }
}

/// RFC 3339 of a value without a zone; other values stay as they are.
pub fn exact(text: &str, zone: &Zone, twice: Twice) -> String {
    let at = local(text).and_then(|local| zone.at(local, twice));
    at.map_or_else(|| text.to_owned(), rfc3339_seconds)
}

/// Formats a time to the second, as the field takes it.
pub fn format(ms: Millis, zone: &Zone) -> String {
    zone.local(ms).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Redirects a form that sent times without a zone to the URL with RFC 3339. `from` and `to` are the names of its fields. In the
/// hour that clocks show twice, `from` begins with the first and `to` ends with the second.
pub fn require_exact(session: &Session, from: &str, to: &str) -> Result<(), PageError> {
    let mut fields = session.query.without(|_| false);
    let mut is_changed = false;
    for (name, value) in &mut fields {
        let twice = if name == to { Twice::Second } else { Twice::First };
        if (name == from || name == to) && local(value).is_some() {
            let exact = exact(value, session.zone(), twice);
            // A time beyond the calendar has none, and its page says so.
            is_changed |= exact != *value;
            *value = exact;
        }
    }
    if !is_changed {
        return Ok(());
    }
    fields.retain(|(_, value)| !value.is_empty());
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let path = session.here.split('?').next().unwrap_or_default();
    Err(PageError::Redirect { location: format!("{}{path}?{query}", session.base()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_send_them_and_as_the_api_spells_them() {
        let (ten, berlin) = (1_768_471_200_000, "Europe/Berlin".parse().unwrap());
        for text in [
            "2026-01-15T10:00",
            "2026-01-15T10:00:00",
            "2026-01-15 10:00:00",
            "2026-01-15T10:00:00Z",
            "2026-01-15T12:00:00+02:00",
        ] {
            assert_eq!(parse(text, &Zone::UTC, Twice::First).unwrap(), ten, "{text}");
        }
        assert_eq!(parse("2026-01-15T11:00", &berlin, Twice::First).unwrap(), ten);
        assert_eq!(parse("2026-01-15T10:00:00Z", &berlin, Twice::First).unwrap(), ten);
        assert_eq!(format(ten, &berlin), "2026-01-15T11:00:00");
        for text in ["", "yesterday", "2026-01-15", "2026-13-15T10:00", "2026-01-15T1o:00", "1960-01-15T10:00", "٢٠٢٦"]
        {
            let message = parse(text, &berlin, Twice::First).unwrap_err().message;
            assert!(message.ends_with("in Europe/Berlin."), "{text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_becomes_exact_and_others_stay() {
        let berlin = "Europe/Berlin".parse().unwrap();
        for (text, twice, wanted) in [
            ("2026-10-25T02:30", Twice::First, "2026-10-25T00:30:00Z"),
            ("2026-10-25T02:30", Twice::Second, "2026-10-25T01:30:00Z"),
            ("2026-03-29T02:30", Twice::Second, "2026-03-29T01:30:00Z"),
            ("2026-01-15T10:00:00.123Z", Twice::First, "2026-01-15T10:00:00.123Z"),
            ("soon", Twice::First, "soon"),
        ] {
            assert_eq!(exact(text, &berlin, twice), wanted, "{text}");
        }
    }
}
