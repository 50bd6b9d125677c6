//! One step of the deletion of a tenant. Each part deletes what it finds until the step has no room left, so the next step
//! begins again with the first part and goes on where this one ended.

use rusqlite::{Connection, Row, named_params};

use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::event::Tenant;
use crate::domain::time::Millis;
use crate::store::error::Result;
use crate::store::sql::{self, read_row};
use crate::store::sql_types::Json;
use crate::store::used_seq::{self, Numbered};
use crate::store::{WriteTx, contact, damage, webhook};

/// Approximate rows that one step deletes, counting attempts.
const ROWS: u64 = 250;
/// Bytes of events after which a step takes no further one.
const BYTES: u64 = 4 << 20;
/// Webhooks that one step marks as deleted, and contacts that it deletes. Each changes several rows.
const MARKED: usize = 50;
const CONTACTS: usize = 10;

/// Rows of sign-ins, keys, inboxes and notices. In this order, since links refer to keys.
const ACCESS: &[&str] = &[
    "DELETE FROM session WHERE hash IN
         (SELECT hash FROM session INDEXED BY session_tenant WHERE tenant = :tenant LIMIT :limit)",
    "DELETE FROM portal_link WHERE seq IN
         (SELECT seq FROM portal_link INDEXED BY portal_link_tenant WHERE tenant = :tenant LIMIT :limit)",
    "DELETE FROM answer WHERE seq IN
         (SELECT answer.seq FROM api_key INDEXED BY api_key_tenant CROSS JOIN answer INDEXED BY answer_api_key
          WHERE api_key.tenant = :tenant AND answer.api_key_seq = api_key.seq LIMIT :limit)",
    "DELETE FROM api_key WHERE seq IN
         (SELECT seq FROM api_key INDEXED BY api_key_tenant WHERE tenant = :tenant LIMIT :limit)",
    "DELETE FROM idempotency WHERE (tenant, key) IN
         (SELECT tenant, key FROM idempotency WHERE tenant = :tenant LIMIT :limit)",
    "DELETE FROM inbox_request WHERE seq IN
         (SELECT r.seq FROM inbox CROSS JOIN inbox_request r INDEXED BY inbox_request_inbox
          WHERE inbox.tenant = :tenant AND r.inbox_seq = inbox.seq LIMIT :limit)",
    "DELETE FROM inbox WHERE seq IN (SELECT seq FROM inbox WHERE tenant = :tenant LIMIT :limit)",
    "DELETE FROM contact_mail WHERE seq IN (SELECT seq FROM contact_mail WHERE tenant = :tenant LIMIT :limit)",
];

/// Rows of a webhook beside its deliveries: at most 260 of statistics, and a few others.
const OF_WEBHOOK: &[&str] = &[
    "DELETE FROM stats WHERE series = :webhook",
    "DELETE FROM streak WHERE webhook_seq = :webhook",
    "DELETE FROM certificate_notice WHERE webhook_seq = :webhook",
    "DELETE FROM endpoint_certificate_notice WHERE webhook_seq = :webhook",
    "DELETE FROM edge WHERE webhook_seq = :webhook",
    "DELETE FROM webhook WHERE seq = :webhook",
];

/// Parts of an incident that are the tenant's. Its webhooks go last, because the incident is found by them.
const OF_INCIDENT: &[&str] = &[
    "DELETE FROM incident_entry WHERE seq IN
         (SELECT seq FROM incident_entry WHERE incident_seq = :incident AND tenant = :tenant LIMIT :limit)",
    "DELETE FROM incident_mute WHERE incident_seq = :incident AND tenant = :tenant AND :limit > 0",
    "DELETE FROM incident_webhook WHERE incident_seq = :incident AND webhook_seq IN
         (SELECT webhook_seq FROM incident_webhook WHERE incident_seq = :incident AND tenant = :tenant LIMIT :limit)",
];

/// Rows of an incident without webhooks: about 200 entries of the operator, and the messages about it.
const REST_OF_INCIDENT: &[&str] = &[
    "DELETE FROM incident_entry WHERE incident_seq = :incident",
    "DELETE FROM incident_mute WHERE incident_seq = :incident",
    "DELETE FROM message_incident WHERE incident_seq = :incident",
    "DELETE FROM incident WHERE seq = :incident",
];

pub(super) struct Step<'a, 't> {
    tx: &'a mut WriteTx<'t>,
    tenant: &'a Tenant,
    /// Rows that the step may still delete.
    room: u64,
    bytes: u64,
    has_work: bool,
    webhooks: u64,
    deliveries: u64,
    events: u64,
}

