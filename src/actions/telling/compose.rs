//! Messages to contacts, composed of what is to be told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Style;
use crate::domain::contact::{Contact, Topic};
use crate::domain::telling::{Facts, IncidentChange, Notice, has_open};
use crate::domain::time::{Millis, rfc3339};
use crate::domain::zone::Zone;
use crate::store::incident::{self, read};
use crate::store::message::NewMessage;
use crate::store::{Connection, StoreError, contact, telling as table, webhook};
use crate::text::certificate;
use crate::text::message::{self as words, IncidentWords, MAX_NAMED, Totals, Words};

/// Webhooks that the data of an incident names.
const MAX_WEBHOOKS: u32 = 10;

/// Message before it is stored.
pub(super) struct Composed {
    pub(super) topic: Topic,
    pub(super) event_type: &'static str,
    pub(super) words: Words,
    pub(super) severity: &'static str,
    /// `trigger` or `resolve`, and what it is about.
    pub(super) alert: (&'static str, String),
    pub(super) url: String,
    pub(super) incidents: Vec<i64>,
    pub(super) details: Vec<(&'static str, Value)>,
}
impl Composed {
    pub(super) fn message(self) -> NewMessage {
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

pub(super) fn compose(
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
            let zone = style.zone_of(contact);
            let (named, total) = certificates(connection, facts, edges, &zone, now)?;
            let key = format!("certificates-{}", contact.id);
            plain("hookpost.certificate.ending", words::certificates(&named, total), "warning", true, &key, "/webhooks")
        }
        Notice::Disk { is_low, edge_seq } => {
            let words = words::machine(topic, *is_low, table::text_of(connection, *edge_seq)?);
            let event_type = if *is_low { "hookpost.disk.low" } else { "hookpost.disk.recovered" };
            plain(event_type, words, if *is_low { "critical" } else { "info" }, *is_low, "disk", "/settings/data")
        }
        Notice::Clock { is_wrong, edge_seq } => {
            let words = words::machine(topic, *is_wrong, table::text_of(connection, *edge_seq)?);
            let event_type = if *is_wrong { "hookpost.clock.wrong" } else { "hookpost.clock.recovered" };
            plain(event_type, words, if *is_wrong { "warning" } else { "info" }, *is_wrong, "clock", "/")
        }
        Notice::Backup { is_failed, edge_seq } => {
            let words = words::machine(topic, *is_failed, table::text_of(connection, *edge_seq)?);
            let event_type = if *is_failed { "hookpost.backup.failed" } else { "hookpost.backup.recovered" };
            let severity = if *is_failed { "error" } else { "info" };
            plain(event_type, words, severity, *is_failed, "backup", "/settings/data")
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

/// Returns some hosts with certificates that are about to end, each with a sentence, and the number of all hosts.
fn certificates(
    connection: &Connection,
    facts: &Facts,
    edges: &[i64],
    zone: &Zone,
    now: Millis,
) -> Result<(Vec<(String, String)>, u64), StoreError> {
    let of_edges = facts.edges.iter().filter(|edge| edges.contains(&edge.seq));
    let mut by_host: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for seq in of_edges.filter_map(|edge| edge.webhook_seq) {
        if let Some(webhook) = facts.webhooks.get(&seq) {
            by_host.entry(&webhook.host).or_default().insert(seq);
        }
    }
    let mut named = Vec::new();
    for (host, webhooks) in by_host.iter().take(MAX_NAMED) {
        // Webhooks of one host mostly have the same certificate.
        let mut warnings = BTreeSet::new();
        for seq in webhooks.iter().take(MAX_NAMED) {
            let found = webhook::by_seq(connection, *seq)?;
            warnings.extend(found.and_then(|webhook| certificate::warning(webhook.tls.as_ref()?, now, zone)));
        }
        let ends_ms = incident::certificate::of_host(connection, host)?;
        warnings.extend(ends_ms.map(|ends_ms| certificate::endpoint_warning(ends_ms, now, zone)));
        named.extend(warnings.into_iter().map(|warning| ((*host).to_owned(), warning)));
    }
    Ok((named, by_host.len() as u64))
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
            is_certificate: incident.is_certificate,
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
    let is_open = has_open(contact, facts);
    let event_type = match topic {
        Topic::Closed => "hookpost.incident.closed",
        Topic::Reminder => "hookpost.incident.reminder",
        _ if totals.opened == 0 && totals.ending == 0 => "hookpost.incident.reopened",
        _ => "hookpost.incident.opened",
    };
    Ok(Composed {
        topic,
        event_type,
        words: words::incidents(&named, totals, &style.zone_of(contact), now),
        severity: match topic {
            Topic::Closed => "info",
            _ if totals.ending == changes.len() as u64 => "warning",
            _ => "error",
        },
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
