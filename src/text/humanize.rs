//! Times, durations and numbers in words. Times name their zone. Rounding never makes a number look better.

use crate::domain::time::{DAY, HOUR, MINUTE, Millis, SECOND};
use crate::domain::zone::Zone;

/// Formats a duration in its two largest units: `48 ms`, `1.2 s`, `1 min 30 s`, `2 h`, `3 days 4 h`. Negative durations
/// count as 0.
pub fn duration(ms: Millis) -> String {
    let ms = ms.max(0);
    if ms < SECOND {
        return format!("{ms} ms");
    }
    // Rounded to tenths first: 9.96 s is 10 s, not 10.0 s.
    let tenths = (ms + 50) / 100;
    if tenths < 100 && tenths % 10 != 0 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let rounded = |unit: Millis| (ms + unit / 2) / unit * unit;
    match ms {
        _ if rounded(SECOND) < HOUR => two_units(rounded(SECOND)),
        _ if rounded(MINUTE) < DAY => two_units(rounded(MINUTE)),
        _ => two_units(rounded(HOUR)),
    }
}

/// Formats a duration of whole units in the largest two adjacent ones.
fn two_units(ms: Millis) -> String {
    let units = [DAY, HOUR, MINUTE, SECOND];
    let first = units.iter().position(|unit| ms >= *unit).unwrap_or(3);
    let mut text = one_unit(ms / units[first], units[first]);
    let rest = ms % units[first];
    if let Some(unit) = units.get(first + 1).filter(|unit| rest >= **unit) {
        text.push(' ');
        text.push_str(&one_unit(rest / unit, *unit));
    }
    text
}

fn one_unit(count: i64, unit: Millis) -> String {
    match unit {
        DAY => counted(count.unsigned_abs(), "day"),
        HOUR => format!("{count} h"),
        MINUTE => format!("{count} min"),
        _ => format!("{count} s"),
    }
}

/// Formats a time relative to `now`: `in 2 h`, `3 days ago`, `now`. One rounded unit, or two below two of the larger:
/// `in 1 h 30 min`.
pub fn relative(at: Millis, now: Millis) -> String {
    let distance = (at - now).abs();
    if distance < SECOND {
        return "now".to_owned();
    }
    let text = roughly(distance);
    if at > now { format!("in {text}") } else { format!("{text} ago") }
}

fn roughly(distance: Millis) -> String {
    let smaller = [(DAY, HOUR), (HOUR, MINUTE), (MINUTE, SECOND)];
    for (unit, below) in smaller {
        let fine = (distance + below / 2) / below * below;
        if (unit..2 * unit).contains(&fine) {
            return two_units(fine);
        }
        if fine >= 2 * unit {
            return one_unit((distance + unit / 2) / unit, unit);
        }
    }
    one_unit((distance + SECOND / 2) / SECOND, SECOND)
}

/// Formats the time of day: `14:20 UTC`.
pub fn clock(at: Millis, zone: &Zone) -> String {
    format!("{} {}", zone.local(at).strftime("%H:%M"), zone.abbreviation(at))
}

/// Formats the date and the time of day: `15 Jan 2026 14:20 UTC`.
pub fn date(at: Millis, zone: &Zone) -> String {
    format!("{} {}", zone.local(at).strftime("%-d %b %Y %H:%M"), zone.abbreviation(at))
}

/// Formats the date: `15 Jan 2026`.
pub fn day(at: Millis, zone: &Zone) -> String {
    zone.local(at).strftime("%-d %b %Y").to_string()
}

/// Formats a time to the second: `2026-01-15 14:20:00 UTC`.
pub fn to_the_second(at: Millis, zone: &Zone) -> String {
    format!("{} {}", zone.local(at).strftime("%Y-%m-%d %H:%M:%S"), zone.abbreviation(at))
}

/// Formats a time in full: `Thursday, 15 January 2026, 14:20:00 UTC`.
pub fn in_full(at: Millis, zone: &Zone) -> String {
    format!("{} {}", zone.local(at).strftime("%A, %-d %B %Y, %H:%M:%S"), zone.abbreviation(at))
}