/// Delivery that is about to be deleted.
struct Doomed {
    event_seq: i64,
    attempt_count: u64,
    status: DeliveryStatus,
    cause: Cause,
}

impl<'a, 't> Step<'a, 't> {
    pub(super) fn new(tx: &'a mut WriteTx<'t>, tenant: &'a Tenant) -> Step<'a, 't> {
        Step { tx, tenant, room: ROWS, bytes: 0, has_work: false, webhooks: 0, deliveries: 0, events: 0 }
    }

    pub(super) fn now_ms(&self) -> Millis {
        self.tx.now_ms()
    }

    /// Whether the step found anything to delete.
    pub(super) fn has_work(&self) -> bool {
        self.has_work
    }

    /// Numbers of deleted webhooks, deliveries and events.
    pub(super) fn deleted(&self) -> (u64, u64, u64) {
        (self.webhooks, self.deliveries, self.events)
    }

    fn took(&mut self, rows: u64) {
        self.has_work |= rows > 0;
        self.room = self.room.saturating_sub(rows);
    }

    /// Ends what is sent and told, and what lets somebody in.
    pub(super) fn access(&mut self) -> Result<()> {
        let marked: Vec<i64> = self.tx.directory().of_tenant(self.tenant).into_iter().take(MARKED).collect();
        for seq in &marked {
            webhook::delete(self.tx, *seq)?;
            // Its deliveries are deleted, so there is nothing to discard.
            let statement = "UPDATE webhook SET sweep = NULL, sweep_up_to_seq = NULL WHERE seq = :seq";
            sql::run(self.tx.connection(), statement, named_params! {":seq": seq})?;
        }
        self.took(marked.len() as u64);
        self.contacts()?;
        self.messages()?;
        for statement in ACCESS {
            if self.room == 0 {
                return Ok(());
            }
            let params = named_params! {":tenant": self.tenant, ":limit": self.room};
            let deleted = sql::change(self.tx.connection(), statement, params)?;
            self.took(deleted as u64);
        }
        Ok(())
    }

    fn contacts(&mut self) -> Result<()> {
        for contact in contact::of_tenant(self.tx.connection(), self.tenant, CONTACTS)? {
            contact::delete(self.tx, &contact)?;
            let key = named_params! {":contact": contact.seq};
            let edges = sql::change(self.tx.connection(), "DELETE FROM edge WHERE contact_seq = :contact", key)?;
            sql::run(self.tx.connection(), "DELETE FROM telling WHERE contact_seq = :contact", key)?;
            self.took(3 + edges as u64);
        }
        Ok(())
    }

    fn messages(&mut self) -> Result<()> {
        while self.room > 0 {
            let query = "SELECT seq FROM message INDEXED BY message_tenant WHERE tenant = :tenant LIMIT 1";
            let found =
                sql::first(self.tx.connection(), query, named_params! {":tenant": self.tenant}, |row| row.get(0))?;
            let Some(seq) = found else { break };
            used_seq::keep(self.tx, Numbered::Message, &[seq])?;
            let key = named_params! {":message": seq};
            let incidents =
                sql::change(self.tx.connection(), "DELETE FROM message_incident WHERE message_seq = :message", key)?;
            sql::run(self.tx.connection(), "DELETE FROM message WHERE seq = :message", key)?;
            self.took(1 + incidents as u64);
        }
        Ok(())
    }

