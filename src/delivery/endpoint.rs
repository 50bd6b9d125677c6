//! A webhook made ready to send to: profile resolved, keys prepared, fixed headers laid out.

use std::sync::Arc;

use crate::domain::header;
use crate::domain::retry::{Gone, Rules, Schedule};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::profile::sign::{Signed, Signs};
use crate::profile::{self, BodyFormat, Profile, Signer};
use crate::store::DueDelivery;

/// What `User-Agent` says.
pub const USER_AGENT: &str = concat!("Hookpost/", env!("CARGO_PKG_VERSION"));

/// Everything about a webhook that its attempts share.
pub struct Endpoint {
    pub webhook: Arc<Webhook>,
    /// Host and port, which webhooks may share.
    pub host: Arc<str>,
    form: BodyFormat,
    form_definition: Arc<str>,
    signer: Signer,
    /// The webhook's own headers. One that the profile came to set after they were checked is the profile's.
    own_headers: Vec<(String, String)>,
    schedule: Schedule,
    gone: Gone,
}

/// The request of one attempt.
pub struct Request {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Endpoint {
    pub fn new(webhook: Arc<Webhook>, profile: &Profile) -> Endpoint {
        let standard = webhook.standard_headers.then(profile::standard);
        let signer = Signer::new(profile, standard.as_deref(), &webhook.secret, webhook.old_secret.as_ref());
        let set_by_profile = profile.header_names();
        let own_headers = webhook.headers.iter();
        let own_headers = own_headers
            .filter(|(name, _)| !set_by_profile.contains(&name.to_ascii_lowercase()))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Endpoint {
            own_headers,
            host: webhook.url.host_key().into(),
            form: profile.form().clone(),
            form_definition: profile.form().definition().into(),
            signer,
            schedule: webhook.retry.clone().unwrap_or_else(|| profile.schedule().clone()),
            gone: profile.gone(),
            webhook,
        }
    }

    /// What follows a failed attempt goes by these.
    pub fn rules(&self) -> Rules<'_> {
        Rules { schedule: &self.schedule, gone: self.gone }
    }

    /// How its bodies are composed.
    pub fn form(&self) -> &BodyFormat {
        &self.form
    }

    /// By which the log composes the body again.
    pub fn form_definition(&self) -> &Arc<str> {
        &self.form_definition
    }

    /// Which secret signs which header at `now`.
    pub fn signs(&self, now: Millis) -> Vec<(&str, Signs)> {
        self.signer.signs(now)
    }

    /// Composes and signs an attempt made at `at_ms`. The headers stand in this order: content type, agent, the
    /// profile's, the Standard Webhooks ones, the webhook's own. `Err` says why no body can be composed.
    pub fn request(&self, delivery: &DueDelivery, at_ms: Millis) -> Result<Request, String> {
        let body = self.form.compose(&delivery.event);
        let body = body.map_err(|invalid| invalid.message)?;
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

    /// The headers as the log keeps them: the webhook's own masked where they hold a secret.
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
