//! The built-in inbox: opening it, receiving requests, emptying it, changing its URL, closing it.
//!
//! Each request is verified on arrival, with the secrets of that time, and the result is stored. The pages show the
//! result that a receiver would have seen.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::audit::AuditEntry;
use super::unchanged::Unchanged;
use super::{ActionError, Actions, Caller, Pending, Result};
use crate::actions::tenants::require_staying;
use crate::domain::audit_action::AuditAction;
use crate::domain::event::Tenant;
use crate::domain::secret::Secret;
use crate::domain::signing::PublicKey;
use crate::domain::time::{MINUTE, Millis, SECOND};
use crate::domain::webhook::Webhook;
use crate::profile::verify::{SignatureFault, timestamp, verify};
use crate::profile::{self, Profile, ed25519};
use crate::random;
use crate::store::inbox::{self, Inbox, InboxRequest, KEPT_BODY};
use crate::store::{Connection, WriteTx, webhook};

/// Maximum webhooks whose secrets are tried.
const MOST_WEBHOOKS: usize = 20;
/// Maximum difference between the signed time and now, as in Standard Webhooks libraries.
const TOLERANCE: Millis = 5 * MINUTE;
/// Maximum transit time of a request signed before the end of an overlap.
const MAX_TRANSIT: Millis = MINUTE;
/// Default field of a challenge, which the profile of a webhook may change.
const CHALLENGE_FIELD: &str = "challenge";
/// Maximum bytes of a challenge.
const LONGEST_CHALLENGE: usize = 1024;
/// Maximum bytes of a body that may hold a challenge.
const LONGEST_CHALLENGE_BODY: usize = 64 << 10;

/// Request received by an inbox.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub method: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub code: u16,
}

/// Challenge to send back: its field and text.
pub type Echo = (String, String);

/// Result of checking the signatures of a request.
struct SignatureCheck {
    is_verified: bool,
    sentence: String,
    webhook: Option<Webhook>,
}

/// Returns a received request, and the tenant of its inbox.
pub fn request(connection: &Connection, caller: &Caller, id: &str) -> Result<(Tenant, InboxRequest)> {
    let not_found = ActionError::NotFound("request");
    let Ok(seq) = id.parse() else {
        return Err(not_found);
    };
    inbox::get(connection, seq)?.filter(|(tenant, _)| caller.sees(tenant)).ok_or(not_found)
}

impl Actions {
    /// Returns the inbox of the caller's tenant, or of the given one for a caller of all tenants; `None` before it is
    /// opened.
    pub fn inbox(&self, caller: &Caller, tenant: Option<&str>) -> Result<Option<Inbox>> {
        let tenant = caller.tenant_for(tenant)?;
        Ok(self.store.read(|connection| inbox::of_tenant(connection, &tenant))?)
    }

    /// Returns the inbox, opening it if needed.
    pub fn open_inbox(&self, caller: &Caller, tenant: Option<&str>) -> Pending<Inbox> {
        let tenant = caller.tenant_for(tenant);
        self.store.write(move |tx| {
            let tenant = tenant?;
            require_staying(tx, &tenant)?;
            inbox::open(tx.connection(), &tenant, &random::text::<24>(), tx.now_ms())?;
            inbox::of_tenant(tx.connection(), &tenant)?.ok_or(ActionError::NotFound("inbox"))
        })
    }

    /// Gives an inbox another URL. The old one is refused from then on.
    pub fn change_inbox_url(&self, caller: &Caller, tenant: Option<&str>) -> Pending<Inbox> {
        let (caller, tenant) = (caller.clone(), caller.tenant_for(tenant));
        self.store.write(move |tx| {
            let Inbox { seq, tenant, .. } = existing(tx.connection(), &tenant?)?;
            let token = random::text::<24>();
            inbox::set_token(tx.connection(), seq, &token)?;
            caller.audit(tx, AuditEntry::new(AuditAction::InboxUrlChanged, &tenant).in_tenant(&tenant))?;
            Ok(Inbox { seq, tenant, token })
        })
    }

