//! Reads of incidents, as the operator (`None`) or a tenant sees them: a tenant's incident has its own webhooks only, and
//! is over when theirs is.

use std::collections::HashMap;

use rusqlite::{Connection, Row, named_params};

use super::Cause;
use crate::domain;
use crate::domain::event::Tenant;
use crate::domain::id::{IncidentId, WebhookId};
use crate::domain::incident::{Health, HealthFacts, OpenReason, Verdict};
use crate::domain::time::Millis;
use crate::store::error::Result;
use crate::store::page::{Cursor, Page, PageRequest};
use crate::store::sql::{self, read_row};
use crate::store::sql_types::Json;

/// Webhooks of an incident that are counted.
pub const MAX_COUNTED: u32 = 1_000;
/// Incidents examined per page.
const BUDGET: u32 = 1_000;

#[derive(Debug, Clone)]
pub struct Incident {
    pub seq: i64,
    pub id: IncidentId,
    pub host: String,
    pub opened_ms: Millis,
    pub closed_ms: Option<Millis>,
    /// First failed attempt.
    pub since_ms: Millis,
    /// Before that.
    pub last_success_ms: Option<Millis>,
    /// First success of the webhook that recovered last, once all have.
    pub recovered_ms: Option<Millis>,
    pub reason: OpenReason,
    /// The latest one.
    pub cause: Cause,
    pub webhooks: u64,
    /// Webhooks without a success since.
    pub failing: u64,
    /// Whether there are more webhooks than were counted.
    pub is_partial: bool,
    /// Failed attempts.
    pub failures: u64,
    /// Deliveries whose first attempt failed.
    pub deliveries: u64,
    /// Deliveries that ran out of attempts.
    pub dead_letters: u64,
    /// Deliveries of these webhooks that are queued now.
    pub waiting: u64,
    pub is_muted: bool,
    /// Whether a certificate that is about to end was its only trouble.
    pub is_certificate: bool,
    /// How often it was opened again.
    pub reopened: u64,
}

/// Conditions of a list of incidents.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// As this tenant sees them.
    pub tenant: Option<Tenant>,
    pub webhook_seq: Option<i64>,
    pub is_open: Option<bool>,
    /// Opened at or after.
    pub since: Option<Millis>,
    /// Opened before.
    pub until: Option<Millis>,
}

impl IncidentFilter {
    fn matches(&self, incident: &Incident) -> bool {
        self.is_open.is_none_or(|is_open| incident.closed_ms.is_none() == is_open)
            && self.since.is_none_or(|since| incident.opened_ms >= since)
            && self.until.is_none_or(|until| incident.opened_ms < until)
    }

    /// Returns the newest incident below a number that may match.
    fn next(&self, connection: &Connection, below: i64) -> Result<Option<i64>> {
        let below = &below as &dyn rusqlite::ToSql;
        match (self.webhook_seq, &self.tenant, self.is_open) {
            (Some(seq), ..) => {
                let query = "SELECT max(incident_seq) FROM incident_webhook
                             WHERE webhook_seq = :webhook AND incident_seq < :below";
                sql::value(connection, query, named_params! {":webhook": seq, ":below": below})
            }
            (None, Some(tenant), _) => {
                let query = "SELECT max(incident_seq) FROM incident_webhook
                             WHERE tenant = :tenant AND incident_seq < :below";
                sql::value(connection, query, named_params! {":tenant": tenant, ":below": below})
            }
            (None, None, Some(true)) => {
                let query = "SELECT max(seq) FROM incident WHERE closed_ms IS NULL AND seq < :below";
                sql::value(connection, query, named_params! {":below": below})
            }
            (None, None, _) => {
                let query = "SELECT max(seq) FROM incident WHERE seq < :below";
                sql::value(connection, query, named_params! {":below": below})
            }
        }
    }
}

/// Returns a page of incidents, newest first. May hold fewer rows than the limit although more follow.
pub fn list(connection: &Connection, filter: &IncidentFilter, request: &PageRequest) -> Result<Page<Incident>> {
    let mut below = request.cursor.map_or(i64::MAX, |cursor| cursor.seq());
    let mut rows = Vec::new();
    for _ in 0..BUDGET {
        let Some(seq) = filter.next(connection, below)? else {
            return Ok(Page { rows, next: None });
        };
        if rows.len() >= request.limit as usize {
            break;
        }
        below = seq;
        let incident = by_seq(connection, seq, filter.tenant.as_ref())?;
        rows.extend(incident.filter(|incident| filter.matches(incident)));
    }
    Ok(Page { rows, next: Some(Cursor::below(below)) })
}

