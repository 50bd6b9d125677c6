//! A webhook made ready to send to: profile resolved, keys prepared, fixed headers laid out.

use std::sync::Arc;

use crate::domain::attempt::FailureCause;
use crate::domain::endpoint_auth::{self, EndpointAuth, OAuth2Client};
use crate::domain::header;
use crate::domain::retry::{Exhausted, Gone, Rules, Schedule};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::profile::body_format::ComposeError;
use crate::profile::sign::{Signed, Signs};
use crate::profile::template::{Scope, Template, TemplateError, Use, WebhookFacts};
use crate::profile::{BodyFormat, Profile, Signer};
use crate::store::DueDelivery;

/// Value of the header `User-Agent`.
pub const USER_AGENT: &str = concat!("Hookpost/", env!("CARGO_PKG_VERSION"));

/// Parts of a webhook that all its attempts share.
pub struct Endpoint {
    pub webhook: Arc<Webhook>,
    /// Host and port, which several webhooks may share.
    pub host: Arc<str>,
    /// Owner of the turns that its requests take: the tenant, or the owner of the contact. Messages to contacts take turns apart from
    /// the deliveries that they are about.
    pub payer: Arc<str>,
    /// `Err` is the fault of the webhook's template, which an earlier version of the program may have accepted.
    body_format: Result<BodyFormat, TemplateError>,
    body_format_definition: Arc<str>,
    content_type: String,
    facts: WebhookFacts,
    signer: Signer,
    /// Headers of the webhook, its authentication included, without those that the profile has come to set since the
    /// webhook was saved.
    own_headers: Vec<(String, String)>,
    oauth2: Option<Arc<OAuth2Client>>,
    schedule: Schedule,
    gone: Gone,
}

/// Request of one attempt.
pub struct Request {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Endpoint {
    pub fn new(webhook: Arc<Webhook>, profile: &Profile) -> Endpoint {
        let signer = Signer::of(&webhook, profile);
        let profile_headers = profile.header_names();
        let is_own = |name: &str| !profile_headers.contains(&name.to_ascii_lowercase());
        let own_headers = webhook.headers.iter().filter(|(name, _)| is_own(name));
        let mut own_headers: Vec<_> = own_headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let auth = webhook.auth.as_ref().filter(|_| is_own(endpoint_auth::HEADER));
        let credentials = auth.and_then(EndpointAuth::header_value);
        own_headers.extend(credentials.map(|value| (endpoint_auth::HEADER.to_owned(), value)));
        let oauth2 = auth.and_then(EndpointAuth::oauth2).cloned();
        let facts = facts(&webhook);
        let content_type = profile.spec().content_type.clone();
        let body_format = body_format(&webhook, profile, &facts);
        let mut schedule = webhook.retry.clone().unwrap_or_else(|| profile.schedule().clone());
        let mut gone = profile.gone();
        if webhook.contact_seq.is_some() {
            // A disabled contact would be told nothing more, also of its own end.
            (schedule.exhausted, gone) = (Exhausted::DeadLetter, Gone::Retry);
        }
        Endpoint {
            own_headers,
            oauth2,
            host: webhook.url.host_key().into(),
            payer: match &webhook.contact_tenant {
                // No tenant has a name with a colon.
                Some(owner) => format!("{}:{owner}", webhook.tenant).into(),
                None => webhook.tenant.as_str().into(),
            },
            body_format_definition: body_format.as_ref().map(BodyFormat::definition).unwrap_or_default().into(),
            body_format,
            content_type,
            facts,
            signer,
            schedule,
            gone,
            webhook,
        }
    }

    /// True for the endpoint of a contact of the operator.
    pub fn is_of_operators_contact(&self) -> bool {
        self.webhook.contact_seq.is_some() && self.webhook.contact_tenant.is_none()
    }

    /// Returns the rules for a failed attempt.
    pub fn rules(&self) -> Rules<'_> {
        Rules { schedule: &self.schedule, gone: self.gone }
    }

