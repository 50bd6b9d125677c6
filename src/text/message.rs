//! Messages to contacts: a title and some sentences, in plain text. They name hosts and tenants, and no free text of tenants,
//! from which a mail program would make links.

use crate::domain::contact::Topic;
use crate::domain::telling::IncidentChange;
use crate::domain::time::Millis;
use crate::domain::zone::Zone;
use crate::text::humanize::{bytes, counted, date, duration, number};

/// Incidents and the like that one message names. The others are counted.
pub const MAX_NAMED: usize = 10;

/// Title and text of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    pub title: String,
    pub text: String,
}

/// Incident in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentWords {
    /// With the port.
    pub host: String,
    pub change: IncidentChange,
    pub since_ms: Millis,
    pub closed_ms: Option<Millis>,
    /// Whether deliveries succeed again, or the certificate was replaced.
    pub is_recovered: bool,
    /// Whether a certificate was the only trouble.
    pub is_certificate: bool,
    /// Sentence.
    pub cause: String,
    pub webhooks: u64,
    pub deliveries: u64,
    pub waiting: u64,
    pub dead_letters: u64,
    /// Whether the numbers cover only some of the webhooks.
    pub is_partial: bool,
    pub url: String,
}

/// Numbers of incidents by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub opened: u64,
    pub reopened: u64,
    pub still_open: u64,
    pub ending: u64,
    pub closed: u64,
}

impl Totals {
    pub fn count(changes: impl Iterator<Item = IncidentChange>) -> Totals {
        let mut totals = Totals::default();
        for change in changes {
            *match change {
                IncidentChange::Opened | IncidentChange::Worsened => &mut totals.opened,
                IncidentChange::Reopened => &mut totals.reopened,
                IncidentChange::StillOpen => &mut totals.still_open,
                IncidentChange::Ending | IncidentChange::StillEnding => &mut totals.ending,
                IncidentChange::Closed => &mut totals.closed,
            } += 1;
        }
        totals
    }

    fn all(self) -> u64 {
        self.opened + self.reopened + self.still_open + self.ending + self.closed
    }
}

/// Returns a host without the usual port.
pub fn host(host: &str) -> &str {
    host.strip_suffix(":443").unwrap_or(host)
}

/// Words about incidents. `named` are the first of them.
pub fn incidents(named: &[IncidentWords], totals: Totals, zone: &Zone, now: Millis) -> Words {
    let mut text: Vec<String> = named.iter().map(|incident| of_incident(incident, zone, now)).collect();
    let more = totals.all().saturating_sub(named.len() as u64);
    if more > 0 {
        text.push(format!("And {} more.", number(more)));
    }
    if totals.opened + totals.reopened + totals.still_open > 0 {
        text.push(
            "What to do: open the incident and send a test. When the endpoint responds, resume its webhooks and retry the \
             deliveries that ran out of attempts."
                .to_owned(),
        );
    } else if totals.ending > 0 {
        text.push(
            "What to do: renew the certificate, then open the incident and send a test. The incident closes ten minutes \
             after Hookpost has seen the new certificate."
                .to_owned(),
        );
    }
    Words { title: title(named, totals), text: text.join("\n\n") }
}

