//! Telling contacts: rounds that make messages of what has happened, and the outbox of e-mails.

use serde_json::{Value, json};

use super::{Actions, Result};
use crate::delivery::mail::{Mail, MailError};
use crate::domain::clock_jumps::Reading;
use crate::domain::contact::{Contact, Topic};
use crate::domain::telling::{
    self, Decision, DigestTime, Facts, IncidentChange, Notice, Told, clock_turned, disk_turned,
};
use crate::domain::time::{MINUTE, Millis, rfc3339};
use crate::domain::zone::Zone;
use crate::store::incident::read;
use crate::store::message::{self, DueMail, NewMessage};
use crate::store::telling::{self as table, MachineFault};
use crate::store::{Connection, StoreError, WriteTx, contact, webhook};
use crate::text::certificate;
use crate::text::message::{self as words, IncidentWords, MAX_NAMED, Totals, Words};

/// Interval of what is not about incidents.
const SLOW: Millis = MINUTE;
/// Contacts that one step of the writer moves on.
const STEP: usize = 500;
/// Webhooks that the data of an incident names.
const MAX_WEBHOOKS: u32 = 10;

/// Settings that messages depend on.
pub struct Style {
    /// Returns the absolute URL of a path of the pages.
    pub link: Box<dyn Fn(&str) -> String + Send + Sync>,
    /// Time zone of contacts without one of their own.
    pub zone: Zone,
}

/// State of the rounds between two of them. Nothing is lost with it.
#[derive(Debug, Default)]
pub struct Rounds {
    slow_ms: Option<Millis>,
    reading: Option<Reading>,
}

/// Message before it is stored.
struct Composed {
    topic: Topic,
    event_type: &'static str,
    words: Words,
    severity: &'static str,
    /// `trigger` or `resolve`, and what it is about.
    alert: (&'static str, String),
    url: String,
    incidents: Vec<i64>,
    details: Vec<(&'static str, Value)>,
}

impl Actions {
    /// Checks that the writer commits and that deliveries are sent. Blocks while the writer hangs.
    pub fn require_delivering(&self) -> Result<(), StoreError> {
        if let Some(reason) = self.store.broken() {
            return Err(StoreError::Unavailable(reason));
        }
        self.store.write(|_| Ok::<_, StoreError>(())).wait()?;
        match self.engine.is_flowing() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("deliveries that are due are not sent".to_owned())),
        }
    }

    /// Makes messages of what has happened since the last round. Returns their number.
    pub fn tell(&self, rounds: &mut Rounds, style: &Style) -> Result<usize> {
        let reading = self.clock.reading();
        let now = reading.wall_ms;
        let is_slow = rounds.slow_ms.is_none_or(|last| !(0..SLOW).contains(&(now - last)));
        self.watch_clock(rounds, reading)?;
        if is_slow {
            rounds.slow_ms = Some(now);
            self.watch_disk()?;
            while self.store.write(move |tx| table::certificates(tx, now)).wait()? {}
            self.store.write(move |tx| table::failing_contacts(tx, now)).wait()?;
        }
        if !is_slow && !self.store.read(table::has_edges)? {
            return Ok(0);
        }
        while self.store.write(table::begin).wait()? {}
        let made = self.tell_contacts(now, is_slow, style)?;
        while self.store.write(|tx| table::begin(tx).and_then(|_| table::clean(tx))).wait()? {}
        Ok(made)
    }

    fn tell_contacts(&self, now: Millis, is_slow: bool, style: &Style) -> Result<usize> {
        let (contacts, told) = self
            .store
            .snapshot(|connection| Ok::<_, StoreError>((contact::all(connection)?, table::told(connection)?)))?;
        let Some(after) = contacts.iter().filter_map(|contact| told.get(&contact.seq)).map(|told| told.edge_seq).min()
        else {
            return Ok(0);
        };
        let (facts, last) = self.store.snapshot(|connection| table::facts(connection, after))?;
        let (mut past, mut made) = (Vec::new(), 0);
        for contact in &contacts {
            let Some(told) = told.get(&contact.seq).copied() else { continue };
            match telling::decide(contact, &told, &facts, now) {
                Decision::Pass if told.edge_seq < last => past.push(contact.seq),
                Decision::Pass | Decision::Wait => {}
                Decision::Tell(notices) => {
                    let told = Told { edge_seq: last, told_ms: Some(now), ..told };
                    made += self.store_messages(contact, told, notices, &facts, now, style)?;
                    continue;
                }
            }
            if !is_slow {
                continue;
            }
            if let Some(notice) = telling::reminder(contact, &told, &facts, now) {
                let told = Told { reminded_ms: Some(now), ..told };
                made += self.store_messages(contact, told, vec![notice], &facts, now, style)?;
            } else if let Some(time) = telling::digest(contact, &told, &telling::zone_of(contact, &style.zone), now) {
                made += self.store_digest(contact, told, time, style)?;
            }
        }
        for some in past.chunks(STEP) {
            let some = some.to_vec();
            self.store.write(move |tx| table::pass(tx, &some, last)).wait()?;
        }
        Ok(made)
    }