/// Formats a time as one would say it now: `14:20 UTC` today, `tomorrow 03:12 UTC`, `yesterday 03:12 UTC`, the weekday
/// within the next six days (`Friday 03:12 UTC`), otherwise the date.
pub fn when(at: Millis, now: Millis, zone: &Zone) -> String {
    let days = zone.local(now).date().until(zone.local(at).date()).map_or(i32::MAX, |span| span.get_days());
    match days {
        0 => clock(at, zone),
        1 => format!("tomorrow {}", clock(at, zone)),
        -1 => format!("yesterday {}", clock(at, zone)),
        2..=6 => format!("{} {}", weekday(at, zone), clock(at, zone)),
        _ => date(at, zone),
    }
}

/// Returns the weekday: `Friday`.
pub fn weekday(at: Millis, zone: &Zone) -> String {
    zone.local(at).strftime("%A").to_string()
}

/// Formats a size in decimal units, rounded up: `512 B`, `1.2 kB`, `16.4 MB`.
pub fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit: u128 = 1000;
    for (index, name) in units.iter().enumerate() {
        let tenths = (u128::from(count) * 10).div_ceil(unit);
        if tenths < 10_000 || index + 1 == units.len() {
            return with_tenths(tenths, name);
        }
        unit *= 1000;
    }
    unreachable!("the last unit takes everything")
}

/// Formats a number with thousands separators: `12,345`.
pub fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count that stops at a limit: "10,000 or more".
pub fn or_more(count: u64, limit: u32) -> String {
    let text = number(count);
    if count >= limit.into() { format!("{text} or more") } else { text }
}

/// Formats a share with one decimal: `99.2 %`. `100 %` means everything and `0 %` nothing; `None` for a whole of 0.
pub fn percent(part: u64, whole: u64) -> Option<String> {
    if whole == 0 {
        return None;
    }
    let part = part.min(whole);
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    let tenths = if part == 0 { 0 } else { tenths.max(1) };
    Some(with_tenths(tenths, "%"))
}

fn with_tenths(tenths: u128, unit: &str) -> String {
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        rest => format!("{}.{rest} {unit}", tenths / 10),
    }
}

/// A number and its noun: `1 attempt`, `12,345 attempts`, `2 deliveries`.
pub fn counted(count: u64, noun: &str) -> String {
    match (count, noun.strip_suffix("ry")) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ries", number(count)),
        (_, None) => format!("{} {noun}s", number(count)),
    }
}