/// Returns the incident with this id, if the tenant has a webhook in it.
pub fn get(connection: &Connection, id: IncidentId, tenant: Option<&Tenant>) -> Result<Option<Incident>> {
    let query = "SELECT seq FROM incident WHERE id = :id";
    match sql::first(connection, query, named_params! {":id": id}, |row| row.get("seq"))? {
        Some(seq) => by_seq(connection, seq, tenant),
        None => Ok(None),
    }
}

/// Like [`get`], by number.
pub fn by_seq(connection: &Connection, seq: i64, tenant: Option<&Tenant>) -> Result<Option<Incident>> {
    let query = "SELECT seq, id, host, opened_ms, closed_ms, reopened,
                     EXISTS (SELECT 1 FROM incident_mute WHERE incident_seq = incident.seq
                                 AND tenant = coalesce(:tenant, '')) AS is_muted
                 FROM incident WHERE seq = :seq";
    let incident = sql::first(connection, query, named_params! {":seq": seq, ":tenant": tenant}, |row| {
        Ok(read_row!(row, Incident {
            seq, id, host, opened_ms, closed_ms, is_muted, reopened;
            since_ms: Millis::MAX,
            last_success_ms: None,
            recovered_ms: None,
            is_certificate: true,
            reason: OpenReason::ManyFailures,
            cause: Cause { error_code: None, code: None, text: String::new() },
            webhooks: 0,
            failing: 0,
            is_partial: false,
            failures: 0,
            deliveries: 0,
            dead_letters: 0,
            waiting: 0,
        }))
    })?;
    match incident {
        Some(mut incident) => Ok(count(connection, &mut incident, tenant)?.then_some(incident)),
        None => Ok(None),
    }
}

/// Webhooks of an incident with their streaks and queues.
const MEMBERS: &str = "
    FROM incident_webhook m
    LEFT JOIN webhook w ON w.seq = m.webhook_seq
    LEFT JOIN streak s ON s.webhook_seq = m.webhook_seq AND m.recovered_ms IS NULL AND m.ended_ms IS NULL
    WHERE m.incident_seq = :seq AND m.tenant = coalesce(:tenant, m.tenant)";

/// Sums up the webhooks of an incident. Returns whether there are any.
fn count(connection: &Connection, incident: &mut Incident, tenant: Option<&Tenant>) -> Result<bool> {
    let query = format!(
        "SELECT m.reason, m.since_ms, m.last_success_ms, m.opened_ms, m.error_code, m.code, m.cause, m.cause_ms,
             m.dead_letters, m.recovered_ms, m.ended_ms, m.certificate_ends_ms IS NOT NULL AS is_certificate,
             m.failures + coalesce(s.failures, 0) AS failures, m.deliveries + coalesce(s.deliveries, 0) AS deliveries,
             coalesce(w.pending_count + w.retrying_count, 0) AS waiting
         {MEMBERS} LIMIT {}",
        MAX_COUNTED + 1
    );
    let (mut latest, mut opened_ms, mut ended_ms, mut open) = ((false, Millis::MIN), Millis::MAX, None, 0_u64);
    sql::each(connection, &query, named_params! {":seq": incident.seq, ":tenant": tenant}, |row| {
        if incident.webhooks == u64::from(MAX_COUNTED) {
            incident.is_partial = true;
            return Ok(());
        }
        incident.webhooks += 1;
        incident.failures += row.get::<_, u64>("failures")?;
        incident.deliveries += row.get::<_, u64>("deliveries")?;
        incident.dead_letters += row.get::<_, u64>("dead_letters")?;
        let (recovered, ended): (Option<Millis>, Option<Millis>) = (row.get("recovered_ms")?, row.get("ended_ms")?);
        incident.failing += u64::from(recovered.is_none() && ended.is_none());
        incident.recovered_ms = incident.recovered_ms.max(recovered);
        ended_ms = ended_ms.max(ended);
        if ended.is_none() {
            open += 1;
            incident.waiting += row.get::<_, u64>("waiting")?;
        }
        opened_ms = opened_ms.min(row.get("opened_ms")?);
        // What fails comes before what will.
        let (is_certificate, since_ms) = (row.get("is_certificate")?, row.get("since_ms")?);
        if (is_certificate, since_ms) < (incident.is_certificate, incident.since_ms) {
            (incident.is_certificate, incident.since_ms) = (is_certificate, since_ms);
            incident.last_success_ms = row.get("last_success_ms")?;
            incident.reason = row.get("reason")?;
        }
        let cause_at = (!is_certificate, row.get("cause_ms")?);
        if cause_at > latest {
            latest = cause_at;
            incident.cause = cause_of(row)?;
        }
        Ok(())
    })?;
    if tenant.is_some() {
        incident.opened_ms = opened_ms;
        incident.closed_ms = ended_ms.filter(|_| open == 0);
    }
    if incident.failing > 0 {
        incident.recovered_ms = None;
    }
    Ok(incident.webhooks > 0)
}

