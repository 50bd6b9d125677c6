//! Headers of an attempt: those that the profile sets, and the signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use strum::{Display, IntoStaticStr, VariantArray};

use super::ed25519::{self, Ed25519Signer};
use super::spec::{Encoding, Key, Profile, SignatureSpec, is_header_value};
use super::template::{Output, Scope, Template, TemplateError};
use crate::domain::event::{EventId, EventType};
use crate::domain::id::DeliveryId;
use crate::domain::secret::Secret;
use crate::domain::time::{Millis, SECOND};
use crate::domain::webhook::{OldSecret, Webhook};

type HmacSha256 = Hmac<Sha256>;

/// Inputs of an attempt's headers and signatures.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    pub event_id: &'a EventId,
    pub event_type: &'a EventType,
    pub delivery_id: DeliveryId,
    /// Time of the attempt; headers carry it in whole seconds.
    pub at_ms: Millis,
    pub body: &'a [u8],
}

/// Headers and prepared keys of one webhook's deliveries.
pub struct Signer {
    headers: Vec<Header>,
    signatures: Vec<Signature>,
    /// Boxed, since few webhooks have it.
    ed25519: Option<Box<Ed25519Signer>>,
}

struct Header {
    name: String,
    /// With placeholders.
    value: String,
    template: Option<Template>,
}

struct Signature {
    spec: SignatureSpec,
    new: HmacSha256,
    /// Previous key of a rotation, and the end of the overlap.
    old: Option<(HmacSha256, Millis)>,
}

/// Secret that signs a header during an overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Signs {
    New,
    Old,
    Both,
}

impl Signer {
    /// Prepares the keys of a webhook's deliveries.
    pub fn of(webhook: &Webhook, profile: &Profile) -> Signer {
        let standard = webhook.standard_headers.then(super::standard);
        let old = webhook.old_secret.as_ref();
        let mut signer = Signer::new(profile, standard.as_deref(), &webhook.secret, old);
        if let Some(pair) = webhook.key_pair.as_ref().filter(|_| webhook.signing.has_ed25519()) {
            let old = old.and_then(|old| Some((old.key_pair.as_ref()?, old.overlap_ends_ms)));
            signer.ed25519 = Some(Box::new(Ed25519Signer::new(pair, old)));
            if !webhook.signing.has_hmac() {
                signer.signatures.clear();
            }
        }
        signer
    }

    /// Prepares the keys. `also` is a second profile, for headers that `profile` does not set.
    pub fn new(profile: &Profile, also: Option<&Profile>, secret: &Secret, old: Option<&OldSecret>) -> Signer {
        let own = profile.header_names();
        let is_new = |name: &str| !own.contains(&name.to_ascii_lowercase());
        let headers_of = |profile: &Profile| -> Vec<Header> {
            let templates = profile.header_templates().iter().cloned();
            let headers = profile.headers().iter().cloned().zip(templates);
            headers.map(|((name, value), template)| Header { name, value, template }).collect()
        };
        let mut headers = headers_of(profile);
        let mut specs = profile.spec().signatures.clone();
        if let Some(also) = also {
            headers.extend(headers_of(also).into_iter().filter(|header| is_new(&header.name)));
            let further = also.spec().signatures.iter().filter(|spec| is_new(&spec.header));
            specs.extend(further.cloned());
        }
        let signatures = specs
            .into_iter()
            .map(|spec| Signature {
                new: prepare(spec.key, secret),
                old: old.map(|old| (prepare(spec.key, &old.secret), old.overlap_ends_ms)),
                spec,
            })
            .collect();
        Signer { headers, signatures, ed25519: None }
    }

    /// Returns every header of an attempt, in order, apart from those that are templates.
    pub fn headers(&self, signed: &Signed<'_>) -> Vec<(String, String)> {
        self.headers_with(signed, None).unwrap_or_default()
    }

    /// Returns every header of an attempt, in order. `scope` is for headers that are templates; without it they are left
    /// out.
    pub fn headers_with(
        &self,
        signed: &Signed<'_>,
        scope: Option<&Scope<'_>>,
    ) -> Result<Vec<(String, String)>, TemplateError> {
        let timestamp = signed.at_ms.div_euclid(SECOND).to_string();
        let mut headers = Vec::with_capacity(self.headers.len() + self.signatures.len());
        for Header { name, value, template } in &self.headers {
            let value = match (template, scope) {
                (None, _) => fill(value, signed, &timestamp),
                (Some(template), Some(scope)) => {
                    let delivery_id = signed.delivery_id.to_string();
                    let scope = Scope { attempt: Some((&delivery_id, &timestamp)), ..*scope };
                    render(name, template, &scope)?
                }
                (Some(_), None) => continue,
            };
            headers.push((name.clone(), value));
        }
        let signatures = self.signatures.iter();
        headers.extend(signatures.map(|one| (one.spec.header.clone(), one.value(signed, &timestamp))));
        if let Some(ed25519) = &self.ed25519 {
            append(&mut headers, ed25519.value(signed, &timestamp));
        }
        Ok(headers)
    }

