//! The tables of what is told: edges, how far each contact was told, certificates and faults of the machine.
//!
//! An edge is written in the transaction that decides it. `telling` has a row for each contact, made when it is first looked
//! at; edges before the contact was created are none of its business.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, named_params};

use super::error::Result;
use super::sql::{self, read_row};
use super::sql_types::Json;
use super::{WriteTx, stats};
use crate::domain::contact::{Contact, Status};
use crate::domain::event::Tenant;
use crate::domain::target::TargetUrl;
use crate::domain::telling::{Edge, EdgeKind, Facts, Member, Told, WebhookFacts};
use crate::domain::time::{DAY, Millis};

mod certificate;

pub use certificate::certificates;
pub(super) use certificate::certificates_of;

/// Edges of one round. More than this, as in quiet hours, are told in several messages.
const MAX_EDGES: u32 = 200_000;
/// Rows that one step of the writer changes.
const STEP: usize = 500;
/// Time after which an edge is deleted although a contact is not past it.
const KEPT: Millis = 3 * DAY;

/// Writes an edge, as part of the current job.
pub(super) fn add(
    tx: &mut WriteTx<'_>,
    kind: EdgeKind,
    incident_seq: Option<i64>,
    webhook_seq: Option<i64>,
) -> Result<()> {
    insert(tx, kind, (incident_seq, webhook_seq, None), "")
}

fn insert(
    tx: &mut WriteTx<'_>,
    kind: EdgeKind,
    (incident_seq, webhook_seq, contact_seq): (Option<i64>, Option<i64>, Option<i64>),
    text: &str,
) -> Result<()> {
    sql::run(
        tx.connection(),
        "INSERT INTO edge (at_ms, kind, incident_seq, webhook_seq, contact_seq, text)
         VALUES (:now, :kind, :incident, :webhook, :contact, :text)",
        named_params! {
            ":now": tx.now_ms(), ":kind": kind, ":incident": incident_seq, ":webhook": webhook_seq,
            ":contact": contact_seq, ":text": text,
        },
    )
}

/// Returns whether there are edges.
pub fn has_edges(connection: &Connection) -> Result<bool> {
    sql::value(connection, "SELECT EXISTS (SELECT 1 FROM edge)", [])
}

/// Returns how far each contact was told.
pub fn told(connection: &Connection) -> Result<HashMap<i64, Told>> {
    let query = "SELECT contact_seq, edge_seq, told_ms, reminded_ms, digest_ms FROM telling";
    let rows = sql::all(connection, query, [], |row| {
        Ok((row.get("contact_seq")?, read_row!(row, Told { edge_seq, told_ms, reminded_ms, digest_ms })))
    })?;
    Ok(rows.into_iter().collect())
}

/// Returns the facts for decisions about contacts that are past this edge or a later one, and the number of the last edge.
/// They are as of that edge.
pub fn facts(connection: &Connection, after: i64) -> Result<(Facts, i64)> {
    facts_of(connection, after, MAX_EDGES)
}

