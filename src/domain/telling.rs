//! Messages to contacts and their times: pure decisions.
//!
//! Facts are written as edges when they are decided: a webhook came into an incident or is out of it, a certificate is about
//! to end. A contact remembers the last edge that it is past. What happened to an incident since then follows from the edges
//! in between and from the webhooks that are in the incident now, as the contact's scope sees them: what began and ended in
//! between was never open for it, and what ended and began again never closed. So a message lost is made again, and one
//! that was made is not made twice.
//!
//! The first edge waits for others ([`GATHERING`]), and a message keeps the next one waiting ([`PAUSE`]): an outage of many
//! endpoints is one message. During quiet hours a contact stays where it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;
use super::contact::{Contact, Scope, ScopedWebhook, Topic};
use super::event::Tenant;
use super::id::WebhookId;
use super::time::{MINUTE, Millis, SECOND};

pub mod daily;

/// Time from the first edge to the message.
pub const GATHERING: Millis = 30 * SECOND;
/// Shortest time between two messages about incidents to one contact.
pub const PAUSE: Millis = 5 * MINUTE;

/// Kind of an edge. The text forms are stored: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<EdgeKind>)]
pub enum EdgeKind {
    /// A webhook came into an incident.
    Began,
    /// Its part in the incident is over.
    Ended,
    /// A webhook came into an incident since a certificate is about to end.
    CertificateBegan,
    /// A webhook that was in an incident for a certificate is failing.
    Worsened,
    /// The part of a webhook that was in an incident for a certificate is over.
    CertificateOver,
    /// A certificate of a webhook is about to end, or has ended.
    Certificate,
    DiskLow,
    DiskEnough,
    ClockWrong,
    ClockRight,
    BackupFailed,
    BackupMade,
    /// A contact of anybody does not get its messages.
    ContactFailing,
}

/// Fact that contacts may have to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub seq: i64,
    pub at_ms: Millis,
    pub kind: EdgeKind,
    pub incident_seq: Option<i64>,
    pub webhook_seq: Option<i64>,
    pub contact_seq: Option<i64>,
}

/// Webhook in an open incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub incident_seq: i64,
    pub webhook_seq: i64,
    pub opened_ms: Millis,
    /// Whether a certificate that is about to end is its only trouble.
    pub is_certificate: bool,
}

/// Facts about a webhook that scopes select by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookFacts {
    pub tenant: Tenant,
    pub id: WebhookId,
    pub description: String,
    pub url: String,
    pub host: String,
}

impl WebhookFacts {
    /// Whether a scope has the webhook in it. Webhooks of Hookpost itself are in none.
    pub fn is_in(&self, scope: &Scope) -> bool {
        let WebhookFacts { tenant, id, description, url, host } = self;
        !tenant.is_hookpost() && scope.covers(ScopedWebhook { tenant, id: *id, description, url, host })
    }
}

/// Everything that decisions of one round are made from.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// In their order.
    pub edges: Vec<Edge>,
    pub members: Vec<Member>,
    /// Webhooks of both.
    pub webhooks: HashMap<i64, WebhookFacts>,
    /// Incidents that the operator (`None`) or a tenant wants to hear no more of.
    pub muted: HashSet<(i64, Option<Tenant>)>,
    /// Incidents that were opened again.
    pub reopened: HashSet<i64>,
}

/// How far a contact was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Last edge that it is past.
    pub edge_seq: i64,
    /// Last message about incidents.
    pub told_ms: Option<Millis>,
    pub reminded_ms: Option<Millis>,
    /// End of the time that the last digest was about.
    pub digest_ms: Option<Millis>,
}

/// Change of an incident, as a contact sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, Display)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum IncidentChange {
    Opened,
    Reopened,
    /// It was about a certificate, and is about failures now.
    Worsened,
    /// It opened for a certificate that is about to end.
    Ending,
    /// Nothing: the message is a reminder.
    StillOpen,
    /// Like [`StillOpen`](IncidentChange::StillOpen), of an incident for a certificate.
    StillEnding,
    Closed,
}

impl IncidentChange {
    fn is_opening(self) -> bool {
        match self {
            IncidentChange::Opened | IncidentChange::Reopened | IncidentChange::Worsened | IncidentChange::Ending => {
                true
            }
            IncidentChange::StillOpen | IncidentChange::StillEnding | IncidentChange::Closed => false,
        }
    }
}

/// Message to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Incidents(Vec<(i64, IncidentChange)>),
    /// Numbers of the edges.
    Certificates(Vec<i64>),
    Disk {
        is_low: bool,
        edge_seq: i64,
    },
    Clock {
        is_wrong: bool,
        edge_seq: i64,
    },
    Backup {
        is_failed: bool,
        edge_seq: i64,
    },
    FailingContacts(Vec<i64>),
}