    /// Whether somebody is still to be told about webhooks of the tenant.
    pub(super) fn is_telling(&self) -> Result<bool> {
        let query = "SELECT EXISTS (SELECT 1 FROM webhook CROSS JOIN edge INDEXED BY edge_webhook
                                    WHERE webhook.tenant = :tenant AND edge.webhook_seq = webhook.seq)";
        sql::value(self.tx.connection(), query, named_params! {":tenant": self.tenant})
    }

    /// Deletes incidents, webhooks with their deliveries, and events.
    pub(super) fn history(&mut self) -> Result<()> {
        self.incidents()?;
        self.webhooks()?;
        self.topics()?;
        self.tests()
    }

    fn incidents(&mut self) -> Result<()> {
        while self.room > 0 {
            let query = "SELECT incident_seq FROM incident_webhook INDEXED BY incident_webhook_tenant
                         WHERE tenant = :tenant LIMIT 1";
            let key = named_params! {":tenant": self.tenant};
            let Some(incident) = sql::first(self.tx.connection(), query, key, |row| row.get::<_, i64>(0))? else {
                break;
            };
            for statement in OF_INCIDENT {
                let params = named_params! {":incident": incident, ":tenant": self.tenant, ":limit": self.room};
                let deleted = sql::change(self.tx.connection(), statement, params)?;
                self.took(deleted as u64);
            }
            let query = "SELECT EXISTS (SELECT 1 FROM incident_webhook WHERE incident_seq = :incident)";
            let key = named_params! {":incident": incident};
            if !sql::value::<bool>(self.tx.connection(), query, key)? {
                used_seq::keep(self.tx, Numbered::Incident, &[incident])?;
                for statement in REST_OF_INCIDENT {
                    let deleted = sql::change(self.tx.connection(), statement, key)?;
                    self.took(deleted as u64);
                }
            }
        }
        Ok(())
    }

    fn webhooks(&mut self) -> Result<()> {
        let query = "SELECT seq, contact_seq IS NOT NULL FROM (
                         SELECT seq, contact_seq FROM webhook INDEXED BY webhook_tenant WHERE tenant = :tenant
                         UNION ALL
                         SELECT seq, contact_seq FROM webhook INDEXED BY webhook_contact_tenant WHERE contact_tenant = :tenant)
                     LIMIT :limit";
        let params = named_params! {":tenant": self.tenant, ":limit": ROWS};
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?));
        for (webhook_seq, is_of_contact) in sql::all(self.tx.connection(), query, params, read)? {
            if self.room == 0 {
                return Ok(());
            }
            // The counts of a group are written at its end. Its webhook goes in a later one, so that nothing of it is left.
            if !self.deliveries(webhook_seq, is_of_contact)? && !has_deliveries(self.tx.connection(), webhook_seq)? {
                used_seq::keep(self.tx, Numbered::Webhook, &[webhook_seq])?;
                let mut deleted = 0;
                for statement in OF_WEBHOOK {
                    let key = named_params! {":webhook": webhook_seq};
                    deleted += sql::change(self.tx.connection(), statement, key)?;
                }
                // Looking for nothing costs as well.
                self.took((deleted as u64).max(OF_WEBHOOK.len() as u64));
                self.webhooks += u64::from(!is_of_contact);
            }
        }
        Ok(())
    }

    /// Deletes deliveries of a webhook, with their attempts. Returns whether there were any.
    fn deliveries(&mut self, webhook_seq: i64, is_of_contact: bool) -> Result<bool> {
        let query = "SELECT seq FROM delivery INDEXED BY delivery_webhook WHERE webhook_seq = :webhook ORDER BY seq LIMIT :limit";
        let params = named_params! {":webhook": webhook_seq, ":limit": self.room};
        let seqs: Vec<i64> = sql::all(self.tx.connection(), query, params, |row| row.get(0))?;
        let (mut doomed, mut found_seqs) = (Vec::with_capacity(seqs.len()), Vec::with_capacity(seqs.len()));
        let mut size = 0;
        for seq in seqs.into_iter().filter(|seq| !damage::is_known("delivery", *seq)) {
            if size >= self.room {
                break;
            }
            let found = damage::skip("delivery", seq, read_delivery(self.tx.connection(), seq))?.flatten();
            size += found.as_ref().map_or(1, |found| 1 + found.attempt_count);
            doomed.extend(found);
            found_seqs.push(seq);
        }
        let deleted = self.delete("delivery", Numbered::Delivery, &found_seqs)?;
        for found in doomed.iter().filter(|found| !found.status.is_finished() && found.cause != Cause::Test) {
            self.tx.directory_mut().count_moved(webhook_seq, found.status, DeliveryStatus::Discarded);
        }
        if is_of_contact {
            // Messages, which are events of Hookpost's own tenant with one delivery.
            let mut events: Vec<i64> = doomed.iter().map(|found| found.event_seq).collect();
            events.retain(|seq| !damage::is_known("event", *seq));
            used_seq::keep(self.tx, Numbered::Event, &events)?;
            let statement = "DELETE FROM event WHERE seq IN (SELECT value FROM json_each(:seqs))
                                 AND NOT EXISTS (SELECT 1 FROM delivery WHERE event_seq = event.seq)";
            sql::run(self.tx.connection(), statement, named_params! {":seqs": Json(&events)})?;
        } else {
            self.deliveries += deleted;
        }
        self.took(if deleted > 0 { size } else { 0 });
        Ok(deleted > 0)
    }

    fn topics(&mut self) -> Result<()> {
        let query = "SELECT seq FROM topic WHERE tenant = :tenant LIMIT :limit";
        let params = named_params! {":tenant": self.tenant, ":limit": ROWS};
        let topics: Vec<i64> = sql::all(self.tx.connection(), query, params, |row| row.get(0))?;
        for topic in topics {
            if self.room == 0 {
                return Ok(());
            }
            let query =
                "SELECT seq FROM event INDEXED BY event_topic WHERE topic_seq = :topic ORDER BY seq LIMIT :limit";
            let params = named_params! {":topic": topic, ":limit": self.room};
            let seqs: Vec<i64> = sql::all(self.tx.connection(), query, params, |row| row.get(0))?;
            let is_empty = seqs.is_empty();
            self.events += self.delete_events(seqs)?;
            if is_empty {
                let statement = "DELETE FROM topic WHERE seq = :topic";
                sql::run(self.tx.connection(), statement, named_params! {":topic": topic})?;
                self.tx.directory_mut().forget_topics();
                self.took(1);
            }
        }
        Ok(())
    }

    fn tests(&mut self) -> Result<()> {
        if self.room == 0 {
            return Ok(());
        }
        let query =
            "SELECT seq FROM event INDEXED BY event_test WHERE tenant = :tenant AND topic_seq IS NULL LIMIT :limit";
        let params = named_params! {":tenant": self.tenant, ":limit": self.room};
        let seqs: Vec<i64> = sql::all(self.tx.connection(), query, params, |row| row.get(0))?;
        self.delete_events(seqs).map(drop)
    }

    /// Deletes events, up to the bytes of a step. Returns their number.
    fn delete_events(&mut self, seqs: Vec<i64>) -> Result<u64> {
        let mut doomed = Vec::with_capacity(seqs.len());
        for seq in seqs.into_iter().filter(|seq| !damage::is_known("event", *seq)) {
            if self.bytes >= BYTES {
                self.room = 0;
                break;
            }
            // Reads the head of the row, however long its data.
            let query =
                "SELECT octet_length(data) + coalesce(octet_length(previous_data), 0) FROM event WHERE seq = :seq";
            let bytes =
                sql::first(self.tx.connection(), query, named_params! {":seq": seq}, |row| row.get::<_, u64>(0));
            if let Some(Some(bytes)) = damage::skip("event", seq, bytes)? {
                self.bytes += bytes;
                doomed.push(seq);
            }
        }
        let deleted = self.delete("event", Numbered::Event, &doomed)?;
        self.took(deleted);
        Ok(deleted)
    }

    /// Deletes rows together; one by one if some are on a damaged page, which are skipped. Returns their number.
    fn delete(&mut self, name: &'static str, table: Numbered, seqs: &[i64]) -> Result<u64> {
        if seqs.is_empty() {
            return Ok(0);
        }
        used_seq::keep(self.tx, table, seqs)?;
        match delete_rows(self.tx.connection(), table, seqs) {
            Err(error) if error.is_damage() => {}
            deleted => return deleted,
        }
        let mut deleted = 0;
        for seq in seqs {
            let one = delete_rows(self.tx.connection(), table, &[*seq]);
            deleted += damage::skip(name, *seq, one)?.unwrap_or_default();
        }
        Ok(deleted)
    }
}

fn delete_rows(connection: &Connection, table: Numbered, seqs: &[i64]) -> Result<u64> {
    let statement = match table {
        Numbered::Event => "DELETE FROM event WHERE seq IN (SELECT value FROM json_each(:seqs))",
        _ => "DELETE FROM delivery WHERE seq IN (SELECT value FROM json_each(:seqs))",
    };
    Ok(sql::change(connection, statement, named_params! {":seqs": Json(seqs)})? as u64)
}

fn read_delivery(connection: &Connection, seq: i64) -> Result<Option<Doomed>> {
    let query = "SELECT event_seq, attempt_count, status, cause FROM delivery WHERE seq = :seq";
    let read = |row: &Row<'_>| Ok(read_row!(row, Doomed { event_seq, attempt_count, status, cause }));
    sql::first(connection, query, named_params! {":seq": seq}, read)
}

fn has_deliveries(connection: &Connection, webhook_seq: i64) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM delivery WHERE webhook_seq = :webhook)";
    sql::value(connection, query, named_params! {":webhook": webhook_seq})
}