fn facts_of(connection: &Connection, after: i64, limit: u32) -> Result<(Facts, i64)> {
    let query = "SELECT seq, at_ms, kind, incident_seq, webhook_seq, contact_seq FROM edge
                 WHERE seq > :after ORDER BY seq LIMIT :limit";
    let edges = sql::all(connection, query, named_params! {":after": after, ":limit": limit}, |row| {
        Ok(read_row!(row, Edge { seq, at_ms, kind, incident_seq, webhook_seq, contact_seq }))
    })?;
    let query = "SELECT incident_seq, webhook_seq, opened_ms, certificate_ends_ms IS NOT NULL AS is_certificate
                 FROM incident_webhook INDEXED BY incident_webhook_current WHERE ended_ms IS NULL";
    let mut members = sql::all(connection, query, [], |row| {
        Ok(read_row!(row, Member { incident_seq, webhook_seq, opened_ms, is_certificate }))
    })?;
    let last = edges.last().map_or(after, |edge| edge.seq);
    if edges.len() == limit as usize {
        members = members_at(connection, members, last)?;
    }
    let wanted: HashSet<i64> = edges
        .iter()
        .filter_map(|edge| edge.webhook_seq)
        .chain(members.iter().map(|member| member.webhook_seq))
        .collect();
    let mut webhooks = HashMap::with_capacity(wanted.len());
    let wanted: Vec<i64> = wanted.into_iter().collect();
    let query = "SELECT w.seq, w.id, w.tenant, w.description, w.url
                 FROM json_each(:wanted) AS wanted CROSS JOIN webhook w ON w.seq = wanted.value";
    sql::each(connection, query, named_params! {":wanted": Json(&wanted)}, |row| {
        let url: TargetUrl = row.get("url")?;
        let host = url.host_key().to_owned();
        let facts = read_row!(row, WebhookFacts { id, tenant, description; url: url.as_str().to_owned(), host });
        webhooks.insert(row.get("seq")?, facts);
        Ok(())
    })?;
    let incidents: HashSet<i64> = edges
        .iter()
        .filter_map(|edge| edge.incident_seq)
        .chain(members.iter().map(|member| member.incident_seq))
        .collect();
    let incidents: Vec<i64> = incidents.into_iter().collect();
    let key = named_params! {":incidents": Json(&incidents)};
    let query = "SELECT incident_seq, nullif(tenant, '') AS tenant FROM incident_mute
                 WHERE incident_seq IN (SELECT value FROM json_each(:incidents))";
    let muted = sql::all(connection, query, key, |row| {
        Ok((row.get("incident_seq")?, row.get::<_, Option<Tenant>>("tenant")?))
    })?;
    let query = "SELECT seq FROM incident WHERE seq IN (SELECT value FROM json_each(:incidents)) AND reopened > 0";
    let reopened = sql::all(connection, query, key, |row| row.get("seq"))?;
    let facts = Facts {
        edges,
        members,
        webhooks,
        muted: muted.into_iter().collect(),
        reopened: reopened.into_iter().collect(),
    };
    Ok((facts, last))
}

/// Returns the webhooks in open incidents as of an edge. What became of each later follows from its first later edge.
fn members_at(connection: &Connection, members: Vec<Member>, edge_seq: i64) -> Result<Vec<Member>> {
    // SQLite takes the other columns from the row with the minimum.
    let query = "SELECT incident_seq, webhook_seq, kind, at_ms, min(seq) FROM edge
                 WHERE seq > :after AND incident_seq IS NOT NULL GROUP BY incident_seq, webhook_seq";
    let mut at: HashMap<(i64, i64), Member> =
        members.into_iter().map(|member| ((member.incident_seq, member.webhook_seq), member)).collect();
    sql::each(connection, query, named_params! {":after": edge_seq}, |row| {
        let (incident_seq, webhook_seq) = (row.get("incident_seq")?, row.get("webhook_seq")?);
        let is_certificate = match row.get("kind")? {
            EdgeKind::Ended => false,
            EdgeKind::CertificateOver | EdgeKind::Worsened => true,
            _ => {
                at.remove(&(incident_seq, webhook_seq));
                return Ok(());
            }
        };
        let opened_ms = row.get("at_ms")?;
        let member = Member { incident_seq, webhook_seq, opened_ms, is_certificate };
        at.entry((incident_seq, webhook_seq)).or_insert(member).is_certificate = is_certificate;
        Ok(())
    })?;
    Ok(at.into_values().collect())
}

/// Returns the text of an edge.
pub fn text_of(connection: &Connection, edge_seq: i64) -> Result<String> {
    let query = "SELECT text FROM edge WHERE seq = :seq";
    Ok(sql::first(connection, query, named_params! {":seq": edge_seq}, |row| row.get("text"))?.unwrap_or_default())
}

