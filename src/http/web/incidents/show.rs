//! `/incidents/{id}`: the story of an incident, and the way out of it: test, resume, retry, each with its result here.

use crate::actions::delivery::explain;
use crate::actions::lookup::{self, DeliveryInFull};
use crate::actions::test_event::TestEvent;
use crate::actions::{ActionError, incident::MAX_NOTE_CHARS};
use crate::domain::contact::Topic;
use crate::domain::delivery::{Cause, DeliveryStatus};
use crate::domain::incident::EntryKind;
use crate::domain::several;
use crate::domain::time::{Millis, rfc3339};
use crate::domain::webhook::{Webhook, WebhookState};
use crate::http::web::deliveries::attempt::AttemptDetail;
use crate::http::web::deliveries::rows::DeliveryTable;
use crate::http::web::{
    Connection, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem,
};
use crate::store::delivery::{self, Delivery, DeliveryFilter};
use crate::store::incident::entry::{self, TimelineEntry};
use crate::store::incident::read::{self, Condition, Incident, Member};
use crate::store::message::{self, ToldOf, ToldResult};
use crate::store::page::PageRequest;
use crate::store::stats::{self, Of};
use crate::store::{attempt, event, webhook};
use crate::text::explanation::Explanation;
use crate::text::{self, humanize};

/// Webhooks listed.
const MAX_WEBHOOKS: u32 = 50;
/// Affected deliveries listed.
const MAX_DELIVERIES: u32 = 10;
/// Messages to contacts in the time line.
const MAX_TOLD: u32 = 50;
/// Dead letters counted.
const MAX_COUNTED: u32 = 1_000;

#[derive(Template)]
#[template(path = "incidents/show.html")]
pub struct IncidentPage {
    frame: Frame,
    incident: Incident,
    webhooks: Vec<Member>,
    timeline: Vec<EntryRow>,
    /// Webhook that the steps are about; `None` if all were deleted.
    chosen: Option<Chosen>,
    test: Option<TestOutcome>,
    note: String,
    errors: FormErrors,
}

/// The webhook that the steps of the page are about.
struct Chosen {
    webhook: Webhook,
    condition: Option<Condition>,
    /// Queued deliveries.
    waiting: u64,
    dead_letters: u64,
    dead_letters_text: String,
    /// The last attempt that failed.
    exchange: Option<AttemptDetail>,
    table: DeliveryTable,
    /// Deliveries created before this time are retried, so that none is retried unseen.
    until: String,
}

impl Chosen {
    fn is_active(&self) -> bool {
        self.webhook.state == WebhookState::Active
    }

    fn is_unverified(&self) -> bool {
        self.webhook.state == WebhookState::Unverified
    }
}

struct TestOutcome {
    delivery: String,
    is_good: bool,
    verdict: Explanation,
    attempt: Option<AttemptDetail>,
}

/// Entry of the time line, in words.
struct EntryRow {
    at_ms: Millis,
    status: &'static str,
    words: String,
    is_note: bool,
    actor: Option<String>,
    /// Name and path of the webhook, if there are several.
    webhook: Option<(String, String)>,
}

impl EntryRow {
    fn of(entry: TimelineEntry, session: &Session, has_several: bool) -> EntryRow {
        let is_hidden = entry.author.is_operator && session.tenant().is_some();
        let actor = Some(entry.author.name).filter(|name| !name.is_empty());
        EntryRow {
            at_ms: entry.at_ms,
            status: status(entry.kind),
            words: text::incident::entry(entry.kind, entry.count, &entry.text),
            is_note: entry.kind == EntryKind::Note,
            actor: if is_hidden { actor.map(|_| "the operator".to_owned()) } else { actor },
            webhook: entry
                .webhook
                .filter(|_| has_several && entry.count == 1)
                .map(|webhook| (webhook.name, format!("/webhooks/{}", webhook.id))),
        }
    }
}

impl From<ToldOf> for EntryRow {
    fn from(told: ToldOf) -> EntryRow {
        let about = match told.topic {
            Topic::Opened => "the incident opened",
            Topic::Reminder => "the incident is still open",
            Topic::Closed => "the incident closed",
            Topic::Digest => "dead letters",
            Topic::Disk | Topic::Clock | Topic::Backup => "the server",
            Topic::Certificate => "a certificate",
        };
        let channel = if told.channel == "email" { "by e-mail" } else { "by webhook" };
        let name = told.contact_name;
        let (status, words) = match told.result {
            ToldResult::Sent { .. } => ("ok", format!("{name} told {channel}: {about}.")),
            ToldResult::Waiting { error: None } => ("pending", format!("Message to {name} {channel}: queued.")),
            ToldResult::Waiting { error: Some(error) } => {
                ("warn", format!("Message to {name} {channel} is being retried. {error}"))
            }
            ToldResult::Failed { error } => {
                ("failed", format!("Message to {name} {channel} was not delivered. {error}"))
            }
        };
        EntryRow { at_ms: told.at_ms, status, words, is_note: false, actor: None, webhook: None }
    }
}

