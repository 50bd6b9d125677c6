//! `/contacts/new` and `/contacts/{id}`: a contact, its test, and its settings in one form.

use actix_web::http::StatusCode;

use super::form::{ContactForm, KnownTopic, errors, known_topics};
use super::section;
use crate::actions::ActionError;
use crate::actions::contact::ContactInFull;
use crate::actions::contact::test::ContactTest;
use crate::actions::lookup;
use crate::actions::unchanged::Unchanged;
use crate::domain::contact::Health;
use crate::http::etag;
use crate::http::web::made_of::ChangedPart;
use crate::http::web::webhooks::endpoints::{self, EndpointNeeds};
use crate::http::web::webhooks::form::profile_choices;
use crate::http::web::{
    Confirm, Connection, Fields, FormErrors, Frame, PageError, Response, Session, Template, problem, shown_once,
};

#[derive(Template)]
#[template(path = "contacts/show.html")]
pub struct ContactPage {
    frame: Frame,
    /// `None` for a new contact.
    full: Option<ContactInFull>,
    health: Option<Health>,
    form: ContactForm,
    topics: Vec<KnownTopic>,
    profiles: Vec<(String, String)>,
    endpoints: Vec<EndpointNeeds>,
    /// Whether e-mails can be sent.
    has_mail: bool,
    test: Option<ContactTest>,
    /// Secret of the webhook of a contact that was just created.
    secret: Option<String>,
    errors: FormErrors,
    /// Settings that were changed after the form was made.
    conflict: Option<Vec<ChangedPart>>,
}

impl ContactPage {
    const FIELDS: &[&str] = &[
        "name",
        "email",
        "url",
        "profile",
        "headers",
        "scope_tenant",
        "scope_webhooks",
        "topics",
        "quiet_from",
        "quiet_to",
        "quiet_zone",
    ];

    fn path(&self) -> String {
        self.full.as_ref().map_or_else(|| "/contacts/new".to_owned(), |full| format!("/contacts/{}", full.contact.id))
    }

    fn has_quiet_problem(&self) -> bool {
        ["quiet_from", "quiet_to", "quiet_zone"].iter().any(|field| self.errors.of(field).is_some())
    }
}

fn page(
    session: &Session,
    db: &Connection,
    full: Option<ContactInFull>,
    form: ContactForm,
    errors: FormErrors,
) -> Result<ContactPage, PageError> {
    let title = full.as_ref().map_or_else(|| "Create contact".to_owned(), |full| full.contact.name.clone());
    let frame = session.frame(db, title, section(session))?;
    let mut profiles = profile_choices(session, db)?;
    let own = full.as_ref().and_then(|full| full.webhook.as_ref()).map(|webhook| &webhook.profile);
    if let Some(own) = own.filter(|own| profiles.iter().all(|(name, _)| name != *own)) {
        profiles.push((own.clone(), own.clone()));
    }
    let owner = full.as_ref().map_or(session.tenant(), |full| full.contact.tenant.as_ref());
    Ok(ContactPage {
        frame: match &full {
            Some(full) => frame.with_api("GET", &format!("/v1/contacts/{}", full.contact.id)),
            None => frame.with_api_body(
                "POST",
                "/v1/contacts",
                r#"{"name": "On call", "webhook": {"url": "https://hooks.slack.com/services/…", "profile": "slack"}}"#,
            ),
        },
        health: full.as_ref().map(|full| full.contact.health(session.now())),
        topics: known_topics(owner),
        endpoints: endpoints::known(session, &profiles),
        profiles,
        has_mail: session.app.actions.mailer.is_configured(),
        test: None,
        secret: None,
        full,
        form,
        errors,
        conflict: None,
    })
}

fn stored(session: &Session, id: &str) -> Result<ContactInFull, PageError> {
    session.read(|db| Ok(lookup::contact_in_full(db, &session.caller(), id)?))
}

fn base_url(session: &Session) -> String {
    session.app.site.url("")
}

/// `GET /contacts/new`.
pub fn blank(session: &Session, db: &Connection) -> Result<ContactPage, PageError> {
    session.require_change()?;
    page(session, db, None, ContactForm::blank(session), FormErrors::default())
}

/// `GET /contacts/{id}`.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<ContactPage, PageError> {
    let full = lookup::contact_in_full(db, &session.caller(), id)?;
    let form = ContactForm::of_contact(&full);
    page(session, db, Some(full), form, FormErrors::default())
}

fn again(
    session: &Session,
    full: Option<ContactInFull>,
    form: ContactForm,
    error: ActionError,
) -> Result<Response, PageError> {
    let errors = errors(problem(error)?);
    Ok(Response::again(&session.read(|db| page(session, db, full, form, errors))?))
}

