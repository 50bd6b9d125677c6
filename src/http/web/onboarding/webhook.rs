//! `/setup/webhook`: creates the first webhook, to the built-in inbox or another URL, and sends a test event.

use std::time::{Duration, Instant};

use crate::actions::ActionError;
use crate::actions::test_event::TestEvent;
use crate::auth::role::Action;
use crate::domain::Invalid;
use crate::domain::target::{AllowEntry, TargetUrl};
use crate::domain::webhook::{WebhookSettings, parse_events, parse_url};
use crate::http::web::password_again;
use crate::http::web::webhooks::form::known_profiles;
use crate::http::web::{Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem};

/// Maximum wait for a name server.
const LOOKUP: Duration = Duration::from_secs(2);

#[derive(Template)]
#[template(path = "onboarding/webhook.html")]
pub struct WebhookPage {
    frame: Frame,
    /// Whether the built-in inbox is chosen.
    to_inbox: bool,
    url: String,
    events: String,
    profile: String,
    profiles: Vec<(String, String)>,
    /// Target that an administrator can allow, since it was refused.
    opens: Option<AllowEntry>,
    errors: FormErrors,
}

impl WebhookPage {
    const FIELDS: &[&str] = &["url", "events", "profile"];
}

fn webhook_page(session: &Session, fields: &Fields, errors: FormErrors) -> Result<WebhookPage, PageError> {
    Ok(WebhookPage {
        frame: session.read(|db| session.frame(db, "Your first webhook", Section::None))?,
        to_inbox: fields.text("target") != "own",
        url: fields.text("url").to_owned(),
        events: fields.given("events").unwrap_or("*").to_owned(),
        profile: fields.given("profile").unwrap_or(&session.app.actions.default_profile).to_owned(),
        profiles: known_profiles(session),
        opens: session.may(Action::Administer).then(|| refused_target(session, fields, &errors)).flatten(),
        errors,
    })
}

/// Returns the entry that would open the typed URL, if it was refused and one can.
fn refused_target(session: &Session, fields: &Fields, errors: &FormErrors) -> Option<AllowEntry> {
    let url: TargetUrl = fields.text("url").trim().parse().ok().filter(|_| errors.of("url").is_some())?;
    let refusal = session.app.actions.guard.check_new(&url, Instant::now() + LOOKUP).err()?;
    let entry = refusal.opened_by()?.clone().on_port(url.port());
    (!entry.names_metadata()).then_some(entry)
}

/// `GET /setup/webhook`.
pub fn show(session: &Session) -> Result<WebhookPage, PageError> {
    session.require_shared_change()?;
    webhook_page(session, &Fields::default(), FormErrors::default())
}

/// `POST /setup/webhook`: creates the webhook, sends a test event, and redirects to the result.
pub fn create(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    session.require_shared_change()?;
    if let Some(entry) = fields.given("allow") {
        session.require(Action::Administer)?;
        if let Some(question) = password_again::ask(session, fields)? {
            return Ok(question);
        }
        if let Err(error) = allow(session, fields, entry) {
            return Ok(Response::again(&webhook_page(session, fields, problem(error)?.into())?));
        }
    }
    match create_webhook(session, fields) {
        Ok(id) => send_test(session, &id),
        Err(error) => Ok(Response::again(&webhook_page(session, fields, problem(error)?.into())?)),
    }
}

/// Allows the target that the form offered, if it still is what the URL needs and the rest of the form is valid.
fn allow(session: &Session, fields: &Fields, entry: &str) -> Result<(), ActionError> {
    parse_events(&event_texts(fields))?;
    let url: TargetUrl = parse_url(fields.text("url").trim())?;
    let actions = &session.app.actions;
    let Err(refusal) = actions.guard.check_new(&url, Instant::now() + LOOKUP) else { return Ok(()) };
    match refusal.opened_by().map(|entry| entry.clone().on_port(url.port())) {
        Some(needed) if needed.to_string() == entry => actions.allow_target(&session.caller(), needed).wait(),
        // The form is shown again, with what the URL needs now.
        _ => Ok(()),
    }
}

fn event_texts(fields: &Fields) -> Vec<String> {
    let patterns = fields.text("events").split([',', '\n', ' ']);
    patterns.map(str::trim).filter(|pattern| !pattern.is_empty()).map(str::to_owned).collect()
}

fn create_webhook(session: &Session, fields: &Fields) -> Result<String, ActionError> {
    let actions = &session.app.actions;
    let caller = session.caller();
    let url = match fields.text("target") {
        "own" => fields.text("url").trim().to_owned(),
        _ if fields.given("url").is_some() => {
            let message =
                "A URL is filled in, but the built-in inbox is selected. Select My own URL, or clear the field.";
            return Err(Invalid::new("ignored_value", message).in_field("url").into());
        }
        _ => {
            let inbox = actions.open_inbox(&caller, None).wait()?;
            session.app.site.url(&format!("/in/{}", inbox.token))
        }
    };
    let settings = WebhookSettings {
        url: Some(url),
        events: Some(event_texts(fields)),
        profile: fields.given("profile").map(str::to_owned),
        ..WebhookSettings::default()
    };
    Ok(actions.create_webhook(&caller, settings)?.id.to_string())
}

fn send_test(session: &Session, webhook_id: &str) -> Result<Response, PageError> {
    let sent = session.app.actions.test_webhook(&session.caller(), webhook_id, TestEvent::default())?;
    Ok(Response::To(format!("{}/setup/done?delivery={}", session.base(), sent.delivery.id), None))
}

/// `POST /setup/test`: sends another test event to the same webhook.
pub fn test_again(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    session.require_shared_change()?;
    send_test(session, fields.text("webhook"))
}