/// Icon and colour of an entry.
fn status(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::FirstFailure
        | EntryKind::Opened
        | EntryKind::Joined
        | EntryKind::FailingAgain
        | EntryKind::Reopened
        | EntryKind::TestFailed => "failed",
        EntryKind::CauseChanged | EntryKind::CertificateEnding => "warn",
        EntryKind::Disabled => "disabled",
        EntryKind::Paused => "paused",
        EntryKind::Resumed => "active",
        EntryKind::TestDelivered | EntryKind::Recovered | EntryKind::CertificateRenewed => "ok",
        EntryKind::Note => "edit",
        EntryKind::Deleted | EntryKind::Moved | EntryKind::Muted | EntryKind::Unmuted | EntryKind::LeftOut => "info",
    }
}

/// `GET /incidents/{id}?webhook=`; with `test=`, the result of a test.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<IncidentPage, PageError> {
    page(session, db, id, session.query.given("webhook"), session.query.given("test"))
}

fn page(
    session: &Session,
    db: &Connection,
    id: &str,
    webhook: Option<&str>,
    test: Option<&str>,
) -> Result<IncidentPage, PageError> {
    let incident = lookup::incident(db, &session.caller(), id)?;
    let webhooks = read::members(db, incident.seq, session.tenant(), MAX_WEBHOOKS)?;
    let seq = match webhook {
        Some(id) => Some(lookup::webhook(db, &session.caller(), id)?.seq),
        None => webhooks.iter().find(|member| !member.is_deleted).map(|member| member.webhook_seq),
    };
    let chosen = match seq {
        Some(seq) => webhook::by_seq(db, seq)?.map(|webhook| chosen(session, db, webhook)).transpose()?,
        None => None,
    };
    let test = match (&chosen, test) {
        (Some(chosen), Some(test)) => Some(test_outcome(session, db, &chosen.webhook, test)?),
        _ => None,
    };
    let has_several = incident.webhooks > 1;
    let entries = entry::timeline(db, incident.seq, session.tenant())?.into_iter();
    let mut timeline: Vec<EntryRow> = entries.map(|entry| EntryRow::of(entry, session, has_several)).collect();
    timeline.extend(message::told_of(db, incident.seq, session.tenant(), MAX_TOLD)?.into_iter().map(EntryRow::from));
    timeline.sort_by_key(|row| row.at_ms);
    let frame = session.frame(db, format!("{} · Incident", incident.host), Section::Incidents)?;
    Ok(IncidentPage {
        frame: frame.with_api("GET", &format!("/v1/incidents/{}", incident.id)),
        timeline,
        incident,
        webhooks,
        chosen,
        test,
        note: String::new(),
        errors: FormErrors::default(),
    })
}

fn chosen(session: &Session, db: &Connection, webhook: Webhook) -> Result<Chosen, PageError> {
    let waiting = stats::waiting(db, &Of::Webhook(webhook.seq))?;
    let dead_letters = read::count_dead_letters(db, webhook.seq, MAX_COUNTED)?;
    let mut affected = Vec::new();
    for status in [DeliveryStatus::Failed, DeliveryStatus::Retrying] {
        let filter = DeliveryFilter {
            statuses: status.into(),
            webhooks: webhook.id.into(),
            test: Some(false),
            ..DeliveryFilter::default()
        };
        affected.extend(delivery::list(db, &filter, &PageRequest { limit: MAX_DELIVERIES, cursor: None })?.rows);
    }
    affected.sort_by_key(|delivery| delivery.last.as_ref().map(|last| -last.at_ms));
    affected.truncate(MAX_DELIVERIES as usize);
    let exchange = affected.first().map(|delivery| exchange(session, db, delivery)).transpose()?.flatten();
    let table = DeliveryTable::read(db, affected, format!("webhook={}", webhook.id))?;
    Ok(Chosen {
        condition: read::condition(db, webhook.seq)?,
        waiting: waiting.pending + waiting.retrying,
        dead_letters,
        dead_letters_text: match dead_letters {
            count if count >= u64::from(MAX_COUNTED) => format!("{} or more", humanize::number(count)),
            count => humanize::number(count),
        },
        exchange,
        table: DeliveryTable { has_webhook: false, ..table },
        until: rfc3339(session.now() + 1),
        webhook,
    })
}