    /// Stores the messages of a contact, which is then told so far, in one transaction.
    fn store_messages(
        &self,
        contact: &Contact,
        told: Told,
        notices: Vec<Notice>,
        facts: &Facts,
        now: Millis,
        style: &Style,
    ) -> Result<usize> {
        let composed = self.store.snapshot(|connection| {
            let compose = |notice: &Notice| compose(connection, contact, notice, facts, now, style);
            notices.iter().map(compose).collect::<Result<Vec<_>, StoreError>>()
        })?;
        self.store_composed(contact, told, composed)
    }

    fn store_digest(&self, contact: &Contact, told: Told, time: DigestTime, style: &Style) -> Result<usize> {
        let DigestTime { from_ms, to_ms } = time;
        let found = self.store.snapshot(|connection| table::dead_letters(connection, contact, (from_ms, to_ms)))?;
        let told = Told { digest_ms: Some(to_ms), ..told };
        let dead_letters: u64 = found.iter().map(|(_, failed)| failed).sum();
        let named = found.iter().take(MAX_NAMED);
        let named: Vec<_> =
            named.map(|(webhook, failed)| (webhook.host.clone(), webhook.tenant.to_string(), *failed)).collect();
        let (url, zone) = ((style.link)("/failed"), telling::zone_of(contact, &style.zone));
        let composed = (dead_letters > 0).then(|| Composed {
            topic: Topic::Digest,
            event_type: "hookpost.digest",
            words: words::digest(&named, found.len() as u64, dead_letters, (from_ms, &zone), &url),
            severity: "info",
            alert: ("trigger", format!("hookpost-digest-{}", contact.id)),
            url,
            incidents: Vec::new(),
            details: vec![
                ("dead_letters", json!(dead_letters)),
                ("webhook_count", json!(found.len())),
                ("from", json!(rfc3339(from_ms))),
                ("to", json!(rfc3339(to_ms))),
            ],
        });
        self.store_composed(contact, told, composed.into_iter().collect())
    }

    fn store_composed(&self, contact: &Contact, told: Told, composed: Vec<Composed>) -> Result<usize> {
        let count = composed.len();
        let messages: Vec<NewMessage> = composed.into_iter().map(|composed| composed.message()).collect();
        let seq = contact.seq;
        self.store
            .write(move |tx| -> Result<(), StoreError> {
                // It may have been changed or deleted since it was read.
                if let Some(contact) = contact::by_seq(tx.connection(), seq)? {
                    for message in messages {
                        message::insert(tx, &contact, message)?;
                    }
                }
                table::set_told(tx, seq, &told)
            })
            .wait()?;
        Ok(count)
    }

    /// Follows jumps of the clock against the monotonic one, which nobody sets.
    fn watch_clock(&self, rounds: &mut Rounds, reading: Reading) -> Result<()> {
        let Some(last) = rounds.reading.replace(reading) else {
            return Ok(());
        };
        let jump = (reading.wall_ms - last.wall_ms) - (reading.monotonic_ms - last.monotonic_ms);
        if jump.abs() < MINUTE {
            return Ok(());
        }
        let before = self.store.read(|connection| table::machine_fault(connection, MachineFault::Clock))?;
        let (off_ms, turned) = clock_turned(before.map_or(0, |(_, off_ms)| off_ms), jump);
        if let Some(is_wrong) = turned {
            self.set_machine_fault(MachineFault::Clock, is_wrong.then_some(off_ms), words::clock(is_wrong, off_ms))?;
        }
        Ok(())
    }

    fn watch_disk(&self) -> Result<()> {
        let Some(free) = self.store.free_bytes() else {
            return Ok(());
        };
        let (database, log) = self.store.sizes();
        let before = self.store.read(|connection| table::machine_fault(connection, MachineFault::Disk))?;
        if let Some(is_low) = disk_turned(before.is_some(), free, database + log) {
            let size = i64::try_from(free).unwrap_or(i64::MAX);
            self.set_machine_fault(MachineFault::Disk, is_low.then_some(size), words::disk(is_low, free))?;
        }
        Ok(())
    }