/// Makes rows of contacts that have none, in one step. Returns whether more remain.
pub fn begin(tx: &mut WriteTx<'_>) -> Result<bool> {
    let made = sql::change(
        tx.connection(),
        "INSERT INTO telling (contact_seq, edge_seq)
         SELECT seq, coalesce((SELECT max(e.seq) FROM edge e WHERE e.at_ms < contact.created_ms), 0) FROM contact
         WHERE NOT EXISTS (SELECT 1 FROM telling WHERE contact_seq = contact.seq) LIMIT :limit",
        named_params! {":limit": STEP},
    )?;
    Ok(made == STEP)
}

/// Moves contacts past an edge, in one step of 500 at most.
pub fn pass(tx: &mut WriteTx<'_>, contacts: &[i64], edge_seq: i64) -> Result<()> {
    let statement = "UPDATE telling SET edge_seq = max(edge_seq, :edge)
                     WHERE contact_seq IN (SELECT value FROM json_each(:contacts))";
    sql::run(tx.connection(), statement, named_params! {":edge": edge_seq, ":contacts": Json(contacts)})
}

/// Records how far a contact was told.
pub fn set_told(tx: &mut WriteTx<'_>, contact_seq: i64, told: &Told) -> Result<()> {
    sql::run(
        tx.connection(),
        "UPDATE telling SET edge_seq = :edge, told_ms = :told, reminded_ms = :reminded, digest_ms = :digest
         WHERE contact_seq = :contact",
        named_params! {
            ":contact": contact_seq, ":edge": told.edge_seq, ":told": told.told_ms, ":reminded": told.reminded_ms,
            ":digest": told.digest_ms,
        },
    )
}

/// Deletes edges that every contact is past, and rows of deleted contacts, in one step. Returns whether more remain.
pub fn clean(tx: &mut WriteTx<'_>) -> Result<bool> {
    let connection = tx.connection();
    let gone = sql::change(
        connection,
        "DELETE FROM telling WHERE contact_seq IN (
             SELECT contact_seq FROM telling t WHERE NOT EXISTS (SELECT 1 FROM contact WHERE seq = t.contact_seq) LIMIT :limit)",
        named_params! {":limit": STEP},
    )?;
    let edges = sql::change(
        connection,
        "DELETE FROM edge WHERE seq IN (SELECT seq FROM edge ORDER BY seq LIMIT :limit)
             AND (seq <= coalesce((SELECT min(edge_seq) FROM telling), (SELECT max(seq) FROM edge)) OR at_ms < :old)",
        named_params! {":limit": STEP, ":old": tx.now_ms() - KEPT},
    )?;
    Ok(gone == STEP || edges == STEP)
}

/// Fault of the machine that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineFault {
    Disk,
    Clock,
    Backup,
}

impl MachineFault {
    fn name(self) -> &'static str {
        match self {
            MachineFault::Disk => "disk",
            MachineFault::Clock => "clock",
            MachineFault::Backup => "backup",
        }
    }
}

/// Returns since when there is a fault, and its size.
pub fn machine_fault(connection: &Connection, fault: MachineFault) -> Result<Option<(Millis, i64)>> {
    let query = "SELECT since_ms, size FROM machine_fault WHERE name = :name";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get("since_ms")?, row.get("size")?));
    sql::first(connection, query, named_params! {":name": fault.name()}, read)
}

/// Records that a fault began, with its size, or that it is over (`None`). `text` is a sentence for people.
pub fn set_machine_fault(tx: &mut WriteTx<'_>, fault: MachineFault, size: Option<i64>, text: &str) -> Result<()> {
    let (began, over) = match fault {
        MachineFault::Disk => (EdgeKind::DiskLow, EdgeKind::DiskEnough),
        MachineFault::Clock => (EdgeKind::ClockWrong, EdgeKind::ClockRight),
        MachineFault::Backup => (EdgeKind::BackupFailed, EdgeKind::BackupMade),
    };
    let name = fault.name();
    match size {
        Some(size) => sql::run(
            tx.connection(),
            "INSERT INTO machine_fault (name, since_ms, size) VALUES (:name, :now, :size)
             ON CONFLICT DO UPDATE SET size = :size",
            named_params! {":name": name, ":now": tx.now_ms(), ":size": size},
        )?,
        None => {
            let statement = "DELETE FROM machine_fault WHERE name = :name";
            sql::run(tx.connection(), statement, named_params! {":name": name})?;
        }
    }
    insert(tx, if size.is_some() { began } else { over }, (None, None, None), text)?;
    super::operational::machine(tx, fault, size.is_some(), text)
}

