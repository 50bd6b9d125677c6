//! `/webhooks/{id}/secret`: reveals and rotates the secret, and offers code that verifies deliveries.

use strum::VariantArray;

use super::header::{self, Head, Tab};
use super::signing;
use crate::actions::webhook::rotate_secret::{Rotated, Rotation, fingerprint};
use crate::domain::signing::Signing;
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::http::web::{
    Confirm, Connection, Fields, FormErrors, Frame, PageError, Response, Section, Session, Template, problem,
};
use crate::profile::snippet::{Credential, Language, Snippet, ed25519_snippet, snippet};
use crate::profile::{Profile, ed25519};

/// Offered overlaps: seconds, label, explanation.
const OVERLAPS: [(&str, &str, &str); 4] = [
    ("3600", "1 hour", "if you change the receiver right away"),
    ("86400", "24 hours", "if you have to deploy the receiver"),
    ("604800", "7 days", "if somebody else has to deploy the receiver"),
    ("0", "None", "the old secret stops working now"),
];
const DEFAULT_OVERLAP: &str = "86400";

#[derive(Template)]
#[template(path = "webhooks/secret.html")]
pub struct SecretPage {
    frame: Frame,
    head: Head,
    /// The secret and its `standard_secret`, once revealed.
    revealed: Option<(String, String)>,
    /// Unless the visitor may not see secrets: it tells whether a guess of a weak secret is right.
    fingerprint: Option<String>,
    signing: Signing,
    public_key: Option<String>,
    rotation: Option<Overlap>,
    overlaps: [(&'static str, &'static str, &'static str); 4],
    /// Typed values of the rotation.
    own: String,
    overlap: String,
    errors: FormErrors,
    language: Language,
    code: Option<Snippet>,
    profile: String,
    /// Query of the page, which holds the language.
    query: String,
}

impl SecretPage {
    fn wants_public_key(&self) -> bool {
        self.code.as_ref().is_some_and(|code| code.credential == Credential::PublicKey)
    }

    fn wants_standard_secret(&self) -> bool {
        self.code.as_ref().is_some_and(|code| code.credential == Credential::StandardSecret)
    }
}

/// Time in which both secrets are in use.
struct Overlap {
    old_fingerprint: Option<String>,
    ends_ms: Millis,
    /// Each signature header, and the secret that signs it.
    headers: Vec<(String, &'static str)>,
}

fn secret_page(session: &Session, db: &Connection, webhook: &Webhook) -> Result<SecretPage, PageError> {
    let profiles = session.app.actions.store.profiles();
    let secrets = Rotated::of(profiles, webhook, session.now())?;
    let head = Head::read(session, db, webhook, Tab::Secret)?;
    let frame = session.frame(db, head.title("Secret"), Section::Webhooks)?;
    let profile = profiles.find(&webhook.profile);
    let language = session.query.text("lang").parse().unwrap_or(Language::Node);
    Ok(SecretPage {
        frame: frame.with_api("GET", &format!("/v1/webhooks/{}/secret", webhook.id)),
        head,
        revealed: None,
        fingerprint: session.may_see_secrets().then(|| fingerprint(&secrets.secret)),
        signing: webhook.signing,
        public_key: secrets.public_key.map(|key| key.to_string()),
        rotation: overlap(session, webhook, &secrets),
        overlaps: OVERLAPS,
        own: String::new(),
        overlap: DEFAULT_OVERLAP.to_owned(),
        errors: FormErrors::default(),
        language,
        code: profile.and_then(|profile| code(session, webhook, &profile, language)),
        profile: webhook.profile.clone(),
        query: session.query.query_without(&[]),
    })
}

/// Code for the secret or, with `?with=public_key` or without HMAC signatures, for the public key.
fn code(session: &Session, webhook: &Webhook, profile: &Profile, language: Language) -> Option<Snippet> {
    match webhook.signing {
        Signing::Ed25519 => Some(ed25519_snippet(profile, language)),
        Signing::Both if session.query.text("with") == "public_key" => Some(ed25519_snippet(profile, language)),
        Signing::Hmac | Signing::Both => snippet(profile, webhook.standard_headers, language),
    }
}

fn overlap(session: &Session, webhook: &Webhook, secrets: &Rotated) -> Option<Overlap> {
    let old = secrets.old.as_ref()?;
    let headers = secrets.headers.iter().map(|(name, signs)| {
        let secret = match signs.into_str() {
            "new" => "the new secret",
            "old" => "the old secret, until the overlap ends",
            _ if name == ed25519::HEADER => signing::both(webhook.signing),
            _ => "both secrets",
        };
        (name.clone(), secret)
    });
    Some(Overlap {
        old_fingerprint: session.may_see_secrets().then(|| fingerprint(&old.secret)),
        ends_ms: old.overlap_ends_ms,
        headers: headers.collect(),
    })
}

/// `GET /webhooks/{id}/secret?lang=`.
pub fn show(session: &Session, db: &Connection, id: &str) -> Result<SecretPage, PageError> {
    secret_page(session, db, &header::find(session, db, id)?)
}

/// `POST /webhooks/{id}/secret`: the page with the secret. A POST, because links, histories and previews repeat a GET.
pub fn reveal(session: &Session, _: &Fields, id: &str) -> Result<Response, PageError> {
    let page = session.read(|db| secret_page(session, db, &header::find(session, db, id)?))?;
    // Recorded in the audit log.
    let secret = session.app.actions.reveal_secret(&session.caller(), id)?.secret;
    let revealed = Some((secret.as_str().to_owned(), secret.standard_form()));
    Ok(Response::ok(&SecretPage { revealed, ..page }))
}

/// `POST /webhooks/{id}/secret/rotate` with `overlap_s` and an optional `own`. Asks before the old secret stops at once.
pub fn rotate(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    let webhook = session.read(|db| header::find(session, db, id))?;
    let path = format!("/webhooks/{}/secret", webhook.id);
    let overlap = fields.given("overlap_s").unwrap_or(DEFAULT_OVERLAP).to_owned();
    let own = fields.text("own").to_owned();
    let is_at_once = overlap == "0";
    if is_at_once && !fields.has("confirmed") {
        return ask(session, &webhook, path, own);
    }
    let rotation = Rotation {
        secret: Some(own.clone()).filter(|own| !own.is_empty()),
        // Out of range, and refused as such, if it is not a number.
        overlap_s: Some(overlap.parse().unwrap_or(-1)),
        only_ends: fields.has("ends"),
    };
    match session.app.actions.rotate_secret(&session.caller(), id, rotation).wait() {
        Ok(_) => {
            let message = if is_at_once {
                "Only the new secret is in use now. Reveal it to copy it."
            } else {
                "Rotated. Reveal the new secret, copy it into the receiver, and send a test event before the overlap ends."
            };
            Ok(session.done(&format!("{path}?{}", session.query.query_without(&[])), message))
        }
        Err(error) => {
            let mut problem = problem(error)?;
            if problem.field.as_deref() == Some("secret") {
                problem.field = Some("own".to_owned());
            }
            let errors = problem.into();
            let page = session.read(|db| secret_page(session, db, &webhook))?;
            Ok(Response::again(&SecretPage { own, overlap, errors, ..page }))
        }
    }
}

fn ask(session: &Session, webhook: &Webhook, path: String, own: String) -> Result<Response, PageError> {
    let is_running = webhook.old_secret.as_ref().is_some_and(|old| session.now() < old.overlap_ends_ms);
    let mut fields = vec![("overlap_s".to_owned(), "0".to_owned())];
    if !own.is_empty() {
        fields.push(("own".to_owned(), own));
    }
    if is_running {
        fields.push(("ends".to_owned(), "yes".to_owned()));
    }
    let (question, button) = if is_running {
        ("End the overlap now?", "End the overlap")
    } else {
        ("Rotate the secret without an overlap?", "Rotate secret now")
    };
    Confirm {
        heading: format!("{question} ({})", webhook.name()),
        effect: "A receiver that still has the old secret rejects every delivery until it has the new one.".to_owned(),
        action: Some(format!("{path}/rotate")),
        back: path,
        fields,
        button: button.to_owned(),
        is_danger: true,
        ..Confirm::default()
    }
    .show(session, Section::Webhooks)
}