    /// Closes an inbox and deletes its requests.
    pub fn close_inbox(&self, caller: &Caller, tenant: Option<&str>, unchanged: Unchanged<Inbox>) -> Pending<()> {
        let (caller, tenant) = (caller.clone(), caller.tenant_for(tenant));
        self.store.write(move |tx| {
            let inbox = existing(tx.connection(), &tenant?)?;
            unchanged.require(Some(&inbox))?;
            let Inbox { seq, tenant, .. } = inbox;
            inbox::empty(tx.connection(), seq)?;
            inbox::close(tx.connection(), seq)?;
            Ok(caller.audit(tx, AuditEntry::new(AuditAction::InboxClosed, &tenant).in_tenant(&tenant))?)
        })
    }

    /// Deletes all requests of an inbox. Returns their number.
    pub fn empty_inbox(&self, caller: &Caller, tenant: Option<&str>) -> Pending<usize> {
        let tenant = caller.tenant_for(tenant);
        self.store.write(move |tx| match inbox::of_tenant(tx.connection(), &tenant?)? {
            Some(inbox) => Ok(inbox::empty(tx.connection(), inbox.seq)?),
            None => Ok(0),
        })
    }

    /// Verifies and stores a received request. Returns the challenge to send back, if any. Blocks until the commit.
    pub fn receive(&self, inbox: &Inbox, arrival: Arrival) -> Result<Option<Echo>> {
        let now = self.clock.now_ms();
        let path_end = format!("/in/{}", inbox.token);
        let webhooks =
            self.store.read(|connection| webhook::pointing_at(connection, &inbox.tenant, &path_end, MOST_WEBHOOKS))?;
        let signature_check = self.signature_check(webhooks.clone(), &arrival, now);
        let echo = self.echo(&webhooks, &arrival.body);
        let body_bytes = arrival.body.len() as i64;
        let mut body = arrival.body;
        body.truncate(KEPT_BODY);
        body.shrink_to_fit();
        let request = InboxRequest {
            seq: 0,
            at_ms: now,
            method: arrival.method,
            query: arrival.query,
            event_id: header(&arrival.headers, "webhook-id").map(str::to_owned),
            headers: arrival.headers,
            body,
            body_bytes,
            is_verified: signature_check.is_verified,
            signature_check: signature_check.sentence,
            webhook: signature_check.webhook.map(|webhook| webhook.id),
            code: arrival.code,
        };
        let (seq, kept) = (inbox.seq, self.limits().inbox_requests);
        let bytes = request.size_bytes();
        let insert = move |tx: &mut WriteTx<'_>| inbox::insert(tx.connection(), seq, &request, kept);
        self.store.write_sized(bytes, insert).wait()?;
        Ok(echo)
    }

    fn signature_check(&self, webhooks: Vec<Webhook>, arrival: &Arrival, now: Millis) -> SignatureCheck {
        let count = webhooks.len();
        let mut first_fault = None;
        for webhook in webhooks {
            let checked = match self.store.profiles().find(&webhook.profile) {
                Some(profile) => check(&profile, &webhook, arrival, now),
                None => Err(format!("The profile {} was deleted.", webhook.profile)),
            };
            match checked {
                Ok(sentence) => return SignatureCheck { is_verified: true, sentence, webhook: Some(webhook) },
                Err(sentence) => first_fault = first_fault.or(Some((sentence, webhook))),
            }
        }
        let (sentence, webhook) = match first_fault {
            None => (
                "No webhook points at this inbox, so there is no secret to verify the signature with.".to_owned(),
                None,
            ),
            Some((sentence, webhook)) if count == 1 => (sentence, Some(webhook)),
            Some((sentence, _)) => {
                (format!("The request matches none of the {count} webhooks that point here. {sentence}"), None)
            }
        };
        SignatureCheck { is_verified: false, sentence, webhook }
    }

