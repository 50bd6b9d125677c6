//! `/webhooks/new` and `/webhooks/{id}/edit`: the form of a webhook, and the page after its creation.

use actix_web::http::StatusCode;

use super::endpoints::{self, EndpointNeeds};
use super::filter::{self, FilterShown};
use super::form::{KnownType, SchedulePreview, WebhookForm, known_types, profile_choices};
use super::header::{self, Head, Tab};
use super::signing;
use super::template::TemplatePart;
use crate::actions::ActionError;
use crate::domain::signing::Signing;
use crate::domain::webhook::Webhook;
use crate::http::etag;
use crate::http::web::made_of::ChangedPart;
use crate::http::web::{
    Connection, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem, shown_once,
};

/// Fields that are folded away unless they differ from the default.
const ADVANCED: [&str; 7] = ["headers", "auth", "timeout_s", "max_in_flight", "rate_limit_per_s", "signing", "retry"];

#[derive(Template)]
#[template(path = "webhooks/form.html")]
pub struct FormPage {
    frame: Frame,
    /// `None` for a new webhook.
    head: Option<Head>,
    form: WebhookForm,
    types: Vec<KnownType>,
    profiles: Vec<(String, String)>,
    endpoints: Vec<EndpointNeeds>,
    preview: Option<SchedulePreview>,
    filter_shown: FilterShown,
    template: TemplatePart,
    errors: FormErrors,
    /// Settings that were changed after the form was made, if it was not saved for that.
    conflict: Option<Vec<ChangedPart>>,
    /// Source of a copy, and the parts that were not copied.
    note: Option<String>,
    is_advanced: bool,
}

impl FormPage {
    const FIELDS: &[&str] = &[
        "url",
        "events",
        "filter",
        "profile",
        "description",
        "tenant",
        "secret",
        "headers",
        "auth",
        "timeout_s",
        "max_in_flight",
        "rate_limit_per_s",
        "signing",
        "retry",
        "template",
        "tls",
    ];

    /// Path of the form.
    fn action(&self) -> String {
        let base = &self.frame.base;
        self.head.as_ref().map_or_else(|| format!("{base}/webhooks/new"), |head| format!("{base}{}/edit", head.path))
    }
}

/// `previews` opens the preview of the schedule, or shows its error.
fn form_page(
    session: &Session,
    db: &Connection,
    webhook: Option<&Webhook>,
    mut form: WebhookForm,
    mut errors: FormErrors,
    previews: bool,
) -> Result<FormPage, PageError> {
    session.require_change()?;
    form.tls = form.tls.completed(session, webhook.and_then(|webhook| webhook.tls.as_deref()));
    if form.made_of.is_empty() {
        form.made_of = form.marks();
    }
    let profiles = profile_choices(session, db)?;
    if !profiles.iter().any(|(name, _)| *name == form.profile) && session.tenant().is_some() {
        // Its format is none of theirs to see.
        form.profile.clear();
    }
    let preview = match form.preview(session) {
        Err(invalid) if previews && errors.is_empty() => {
            errors = invalid.into();
            None
        }
        preview => preview.ok(),
    };
    let template = TemplatePart::of(session, db, webhook, &form, &mut errors)?;
    let mut errors = errors.with_control("retry", "delays").with_control("tls", "tls_client_certificate");
    if !form.patterns.trim().is_empty() {
        errors = errors.with_control("events", "patterns");
    }
    let title = match webhook {
        Some(webhook) => header::title(&webhook.name(), &webhook.id.to_string(), "Edit"),
        None => "Create webhook".to_owned(),
    };
    let frame = session.frame(db, title, Section::Webhooks)?;
    Ok(FormPage {
        frame: match webhook {
            Some(webhook) => frame.with_api_body(
                "PATCH",
                &format!("/v1/webhooks/{}", webhook.id),
                r#"{"description": "…", "events": ["content.*"]}"#,
            ),
            None => frame.with_api_body(
                "POST",
                "/v1/webhooks",
                r#"{"url": "https://example.com/webhooks", "events": ["content.*"]}"#,
            ),
        },
        head: webhook.map(|webhook| Head::of(session, webhook, Tab::None)),
        types: known_types(session, db)?,
        endpoints: endpoints::known(session, &profiles),
        profiles,
        is_advanced: previews
            || form.is_advanced()
            || ADVANCED.iter().any(|field| errors.of(field).is_some())
            || errors.of("tls").is_some(),
        preview,
        filter_shown: FilterShown { is_open: form.filter.is_given() || errors.of("filter").is_some(), tried: None },
        template,
        errors,
        conflict: None,
        note: None,
        form,
    })
}