fn cause_of(row: &Row<'_>) -> rusqlite::Result<Cause> {
    Ok(Cause { error_code: row.get("error_code")?, code: row.get("code")?, text: row.get("cause")? })
}

/// Webhook with its name, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub id: WebhookId,
    pub name: String,
}

impl Named {
    /// Reads the columns `id`, `url` and `description`, which are NULL if the row of the webhook is deleted.
    pub(super) fn of_row(row: &Row<'_>) -> rusqlite::Result<Option<Named>> {
        let Some(id) = row.get("id")? else {
            return Ok(None);
        };
        let (url, description): (String, String) = (row.get("url")?, row.get("description")?);
        Ok(Some(Named { id, name: domain::webhook::name(&description, &url) }))
    }
}

/// Webhook of an incident.
#[derive(Debug, Clone)]
pub struct Member {
    pub webhook_seq: i64,
    /// `None` if its row is deleted.
    pub webhook: Option<Named>,
    pub is_deleted: bool,
    pub tenant: Tenant,
    pub reason: OpenReason,
    pub since_ms: Millis,
    pub last_success_ms: Option<Millis>,
    pub cause: Cause,
    pub failures: u64,
    pub deliveries: u64,
    pub dead_letters: u64,
    pub waiting: u64,
    pub recovered_ms: Option<Millis>,
    pub ended_ms: Option<Millis>,
    /// Whether a certificate that is about to end is its only trouble.
    pub is_certificate: bool,
}

/// Returns the first webhooks of an incident by number, those that are failing first.
pub fn members(connection: &Connection, seq: i64, tenant: Option<&Tenant>, limit: u32) -> Result<Vec<Member>> {
    let query = format!(
        "SELECT m.webhook_seq, m.tenant, m.reason, m.since_ms, m.last_success_ms, m.error_code, m.code, m.cause,
             m.dead_letters, m.recovered_ms, m.ended_ms, m.certificate_ends_ms IS NOT NULL AS is_certificate, w.id, w.url, w.description,
             w.seq IS NULL OR w.deleted_ms IS NOT NULL AS is_deleted,
             m.failures + coalesce(s.failures, 0) AS failures, m.deliveries + coalesce(s.deliveries, 0) AS deliveries,
             coalesce(w.pending_count + w.retrying_count, 0) AS waiting
         {MEMBERS} ORDER BY m.ended_ms IS NOT NULL, m.recovered_ms IS NOT NULL, m.webhook_seq LIMIT :limit"
    );
    sql::all(connection, &query, named_params! {":seq": seq, ":tenant": tenant, ":limit": limit}, |row| {
        Ok(read_row!(row, Member {
            webhook_seq, is_deleted, tenant, reason, since_ms, last_success_ms, failures, deliveries, dead_letters,
            waiting, recovered_ms, ended_ms, is_certificate;
            webhook: Named::of_row(row)?,
            cause: cause_of(row)?,
        }))
    })
}

/// Counts the open incidents.
pub fn count_open(connection: &Connection) -> Result<u64> {
    sql::value(connection, "SELECT count(*) FROM incident WHERE closed_ms IS NULL", [])
}