    /// Returns the client of a token endpoint whose tokens each request carries.
    pub fn oauth2(&self) -> Option<&Arc<OAuth2Client>> {
        self.oauth2.as_ref()
    }

    /// Format of the bodies; `None` if the webhook's template is not valid.
    pub fn body_format(&self) -> Option<&BodyFormat> {
        self.body_format.as_ref().ok()
    }

    /// Returns the text from which the log composes the body again.
    pub fn body_format_definition(&self) -> &Arc<str> {
        &self.body_format_definition
    }

    /// Returns each signature header with the secret that signs it at `now`.
    pub fn signs(&self, now: Millis) -> Vec<(&str, Signs)> {
        self.signer.signs(now)
    }

    /// Composes and signs an attempt at `at_ms`. Order of the headers: content type, user agent, those of the profile,
    /// the Standard Webhooks ones, those of the webhook. `former` is the format of the delivery's earlier attempts, if it
    /// is not the current one. `Err` is the reason why the request cannot be composed.
    pub fn request(
        &self,
        delivery: &DueDelivery,
        at_ms: Millis,
        former: Option<&BodyFormat>,
    ) -> Result<Request, FailureCause> {
        let format = match former {
            Some(former) => former,
            None => self.body_format.as_ref().map_err(|error| template_failed(error.clone()))?,
        };
        let body = format.compose(&delivery.event).map_err(|error| match error {
            ComposeError::Template(error) => template_failed(error),
            ComposeError::NotJson(error) => FailureCause::ComposeFailed { error: Some(error.to_string()) },
        })?;
        self.request_with(delivery, at_ms, body)
    }

    /// Signs an attempt with this body.
    pub fn request_with(&self, delivery: &DueDelivery, at_ms: Millis, body: Vec<u8>) -> Result<Request, FailureCause> {
        let event = &*delivery.event;
        let signed =
            Signed { event_id: &event.id, event_type: &event.event_type, delivery_id: delivery.id, at_ms, body: &body };
        let mut headers = vec![
            ("Content-Type".to_owned(), self.content_type.clone()),
            ("User-Agent".to_owned(), USER_AGENT.to_owned()),
        ];
        let scope = Scope { event, webhook: Some(&self.facts), attempt: None };
        headers.extend(self.signer.headers_with(&signed, Some(&scope)).map_err(template_failed)?);
        headers.extend(self.own_headers.iter().cloned());
        Ok(Request { headers, body })
    }

    /// Returns the headers of a request for the log, with the secrets of the webhook's own headers masked, and with the
    /// access token that it was sent with.
    pub fn shown_headers(&self, headers: &[(String, String)]) -> Vec<(String, String)> {
        let own = headers.len() - self.own_headers.len();
        headers
            .iter()
            .enumerate()
            .map(|(index, (name, value))| {
                let value = if index < own { value } else { header::shown(name, value) };
                (name.clone(), value.to_owned())
            })
            .chain(self.oauth2.iter().map(|_| (endpoint_auth::HEADER.to_owned(), header::MASK.to_owned())))
            .collect()
    }
}

/// Returns the definition of the format that a webhook's new deliveries get; `None` if its template is not valid.
pub fn body_format_definition(webhook: &Webhook, profile: &Profile) -> Option<String> {
    body_format(webhook, profile, &facts(webhook)).ok().map(|format| format.definition())
}

fn facts(webhook: &Webhook) -> WebhookFacts {
    WebhookFacts { id: webhook.id.to_string(), description: webhook.description.clone() }
}

/// Returns the format of a webhook's bodies: its own template, or the profile's format.
fn body_format(webhook: &Webhook, profile: &Profile, facts: &WebhookFacts) -> Result<BodyFormat, TemplateError> {
    let format = match &webhook.template {
        Some(source) => {
            BodyFormat::template(Template::parse(source, Use::Body)?, &profile.spec().content_type, Some(facts.clone()))
        }
        None => profile.form().for_webhook(facts),
    };
    Ok(format)
}

fn template_failed(error: TemplateError) -> FailureCause {
    FailureCause::TemplateFailed { error: Some(error.to_string()) }
}