/// Formats an ordinal number: `first`, `2nd`, `3rd`, `11th`.
pub fn ordinal(n: u32) -> String {
    match (n, n % 10, n % 100) {
        (1, _, _) => "first".to_owned(),
        (_, _, 11..=13) => format!("{n}th"),
        (_, 1, _) => format!("{n}st"),
        (_, 2, _) => format!("{n}nd"),
        (_, 3, _) => format!("{n}rd"),
        _ => format!("{n}th"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thursday, 2026-01-15 10:00 UTC.
    const NOW: Millis = 1_768_471_200_000;

    #[test]
    fn a_duration_is_said_in_its_two_largest_units() {
        for (ms, words) in [
            (-5, "0 ms"),
            (0, "0 ms"),
            (48, "48 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (1_234, "1.2 s"),
            (9_960, "10 s"),
            (5_003, "5 s"),
            (12_400, "12 s"),
            (59_600, "1 min"),
            (90_000, "1 min 30 s"),
            (HOUR - 400, "1 h"),
            (2 * HOUR, "2 h"),
            (2 * HOUR + 5 * MINUTE + 20 * SECOND, "2 h 5 min"),
            (DAY - 1, "1 day"),
            (3 * DAY + 4 * HOUR, "3 days 4 h"),
            (3 * DAY + 4 * MINUTE, "3 days"),
            (DAY + HOUR / 2, "1 day 1 h"),
        ] {
            assert_eq!(duration(ms), words, "{ms}");
        }
    }

    #[test]
    fn a_time_seen_from_now_says_on_which_side_it_lies() {
        for (distance, words) in [
            (0, "now"),
            (999, "now"),
            (-999, "now"),
            (12 * SECOND, "in 12 s"),
            (90 * SECOND, "in 1 min 30 s"),
            (59_700, "in 1 min"),
            (2 * HOUR, "in 2 h"),
            (2 * HOUR - 400, "in 2 h"),
            (90 * MINUTE, "in 1 h 30 min"),
            (-3 * DAY, "3 days ago"),
            (-3 * DAY - 11 * HOUR, "3 days ago"),
            (-DAY - 2 * HOUR, "1 day 2 h ago"),
            (-400 * DAY, "400 days ago"),
        ] {
            assert_eq!(relative(NOW + distance, NOW), words, "{distance}");
        }
    }

    #[test]
    fn a_moment_is_said_as_people_do() {
        for (at, words) in [
            (NOW + 4 * HOUR + 20 * MINUTE, "14:20 UTC"),
            (NOW + 17 * HOUR + 12 * MINUTE, "tomorrow 03:12 UTC"),
            (NOW - 11 * HOUR, "yesterday 23:00 UTC"),
            (NOW + 2 * DAY, "Saturday 10:00 UTC"),
            (NOW + 6 * DAY, "Wednesday 10:00 UTC"),
            // The same weekday a week on would be taken for today.
            (NOW + 7 * DAY, "22 Jan 2026 10:00 UTC"),
            (NOW - 2 * DAY, "13 Jan 2026 10:00 UTC"),
            (NOW - 10 * HOUR - 1, "yesterday 23:59 UTC"),
        ] {
            assert_eq!(when(at, NOW, &Zone::UTC), words);
        }
        assert_eq!(date(Millis::MAX, &Zone::UTC), "31 Dec 9999 23:59 UTC");
        // 23:30 in Tokyo: half an hour later it is tomorrow there, and still today in London.
        let (tokyo, london) = ("Asia/Tokyo".parse().unwrap(), "Europe/London".parse().unwrap());
        let late = NOW + 4 * HOUR + 30 * MINUTE;
        assert_eq!(when(late + HOUR, late, &tokyo), "tomorrow 00:30 JST");
        assert_eq!(when(late + HOUR, late, &london), "15:30 GMT");
        assert_eq!(to_the_second(late, &tokyo), "2026-01-15 23:30:00 JST");
        assert_eq!(in_full(late, &tokyo), "Thursday, 15 January 2026, 23:30:00 JST");
    }

    #[test]
    fn sizes_are_decimal_and_never_look_smaller() {
        for (count, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1 kB"),
            (1_001, "1.1 kB"),
            (1_200_000, "1.2 MB"),
            (999_999, "1 MB"),
            (u64::MAX, "18.5 EB"),
        ] {
            assert_eq!(bytes(count), words, "{count}");
        }
    }

    #[test]
    fn numbers_have_their_thousands_apart() {
        for (count, words) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")] {
            assert_eq!(number(count), words);
        }
    }

    #[test]
    fn a_share_is_everything_only_where_nothing_failed() {
        for (part, whole, words) in [
            (0, 0, None),
            (5, 5, Some("100 %")),
            (992, 1_000, Some("99.2 %")),
            (999_999, 1_000_000, Some("99.9 %")),
            (1, 1_000_000, Some("0.1 %")),
            (0, 3, Some("0 %")),
            (1, 2, Some("50 %")),
            (u64::MAX - 1, u64::MAX, Some("99.9 %")),
        ] {
            assert_eq!(percent(part, whole).as_deref(), words, "{part} of {whole}");
        }
    }

    #[test]
    fn ordinals_end_as_english_has_them() {
        for (n, words) in [
            (1, "first"),
            (2, "2nd"),
            (3, "3rd"),
            (4, "4th"),
            (11, "11th"),
            (12, "12th"),
            (21, "21st"),
            (102, "102nd"),
            (113, "113th"),
        ] {
            assert_eq!(ordinal(n), words);
        }
        assert_eq!(counted(1, "attempt"), "1 attempt");
        assert_eq!(counted(1_200, "attempt"), "1,200 attempts");
        assert_eq!(counted(2, "delivery"), "2 deliveries");
    }
}