fn title(named: &[IncidentWords], totals: Totals) -> String {
    if let ([one], 1) = (named, totals.all()) {
        let name = host(&one.host);
        let verb = match one.change {
            IncidentChange::Ending | IncidentChange::StillEnding => {
                return format!("A certificate for {name} expires soon");
            }
            IncidentChange::Closed if one.is_certificate => {
                return format!("The certificate for {name} no longer expires soon");
            }
            IncidentChange::Opened | IncidentChange::Worsened => "is failing",
            IncidentChange::Reopened => "is failing again",
            IncidentChange::StillOpen => "is still failing",
            IncidentChange::Closed if one.is_recovered => "has recovered",
            IncidentChange::Closed => "is no longer failing",
        };
        return format!("{name} {verb}");
    }
    let endpoints = |count: u64, is: &str, are: &str| match count {
        0 => None,
        1 => Some(format!("1 endpoint {is}")),
        _ => Some(format!("{} {are}", counted(count, "endpoint"))),
    };
    let parts = [
        endpoints(totals.opened, "is failing", "are failing"),
        endpoints(totals.reopened, "is failing again", "are failing again"),
        endpoints(totals.still_open, "is still failing", "are still failing"),
        endpoints(totals.ending, "has a certificate that expires soon", "have certificates that expire soon"),
        endpoints(totals.closed, "has recovered", "have recovered"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn of_incident(incident: &IncidentWords, zone: &Zone, now: Millis) -> String {
    let host = host(&incident.host);
    let since = date(incident.since_ms, zone);
    let first = match (incident.change, incident.closed_ms) {
        (IncidentChange::Ending | IncidentChange::StillEnding, _) => {
            format!("A certificate for {host} expires soon. Deliveries succeed until then.")
        }
        (IncidentChange::Closed, _) if incident.is_certificate && incident.is_recovered => {
            format!("A certificate for {host} was about to expire. It was replaced.")
        }
        (IncidentChange::Closed, _) if incident.is_certificate => {
            format!("A certificate for {host} was about to expire. No webhook depends on it any more.")
        }
        (IncidentChange::Closed, closed_ms) => {
            let closed_ms = closed_ms.unwrap_or(now);
            let lasted = duration(closed_ms - incident.since_ms);
            let end = if incident.is_recovered { " Deliveries succeed again." } else { "" };
            format!("{host} was failing from {since} to {} ({lasted}).{end}", date(closed_ms, zone))
        }
        (IncidentChange::Reopened, _) => format!("{host} is failing again, first at {since}."),
        (IncidentChange::Opened | IncidentChange::Worsened | IncidentChange::StillOpen, _) => {
            format!("{host} has been failing since {since} ({}).", duration(now - incident.since_ms))
        }
    };
    let least = if incident.is_partial { "At least " } else { "" };
    let mut counts = format!("{least}{}", counted(incident.webhooks, "webhook"));
    for (count, noun, rest) in [
        (incident.deliveries, "delivery", "affected"),
        (incident.waiting, "delivery", "queued"),
        (incident.dead_letters, "dead letter", ""),
    ] {
        if count > 0 {
            let noun = counted(count, noun);
            counts = format!("{counts}, {}", format!("{noun} {rest}").trim_end());
        }
    }
    format!("{first}\nCause: {}\n{counts}.\n{}", incident.cause, incident.url)
}

/// Words about certificates of some hosts. Each is the host, and a sentence about a certificate.
pub fn certificates(named: &[(String, String)], hosts: u64) -> Words {
    let title = match named {
        [(name, _), ..] if hosts == 1 => format!("A certificate for {} needs attention", host(name)),
        _ => format!("Certificates for {} need attention", counted(hosts, "endpoint")),
    };
    let mut text: Vec<String> = named.iter().map(|(name, warning)| format!("{}: {warning}", host(name))).collect();
    let mut names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    let more = hosts.saturating_sub(names.len() as u64);
    if more > 0 {
        text.push(format!("And {} more.", number(more)));
    }
    Words { title, text: text.join("\n\n") }
}

/// Sentence about the disk.
pub fn disk(is_low: bool, free_bytes: u64) -> String {
    match is_low {
        true => format!(
            "The disk of the database has {} left. When it is full, no more events are accepted. Free some space, or shorten \
             the retention.",
            bytes(free_bytes)
        ),
        false => format!("The disk of the database has enough space again: {}.", bytes(free_bytes)),
    }
}

/// Sentence about the server's clock, which is off by so much.
pub fn clock(is_wrong: bool, off_ms: Millis) -> String {
    let side = if off_ms < 0 { "back" } else { "ahead" };
    match is_wrong {
        true => format!(
            "The server's clock moved {side} by {} at once. The machine was suspended, or the clock was set. Signatures have a \
             time: endpoints reject them if the clock is wrong. Check the time of the machine.",
            duration(off_ms.saturating_abs())
        ),
        false => "The server's clock moved back to where it was.".to_owned(),
    }
}

/// Sentences about scheduled backups: why the last one failed, if it did, and the age of the newest.
pub fn backup_failed(error: Option<&str>, age_ms: Option<Millis>) -> String {
    let failed = error.map_or_else(
        || "No scheduled backup was completed for twice the interval.".to_owned(),
        |error| format!("The last scheduled backup failed: {}", ended(error)),
    );
    let newest = match age_ms {
        Some(age) => format!("The newest backup is {} old.", duration(age.max(0))),
        None => "There is no backup.".to_owned(),
    };
    format!("{failed} {newest} Older backups were kept, and it is tried again.")
}

/// Sentence about scheduled backups that are made again.
pub fn backup_made() -> String {
    "A scheduled backup was made and checked.".to_owned()
}

/// An error as a sentence.
fn ended(error: &str) -> String {
    if error.ends_with('.') { error.to_owned() } else { format!("{error}.") }
}

/// Words about the machine.
pub fn machine(topic: Topic, is_fault: bool, text: String) -> Words {
    let title = match (topic, is_fault) {
        (Topic::Backup, true) => "The backup failed",
        (Topic::Backup, false) => "Backups are made again",
        (Topic::Clock, true) => "The server's clock may be wrong",
        (Topic::Clock, false) => "The server's clock is right again",
        (_, true) => "Low disk space",
        (_, false) => "Enough disk space again",
    };
    Words { title: title.to_owned(), text }
}

/// Words about contacts that do not get their messages: each with its owner, unless that is the operator, and the last error.
pub fn failing_contacts(named: &[(String, Option<String>, String)], total: u64, url: &str) -> Words {
    let title = match total {
        1 => "A contact does not receive its messages".to_owned(),
        _ => format!("{} do not receive their messages", counted(total, "contact")),
    };
    let mut text: Vec<String> = named
        .iter()
        .map(|(name, tenant, error)| {
            let owner = tenant.as_ref().map_or_else(String::new, |tenant| format!(" of tenant {tenant}"));
            format!("{name}{owner}: {error}")
        })
        .collect();
    let more = total.saturating_sub(named.len() as u64);
    if more > 0 {
        text.push(format!("And {} more.", number(more)));
    }
    text.push(format!("Check its address and send a test: {url}"));
    Words { title, text: text.join("\n\n") }
}

/// Words about dead letters of a span of time. Each is a host, a tenant and a number.
pub fn digest(
    named: &[(String, String, u64)],
    webhooks: u64,
    dead_letters: u64,
    (from, zone): (Millis, &Zone),
    url: &str,
) -> Words {
    let title = format!("{} since yesterday", counted(dead_letters, "dead letter"));
    let head = format!("{} ran out of attempts since {}:", counted(dead_letters, "delivery"), date(from, zone));
    let mut text = vec![head];
    for (name, tenant, count) in named {
        text.push(format!("{}  {} (tenant {tenant})", number(*count), host(name)));
    }
    let more = webhooks.saturating_sub(named.len() as u64);
    if more > 0 {
        text.push(format!("And {} more.", number(more)));
    }
    text.push(format!("\nFix the cause, then retry them: {url}"));
    Words { title, text: text.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{HOUR, MINUTE};

    const NOW: Millis = 1_768_471_200_000;

    fn incident(change: IncidentChange) -> IncidentWords {
        IncidentWords {
            host: "shop.example.com:443".to_owned(),
            change,
            since_ms: NOW - HOUR,
            closed_ms: (change == IncidentChange::Closed).then_some(NOW),
            is_recovered: change == IncidentChange::Closed,
            is_certificate: false,
            cause: "shop.example.com answered 503 Service Unavailable.".to_owned(),
            webhooks: 2,
            deliveries: 78,
            waiting: 12,
            dead_letters: 1,
            is_partial: false,
            url: "https://hooks.example/incidents/inc_1".to_owned(),
        }
    }

    fn words(changes: &[IncidentChange], more: u64) -> Words {
        let named: Vec<_> = changes.iter().map(|change| incident(*change)).collect();
        let mut totals = Totals::count(changes.iter().copied());
        totals.opened += more;
        incidents(&named, totals, &Zone::UTC, NOW)
    }

    #[test]
    fn a_message_says_what_since_when_how_many_what_to_do_and_where() {
        let opened = words(&[IncidentChange::Opened], 0);
        assert_eq!(opened.title, "shop.example.com is failing");
        assert_eq!(
            opened.text,
            "shop.example.com has been failing since 15 Jan 2026 09:00 UTC (1 h).\n\
             Cause: shop.example.com answered 503 Service Unavailable.\n\
             2 webhooks, 78 deliveries affected, 12 deliveries queued, 1 dead letter.\n\
             https://hooks.example/incidents/inc_1\n\n\
             What to do: open the incident and send a test. When the endpoint responds, resume its webhooks and retry the \
             deliveries that ran out of attempts."
        );
        let closed = words(&[IncidentChange::Closed], 0);
        assert_eq!(closed.title, "shop.example.com has recovered");
        assert!(closed.text.starts_with(
            "shop.example.com was failing from 15 Jan 2026 09:00 UTC to 15 Jan 2026 10:00 UTC (1 h). Deliveries succeed again."
        ));
        assert!(!closed.text.contains("What to do"));
        assert_eq!(words(&[IncidentChange::Reopened], 0).title, "shop.example.com is failing again");
        assert_eq!(words(&[IncidentChange::StillOpen], 0).title, "shop.example.com is still failing");
    }

    #[test]
    fn many_incidents_are_counted() {
        use IncidentChange::{Closed, Opened};
        let many = words(&[Opened, Opened, Closed], 40);
        assert_eq!(many.title, "42 endpoints are failing, 1 endpoint has recovered");
        assert!(many.text.contains("\n\nAnd 40 more.\n\nWhat to do"), "{}", many.text);
    }

    #[test]
    fn the_other_messages_are_sentences_too() {
        let named = |name: &str| (name.to_owned(), "The client certificate expires in 7 days.".to_owned());
        assert_eq!(certificates(&[named("a.example:443")], 1).title, "A certificate for a.example needs attention");
        assert_eq!(certificates(&[named("a"), named("a")], 1).title, "A certificate for a needs attention");
        let several = certificates(&[named("a"), named("b")], 12);
        assert_eq!(several.title, "Certificates for 12 endpoints need attention");
        assert!(several.text.ends_with("And 10 more."), "{}", several.text);
        assert!(disk(true, 1 << 20).contains("1.1 MB left"));
        assert!(clock(true, -MINUTE * 90).contains("moved back by 1 h 30 min"));
        let contacts = [("On call".to_owned(), Some("acme".to_owned()), "Refused.".to_owned())];
        let failing = failing_contacts(&contacts, 1, "https://hooks.example/contacts");
        assert_eq!(failing.title, "A contact does not receive its messages");
        assert!(failing.text.starts_with("On call of tenant acme: Refused.\n\nCheck"));
        let dead = digest(
            &[("a.example:443".to_owned(), "acme".to_owned(), 66)],
            3,
            80,
            (NOW, &Zone::UTC),
            "https://hooks.example/failed",
        );
        assert_eq!(dead.title, "80 dead letters since yesterday");
        assert!(dead.text.contains("\n66  a.example (tenant acme)\nAnd 2 more."), "{}", dead.text);
    }
}
