//! Telling contacts: rounds that make messages of what has happened, and the outbox of e-mails.

use serde_json::json;

use super::{Actions, Result};
use crate::delivery::mail::{Mail, MailError};
use crate::domain::clock_jumps::Reading;
use crate::domain::contact::{Contact, Topic};
use crate::domain::live::Live;
use crate::domain::telling::daily::{self, DigestTime, clock_turned, disk_turned};
use crate::domain::telling::{self, Decision, Facts, Notice, Told};
use crate::domain::time::{MINUTE, Millis, rfc3339};
use crate::domain::zone::Zone;
use crate::store::message::{self, DueMail, NewMessage};
use crate::store::telling::{self as table, MachineFault};
use crate::store::{StoreError, WriteTx, contact};
use crate::text::message::{self as words, MAX_NAMED};
use compose::{Composed, compose};

mod compose;

/// Interval of what is not about incidents.
const SLOW: Millis = MINUTE;
/// Contacts that one step of the writer moves on.
const STEP: usize = 500;

/// Settings that messages depend on.
pub struct Style {
    /// Returns the absolute URL of a path of the pages.
    pub link: Box<dyn Fn(&str) -> String + Send + Sync>,
    /// Has the time zone of contacts without one of their own.
    pub live: Live,
}

impl Style {
    fn zone_of(&self, contact: &Contact) -> Zone {
        daily::zone_of(contact, &self.live.get().time_zone)
    }
}

/// State of the rounds between two of them. Nothing is lost with it.
#[derive(Debug, Default)]
pub struct Rounds {
    slow_ms: Option<Millis>,
    reading: Option<Reading>,
}

impl Actions {
    /// Whether the writer commits, and deliveries that are due are sent.
    pub fn is_delivering(&self) -> bool {
        !self.store.is_hung() && self.engine.is_flowing()
    }

    /// Checks that the writer commits and that deliveries that are due are sent; in a pause none is due. Blocks while the writer
    /// hangs.
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
            self.watch_backups(now)?;
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
            if let Some(notice) = daily::reminder(contact, &told, &facts, now) {
                let told = Told { reminded_ms: Some(now), ..told };
                made += self.store_messages(contact, told, vec![notice], &facts, now, style)?;
            } else if let Some(time) = daily::digest(contact, &told, &style.zone_of(contact), now) {
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
        let (url, zone) = ((style.link)("/failed"), style.zone_of(contact));
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

    fn watch_backups(&self, now: Millis) -> Result<()> {
        let fault = self.backups.fault(now);
        let before = self.store.read(|connection| table::machine_fault(connection, MachineFault::Backup))?;
        if fault.is_some() != before.is_some() {
            let size = fault.as_ref().map(|_| self.backups.newest_ms().unwrap_or_default());
            self.set_machine_fault(MachineFault::Backup, size, fault.unwrap_or_else(words::backup_made))?;
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
