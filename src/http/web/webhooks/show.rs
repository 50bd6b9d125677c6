//! `/webhooks/{id}`: its last deliveries, and its settings.

use actix_web::web::Path;
use askama::Template;

use super::super::error::PageError;
use super::form::SchedulePreview;
use super::header;
use crate::actions::delivery::explain;
use crate::domain::delivery::Cause;
use crate::domain::duration_list;
use crate::domain::header::shown;
use crate::domain::retry::{Exhausted, Gone, Schedule};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::http::web::webhooks::header::{Head, Tab};
use crate::profile::Profile;
use crate::store::delivery::{self, Delivery, DeliveryFilter};
use crate::store::page::PageRequest;
use crate::text::explanation;

/// Deliveries shown; the rest is in their own list.
const SHOWN: u32 = 20;

#[derive(Template)]
#[template(path = "webhooks/deliveries.html")]
struct DeliveriesPage {
    frame: Frame,
    head: Head,
    rows: Vec<RecentDelivery>,
    has_more: bool,
}

struct RecentDelivery {
    id: String,
    event_type: String,
    status: &'static str,
    is_test: bool,
    /// What the last attempt brought, in a few words.
    result: Option<String>,
    attempts: u32,
    next_ms: Option<Millis>,
    created_ms: Millis,
}

impl RecentDelivery {
    fn of(delivery: Delivery, url: &str) -> RecentDelivery {
        let waits = !delivery.status.is_finished() && delivery.webhook_state.waiting_for().is_none();
        RecentDelivery {
            id: delivery.id.to_string(),
            event_type: delivery.event_type.to_string(),
            status: delivery.status.into_str(),
            is_test: delivery.cause == Cause::Test,
            result: delivery.last.as_ref().map(|last| explanation::short(&explain::last_of(last, url))),
            attempts: delivery.attempt_count,
            next_ms: delivery.due_ms.filter(|_| waits),
            created_ms: delivery.created_ms,
        }
    }
}

/// `GET /webhooks/{id}`.
pub async fn deliveries(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| deliveries_page(session, &id)).await
}

fn deliveries_page(session: &Session, id: &str) -> Result<DeliveriesPage, PageError> {
    let webhook = header::find(session, id)?;
    let filter = DeliveryFilter { webhook: Some(webhook.id), ..DeliveryFilter::default() };
    let request = PageRequest { limit: SHOWN, cursor: None };
    let store = &session.app.actions.store;
    let found = store.read(|connection| delivery::list(connection, &filter, &request))?;
    let head = Head::of(session, &webhook, Tab::Deliveries);
    let frame = session.read(|db| session.frame(db, head.name.clone(), Section::Webhooks))?;
    let url = webhook.url.as_str();
    Ok(DeliveriesPage {
        frame: frame.with_api("GET", &format!("/v1/deliveries?webhook_id={}", webhook.id)),
        head,
        has_more: found.next.is_some(),
        rows: found.rows.into_iter().map(|row| RecentDelivery::of(row, url)).collect(),
    })
}

#[derive(Template)]
#[template(path = "webhooks/settings.html")]
struct SettingsPage {
    frame: Frame,
    head: Head,
    facts: Facts,
    preview: Option<SchedulePreview>,
}

/// The settings in words.
struct Facts {
    description: String,
    events: Vec<String>,
    profile: String,
    profile_title: String,
    timeout_s: u32,
    max_in_flight: u32,
    rate_limit_per_s: Option<u32>,
    ordered: bool,
    standard_headers: bool,
    /// Names, and values as far as they are no secrets.
    headers: Vec<(String, String)>,
    has_own_retry: bool,
    delays: String,
    exhausted: &'static str,
    gone: &'static str,
    created_ms: Millis,
    updated_ms: Millis,
    verified: Option<String>,
}

impl Facts {
    fn of(webhook: &Webhook, profile: Option<&Profile>, schedule: Option<&Schedule>) -> Facts {
        let headers = webhook.headers.iter();
        Facts {
            description: webhook.description.clone(),
            events: webhook.events.iter().map(ToString::to_string).collect(),
            profile: webhook.profile.clone(),
            profile_title: profile.map_or_else(String::new, |profile| profile.spec().title.clone()),
            timeout_s: webhook.limits.timeout_s,
            max_in_flight: webhook.limits.max_in_flight,
            rate_limit_per_s: webhook.limits.rate_limit_per_s,
            ordered: webhook.ordered,
            standard_headers: webhook.standard_headers,
            headers: headers.map(|(name, value)| (name.to_owned(), shown(name, value).to_owned())).collect(),
            has_own_retry: webhook.retry.is_some(),
            delays: schedule.map_or_else(String::new, |schedule| duration_list::text(schedule.delays())),
            exhausted: match schedule.map(|schedule| schedule.exhausted) {
                Some(Exhausted::Disable) => {
                    "The delivery becomes a dead letter, and the webhook is disabled unless another delivery got through meanwhile."
                }
                _ => "The delivery becomes a dead letter; the webhook goes on.",
            },
            gone: match profile.map(Profile::gone) {
                Some(Gone::Disable) => "The webhook is disabled at once.",
                _ => "It is a failure as any other.",
            },
            created_ms: webhook.created_ms,
            updated_ms: webhook.updated_ms,
            verified: webhook.verified_url.clone(),
        }
    }
}

/// `GET /webhooks/{id}/settings`.
pub async fn settings(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| settings_page(session, &id)).await
}

fn settings_page(session: &Session, id: &str) -> Result<SettingsPage, PageError> {
    let webhook = header::find(session, id)?;
    let profile = session.app.actions.store.profiles().find(&webhook.profile);
    let profile = profile.as_deref();
    let schedule = webhook.retry.as_ref().or(profile.map(Profile::schedule));
    let head = Head::of(session, &webhook, Tab::Settings);
    let frame = session.read(|db| session.frame(db, format!("{}: settings", head.name), Section::Webhooks))?;
    Ok(SettingsPage {
        frame: frame.with_api("GET", &format!("/v1/webhooks/{}", webhook.id)),
        head,
        facts: Facts::of(&webhook, profile, schedule),
        preview: schedule.map(|schedule| SchedulePreview::of(schedule, session.now())),
    })
}