/// Responds with the form and the error of an attempt to save it.
fn again(
    session: &Session,
    webhook: Option<&Webhook>,
    form: WebhookForm,
    error: ActionError,
) -> Result<Response, PageError> {
    let errors = problem(error)?.into();
    Ok(Response::again(&session.read(|db| form_page(session, db, webhook, form, errors, false))?))
}

/// Responds with the form and the preview of its schedule or of a request.
fn preview(session: &Session, webhook: Option<&Webhook>, form: WebhookForm) -> Result<Response, PageError> {
    let page = session.read(|db| {
        let of_schedule = form.body.sample.is_none();
        form_page(session, db, webhook, form, FormErrors::default(), of_schedule)
    })?;
    Ok(if page.errors.is_empty() { Response::ok(&page) } else { Response::again(&page) })
}

/// Responds with the form after a button of its filter was pressed.
fn filter_pressed(
    session: &Session,
    webhook: Option<&Webhook>,
    mut form: WebhookForm,
    fields: &Fields,
) -> Result<Response, PageError> {
    match filter::press(session, webhook, &mut form, fields) {
        Ok(filter_shown) => {
            let page = session.read(|db| form_page(session, db, webhook, form, FormErrors::default(), false))?;
            Ok(Response::ok(&FormPage { filter_shown, ..page }))
        }
        Err(error) => again(session, webhook, form, error),
    }
}

/// Form with the settings of a stored webhook.
fn filled(session: &Session, db: &Connection, webhook: &Webhook) -> Result<WebhookForm, PageError> {
    let profile = session.app.actions.store.profiles().find(&webhook.profile);
    let schedule = profile.as_deref().map(|profile| profile.schedule());
    Ok(WebhookForm::of_webhook(webhook, &known_types(session, db)?, schedule))
}

/// `GET /webhooks/new?from=wh_…&event=&url=`.
pub fn blank(session: &Session, db: &Connection) -> Result<FormPage, PageError> {
    let default = &*session.app.actions.default_profile;
    let profiles = profile_choices(session, db)?;
    let usual = profiles.iter().find(|(name, _)| name == default).or(profiles.first());
    let (mut form, mut note) = (WebhookForm::blank(usual.map_or(default, |(name, _)| name)), None);
    if let Some(id) = session.query.given("from") {
        let webhook = header::find(session, db, id)?;
        form = filled(session, db, &webhook)?;
        let masked = form.drop_masked();
        let credential = form.auth.drop_stored().map(|secret| format!(", {secret}")).unwrap_or_default();
        let values =
            if masked.is_empty() { String::new() } else { format!(" and the values of {}", masked.join(", ")) };
        let tls = if webhook.tls.is_some() { ", its certificates" } else { "" };
        note = Some(format!("Copied from {}, except for the secret{credential}{tls}{values}.", webhook.name()));
    } else {
        session.query.text("event").clone_into(&mut form.patterns);
        session.query.text("url").clone_into(&mut form.url);
    }
    Ok(FormPage { note, ..form_page(session, db, None, form, FormErrors::default(), false)? })
}

/// `GET /webhooks/{id}/edit`.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<FormPage, PageError> {
    let webhook = header::find(session, db, id)?;
    let form = filled(session, db, &webhook)?;
    form_page(session, db, Some(&webhook), form, FormErrors::default(), false)
}

