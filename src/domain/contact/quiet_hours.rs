//! Hours in which a contact is told nothing: messages wait until they end.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::Invalid;
use crate::domain::time::Millis;

/// Hours of each day in which messages wait. Those that begin later than they end last over midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// Quiet hours in the form of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QuietHours")]
pub struct QuietHoursSpec {
    /// Beginning of the quiet hours.
    #[schemars(regex(pattern = QuietHours::TIME_PATTERN))]
    pub from: String,
    /// Their end.
    #[schemars(regex(pattern = QuietHours::TIME_PATTERN))]
    pub to: String,
    /// IANA name such as `Europe/Berlin`. Default: `UTC`.
    #[serde(default = "utc")]
    #[schemars(length(max = 64))]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl QuietHours {
    /// Pattern of a time of day.
    pub const TIME_PATTERN: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";

    /// Checks the times and the zone. The error names the field.
    pub fn parse(spec: &QuietHoursSpec) -> Result<QuietHours, Invalid> {
        let zone = TimeZone::get(&spec.time_zone).map_err(|_| {
            let message =
                format!("There is no time zone {:?}. Use an IANA name such as Europe/Berlin.", spec.time_zone);
            Invalid::new("unknown_time_zone", message).in_field("quiet_hours.time_zone")
        })?;
        let from = parse_time(&spec.from, "quiet_hours.from")?;
        let to = parse_time(&spec.to, "quiet_hours.to")?;
        if from == to {
            let message = "Quiet hours must end at another time than they begin.";
            return Err(Invalid::new("invalid_quiet_hours", message).in_field("quiet_hours.to"));
        }
        Ok(QuietHours { from, to, zone })
    }

    pub fn spec(&self) -> QuietHoursSpec {
        let text = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        let time_zone = self.zone.iana_name().unwrap_or("UTC").to_owned();
        QuietHoursSpec { from: text(self.from), to: text(self.to), time_zone }
    }

    /// Returns the end of the quiet hours that this time is in; `None` outside of them.
    pub fn end(&self, now: Millis) -> Option<Millis> {
        let now_time = Timestamp::from_millisecond(now).ok()?;
        let local = self.zone.to_datetime(now_time);
        let time = local.time();
        let (is_quiet, ends_tomorrow) = match self.from < self.to {
            true => ((self.from..self.to).contains(&time), false),
            false => (time >= self.from || time < self.to, time >= self.from),
        };
        if !is_quiet {
            return None;
        }
        let day = if ends_tomorrow { local.date().tomorrow().ok()? } else { local.date() };
        let end = self.zone.to_ambiguous_timestamp(day.to_datetime(self.to));
        // An hour that the clocks repeat ends twice.
        let ends = [end.compatible(), end.later()].into_iter().flatten();
        ends.map(Timestamp::as_millisecond).find(|end| *end > now)
    }
}

fn parse_time(text: &str, field: &str) -> Result<Time, Invalid> {
    let parsed = text.split_once(':').filter(|_| text.len() == 5 && text.is_ascii()).and_then(|(hour, minute)| {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse().ok().filter(|_| is_number(text) && text.len() == 2);
        Time::new(number(hour)?, number(minute)?, 0, 0).ok()
    });
    parsed.ok_or_else(|| Invalid::new("invalid_quiet_hours", "Must be a time of day such as 22:00.").in_field(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{parse_rfc3339, rfc3339_seconds};

    fn spec(from: &str, to: &str, zone: &str) -> QuietHoursSpec {
        QuietHoursSpec { from: from.to_owned(), to: to.to_owned(), time_zone: zone.to_owned() }
    }

    #[test]
    fn messages_wait_until_the_quiet_hours_end_in_their_zone() {
        for (from, to, zone, now, expected) in [
            ("22:00", "07:00", "UTC", "2026-01-15T21:59:59Z", None),
            ("22:00", "07:00", "UTC", "2026-01-15T22:00:00Z", Some("2026-01-16T07:00:00Z")),
            ("22:00", "07:00", "UTC", "2026-01-16T06:59:59Z", Some("2026-01-16T07:00:00Z")),
            ("22:00", "07:00", "UTC", "2026-01-16T07:00:00Z", None),
            ("22:00", "07:00", "Europe/Berlin", "2026-01-15T21:00:00Z", Some("2026-01-16T06:00:00Z")),
            ("12:00", "13:30", "America/New_York", "2026-07-01T16:00:00Z", Some("2026-07-01T17:30:00Z")),
            ("12:00", "13:30", "America/New_York", "2026-07-01T18:00:00Z", None),
            // The clocks go forward at 02:00: 02:30 does not exist.
            ("22:00", "02:30", "Europe/Berlin", "2026-03-28T22:00:00Z", Some("2026-03-29T01:30:00Z")),
            // They go back at 03:00: 02:30 comes twice.
            ("22:00", "02:30", "Europe/Berlin", "2026-10-24T22:00:00Z", Some("2026-10-25T00:30:00Z")),
            ("22:00", "02:30", "Europe/Berlin", "2026-10-25T01:10:00Z", Some("2026-10-25T01:30:00Z")),
        ] {
            let hours = QuietHours::parse(&spec(from, to, zone)).unwrap();
            let end = hours.end(parse_rfc3339(now).unwrap()).map(rfc3339_seconds);
            assert_eq!(end.as_deref(), expected, "{from} to {to} {zone} at {now}");
        }
    }

    #[test]
    fn quiet_hours_read_back_and_wrong_ones_name_their_field() {
        let good = spec("22:00", "07:05", "Europe/Berlin");
        assert_eq!(QuietHours::parse(&good).unwrap().spec(), good);
        for (wrong, field) in [
            (spec("24:00", "07:00", "UTC"), "quiet_hours.from"),
            (spec("22:00", "7:00", "UTC"), "quiet_hours.to"),
            (spec("22:00", "+7:00", "UTC"), "quiet_hours.to"),
            (spec("22:00", "22:00", "UTC"), "quiet_hours.to"),
            (spec("22:00", "07:00", "Mars/Olympus"), "quiet_hours.time_zone"),
        ] {
            assert_eq!(QuietHours::parse(&wrong).unwrap_err().field.as_deref(), Some(field), "{wrong:?}");
        }
    }
}