/// Condition of a webhook, and its open incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    pub verdict: Verdict,
    /// Failed attempts since the last success.
    pub failures: u32,
    pub incident: Option<OpenIncident>,
}

impl Condition {
    pub fn is_failing(&self) -> bool {
        self.verdict.health == Health::Failing
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenIncident {
    pub id: IncidentId,
    /// When the webhook came into it.
    pub opened_ms: Millis,
    /// Whether a certificate that is about to end is the webhook's only trouble.
    pub is_certificate: bool,
}

/// Returns the condition of each of some webhooks.
pub fn conditions(connection: &Connection, webhooks: &[i64]) -> Result<HashMap<i64, Condition>> {
    let query = "SELECT w.seq, w.state, w.disabled_ms, w.last_success_ms,
                     w.success_count > 0 OR w.last_finished_ms IS NOT NULL AS is_used,
                     s.since_ms AS failing_since_ms, coalesce(s.failures, 0) AS failures,
                     i.id AS incident_id, m.opened_ms, m.certificate_ends_ms IS NOT NULL AS is_certificate
                 FROM json_each(:webhooks) AS wanted CROSS JOIN webhook w ON w.seq = wanted.value
                 LEFT JOIN streak s ON s.webhook_seq = w.seq
                 LEFT JOIN incident_webhook m ON m.webhook_seq = w.seq AND m.ended_ms IS NULL
                 LEFT JOIN incident i ON i.seq = m.incident_seq";
    let found = sql::all(connection, query, named_params! {":webhooks": Json(webhooks)}, |row| {
        let facts = read_row!(row, HealthFacts { state, disabled_ms, failing_since_ms, last_success_ms, is_used });
        let id: Option<IncidentId> = row.get("incident_id")?;
        let incident = match id {
            Some(id) => {
                Some(OpenIncident { id, opened_ms: row.get("opened_ms")?, is_certificate: row.get("is_certificate")? })
            }
            None => None,
        };
        Ok((row.get("seq")?, Condition { verdict: Verdict::of(&facts), failures: row.get("failures")?, incident }))
    })?;
    Ok(found.into_iter().collect())
}

/// Returns the condition of a webhook; `None` if its row does not exist.
pub fn condition(connection: &Connection, webhook_seq: i64) -> Result<Option<Condition>> {
    Ok(conditions(connection, &[webhook_seq])?.remove(&webhook_seq))
}

/// Returns the numbers of up to `limit` active webhooks that are failing, longest first, of one tenant or of all.
pub fn failing(connection: &Connection, tenant: Option<&Tenant>, limit: u32) -> Result<Vec<i64>> {
    let query = "SELECT w.seq FROM streak s CROSS JOIN webhook w ON w.seq = s.webhook_seq
                 WHERE w.state = 'active' AND w.deleted_ms IS NULL AND w.tenant = coalesce(:tenant, w.tenant)
                 ORDER BY s.since_ms LIMIT :limit";
    sql::all(connection, query, named_params! {":tenant": tenant, ":limit": limit}, |row| row.get("seq"))
}

/// Returns the numbers of up to `limit` webhooks that are in an incident only for a certificate, of one tenant or of all.
pub fn with_certificate_ending(connection: &Connection, tenant: Option<&Tenant>, limit: u32) -> Result<Vec<i64>> {
    let query = "SELECT webhook_seq FROM incident_webhook INDEXED BY incident_webhook_certificate
                 WHERE certificate_ends_ms IS NOT NULL AND ended_ms IS NULL AND recovered_ms IS NULL
                     AND tenant = coalesce(:tenant, tenant) LIMIT :limit";
    sql::all(connection, query, named_params! {":tenant": tenant, ":limit": limit}, |row| row.get("webhook_seq"))
}

/// Counts the dead letters of a webhook, without tests, up to `limit`.
pub fn count_dead_letters(connection: &Connection, webhook_seq: i64, limit: u32) -> Result<u64> {
    // The further conditions are those of the partial index.
    let query = "SELECT count(*) FROM (
                     SELECT 1 FROM delivery INDEXED BY delivery_webhook_status
                     WHERE webhook_seq = :seq AND status = 'failed' AND status <> 'delivered' AND status <> 'pending'
                         AND cause <> 'test' LIMIT :limit)";
    sql::value(connection, query, named_params! {":seq": webhook_seq, ":limit": limit})
}
