//! Times: milliseconds since 1970 in the program, RFC 3339 in the API and in envelopes.

use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Invalid;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

pub const SECOND: Millis = 1_000;
pub const MINUTE: Millis = 60 * SECOND;
pub const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;

/// Last moment of the year 9999. RFC 3339 has no later years.
pub const LAST: Millis = 253_402_300_799_999;

/// Formats a time as RFC 3339 in UTC with milliseconds: `2026-01-15T10:00:00.123Z`.
pub fn rfc3339(ms: Millis) -> String {
    format!("{:.3}Z", utc(ms))
}

/// Formats a time as RFC 3339 in UTC with whole seconds, as in envelopes: `2026-01-15T10:00:00Z`.
pub fn rfc3339_seconds(ms: Millis) -> String {
    format!("{:.0}Z", utc(ms - ms.rem_euclid(SECOND)))
}

/// Formats a time in UTC for names of files: `20260115T100000Z`.
pub fn compact(ms: Millis) -> String {
    rfc3339_seconds(ms).replace(['-', ':'], "")
}

/// Date and time of day. A later time than [`LAST`] becomes it. `jiff::Timestamp` ends a day before, so that every time zone
/// has its times.
pub(super) fn utc(ms: Millis) -> DateTime {
    epoch().saturating_add(SignedDuration::from_millis(ms.min(LAST)))
}

fn epoch() -> DateTime {
    Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC).datetime()
}

/// Parses RFC 3339 with any offset, years 1970 to 9999.
pub fn parse_rfc3339(text: &str) -> Result<Millis, Invalid> {
    parse(text).filter(|ms| (0..=LAST).contains(ms)).ok_or_else(|| {
        Invalid::new("invalid_time", "Must be a time in RFC 3339 such as 2026-01-15T10:00:00Z (years 1970 to 9999).")
    })
}

fn parse(text: &str) -> Option<Millis> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let pieces = DateTimeParser::new().parse_pieces(text).ok()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let offset = Millis::from(pieces.to_numeric_offset()?.seconds()) * SECOND;
    Some(of_utc(local)? - offset)
}

/// Returns the time of a date and time of day in UTC. Like [`utc`], it knows the last day of 9999.
pub(super) fn of_utc(local: DateTime) -> Option<Millis> {
    i64::try_from(local.duration_since(epoch()).as_millis()).ok()
}

/// Parses a `Retry-After` header: seconds, or a date (RFC 9110, 10.2.3). Returns the milliseconds to wait from `now`, 0 for
/// a past date, `None` for anything else.
pub fn parse_retry_after(value: &str, now: Millis) -> Option<Millis> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse::<i64>().unwrap_or(i64::MAX / SECOND);
        return Some(seconds.saturating_mul(SECOND));
    }
    Some((parse_http_date(value)? - now).max(0))
}

/// Parses a date of HTTP (RFC 9110, 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn parse_http_date(value: &str) -> Option<Millis> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Some(date.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelope_times_are_whole_seconds_rounded_down() {
        assert_eq!(rfc3339_seconds(1_768_471_200_999), "2026-01-15T10:00:00Z");
        assert_eq!(rfc3339(1_768_471_200_009), "2026-01-15T10:00:00.009Z");
        assert_eq!(rfc3339(1_768_471_200_000), "2026-01-15T10:00:00.000Z");
    }

    #[test]
    fn times_with_an_offset_are_read_as_utc() {
        assert_eq!(parse_rfc3339("2026-01-15T11:00:00+01:00"), Ok(1_768_471_200_000));
        for bad in ["", "yesterday", "2026-01-15", "1969-12-31T23:59:59Z"] {
            assert!(parse_rfc3339(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_of_the_last_day_of_9999_are_read_and_written() {
        for (text, ms) in [("9999-12-31T23:59:59.999Z", LAST), ("9999-12-31T00:00:00.000Z", LAST + 1 - DAY)] {
            assert_eq!(parse_rfc3339(text), Ok(ms), "{text}");
            assert_eq!(rfc3339(ms), text);
        }
        assert_eq!(rfc3339_seconds(LAST), "9999-12-31T23:59:59Z");
        assert_eq!(parse_rfc3339("9999-12-31T12:00:00+09:30").map(rfc3339).unwrap(), "9999-12-31T02:30:00.000Z");
        assert_eq!(rfc3339(Millis::MAX), "9999-12-31T23:59:59.999Z");
        for bad in ["9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59", "9999-12-31", "9999-12-32T00:00:00Z"] {
            assert!(parse_rfc3339(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_garbage_is_ignored() {
        let now = 1_445_412_480_000;
        for (value, wait) in [
            ("0", Some(0)),
            ("5", Some(5_000)),
            (" 5 ", Some(5_000)),
            ("Wed, 21 Oct 2015 07:28:10 GMT", Some(10_000)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("-1", None),
            ("1e9", None),
            ("soon", None),
            ("", None),
            ("5, 5", None),
        ] {
            assert_eq!(parse_retry_after(value, now), wait, "{value:?}");
        }
        assert!(parse_retry_after("99999999999999999999999", now).is_some());
    }
}