impl Notice {
    /// Kind of message, of those that contacts choose from.
    pub fn topic(&self) -> Topic {
        match self {
            Notice::Incidents(changes) => {
                if changes.iter().any(|(_, change)| change.is_opening()) {
                    Topic::Opened
                } else if changes.iter().any(|(_, change)| *change == IncidentChange::Closed) {
                    Topic::Closed
                } else {
                    Topic::Reminder
                }
            }
            Notice::Certificates(_) => Topic::Certificate,
            Notice::Disk { .. } => Topic::Disk,
            Notice::Clock { .. } => Topic::Clock,
            Notice::Backup { .. } => Topic::Backup,
            Notice::FailingContacts(_) => Topic::Opened,
        }
    }
}

/// Decision about the edges after those that a contact was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// None of them concerns it: it is past them now.
    Pass,
    /// Decide again later.
    Wait,
    /// Tell it, then it is past them.
    Tell(Vec<Notice>),
}

/// Decides what a contact is told of the edges.
pub fn decide(contact: &Contact, told: &Told, facts: &Facts, now: Millis) -> Decision {
    let is_new = |edge: &&Edge| edge.seq > told.edge_seq && concerns(edge, contact, facts);
    let mut edges = facts.edges.iter().filter(is_new).peekable();
    let Some(first) = edges.peek() else {
        return Decision::Pass;
    };
    if !contact.is_reachable() {
        return Decision::Pass;
    }
    // A time ahead of now was stored by a clock that has been set back.
    let is_within = |since: Millis, span: Millis| (0..span).contains(&(now - since));
    if contact.quiet_hours.as_ref().is_some_and(|hours| hours.end(now).is_some())
        || is_within(first.at_ms, GATHERING)
        || told.told_ms.is_some_and(|told_ms| is_within(told_ms, PAUSE))
    {
        return Decision::Wait;
    }
    let edges: Vec<&Edge> = edges.collect();
    let notices = notices(contact, facts, &edges);
    if notices.is_empty() { Decision::Pass } else { Decision::Tell(notices) }
}

fn concerns(edge: &Edge, contact: &Contact, facts: &Facts) -> bool {
    match edge.kind {
        EdgeKind::Began
        | EdgeKind::Ended
        | EdgeKind::CertificateBegan
        | EdgeKind::Worsened
        | EdgeKind::CertificateOver
        | EdgeKind::Certificate => {
            let webhook = edge.webhook_seq.and_then(|seq| facts.webhooks.get(&seq));
            webhook.is_some_and(|webhook| webhook.is_in(&contact.scope))
        }
        EdgeKind::DiskLow | EdgeKind::DiskEnough => wants(contact, Topic::Disk) && contact.tenant.is_none(),
        EdgeKind::ClockWrong | EdgeKind::ClockRight => wants(contact, Topic::Clock) && contact.tenant.is_none(),
        EdgeKind::BackupFailed | EdgeKind::BackupMade => wants(contact, Topic::Backup) && contact.tenant.is_none(),
        EdgeKind::ContactFailing => {
            contact.tenant.is_none() && wants(contact, Topic::Opened) && edge.contact_seq != Some(contact.seq)
        }
    }
}

fn wants(contact: &Contact, topic: Topic) -> bool {
    contact.topics.contains(&topic)
}

fn notices(contact: &Contact, facts: &Facts, edges: &[&Edge]) -> Vec<Notice> {
    let of = |kind: EdgeKind| edges.iter().filter(move |edge| edge.kind == kind);
    let mut notices = Vec::new();
    let changes = incident_changes(contact, facts, edges);
    if !changes.is_empty() {
        notices.push(Notice::Incidents(changes));
    }
    // The opening of an incident names the certificate already.
    let opened: HashSet<Option<i64>> = match wants(contact, Topic::Opened) {
        true => of(EdgeKind::CertificateBegan).map(|edge| edge.webhook_seq).collect(),
        false => HashSet::new(),
    };
    let untold = of(EdgeKind::Certificate).filter(|edge| !opened.contains(&edge.webhook_seq));
    let certificates: Vec<i64> = untold.map(|edge| edge.seq).collect();
    if !certificates.is_empty() && wants(contact, Topic::Certificate) {
        notices.push(Notice::Certificates(certificates));
    }
    if let Some((edge_seq, is_low)) = turned(edges, EdgeKind::DiskLow, EdgeKind::DiskEnough) {
        notices.push(Notice::Disk { is_low, edge_seq });
    }
    if let Some((edge_seq, is_wrong)) = turned(edges, EdgeKind::ClockWrong, EdgeKind::ClockRight) {
        notices.push(Notice::Clock { is_wrong, edge_seq });
    }
    if let Some((edge_seq, is_failed)) = turned(edges, EdgeKind::BackupFailed, EdgeKind::BackupMade) {
        notices.push(Notice::Backup { is_failed, edge_seq });
    }
    let mut failing: Vec<i64> = of(EdgeKind::ContactFailing).filter_map(|edge| edge.contact_seq).collect();
    failing.sort_unstable();
    failing.dedup();
    if !failing.is_empty() {
        notices.push(Notice::FailingContacts(failing));
    }
    notices
}

