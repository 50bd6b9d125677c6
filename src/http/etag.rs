//! Versions of resources: `ETag`, `If-Match` and `If-None-Match` (RFC 9110, section 13).
//!
//! A resource that can be changed gets all three by an implementation of [`Tagged`]: `Preconditions` as an argument of its
//! handlers, whose [`unchanged`](Preconditions::unchanged) goes with the change, and `respond_tagged` for its GET. The version of
//! one that is only read is its content: `respond_to_one`.

use std::fmt;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName};
use actix_web::{FromRequest, HttpRequest};
use sha2::{Digest as _, Sha256};

use super::error::ApiError;
use crate::actions::contact::ContactInFull;
use crate::actions::unchanged::Unchanged;
use crate::domain::webhook::Webhook;
use crate::profile::Profile;
use crate::store::api_key::ApiKey;
use crate::store::event_type::DescribedType;
use crate::store::inbox::Inbox;
use crate::store::portal_link::PortalLink;

/// Resource with a version.
pub trait Tagged {
    /// Text that differs between versions. It is no secret and needs none: an ETag is shown to all who may read the resource.
    fn version(&self) -> String;
}

impl Tagged for Webhook {
    /// Changes with the settings and the state, not with deliveries: `updated_ms` grows with each change.
    fn version(&self) -> String {
        format!("{} {} {}", self.id, self.updated_ms, self.state)
    }
}

impl Tagged for ContactInFull {
    /// Changes with the settings, and with the address's confirmation, not with messages.
    fn version(&self) -> String {
        let webhook = self.webhook.as_deref().map(Tagged::version);
        format!("{} {} {webhook:?} {}", self.contact.id, self.contact.updated_ms, self.contact.is_reachable())
    }
}

impl Tagged for ApiKey {
    /// Changes with the end of the key, not with its use.
    fn version(&self) -> String {
        format!("{} {:?}", self.id, self.ends_ms)
    }
}

impl Tagged for PortalLink {
    /// Changes when the link is used, not with its session.
    fn version(&self) -> String {
        format!("{} {:?} {}", self.id, self.opened_ms, self.ends_ms)
    }
}

impl Tagged for Inbox {
    fn version(&self) -> String {
        format!("{} {}", self.tenant, self.token)
    }
}

impl Tagged for Profile {
    fn version(&self) -> String {
        serde_json::to_string(self.spec()).unwrap_or_default()
    }
}

impl Tagged for DescribedType {
    fn version(&self) -> String {
        let texts = [Some(&*self.description), self.example.as_deref(), self.schema.as_deref()];
        format!("{} {} {texts:?}", self.name, self.updated_ms)
    }
}

/// Version of a resource: hexadecimal digits, in quotes as a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    pub fn of(resource: &impl Tagged) -> Etag {
        Etag::of_content(resource.version().as_bytes())
    }

    /// Version of a resource that is only read.
    pub fn of_content(json: &[u8]) -> Etag {
        Etag(hex::encode(&Sha256::digest(json)[..16]))
    }

    /// Header of a response.
    pub fn header(&self) -> (HeaderName, String) {
        (header::ETAG, self.to_string())
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Conditions of a request on the version of its resource.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// Versions in a header.
#[derive(Debug, Clone)]
enum Tags {
    /// `*`: any version.
    Any,
    Listed(Vec<String>),
}

impl Tags {
    fn read(request: &HttpRequest, name: HeaderName) -> Option<Tags> {
        let values: Vec<&str> =
            request.headers().get_all(name).map(|value| value.to_str().unwrap_or_default()).collect();
        if values.is_empty() {
            return None;
        }
        // A proxy that compresses responses marks their versions as weak.
        let tag = |text: &str| text.trim().trim_start_matches("W/").trim_matches('"').to_owned();
        let tags: Vec<String> = values.iter().flat_map(|value| value.split(',')).map(tag).collect();
        Some(if tags.iter().any(|tag| tag == "*") { Tags::Any } else { Tags::Listed(tags) })
    }

    fn have(&self, tag: &Etag) -> bool {
        match self {
            Tags::Any => true,
            Tags::Listed(tags) => tags.contains(&tag.0),
        }
    }
}

impl FromRequest for Preconditions {
    type Error = ApiError;
    type Future = Ready<Result<Preconditions, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Preconditions {
            if_match: Tags::read(request, header::IF_MATCH),
            if_none_match: Tags::read(request, header::IF_NONE_MATCH),
        }))
    }
}

impl Preconditions {
    /// Whether the client has this version, so that a 304 is enough.
    pub fn is_known(&self, tag: &Etag) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.have(tag))
    }

    /// Condition of a change: `If-Match` names the stored version, `If-None-Match: *` that there is none.
    pub fn unchanged<T: Tagged>(self) -> Unchanged<T> {
        if self.if_match.is_none() && self.if_none_match.is_none() {
            return Unchanged::default();
        }
        Unchanged::when(move |stored: Option<&T>| {
            let tag = stored.map(Etag::of);
            let has = |tags: &Tags| tag.as_ref().is_some_and(|tag| tags.have(tag));
            self.if_match.as_ref().is_none_or(has) && !self.if_none_match.as_ref().is_some_and(has)
        })
    }
}

/// Condition that an object is still the one that was read.
pub fn still<T: Tagged>(known: &T) -> Unchanged<T> {
    let known = Etag::of(known);
    Unchanged::when(move |stored: Option<&T>| stored.is_some_and(|stored| Etag::of(stored) == known))
}
