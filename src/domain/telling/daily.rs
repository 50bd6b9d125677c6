//! Messages to contacts by the clock: the daily reminder and the digest, certificates that end, and faults of the machine.

use std::collections::BTreeMap;

use super::{Facts, IncidentChange, Notice, Told, is_muted, is_scoped, wants};
use crate::domain::contact::{Contact, Topic};
use crate::domain::time::{DAY, HOUR, MINUTE, Millis};
use crate::domain::zone::{Twice, Zone};

/// Time of the day of the digest.
const DIGEST_HOUR: i8 = 8;
/// Days before the end of a certificate at which it is told, and when it has ended.
const CERTIFICATE_DAYS: [i64; 4] = [30, 7, 1, 0];

/// Decides about the daily reminder: all incidents that are open for the contact, a day after the first of them opened, and
/// each day from then on.
pub fn reminder(contact: &Contact, told: &Told, facts: &Facts, now: Millis) -> Option<Notice> {
    let is_due = |since: Millis| now - since >= DAY || since > now;
    if !wants(contact, Topic::Reminder)
        || !contact.is_reachable()
        || told.reminded_ms.is_some_and(|reminded| !is_due(reminded))
        // What it was told just now need not be repeated.
        || told.told_ms.is_some_and(|told| (0..HOUR).contains(&(now - told)))
        || !facts.members.iter().any(|member| is_due(member.opened_ms))
        || contact.quiet_hours.as_ref().is_some_and(|hours| hours.end(now).is_some())
    {
        return None;
    }
    let mut open: BTreeMap<i64, (Millis, IncidentChange)> = BTreeMap::new();
    for member in &facts.members {
        if is_scoped(contact, facts, member.webhook_seq) {
            let first = (member.opened_ms, IncidentChange::StillEnding);
            let (since, change) = open.entry(member.incident_seq).or_insert(first);
            *since = (*since).min(member.opened_ms);
            if !member.is_certificate {
                *change = IncidentChange::StillOpen;
            }
        }
    }
    open.retain(|incident, _| !is_muted(contact, facts, *incident));
    if !open.values().any(|(since, _)| is_due(*since)) {
        return None;
    }
    Some(Notice::Incidents(open.into_iter().map(|(incident, (_, change))| (incident, change)).collect()))
}

/// Time that a digest is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestTime {
    pub from_ms: Millis,
    pub to_ms: Millis,
}

/// Returns the time zone of a contact's messages: that of its quiet hours, else the server's.
pub fn zone_of(contact: &Contact, server: &Zone) -> Zone {
    let zone = contact.quiet_hours.as_ref().and_then(|hours| hours.spec().time_zone.parse().ok());
    zone.unwrap_or_else(|| server.clone())
}

/// Decides about the daily digest, which comes at eight in the morning in the contact's zone.
pub fn digest(contact: &Contact, told: &Told, zone: &Zone, now: Millis) -> Option<DigestTime> {
    if !wants(contact, Topic::Digest) || !contact.is_reachable() {
        return None;
    }
    let hours = contact.quiet_hours.as_ref();
    if hours.is_some_and(|hours| hours.end(now).is_some()) {
        return None;
    }
    let to_ms = last_morning(now, zone)?;
    let before = told.digest_ms.filter(|before| *before <= now).unwrap_or(contact.created_ms);
    (before < to_ms).then_some(DigestTime { from_ms: before.max(to_ms - 2 * DAY), to_ms })
}

/// Returns the last time that it was eight in the morning.
fn last_morning(now: Millis, zone: &Zone) -> Option<Millis> {
    let local = zone.local(now);
    let date = if local.hour() >= DIGEST_HOUR { local.date() } else { local.date().yesterday().ok()? };
    zone.at(date.at(DIGEST_HOUR, 0, 0, 0), Twice::First)
}

/// Returns how many days before its end a certificate is told of now: 30, 7, 1 or 0. `told` is what it was told of before.
pub fn certificate_days(ends_ms: Millis, told: Option<i64>, now: Millis) -> Option<i64> {
    let reached = CERTIFICATE_DAYS.iter().rev().find(|days| ends_ms - now <= *days * DAY)?;
    told.is_none_or(|told| *reached < told).then_some(*reached)
}

/// Returns whether little space is left on a disk, if that has changed. An upgrade or a prune may need as much space again
/// as the database takes.
pub fn disk_turned(was_low: bool, free_bytes: u64, used_bytes: u64) -> Option<bool> {
    let wanted = least_free(used_bytes);
    let is_low = if was_low { free_bytes < wanted.saturating_add(wanted / 4) } else { free_bytes < wanted };
    (is_low != was_low).then_some(is_low)
}

/// Returns the bytes that should be free on the disk of a database of this size.
pub fn least_free(used_bytes: u64) -> u64 {
    used_bytes.max(256 << 20)
}

/// Least jump of the clock that is told.
const CLOCK_JUMP: Millis = 5 * MINUTE;

/// Follows how far the clock is off after it jumped by so much. Returns the new distance, and whether the clock became wrong
/// or right by it.
pub fn clock_turned(off_ms: Millis, jump_ms: Millis) -> (Millis, Option<bool>) {
    let off = off_ms.saturating_add(jump_ms);
    let is_wrong = |off: Millis| off.saturating_abs() >= CLOCK_JUMP;
    (off, (is_wrong(off) != is_wrong(off_ms)).then_some(is_wrong(off)))
}