    fn set_machine_fault(&self, fault: MachineFault, size: Option<i64>, text: String) -> Result<()> {
        log::warn!("{text}");
        Ok(self.store.write(move |tx| table::set_machine_fault(tx, fault, size, &text)).wait()?)
    }

    /// Sends the e-mail that has been due longest. Returns whether more may be due now. Blocks until the mail server has
    /// taken it over.
    pub fn send_due_mail(&self) -> Result<bool> {
        let now = self.clock.now_ms();
        let Some(mail) = self.store.read(|connection| message::due_mail(connection, now))? else {
            return Ok(false);
        };
        let Some(to) = &mail.to else {
            let gone = "The contact was deleted, or its address changed, before the message was sent.";
            self.store.write(move |tx| message::drop_mail(tx, &mail, gone)).wait()?;
            return Ok(true);
        };
        let result = self.mailer.send(&Mail {
            to: to.to_string(),
            subject: mail.subject.clone(),
            text: mail.text.clone(),
            id: format!("message-{}-{}", mail.seq, mail.created_ms),
            at_ms: mail.created_ms,
        });
        if let Err(error) = &result {
            log::warn!("an e-mail to a contact could not be sent and is retried: {error}");
        }
        let goes_on = !result.as_ref().is_err_and(MailError::is_of_server);
        self.store.write(move |tx| record_mail(tx, &mail, result)).wait()?;
        Ok(goes_on)
    }
}

fn record_mail(tx: &mut WriteTx<'_>, mail: &DueMail, result: Result<(), MailError>) -> Result<(), StoreError> {
    match result {
        Ok(()) => message::sent(tx, mail),
        Err(error) => {
            message::failed(tx, mail, &error.to_string())?;
            if error.is_of_server() { message::put_off(tx, &error.to_string()) } else { Ok(()) }
        }
    }
}

impl Composed {
    fn message(self) -> NewMessage {
        let Words { title, text } = self.words;
        let (action, key) = self.alert;
        // The order of the fields is that of the documents.
        let mut data = json!({
            "title": title, "text": text, "url": self.url, "severity": self.severity, "summary": title,
            "event_action": action, "dedup_key": key,
        });
        for (name, value) in self.details {
            data[name] = value;
        }
        NewMessage {
            topic: self.topic,
            event_type: self.event_type.parse().expect("the names of messages are valid"),
            subject: title,
            // A message about one incident ends with its link already.
            text: if text.contains(&self.url) { text + "\n" } else { format!("{text}\n\n{}\n", self.url) },
            data: data.to_string().into(),
            incidents: self.incidents,
        }
    }
}

fn compose(
    connection: &Connection,
    contact: &Contact,
    notice: &Notice,
    facts: &Facts,
    now: Millis,
    style: &Style,
) -> Result<Composed, StoreError> {
    let topic = notice.topic();
    let plain = |event_type, words, severity, is_fault, key: &str, path: &str| Composed {
        topic,
        event_type,
        words,
        severity,
        alert: (if is_fault { "trigger" } else { "resolve" }, format!("hookpost-{key}")),
        url: (style.link)(path),
        incidents: Vec::new(),
        details: Vec::new(),
    };
    Ok(match notice {
        Notice::Incidents(changes) => return of_incidents(connection, contact, (topic, changes), facts, now, style),
        Notice::Certificates(edges) => {
            let zone = telling::zone_of(contact, &style.zone);
            let (named, total) = certificates(connection, facts, edges, &zone, now)?;
            let key = format!("certificates-{}", contact.id);
            plain("hookpost.certificate.ending", words::certificates(&named, total), "warning", true, &key, "/webhooks")
        }
        Notice::Disk { is_low, edge_seq } => {
            let words = words::machine(true, *is_low, table::text_of(connection, *edge_seq)?);
            let event_type = if *is_low { "hookpost.disk.low" } else { "hookpost.disk.recovered" };
            plain(event_type, words, if *is_low { "critical" } else { "info" }, *is_low, "disk", "/settings/data")
        }
        Notice::Clock { is_wrong, edge_seq } => {
            let words = words::machine(false, *is_wrong, table::text_of(connection, *edge_seq)?);
            let event_type = if *is_wrong { "hookpost.clock.wrong" } else { "hookpost.clock.recovered" };
            plain(event_type, words, if *is_wrong { "warning" } else { "info" }, *is_wrong, "clock", "/")
        }
        Notice::FailingContacts(seqs) => {
            let mut named = Vec::new();
            for seq in seqs.iter().take(MAX_NAMED) {
                named.extend(contact::by_seq(connection, *seq)?.map(|failing| {
                    let error =
                        failing.status.error.unwrap_or_else(|| "The last message was not delivered.".to_owned());
                    (failing.name, failing.tenant.map(|tenant| tenant.to_string()), error)
                }));
            }
            let path = "/contacts";
            let words = words::failing_contacts(&named, seqs.len() as u64, &(style.link)(path));
            plain("hookpost.contact.failing", words, "error", true, "contacts", path)
        }
    })
}

