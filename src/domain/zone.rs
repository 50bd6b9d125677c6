//! Time zones of pages. The API, the store and the log use UTC.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::Invalid;
use super::time::{LAST, Millis, SECOND, of_utc, utc};

/// Bytes of a name at most. The longest name in the database has 32.
const MAX_NAME: usize = 64;

/// Time zone of the IANA database that the program contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Choice between the two times that a clock shows twice, when it is set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    First,
    Second,
}

impl Zone {
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// Name in the IANA database: `Europe/Berlin`.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    pub fn is_utc(&self) -> bool {
        *self == Zone::UTC
    }

    /// Name, with the difference to UTC at a time: `Europe/Berlin (UTC+1)`; `UTC` for UTC.
    pub fn label(&self, at: Millis) -> String {
        if self.is_utc() { self.name().to_owned() } else { format!("{} ({})", self.name(), self.offset(at)) }
    }

    /// Short name at a time: `CET`, `CEST`; the difference to UTC in zones that have only a number, such as `UTC-3`.
    pub fn abbreviation(&self, at: Millis) -> String {
        let at = timestamp(at);
        let info = self.0.to_offset_info(at);
        match info.abbreviation() {
            name if name.bytes().all(|byte| byte.is_ascii_alphabetic()) => name.to_owned(),
            _ => offset_words(info.offset().seconds()),
        }
    }

    /// Difference to UTC at a time: `UTC+5:30`.
    fn offset(&self, at: Millis) -> String {
        offset_words(self.0.to_offset(timestamp(at)).seconds())
    }

    /// Date and time of day. Times beyond the range of the calendar become its last one.
    pub fn local(&self, at: Millis) -> DateTime {
        match Timestamp::from_millisecond(at) {
            Ok(at) => self.0.to_datetime(at),
            Err(_) => utc(at).saturating_add(SignedDuration::from_secs(self.last_offset())),
        }
    }

    /// Seconds by which clocks differ from UTC on the last day of 9999, which `jiff::Timestamp` does not reach.
    fn last_offset(&self) -> i64 {
        self.0.to_offset(Timestamp::MAX).seconds().into()
    }

    /// Time at which clocks show this. In an hour that is skipped, clocks are already set forward: 02:30 is 03:30.
    pub fn at(&self, local: DateTime, twice: Twice) -> Option<Millis> {
        let ambiguous = self.0.to_ambiguous_timestamp(local);
        let found = match twice {
            Twice::First => ambiguous.compatible(),
            Twice::Second => match ambiguous.offset() {
                AmbiguousOffset::Fold { .. } => ambiguous.later(),
                _ => ambiguous.compatible(),
            },
        };
        match found {
            Ok(found) => Some(found.as_millisecond()),
            Err(_) => Some(of_utc(local)? - self.last_offset() * SECOND).filter(|at| (0..=LAST).contains(at)),
        }
    }

    /// Starts of the last days, oldest first, with today's and tomorrow's at the end: `count + 1` times. A day has 23 to 25
    /// hours.
    pub fn day_starts(&self, now: Millis, count: u32) -> Vec<Millis> {
        let today = self.local(now).date();
        let start = |back: i64| {
            let date = today.checked_sub(back.days()).unwrap_or(Date::MAX);
            self.at(date.to_datetime(jiff::civil::Time::midnight()), Twice::First).unwrap_or(now)
        };
        (-1..i64::from(count)).rev().map(start).collect()
    }
}

fn timestamp(at: Millis) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX)
}

/// `UTC`, `UTC-3`, `UTC+5:30`.
fn offset_words(seconds: i32) -> String {
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
    match (minutes / 60, minutes % 60) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, rest) => format!("UTC{sign}{hours}:{rest:02}"),
    }
}

