//! `/webhooks/{id}`: the latest deliveries. `/webhooks/{id}/settings`: the settings.

use super::auth::AuthFacts;
use super::form::SchedulePreview;
use super::header::{self, Head, Tab};
use super::signing;
use super::tls::{self, CertificateFacts};
use crate::domain::duration_list;
use crate::domain::header::shown;
use crate::domain::retry::{Exhausted, Gone};
use crate::domain::webhook::Webhook;
use crate::http::web::deliveries::rows::DeliveryTable;
use crate::http::web::strip::Strip;
use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::profile::Profile;
use crate::store::delivery::{self, DeliveryFilter};
use crate::store::page::PageRequest;

/// Latest deliveries on the page. The list of deliveries has all.
const MAX_DELIVERIES: u32 = 20;

#[derive(Template)]
#[template(path = "webhooks/deliveries.html")]
pub struct WebhookPage {
    frame: Frame,
    head: Head,
    strip: Strip,
    table: DeliveryTable,
    has_more: bool,
}

/// `GET /webhooks/{id}`.
pub fn deliveries(session: &Session, db: &Connection, id: &str) -> Result<WebhookPage, PageError> {
    let webhook = header::find(session, db, id)?;
    let filter = DeliveryFilter { webhooks: webhook.id.into(), ..DeliveryFilter::default() };
    let page = delivery::list(db, &filter, &PageRequest { limit: MAX_DELIVERIES, cursor: None })?;
    let table = DeliveryTable::read(db, page.rows, format!("webhook={}", webhook.id))?;
    let head = Head::read(session, db, &webhook, Tab::Deliveries)?;
    let frame = session.frame(db, head.title(""), Section::Webhooks)?;
    Ok(WebhookPage {
        frame: frame.with_api("GET", &format!("/v1/deliveries?webhook_id={}", webhook.id)),
        head,
        strip: Strip::read(db, webhook.seq, &webhook.id.to_string(), session.now(), session.zone())?,
        table: DeliveryTable { has_webhook: false, ..table },
        has_more: page.next.is_some(),
    })
}

#[derive(Template)]
#[template(path = "webhooks/settings.html")]
pub struct SettingsPage {
    frame: Frame,
    head: Head,
    webhook: Webhook,
    profile_title: String,
    signing: &'static str,
    /// Custom headers; secret values are masked.
    headers: Vec<(String, String)>,
    auth: Option<AuthFacts>,
    certificates: Vec<CertificateFacts>,
    delays: String,
    exhausted: &'static str,
    gone: &'static str,
    preview: Option<SchedulePreview>,
}

/// `GET /webhooks/{id}/settings`.
pub fn settings(session: &Session, db: &Connection, id: &str) -> Result<SettingsPage, PageError> {
    let webhook = header::find(session, db, id)?;
    let profile = session.app.actions.store.profiles().find(&webhook.profile);
    let profile = profile.as_deref();
    let schedule = webhook.retry.as_ref().or(profile.map(Profile::schedule));
    let head = Head::read(session, db, &webhook, Tab::Settings)?;
    let frame = session.frame(db, head.title("Settings"), Section::Webhooks)?;
    let headers = webhook.headers.iter();
    Ok(SettingsPage {
        frame: frame.with_api("GET", &format!("/v1/webhooks/{}", webhook.id)),
        head,
        profile_title: profile.map_or_else(String::new, |profile| profile.spec().title.clone()),
        signing: signing::label(webhook.signing),
        headers: headers.map(|(name, value)| (name.to_owned(), shown(name, value).to_owned())).collect(),
        auth: AuthFacts::of(&webhook),
        certificates: webhook.tls.as_deref().map_or_else(Vec::new, tls::facts),
        delays: schedule.map_or_else(String::new, |schedule| duration_list::text(schedule.delays())),
        exhausted: match schedule.map(|schedule| schedule.exhausted) {
            Some(Exhausted::Disable) => {
                "The delivery becomes a dead letter. The webhook is disabled, unless another delivery succeeded meanwhile."
            }
            _ => "The delivery becomes a dead letter. The webhook stays active.",
        },
        gone: match profile.map(Profile::gone) {
            Some(Gone::Disable) => "The webhook is disabled at once.",
            _ => "Treated like any other failure.",
        },
        preview: schedule.map(|schedule| SchedulePreview::of(schedule, session.now(), session.zone())),
        webhook,
    })
}