/// Returns the hosts of webhooks whose certificates are about to end, each with a sentence, and the number of all.
fn certificates(
    connection: &Connection,
    facts: &Facts,
    edges: &[i64],
    zone: &Zone,
    now: Millis,
) -> Result<(Vec<(String, String)>, u64), StoreError> {
    let of_edges = facts.edges.iter().filter(|edge| edges.contains(&edge.seq));
    let mut webhooks: Vec<i64> = of_edges.filter_map(|edge| edge.webhook_seq).collect();
    webhooks.sort_unstable();
    webhooks.dedup();
    let mut named = Vec::new();
    for seq in webhooks.iter().take(MAX_NAMED) {
        let found = webhook::by_seq(connection, *seq)?;
        let warning = found.and_then(|webhook| {
            let warning = certificate::warning(webhook.tls.as_ref()?, now, zone)?;
            Some((webhook.url.host_key().to_owned(), warning))
        });
        named.extend(warning);
    }
    Ok((named, webhooks.len() as u64))
}

fn of_incidents(
    connection: &Connection,
    contact: &Contact,
    (topic, changes): (Topic, &[(i64, IncidentChange)]),
    facts: &Facts,
    now: Millis,
    style: &Style,
) -> Result<Composed, StoreError> {
    let mut changes = changes.to_vec();
    changes.sort_by_key(|(seq, change)| (*change, *seq));
    let totals = Totals::count(changes.iter().map(|(_, change)| *change));
    let (mut named, mut details) = (Vec::new(), Vec::new());
    for (seq, change) in changes.iter().take(MAX_NAMED) {
        let Some(incident) = read::by_seq(connection, *seq, contact.scope.tenant.as_ref())? else { continue };
        let webhooks = read::members(connection, *seq, contact.scope.tenant.as_ref(), MAX_WEBHOOKS)?;
        let url = (style.link)(&format!("/incidents/{}", incident.id));
        details.push(data_of(&incident, *change, &webhooks, &url));
        named.push(IncidentWords {
            host: incident.host,
            change: *change,
            since_ms: incident.since_ms,
            closed_ms: incident.closed_ms,
            is_recovered: incident.recovered_ms.is_some(),
            cause: incident.cause.text,
            webhooks: incident.webhooks,
            deliveries: incident.deliveries,
            waiting: incident.waiting,
            dead_letters: incident.dead_letters,
            is_partial: incident.is_partial,
            url,
        });
    }
    let url = match named.as_slice() {
        [one] if changes.len() == 1 => one.url.clone(),
        _ => (style.link)("/incidents"),
    };
    let is_open = telling::has_open(contact, facts);
    let event_type = match topic {
        Topic::Closed => "hookpost.incident.closed",
        Topic::Reminder => "hookpost.incident.reminder",
        _ if totals.opened == 0 => "hookpost.incident.reopened",
        _ => "hookpost.incident.opened",
    };
    Ok(Composed {
        topic,
        event_type,
        words: words::incidents(&named, totals, &telling::zone_of(contact, &style.zone), now),
        severity: if topic == Topic::Closed { "info" } else { "error" },
        // One alert for all incidents of the contact, since one message may be about several.
        alert: (if is_open { "trigger" } else { "resolve" }, format!("hookpost-{}", contact.id)),
        url,
        incidents: changes.iter().map(|(seq, _)| *seq).collect(),
        details: vec![("incidents", Value::Array(details)), ("incident_count", json!(changes.len()))],
    })
}

fn data_of(incident: &read::Incident, change: IncidentChange, webhooks: &[read::Member], url: &str) -> Value {
    let webhooks = webhooks.iter().filter_map(|member| {
        let webhook = member.webhook.as_ref()?;
        Some(json!({"id": webhook.id.to_string(), "tenant": member.tenant.as_str(), "name": webhook.name}))
    });
    json!({
        "id": incident.id.to_string(), "change": change.into_str(), "host": incident.host,
        "since": rfc3339(incident.since_ms), "closed_at": incident.closed_ms.map(rfc3339),
        "cause": incident.cause.text, "webhooks": webhooks.collect::<Vec<_>>(),
        "webhook_count": incident.webhooks, "affected_deliveries": incident.deliveries,
        "waiting_deliveries": incident.waiting, "dead_letters": incident.dead_letters, "url": url,
    })
}