    /// Returns the challenge in a body, looked up by the fields that the profiles use.
    fn echo(&self, webhooks: &[Webhook], body: &[u8]) -> Option<Echo> {
        let mut fields = BTreeSet::from([CHALLENGE_FIELD.to_owned()]);
        for webhook in webhooks {
            let profile = self.store.profiles().find(&webhook.profile);
            let challenge = profile.and_then(|profile| profile.spec().challenge.clone());
            fields.extend(challenge.map(|challenge| challenge.field));
        }
        if body.len() > LONGEST_CHALLENGE_BODY {
            return None;
        }
        // Values stay text: a tree takes many times the memory of the body.
        let body: BTreeMap<String, &RawValue> = serde_json::from_slice(body).ok()?;
        fields.into_iter().find_map(|field| {
            let text: String = serde_json::from_str(body.get(&field)?.get()).ok()?;
            (text.len() <= LONGEST_CHALLENGE).then_some((field, text))
        })
    }
}

fn existing(connection: &Connection, tenant: &Tenant) -> Result<Inbox> {
    inbox::of_tenant(connection, tenant)?.ok_or(ActionError::NotFound("inbox"))
}

/// Checks a request as a receiver would: the signatures of the webhook's profile and of Standard Webhooks. Both results are
/// sentences.
fn check(profile: &Profile, webhook: &Webhook, arrival: &Arrival, now: Millis) -> Result<String, String> {
    let old = webhook.old_secret.as_ref();
    let old = old.filter(|old| now < old.overlap_ends_ms + MAX_TRANSIT);
    let secrets: Vec<&Secret> = std::iter::once(&webhook.secret).chain(old.map(|old| &old.secret)).collect();
    let standard = profile::standard();
    let replaces_standard = || profile.header_names().iter().any(|name| name == "webhook-signature");
    let has_hmac = webhook.signing.has_hmac();
    let mut profiles: Vec<&Profile> = has_hmac.then_some(profile).into_iter().collect();
    if has_hmac && webhook.standard_headers && !replaces_standard() {
        profiles.push(&standard);
    }
    let mut names: Vec<String> = Vec::new();
    let mut is_old_secret = false;
    for profile in profiles {
        let mut fault = None;
        let found = secrets.iter().enumerate().find_map(|(index, secret)| {
            match verify(profile, secret, &arrival.headers, &arrival.body) {
                Ok(valid) => Some((index, valid)),
                Err(found) => {
                    fault.get_or_insert(found);
                    None
                }
            }
        });
        match (found, fault) {
            (Some((index, valid)), _) => {
                is_old_secret |= index > 0;
                names.extend(valid);
            }
            (None, Some(SignatureFault::NoSignature) | None) => {}
            (None, Some(fault)) => return Err(sentence(&fault.to_string())),
        }
        check_age(profile, arrival, now)?;
    }
    let mut sentence_of_key = None;
    if let Some(pair) = webhook.key_pair.as_ref().filter(|_| webhook.signing.has_ed25519()) {
        let old = old.and_then(|old| old.key_pair.as_ref());
        let keys: Vec<PublicKey> = std::iter::once(pair).chain(old).map(|pair| *pair.public_key()).collect();
        ed25519::verify(&keys, &arrival.headers, &arrival.body).map_err(|fault| sentence(&fault.to_string()))?;
        check_age(&standard, arrival, now)?;
        sentence_of_key = Some("The Ed25519 signature matches the webhook's public key.");
    }
    if names.is_empty()
        && let Some(sentence) = sentence_of_key
    {
        return Ok(sentence.to_owned());
    }
    if names.is_empty() {
        return Err(format!("The profile {} has no signatures.", profile.name()));
    }
    let secret = if is_old_secret {
        "the webhook's previous secret, which signs until the overlap ends"
    } else {
        "the webhook's secret"
    };
    let verb = if names.len() == 1 { "matches" } else { "match" };
    let sentence = format!("{} {verb} {secret}.", names.join(" and "));
    Ok(std::iter::once(sentence.as_str()).chain(sentence_of_key).collect::<Vec<_>>().join(" "))
}

/// Refuses a request whose profile signs a time that is long ago or far ahead.
fn check_age(profile: &Profile, arrival: &Arrival, now: Millis) -> Result<(), String> {
    match timestamp(profile, &arrival.headers).map(|signed| signed.saturating_mul(SECOND)) {
        Some(signed) if signed.saturating_sub(now).saturating_abs() > TOLERANCE => {
            Err("The signature is valid, but its timestamp is more than five minutes off, as in a replayed request."
                .to_owned())
        }
        _ => Ok(()),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}
