//! A webhook made ready to send to: profile resolved, keys prepared, fixed headers laid out.

use std::sync::Arc;

use crate::domain::header;
use crate::domain::retry::{Gone, Rules, Schedule};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::profile::sign::{Signed, Signs};
use crate::profile::{BodyFormat, Profile, Signer};
use crate::store::DueDelivery;

/// Value of the header `User-Agent`.
pub const USER_AGENT: &str = concat!("Hookpost/", env!("CARGO_PKG_VERSION"));

/// Parts of a webhook that all its attempts share.
pub struct Endpoint {
    pub webhook: Arc<Webhook>,
    /// Host and port, which several webhooks may share.
    pub host: Arc<str>,
    body_format: BodyFormat,
    body_format_definition: Arc<str>,
    signer: Signer,
    /// Headers of the webhook, without those that the profile has come to set since the webhook was saved.
    own_headers: Vec<(String, String)>,
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
        let own_headers = webhook.headers.iter();
        let own_headers = own_headers
            .filter(|(name, _)| !profile_headers.contains(&name.to_ascii_lowercase()))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Endpoint {
            own_headers,
            host: webhook.url.host_key().into(),
            body_format: profile.form().clone(),
            body_format_definition: profile.form().definition().into(),
            signer,
            schedule: webhook.retry.clone().unwrap_or_else(|| profile.schedule().clone()),
            gone: profile.gone(),
            webhook,
        }
    }

    /// Returns the rules for a failed attempt.
    pub fn rules(&self) -> Rules<'_> {
        Rules { schedule: &self.schedule, gone: self.gone }
    }

    pub fn body_format(&self) -> &BodyFormat {
        &self.body_format
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
    /// the Standard Webhooks ones, those of the webhook. `Err` is the reason why the body cannot be composed.
    pub fn request(&self, delivery: &DueDelivery, at_ms: Millis) -> Result<Request, String> {
        let body = self.body_format.compose(&delivery.event).map_err(|invalid| invalid.message)?;
        Ok(self.request_with(delivery, at_ms, body))
    }

    /// Signs an attempt with this body.
    pub fn request_with(&self, delivery: &DueDelivery, at_ms: Millis, body: Vec<u8>) -> Request {
        let event = &*delivery.event;
        let signed =
            Signed { event_id: &event.id, event_type: &event.event_type, delivery_id: delivery.id, at_ms, body: &body };
        let mut headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("User-Agent".to_owned(), USER_AGENT.to_owned()),
        ];
        headers.extend(self.signer.headers(&signed));
        headers.extend(self.own_headers.iter().cloned());
        Request { headers, body }
    }

    /// Returns the headers for the log, with the secrets of the webhook's own headers masked.
    pub fn shown_headers(&self, headers: &[(String, String)]) -> Vec<(String, String)> {
        let own = headers.len() - self.own_headers.len();
        headers
            .iter()
            .enumerate()
            .map(|(index, (name, value))| {
                let value = if index < own { value } else { header::shown(name, value) };
                (name.clone(), value.to_owned())
            })
            .collect()
    }
}
