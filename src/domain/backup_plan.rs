//! Scheduled backups: their names, when one is due, and which are deleted.

use super::Invalid;
use super::time::{DAY, HOUR, MINUTE, Millis, compact, parse_rfc3339};

/// Ending of the files.
const ENDING: &str = ".db";
/// Time after which a backup that failed is tried again, unless the next is due before.
const RETRY: Millis = 10 * MINUTE;

/// Schedule of backups into one folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupPlan {
    /// Time from one backup to the next.
    pub every: Millis,
    /// Number of files that are kept, at least 1.
    pub keep: usize,
}

impl BackupPlan {
    /// Returns when the next backup is due after the newest, which a clock that was ahead may have dated.
    pub fn due_ms(&self, newest_ms: Option<Millis>, now: Millis) -> Millis {
        newest_ms.map_or(now, |newest| newest.min(now).saturating_add(self.every))
    }

    /// Returns when a backup that failed now is tried again.
    pub fn retry_ms(&self, now: Millis) -> Millis {
        now.saturating_add(self.every.min(RETRY))
    }

    /// Whether the newest backup is too old. The server was started at `started_ms`, and makes what it missed then.
    pub fn is_overdue(&self, newest_ms: Option<Millis>, started_ms: Millis, now: Millis) -> bool {
        let since = newest_ms.unwrap_or(started_ms).max(started_ms);
        now.saturating_sub(since) > self.every.saturating_mul(2)
    }
}

/// Returns the name of a backup of the database with this stem: `webhooks-20260115T100000Z.db`.
pub fn file_name(stem: &str, at_ms: Millis) -> String {
    format!("{stem}-{}{ENDING}", compact(at_ms))
}

/// Returns the time in the name of a backup; `None` for a name of any other form.
pub fn made_ms(stem: &str, name: &str) -> Option<Millis> {
    let time = name.strip_prefix(stem)?.strip_prefix('-')?.strip_suffix(ENDING)?;
    let is_compact = time.is_ascii() && time.len() == "20260115T100000Z".len();
    if !is_compact {
        return None;
    }
    let (date, clock) = time.split_once('T')?;
    let part = |text: &str, from: usize, to: usize| text.get(from..to).map(str::to_owned);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(date, 0, 4)?,
        part(date, 4, 6)?,
        part(date, 6, 8)?,
        part(clock, 0, 2)?,
        part(clock, 2, 4)?,
        part(clock, 4, 6)?
    );
    // The same name again, and so no other form of the time.
    parse_rfc3339(&text).ok().filter(|at| file_name(stem, *at) == name)
}

/// Parses an interval such as `30m`, `6h` or `7d`, from five minutes to a year.
pub fn parse_interval(text: &str) -> Result<Millis, Invalid> {
    let units = [('m', MINUTE), ('h', HOUR), ('d', DAY)];
    let parse = || {
        let (unit, length) = units.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
        let number: Millis = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(length).filter(|interval| (5 * MINUTE..=365 * DAY).contains(interval))
    };
    parse().ok_or_else(|| {
        Invalid::new("invalid_value", "must be a number of minutes, hours or days from 5m to 365d, such as 6h or 7d")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Millis = 1_768_471_200_000;

    #[test]
    fn a_name_of_another_form_is_not_a_backup() {
        let name = file_name("webhooks", NOON);
        assert_eq!(name, "webhooks-20260115T100000Z.db");
        assert_eq!(made_ms("webhooks", &name), Some(NOON));
        for other in [
            "webhooks.db",
            "webhooks-20260115T100000Z.db.gz",
            "webhooks-20260115T100000Z.db-wal",
            "webhooks-20261315T100000Z.db",
            "webhooks-2026-01-15T10.db",
            "webhooks-20260115 100000Z.db",
            "webhooks-+0260115T100000Z.db",
            "webhooks-2026011ßT10000Z.db",
            "other-20260115T100000Z.db",
            "webhooks-new-20260115T100000Z.db",
        ] {
            assert_eq!(made_ms("webhooks", other), None, "{other}");
        }
    }

    #[test]
    fn the_next_backup_follows_the_newest_one_whatever_the_clock_said() {
        let plan = BackupPlan { every: DAY, keep: 7 };
        assert_eq!(plan.due_ms(None, NOON), NOON);
        assert_eq!(plan.due_ms(Some(NOON - HOUR), NOON), NOON + 23 * HOUR);
        assert_eq!(plan.due_ms(Some(NOON - 9 * DAY), NOON), NOON - 8 * DAY);
        assert_eq!(plan.due_ms(Some(NOON + 999 * DAY), NOON), NOON + DAY);
        assert_eq!(plan.retry_ms(NOON), NOON + 10 * MINUTE);
        assert_eq!(BackupPlan { every: 5 * MINUTE, keep: 1 }.retry_ms(NOON), NOON + 5 * MINUTE);
    }

    #[test]
    fn a_backup_is_overdue_after_twice_the_interval_in_which_the_server_ran() {
        let plan = BackupPlan { every: DAY, keep: 7 };
        assert!(!plan.is_overdue(Some(NOON - 2 * DAY), 0, NOON));
        assert!(plan.is_overdue(Some(NOON - 2 * DAY - 1), 0, NOON));
        assert!(!plan.is_overdue(Some(NOON - 9 * DAY), NOON - DAY, NOON), "it was off for a week");
        assert!(plan.is_overdue(None, NOON - 3 * DAY, NOON));
    }

    #[test]
    fn an_interval_is_a_number_with_its_unit() {
        for (text, expected) in
            [("5m", Some(5 * MINUTE)), ("6h", Some(6 * HOUR)), ("7d", Some(7 * DAY)), ("365d", Some(365 * DAY))]
        {
            assert_eq!(parse_interval(text).ok(), expected, "{text}");
        }
        for text in ["", "h", "6", "4m", "366d", "-1d", "1.5h", "1 h", "9223372036854775807d", "1w", "6H"] {
            assert!(parse_interval(text).is_err(), "{text}");
        }
    }
}