impl FromStr for Zone {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Zone, Invalid> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte);
        let is_plain = name.len() <= MAX_NAME && name.bytes().all(is_allowed);
        if name.eq_ignore_ascii_case("Etc/UTC") {
            return Ok(Zone::UTC);
        }
        let found = if is_plain { TimeZone::get(name).ok() } else { None };
        let known = found.filter(|zone| !zone.is_unknown() && zone.iana_name().is_some());
        known.map(Zone).ok_or_else(|| {
            Invalid::new("invalid_time_zone", "Must be a name of the IANA time zone database, such as Europe/Berlin.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{DAY, HOUR, parse_rfc3339};

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    fn ms(text: &str) -> Millis {
        parse_rfc3339(text).unwrap()
    }

    #[test]
    fn only_names_of_the_database_are_zones() {
        for name in ["UTC", "Europe/Berlin", "Asia/Calcutta", "America/Argentina/ComodRivadavia", "Etc/GMT+5"] {
            assert_eq!(zone(name).name(), name);
        }
        assert!(zone("Etc/UTC").is_utc() && zone("utc").is_utc() && !zone("Europe/London").is_utc());
        let long = "a/".repeat(500);
        for name in
            ["", "Berlin", "Etc/Unknown", "../../etc/passwd", "Europe/Berlin\0", "CET-1CEST", "+01:00", "é", &long]
        {
            assert!(name.parse::<Zone>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_zone_names_itself_and_its_difference_to_utc() {
        let (winter, summer) = (ms("2026-01-15T10:00:00Z"), ms("2026-07-15T10:00:00Z"));
        for (name, at, label, short) in [
            ("UTC", winter, "UTC", "UTC"),
            ("Europe/Berlin", winter, "Europe/Berlin (UTC+1)", "CET"),
            ("Europe/Berlin", summer, "Europe/Berlin (UTC+2)", "CEST"),
            ("Europe/London", winter, "Europe/London (UTC)", "GMT"),
            ("America/Sao_Paulo", winter, "America/Sao_Paulo (UTC-3)", "UTC-3"),
            ("Asia/Kathmandu", winter, "Asia/Kathmandu (UTC+5:45)", "UTC+5:45"),
        ] {
            assert_eq!((zone(name).label(at).as_str(), zone(name).abbreviation(at).as_str()), (label, short));
        }
        assert_eq!(zone("Asia/Tokyo").local(Millis::MAX).year(), 9999);
    }

    #[test]
    fn a_skipped_hour_is_the_next_one_and_a_doubled_one_has_two_times() {
        let berlin = zone("Europe/Berlin");
        let at = |text: &str, twice| berlin.at(text.parse().unwrap(), twice).unwrap();
        for (local, first, second) in [
            ("2026-01-15T11:00", "2026-01-15T10:00:00Z", "2026-01-15T10:00:00Z"),
            // 02:00 to 03:00 does not exist.
            ("2026-03-29T02:30", "2026-03-29T01:30:00Z", "2026-03-29T01:30:00Z"),
            // 02:00 to 03:00 comes twice.
            ("2026-10-25T02:30", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
        ] {
            assert_eq!((at(local, Twice::First), at(local, Twice::Second)), (ms(first), ms(second)), "{local}");
        }
    }

    #[test]
    fn the_last_day_of_9999_has_its_times_in_every_zone() {
        for (name, at, local) in [
            ("UTC", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59"),
            ("Europe/Berlin", "9999-12-31T12:00:00Z", "9999-12-31T13:00:00"),
            ("Pacific/Honolulu", "9999-12-31T23:59:59Z", "9999-12-31T13:59:59"),
            ("Pacific/Honolulu", "9999-12-31T02:00:00Z", "9999-12-30T16:00:00"),
            ("Asia/Tokyo", "9999-12-30T20:00:00Z", "9999-12-31T05:00:00"),
        ] {
            let zone = zone(name);
            assert_eq!(zone.local(ms(at)), local.parse().unwrap(), "{name}");
            assert_eq!(zone.at(local.parse().unwrap(), Twice::First), Some(ms(at)), "{name}");
            assert_eq!(zone.at(local.parse().unwrap(), Twice::Second), Some(ms(at)), "{name}");
        }
        // Clocks in Tokyo show the year 10000 then, and in Honolulu there is no later time.
        assert_eq!(zone("Asia/Tokyo").local(LAST).to_string(), "9999-12-31T23:59:59.999999999");
        assert_eq!(zone("Pacific/Honolulu").at("9999-12-31T14:00".parse().unwrap(), Twice::First), None);
    }

    #[test]
    fn days_begin_at_midnight_of_the_zone_and_have_23_to_25_hours() {
        let berlin = zone("Europe/Berlin");
        let starts = berlin.day_starts(ms("2026-10-25T23:30:00Z"), 3);
        let wanted = ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"];
        assert_eq!(starts, wanted.map(ms));
        assert_eq!(starts[2] - starts[1], 25 * HOUR);
        let utc = Zone::UTC.day_starts(5 * DAY + HOUR, 2);
        assert_eq!(utc, [4 * DAY, 5 * DAY, 6 * DAY]);
        // Clocks go forward at midnight: the day begins at 01:00.
        let starts = zone("Asia/Beirut").day_starts(ms("2026-03-29T12:00:00Z"), 1);
        assert_eq!(starts, ["2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"].map(ms));
    }
}