    /// Returns the secret that signs each signature header at `now`.
    pub fn signs(&self, now: Millis) -> Vec<(&str, Signs)> {
        let ed25519 = self.ed25519.iter().filter(|_| self.signatures.is_empty());
        let ed25519 = ed25519.map(|ed25519| match ed25519.is_rotating(now) {
            true => (ed25519::HEADER, Signs::Both),
            false => (ed25519::HEADER, Signs::New),
        });
        self.signatures
            .iter()
            .map(|signature| {
                let signs = match (&signature.old, &signature.spec.join) {
                    (Some((_, ends)), Some(_)) if now < *ends => Signs::Both,
                    (Some((_, ends)), None) if now < *ends => Signs::Old,
                    _ => Signs::New,
                };
                (signature.spec.header.as_str(), signs)
            })
            .chain(ed25519)
            .collect()
    }
}

impl Signature {
    fn value(&self, signed: &Signed<'_>, timestamp: &str) -> String {
        let old = self.old.as_ref().filter(|(_, ends)| signed.at_ms < *ends).map(|(key, _)| key);
        let signature = match (old, &self.spec.join) {
            (None, _) => self.sign(&self.new, signed, timestamp),
            (Some(old), None) => self.sign(old, signed, timestamp),
            (Some(old), Some(join)) => {
                [self.sign(&self.new, signed, timestamp), self.sign(old, signed, timestamp)].join(join)
            }
        };
        self.spec.template.replace("{timestamp}", timestamp).replace("{signature}", &signature)
    }

    fn sign(&self, key: &HmacSha256, signed: &Signed<'_>, timestamp: &str) -> String {
        let id = signed.event_id.as_str();
        mac(&self.spec, key, id, timestamp, signed.body)
    }
}

/// Adds Ed25519 signatures to the header that may have others already.
fn append(headers: &mut Vec<(String, String)>, signatures: String) {
    match headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(ed25519::HEADER)) {
        Some((_, value)) => *value = format!("{value} {signatures}"),
        None => headers.push((ed25519::HEADER.to_owned(), signatures)),
    }
}

/// Returns one bare signature, without the rest of the header's value.
pub fn sign_content(spec: &SignatureSpec, secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> String {
    mac(spec, &prepare(spec.key, secret), id, timestamp, body)
}

fn mac(spec: &SignatureSpec, key: &HmacSha256, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut mac = key.clone();
    let mut rest = spec.content.as_str();
    while let Some(at) = rest.find('{') {
        mac.update(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        match &rest[..end] {
            "{body}" => mac.update(body),
            "{timestamp}" => mac.update(timestamp.as_bytes()),
            "{id}" => mac.update(id.as_bytes()),
            literal => mac.update(literal.as_bytes()),
        }
        rest = &rest[end..];
    }
    mac.update(rest.as_bytes());
    let bytes = mac.finalize().into_bytes();
    match spec.encoding {
        Encoding::Hex => hex::encode(bytes),
        Encoding::Base64 => STANDARD.encode(bytes),
    }
}

/// Renders the value of a header.
fn render(name: &str, template: &Template, scope: &Scope<'_>) -> Result<String, TemplateError> {
    let of_header =
        |error: TemplateError| TemplateError { message: format!("Header {name}: {}", error.message), ..error };
    let value = template.render(Output::Text, scope).map_err(of_header)?;
    if !is_header_value(&value) {
        let message = "The value must be at most 1,024 characters of printable ASCII without surrounding white space. The filters rfc2047 and urlencode make other text ASCII.";
        return Err(of_header(TemplateError { at: None, message: message.to_owned() }));
    }
    Ok(value)
}

fn prepare(key: Key, secret: &Secret) -> HmacSha256 {
    let bytes = match key {
        Key::Secret => secret.as_str().as_bytes().to_vec(),
        Key::Standard => secret.standard_key(),
    };
    HmacSha256::new_from_slice(&bytes).expect("HMAC takes a key of any length")
}

fn fill(template: &str, signed: &Signed<'_>, timestamp: &str) -> String {
    match template {
        "{id}" => signed.event_id.as_str().to_owned(),
        "{timestamp}" => timestamp.to_owned(),
        _ => template
            .replace("{id}", signed.event_id.as_str())
            .replace("{type}", signed.event_type.as_str())
            .replace("{delivery_id}", &signed.delivery_id.to_string())
            .replace("{timestamp}", timestamp),
    }
}