/// Returns the last of the edges that turn something on and off, and whether it is on now, unless that is as before.
fn turned(edges: &[&Edge], on: EdgeKind, off: EdgeKind) -> Option<(i64, bool)> {
    let mut edges = edges.iter().filter(|edge| edge.kind == on || edge.kind == off);
    let first = edges.next()?;
    let last = edges.next_back().unwrap_or(first);
    (first.kind == last.kind).then(|| (last.seq, last.kind == on))
}

/// Incident as a contact sees it, by the webhooks in its scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct View {
    is_open: bool,
    is_failing: bool,
}

impl View {
    fn add(&mut self, is_certificate: bool) {
        self.is_open = true;
        self.is_failing |= !is_certificate;
    }

    fn is_known(self) -> bool {
        self.is_open && self.is_failing
    }
}

/// Returns the incidents that opened, became worse or closed for a contact, in the order of their numbers.
fn incident_changes(contact: &Contact, facts: &Facts, edges: &[&Edge]) -> Vec<(i64, IncidentChange)> {
    // Webhooks with edges, and each incident as it was before them.
    let mut changed: BTreeMap<i64, HashSet<i64>> = BTreeMap::new();
    let mut before: HashMap<i64, View> = HashMap::new();
    for edge in edges {
        let was_certificate = match edge.kind {
            EdgeKind::Began | EdgeKind::CertificateBegan => None,
            EdgeKind::Ended => Some(false),
            EdgeKind::Worsened | EdgeKind::CertificateOver => Some(true),
            _ => continue,
        };
        if let (Some(incident), Some(webhook)) = (edge.incident_seq, edge.webhook_seq)
            && changed.entry(incident).or_default().insert(webhook)
            && let Some(was_certificate) = was_certificate
        {
            before.entry(incident).or_default().add(was_certificate);
        }
    }
    let mut after: HashMap<i64, View> = HashMap::new();
    for member in &facts.members {
        let Some(webhooks) = changed.get(&member.incident_seq) else { continue };
        let was = before.entry(member.incident_seq).or_default();
        let is = after.entry(member.incident_seq).or_default();
        if (was.is_known() && is.is_known()) || !is_scoped(contact, facts, member.webhook_seq) {
            continue;
        }
        is.add(member.is_certificate);
        if !webhooks.contains(&member.webhook_seq) {
            was.add(member.is_certificate);
        }
    }
    let of = |views: &HashMap<i64, View>, incident| views.get(&incident).copied().unwrap_or_default();
    let opened = |change| wants(contact, Topic::Opened).then_some(change);
    let change = |incident: i64| {
        let (was, is) = (of(&before, incident), of(&after, incident));
        match (was.is_open, is.is_open) {
            (true, true) if is.is_failing && !was.is_failing => opened(IncidentChange::Worsened),
            (true, true) => None,
            (false, true) if !is.is_failing => opened(IncidentChange::Ending),
            (false, true) if facts.reopened.contains(&incident) => opened(IncidentChange::Reopened),
            (false, true) => opened(IncidentChange::Opened),
            (true, false) => wants(contact, Topic::Closed).then_some(IncidentChange::Closed),
            // Opened and closed again, while the contact was told nothing.
            (false, false) => {
                (wants(contact, Topic::Opened) || wants(contact, Topic::Closed)).then_some(IncidentChange::Closed)
            }
        }
    };
    let told = changed.keys().filter(|incident| !is_muted(contact, facts, **incident));
    told.filter_map(|incident| Some((*incident, change(*incident)?))).collect()
}

fn is_scoped(contact: &Contact, facts: &Facts, webhook_seq: i64) -> bool {
    facts.webhooks.get(&webhook_seq).is_some_and(|webhook| webhook.is_in(&contact.scope))
}

fn is_muted(contact: &Contact, facts: &Facts, incident_seq: i64) -> bool {
    !facts.muted.is_empty() && facts.muted.contains(&(incident_seq, contact.tenant.clone()))
}

/// Returns whether an incident is open for a contact, unless it is muted.
pub fn has_open(contact: &Contact, facts: &Facts) -> bool {
    facts
        .members
        .iter()
        .any(|member| is_scoped(contact, facts, member.webhook_seq) && !is_muted(contact, facts, member.incident_seq))
}

#[cfg(test)]
mod tests;
