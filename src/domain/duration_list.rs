//! Lists of durations as people write them: `1m, 5m, 30m, 2h`.

use super::Invalid;
use crate::domain::time::{DAY, HOUR, MINUTE, Millis, SECOND};

/// Accepted names of each unit; [`text`] writes the first.
const UNITS: [(&[&str], Millis); 5] = [
    (&["d", "day", "days"], DAY),
    (&["h", "hr", "hour", "hours"], HOUR),
    (&["m", "min", "mins", "minute", "minutes"], MINUTE),
    (&["s", "sec", "secs", "second", "seconds"], SECOND),
    (&["ms"], 1),
];

/// Parses durations into seconds: `90s`, `1.5 h`, `1h 30m`, separated by commas, semicolons or line breaks; `0` needs no
/// unit. Does not check ranges.
pub fn parse(text: &str) -> Result<Vec<f64>, Invalid> {
    text.split([',', ';', '\n'])
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .map(|piece| delay(piece).ok_or_else(|| unread(piece)))
        .collect()
}

fn unread(piece: &str) -> Invalid {
    let piece: String = piece.chars().take(40).collect();
    Invalid::new(
        "invalid_retry",
        format!("{piece:?} is not a duration. Write each with its unit, such as 90s, 5m, 1h 30m or 2d."),
    )
}

fn delay(piece: &str) -> Option<f64> {
    if piece == "0" {
        return Some(0.0);
    }
    let mut rest = piece;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let end = rest.find(|c| !is_number(c))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        let (_, unit) = UNITS.iter().find(|(names, _)| names.contains(&name.as_str()))?;
        seconds += number * *unit as f64 / SECOND as f64;
        rest = rest[end..].trim_start();
    }
    Some(seconds)
}

/// Formats durations in the shortest form that [`parse`] reads: `1m, 5m, 1h 30m`.
pub fn text(delays: &[Millis]) -> String {
    let all: Vec<String> = delays.iter().map(|delay| one(*delay)).collect();
    all.join(", ")
}

fn one(delay: Millis) -> String {
    let mut rest = delay;
    let mut parts = Vec::new();
    for (names, unit) in UNITS {
        if rest >= unit {
            parts.push(format!("{}{}", rest / unit, names[0]));
            rest %= unit;
        }
    }
    if parts.is_empty() { "0".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("1m, 5m, 30m, 2h", &[60.0, 300.0, 1800.0, 7200.0][..]),
            ("90s", &[90.0]),
            ("1h 30m;2 days", &[5400.0, 172_800.0]),
            ("1.5 Hours\n250ms", &[5400.0, 0.25]),
            ("0, 10 min", &[0.0, 600.0]),
            (" , ", &[]),
            ("", &[]),
        ] {
            assert_eq!(parse(text).unwrap(), seconds, "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_and_everything_else_is_refused() {
        for text in ["300", "5x", "m", "1m 5", "-1m", "1..5m", "soon", "5m <b>", "٣m", "1m5"] {
            let refused = parse(text).unwrap_err();
            assert!(refused.message.contains("unit"), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let delays = [0, 250, SECOND, 90 * SECOND, 5 * MINUTE, 90 * MINUTE, 7 * DAY];
        let text = text(&delays);
        assert_eq!(text, "0, 250ms, 1s, 1m 30s, 5m, 1h 30m, 7d");
        let read: Vec<Millis> = parse(&text).unwrap().iter().map(|seconds| (seconds * 1000.0) as Millis).collect();
        assert_eq!(read, delays);
    }
}