/// The last attempt of a delivery, in full.
fn exchange(session: &Session, db: &Connection, delivery: &Delivery) -> Result<Option<AttemptDetail>, PageError> {
    let event = event::by_seq(db, delivery.event_seq)?;
    let mut last = attempt::last(db, delivery.seq, event.as_ref().and_then(event::StoredEvent::whole))?;
    lookup::mask_signatures(db, &session.caller(), &mut last)?;
    let path = format!("/deliveries/{}", delivery.id);
    Ok(last.map(|attempt| AttemptDetail::of(&attempt, Some(path), session.now())))
}

fn test_outcome(session: &Session, db: &Connection, webhook: &Webhook, id: &str) -> Result<TestOutcome, PageError> {
    let DeliveryInFull { delivery, attempts, .. } = lookup::delivery_in_full(db, &session.caller(), id)?;
    if delivery.webhook_seq != webhook.seq || delivery.cause != Cause::Test {
        return Err(PageError::not_found("test of this webhook"));
    }
    let profiles = session.app.actions.store.profiles();
    // A profile in use cannot be deleted; the default only satisfies the type.
    let profile = profiles.find(&webhook.profile).unwrap_or_else(crate::profile::standard);
    let (attempt, now) = (attempts.last(), session.now());
    Ok(TestOutcome {
        delivery: delivery.id.to_string(),
        is_good: delivery.status == DeliveryStatus::Delivered,
        verdict: explain::explain(&delivery, attempt, webhook, &profile, None, now, session.zone()),
        attempt: attempt.map(|attempt| AttemptDetail::of(attempt, Some(format!("/deliveries/{}", delivery.id)), now)),
    })
}

/// `POST /incidents/{id}/test` with `webhook`: sends a test event and redirects to its result.
pub fn test(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let webhook = fields.text("webhook");
    session.read(|db| {
        lookup::incident(db, &session.caller(), id)?;
        Ok(lookup::webhook(db, &session.caller(), webhook)?)
    })?;
    let path = format!("/incidents/{id}?webhook={webhook}");
    match session.app.actions.test_webhook(&session.caller(), webhook, TestEvent::default()) {
        Ok(sent) => {
            let path = format!("{path}&test={}#result", sent.delivery.id);
            Ok(Response::To(format!("{}{path}", session.base()), None))
        }
        Err(error) => Ok(session.refused(&path, problem(error)?.message)),
    }
}

/// `POST /incidents/{id}/notes`.
pub fn add_note(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    match session.app.actions.add_note(&session.caller(), id, fields.text("text")).wait() {
        Ok(()) => Ok(session.done(&format!("/incidents/{id}#timeline"), "Note added.")),
        Err(error @ ActionError::NotFound(_)) => Err(error.into()),
        Err(error) => {
            let errors = problem(error)?.into();
            let page = session.read(|db| page(session, db, id, None, None))?;
            Ok(Response::again(&IncidentPage { errors, note: fields.text("text").to_owned(), ..page }))
        }
    }
}

/// `POST /incidents/{id}/mute` with `muted`, `yes` or `no`.
pub fn mute(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let is_muted = fields.text("muted") != "no";
    session.app.actions.mute_incident(&session.caller(), id, is_muted).wait()?;
    let message = if is_muted { "Muted. Nobody is told about this incident." } else { "Unmuted." };
    Ok(session.done(&format!("/incidents/{id}"), message))
}

impl IncidentPage {
    fn is_open(&self) -> bool {
        self.incident.closed_ms.is_none()
    }

    /// State of the incident, as the badge shows it.
    fn status(&self) -> &'static str {
        match (self.is_open(), self.incident.failing) {
            (false, _) => "ok",
            (true, 0) => "warn",
            (true, _) if self.incident.is_certificate => "warn",
            (true, _) => "failed",
        }
    }

    /// Query of the list with the queued deliveries; `None` if a filter does not take all webhooks of the incident.
    fn queued_query(&self) -> Option<String> {
        let ids: Vec<String> =
            self.webhooks.iter().map(|member| Some(member.webhook.as_ref()?.id.to_string())).collect::<Option<_>>()?;
        let is_whole = ids.len() as u64 == self.incident.webhooks && ids.len() <= several::MOST;
        is_whole.then(|| format!("webhook={}&status=pending,retrying&test=false", ids.join(",")))
    }

    fn plus(&self) -> &'static str {
        if self.incident.is_partial { "+" } else { "" }
    }
}