/// `POST /contacts/new`. The secret of a webhook is shown once.
pub fn create(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let form = ContactForm::of_fields(fields);
    let settings = form.settings(session).map_err(ActionError::from);
    let created = settings
        .and_then(|settings| session.app.actions.create_contact(&session.caller(), &settings, &base_url(session)));
    let full = match created {
        Ok(full) => full,
        Err(error) => return again(session, None, form, error),
    };
    let path = format!("/contacts/{}", full.contact.id);
    let Some(webhook) = &full.webhook else {
        let message = match full.contact.is_reachable() {
            true => "Contact created. Send a test message.",
            false => "Contact created. Open the link in the e-mail to confirm the address.",
        };
        return Ok(session.done(&path, message));
    };
    let secret = Some(webhook.secret.as_str().to_owned());
    let form = ContactForm::of_contact(&full);
    let shown = session.read(|db| page(session, db, Some(full), form, FormErrors::default()))?;
    Ok(shown_once::redirect(session, &ContactPage { secret, ..shown }, &path))
}

/// `POST /contacts/{id}`.
pub fn change(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let full = stored(session, id)?;
    let form = ContactForm { is_webhook: full.webhook.is_some(), ..ContactForm::of_fields(fields) };
    if !form.changed_meanwhile(&ContactForm::of_contact(&full)).is_empty() {
        return conflict(session, id, form);
    }
    let settings = form.settings(session).map_err(ActionError::from);
    let changed = settings.and_then(|settings| {
        let (caller, still) = (session.caller(), etag::still(&full));
        session.app.actions.change_contact_by(&caller, id, move |_| Ok(settings.clone()), still, &base_url(session))
    });
    match changed {
        Ok(changed) if !changed.contact.is_reachable() => {
            let message = "Saved. Open the link in the e-mail to confirm the address.";
            Ok(session.done(&format!("/contacts/{id}"), message))
        }
        Ok(_) => Ok(session.done(&format!("/contacts/{id}"), "Saved.")),
        Err(ActionError::Changed) => conflict(session, id, form),
        Err(error) => again(session, Some(full), form, error),
    }
}

/// Responds to a save of a form after somebody else changed the contact: with both values of each field.
fn conflict(session: &Session, id: &str, mut form: ContactForm) -> Result<Response, PageError> {
    let full = stored(session, id)?;
    let stored = ContactForm::of_contact(&full);
    let changed = form.changed_meanwhile(&stored);
    form.take(stored, &changed);
    let shown = session.read(|db| page(session, db, Some(full), form, FormErrors::default()))?;
    Ok(Response::page(StatusCode::CONFLICT, &ContactPage { conflict: Some(changed), ..shown }))
}

/// `POST /contacts/{id}/test`: the result on the contact's page.
pub fn test(session: &Session, _: &Fields, id: &str) -> Result<Response, PageError> {
    let tested = session.app.actions.test_contact(&session.caller(), id, &base_url(session));
    let full = stored(session, id)?;
    let form = ContactForm::of_contact(&full);
    match tested {
        Ok(test) => {
            let shown = session.read(|db| page(session, db, Some(full), form, FormErrors::default()))?;
            Ok(Response::ok(&ContactPage { test: Some(test), ..shown }))
        }
        Err(error) => Ok(session.refused(&format!("/contacts/{id}"), problem(error)?.message)),
    }
}

/// `POST /contacts/{id}/confirmation`.
pub fn confirm(session: &Session, _: &Fields, id: &str) -> Result<Response, PageError> {
    let path = format!("/contacts/{id}");
    match session.app.actions.send_confirmation(&session.caller(), id, &base_url(session)) {
        Ok(()) => Ok(session.done(&path, "Sent. Open the link in the e-mail within an hour.")),
        Err(error) => Ok(session.refused(&path, problem(error)?.message)),
    }
}

/// `POST /contacts/{id}/delete`, after a question.
pub fn delete(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let full = stored(session, id)?;
    if fields.text("confirmed") != "yes" {
        return Confirm {
            heading: format!("Delete the contact {}?", full.contact.name),
            effect: "It gets no more messages. Messages that wait for it are discarded.".to_owned(),
            action: Some(format!("/contacts/{id}/delete")),
            back: format!("/contacts/{id}"),
            button: "Delete contact".to_owned(),
            is_danger: true,
            ..Confirm::default()
        }
        .show(session, section(session));
    }
    session.app.actions.delete_contact(&session.caller(), id, Unchanged::default()).wait()?;
    Ok(session.done("/contacts", "Contact deleted."))
}