/// Writes an edge for each contact that has begun to fail, in one step. Contacts of tenants count too: the operator can help.
pub fn failing_contacts(tx: &mut WriteTx<'_>, now: Millis) -> Result<()> {
    let query = "SELECT seq FROM contact INDEXED BY contact_failing
                 WHERE failing_since_ms IS NOT NULL AND (has_lost OR failing_since_ms <= :before) AND NOT is_failure_told
                 LIMIT :limit";
    let params = named_params! {":before": Status::failing_before(now), ":limit": STEP};
    let failing: Vec<i64> = sql::all(tx.connection(), query, params, |row| row.get("seq"))?;
    for contact in failing {
        let statement = "UPDATE contact SET is_failure_told = 1 WHERE seq = :seq";
        sql::run(tx.connection(), statement, named_params! {":seq": contact})?;
        insert(tx, EdgeKind::ContactFailing, (None, None, Some(contact)), "")?;
    }
    let statement = "UPDATE contact SET is_failure_told = 0 WHERE is_failure_told AND failing_since_ms IS NULL";
    sql::run(tx.connection(), statement, [])
}

/// Returns the dead letters of a span of time by webhook, those with most first, of the webhooks in a contact's scope.
pub fn dead_letters(
    connection: &Connection,
    contact: &Contact,
    (from, to): (Millis, Millis),
) -> Result<Vec<(WebhookFacts, u64)>> {
    let mut found = Vec::new();
    for (webhook_seq, failed) in stats::failed_between(connection, from, to)? {
        let query = "SELECT id, tenant, description, url FROM webhook WHERE seq = :seq";
        let facts = sql::first(connection, query, named_params! {":seq": webhook_seq}, |row| {
            let url: TargetUrl = row.get("url")?;
            let host = url.host_key().to_owned();
            Ok(read_row!(row, WebhookFacts { id, tenant, description; url: url.as_str().to_owned(), host }))
        })?;
        found.extend(facts.filter(|facts| facts.is_in(&contact.scope)).map(|facts| (facts, failed)));
    }
    found.sort_by_key(|(_, failed)| std::cmp::Reverse(*failed));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attempt::ErrorCode;
    use crate::domain::contact::{Channel, Scope, Topic};
    use crate::domain::id::ContactId;
    use crate::domain::telling::{Decision, GATHERING, IncidentChange, Notice, decide};
    use crate::domain::time::MINUTE;
    use crate::domain::webhook::Webhook;
    use crate::store::directory::Directory;
    use crate::store::incident::{self, Cause, FailedAttempt, Outcome};
    use crate::store::message::{self, NewMessage};
    use crate::store::{contact, fixtures, migrate, webhook};

    const HOSTS: u32 = 10_000;

    #[test]
    fn ten_thousand_endpoints_that_fail_at_once_are_one_message_in_small_steps() {
        let connection = migrate::in_memory();
        let mut directory = Directory::default();
        let tx = &mut WriteTx::of_test(&connection, &mut directory, MINUTE);
        let stored = contact::insert(tx, operator(), None).unwrap();
        while begin(tx).unwrap() {}
        for number in 1..=HOSTS {
            let url = format!("https://h{number}.example/").parse().unwrap();
            webhook::insert_row(&connection, &Webhook { url, ..fixtures::webhook(number, "acme") }).unwrap();
        }
        let mut directory = Directory::load(&connection).unwrap();
        let tx = &mut WriteTx::of_test(&connection, &mut directory, 2 * MINUTE);
        let rows = |work: &mut dyn FnMut()| {
            let before = connection.total_changes();
            work();
            connection.total_changes() - before
        };
        let seqs: Vec<i64> = tx.directory().iter().map(|webhook| webhook.seq).collect();
        for seq in seqs {
            let host = tx.directory().get(seq).unwrap().url.host_key().to_owned();
            let cause = Cause { error_code: Some(ErrorCode::Timeout), code: None, text: "Refused.".to_owned() };
            let attempt =
                FailedAttempt { webhook_seq: seq, host: &host, is_first: true, outcome: Outcome::Exhausted, cause };
            let changed = rows(&mut || incident::failed(tx, &attempt).unwrap());
            assert!(changed < 10, "{changed} rows for one attempt");
        }
        let (facts, last) = facts(&connection, 0).unwrap();
        let told = told(&connection).unwrap()[&stored.seq];
        let Decision::Tell(notices) = decide(&stored, &told, &facts, 2 * MINUTE + GATHERING) else { panic!() };
        let [Notice::Incidents(changes)] = notices.as_slice() else { panic!("{notices:?}") };
        assert_eq!(changes.len(), HOSTS as usize);
        let message = NewMessage {
            topic: Topic::Opened,
            event_type: "hookpost.incident.opened".parse().unwrap(),
            subject: String::new(),
            text: String::new(),
            data: "{}".into(),
            incidents: changes.iter().map(|(seq, _)| *seq).collect(),
        };
        let changed = rows(&mut || {
            message::insert(tx, &stored, message.clone()).unwrap();
            set_told(tx, stored.seq, &Told { edge_seq: last, ..told }).unwrap();
        });
        assert!(changed < 600, "{changed} rows for one message");
        let mut goes_on = true;
        while goes_on {
            let changed = rows(&mut || goes_on = clean(tx).unwrap());
            assert!(changed <= STEP as u64, "{changed} rows of one step");
        }
        assert!(!has_edges(&connection).unwrap());
    }

    #[test]
    fn an_incident_whose_edges_are_in_two_rounds_is_told_once_when_it_opens_and_once_when_it_closes() {
        let connection = migrate::in_memory();
        let mut directory = Directory::default();
        for number in 1..=2 {
            webhook::insert_row(&connection, &fixtures::webhook(number, "acme")).unwrap();
        }
        let tx = &mut WriteTx::of_test(&connection, &mut directory, MINUTE);
        let stored = contact::insert(tx, operator(), None).unwrap();
        for (kind, webhook) in [(EdgeKind::Began, 1), (EdgeKind::Began, 2), (EdgeKind::Ended, 1), (EdgeKind::Ended, 2)]
        {
            add(tx, kind, Some(7), Some(webhook)).unwrap();
        }
        // The incident is closed, and so has no members. Each round takes this many edges.
        for limit in 1..=4 {
            let (mut told, mut changes) = (Told::default(), Vec::new());
            while told.edge_seq < 4 {
                let (facts, last) = facts_of(&connection, told.edge_seq, limit).unwrap();
                if let Decision::Tell(notices) = decide(&stored, &told, &facts, MINUTE + GATHERING) {
                    let [Notice::Incidents(told)] = notices.as_slice() else { panic!("{notices:?}") };
                    changes.extend(told.iter().map(|(_, change)| *change));
                }
                told.edge_seq = last;
            }
            match limit {
                4 => assert_eq!(changes, [IncidentChange::Closed]),
                _ => assert_eq!(changes, [IncidentChange::Opened, IncidentChange::Closed], "{limit}"),
            }
        }
    }

    fn operator() -> Contact {
        Contact {
            seq: 0,
            id: ContactId::from_bytes([1; 16]),
            tenant: None,
            name: "On call".to_owned(),
            channel: Channel::Email { address: "ops@example.com".parse().unwrap(), confirmed_ms: Some(0) },
            scope: Scope::default(),
            topics: Topic::defaults(None),
            quiet_hours: None,
            created_ms: 0,
            updated_ms: 0,
            status: Status::default(),
        }
    }
}