/// `POST /webhooks/new`; with `preview`, shows the schedule or a request instead, and with a button of the filter, its rows
/// or result.
pub fn create(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let form = WebhookForm::of_fields(fields);
    if fields.has("preview") {
        return preview(session, None, form);
    }
    if filter::is_pressed(fields) {
        return filter_pressed(session, None, form, fields);
    }
    let settings = form.new_settings(session.tenant().is_none()).map_err(ActionError::from);
    let created = settings.and_then(|settings| session.app.actions.create_webhook(&session.caller(), settings));
    match created {
        Ok(webhook) => created_page(session, &webhook),
        Err(error) => again(session, None, form, error),
    }
}

/// `POST /webhooks/{id}/edit`; with `preview`, shows the schedule or a request instead. If the profile has a challenge and the URL
/// or the profile changes, the endpoint is challenged first.
pub fn change(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let webhook = session.read(|db| header::find(session, db, id))?;
    let mut form = WebhookForm::of_fields(fields);
    if fields.has("preview") {
        return preview(session, Some(&webhook), form);
    }
    if filter::is_pressed(fields) {
        return filter_pressed(session, Some(&webhook), form, fields);
    }
    let changed = rebase(session, &webhook, &mut form)?;
    if !changed.is_empty() {
        return conflict(session, &webhook, form, changed);
    }
    let settings = form.settings().map_err(ActionError::from);
    let (actions, caller) = (&session.app.actions, session.caller());
    let changed = settings.and_then(|settings| actions.change_webhook(&caller, id, settings, etag::still(&webhook)));
    match changed {
        Ok(webhook) => Ok(session.done(&format!("/webhooks/{}/settings", webhook.id), "Saved.")),
        Err(ActionError::Changed) => {
            let webhook = session.read(|db| header::find(session, db, id))?;
            let changed = rebase(session, &webhook, &mut form)?;
            conflict(session, &webhook, form, changed)
        }
        Err(error) => again(session, Some(&webhook), form, error),
    }
}

/// Returns what was changed after the form was made. The form takes it where the visitor changed nothing.
fn rebase(session: &Session, webhook: &Webhook, form: &mut WebhookForm) -> Result<Vec<ChangedPart>, PageError> {
    let completed =
        |form: WebhookForm| WebhookForm { tls: form.tls.clone().completed(session, webhook.tls.as_deref()), ..form };
    let stored = completed(session.read(|db| filled(session, db, webhook))?);
    *form = completed(std::mem::take(form));
    Ok(form.rebase(&stored))
}

/// Responds with the form and what was changed after it was made.
fn conflict(
    session: &Session,
    webhook: &Webhook,
    form: WebhookForm,
    changed: Vec<ChangedPart>,
) -> Result<Response, PageError> {
    let page = session.read(|db| form_page(session, db, Some(webhook), form, FormErrors::default(), false))?;
    Ok(Response::page(StatusCode::CONFLICT, &FormPage { conflict: Some(changed), is_advanced: true, ..page }))
}

/// Page after the creation: the secret, shown once, and the next step.
#[derive(Template)]
#[template(path = "webhooks/created.html")]
struct CreatedPage {
    frame: Frame,
    head: Head,
    secret: String,
    signing: Signing,
    public_key: Option<String>,
    /// Encoding for Standard Webhooks libraries, if it differs.
    standard_secret: Option<String>,
}

fn created_page(session: &Session, webhook: &Webhook) -> Result<Response, PageError> {
    let secret = webhook.secret.as_str().to_owned();
    let page = CreatedPage {
        frame: session.read(|db| session.frame(db, "Webhook created", Section::Webhooks))?,
        head: Head::of(session, webhook, Tab::None),
        standard_secret: Some(webhook.secret.standard_form()).filter(|standard| *standard != secret),
        secret,
        signing: webhook.signing,
        public_key: webhook.key_pair.as_ref().map(|pair| pair.public_key().to_string()),
    };
    Ok(shown_once::redirect(session, &page, &format!("/webhooks/{}", webhook.id)))
}
