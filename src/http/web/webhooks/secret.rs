//! `/webhooks/{id}/secret`: masked unless asked for; rotation that one can watch; code that verifies.

use actix_web::http::StatusCode;
use actix_web::web::Path;
use askama::Template;
use strum::VariantArray;

use super::super::confirm::Confirm;
use super::super::error::PageError;
use super::header;
use crate::actions::webhook::rotate_secret::{Rotated, Rotation, fingerprint};
use crate::domain::time::Millis;
use crate::domain::webhook::Webhook;
use crate::http::web::form::{Problem, Submission, problem};
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::http::web::webhooks::header::{Head, Tab};
use crate::profile::snippet::{Language, snippet};
use crate::profile::spec::Key;

#[derive(Template)]
#[template(path = "webhooks/secret.html")]
struct SecretPage {
    frame: Frame,
    head: Head,
    /// The secrets, where somebody asked to see them.
    shown: Option<Shown>,
    fingerprint: String,
    rotation: Option<Running>,
    /// What was typed as the new secret.
    own: String,
    overlap: String,
    problem: Option<Problem>,
    languages: &'static [Language],
    code: Option<Code>,
    profile: String,
    /// The language of the code, for forms that come back here.
    query: String,
}

/// Secrets in clear.
struct Shown {
    secret: String,
    standard_secret: String,
}

/// An overlap under way.
struct Running {
    old_fingerprint: String,
    ends_ms: Millis,
    /// Each signature header, and in words which secret signs it.
    headers: Vec<(String, &'static str)>,
}

/// Verification code.
struct Code {
    language: Language,
    text: String,
    header: String,
    /// Which of the two spellings belongs into it.
    wants_standard: bool,
    note: Option<&'static str>,
}

impl SecretPage {
    fn of(session: &Session, webhook: &Webhook) -> Result<SecretPage, PageError> {
        let actions = &session.app.actions;
        let secrets = actions.secrets(&session.caller(), &webhook.id.to_string())?;
        let head = Head::of(session, webhook, Tab::Secret);
        let frame = session.read(|db| session.frame(db, format!("{}: secret", head.name), Section::Webhooks))?;
        Ok(SecretPage {
            frame: frame.with_api("GET", &format!("/v1/webhooks/{}/secret", webhook.id)),
            head,
            shown: None,
            fingerprint: fingerprint(&secrets.secret),
            rotation: running(&secrets),
            own: String::new(),
            overlap: "86400".to_owned(),
            problem: None,
            languages: Language::VARIANTS,
            code: code(session, webhook),
            profile: webhook.profile.clone(),
            query: session.query.query_without(&[]),
        })
    }

    /// How long both secrets can be in use: what the form sends, and in words.
    fn overlaps(&self) -> [(&'static str, &'static str, &'static str); 4] {
        [
            ("3600", "1 hour", "for a receiver that you change right away"),
            ("86400", "24 hours", "time for a deployment"),
            ("604800", "7 days", "time for somebody else's deployment"),
            ("0", "Now", "the old secret stops at once"),
        ]
    }
}

fn running(secrets: &Rotated) -> Option<Running> {
    let old = secrets.old.as_ref()?;
    let headers = secrets.headers.iter();
    Some(Running {
        old_fingerprint: fingerprint(&old.secret),
        ends_ms: old.overlap_ends_ms,
        headers: headers
            .map(|(name, signs)| {
                let signs = match signs.into_str() {
                    "new" => "the new secret",
                    "old" => "the old secret, until the overlap ends",
                    _ => "both secrets",
                };
                (name.clone(), signs)
            })
            .collect(),
    })
}

fn code(session: &Session, webhook: &Webhook) -> Option<Code> {
    let profile = session.app.actions.store.profiles().find(&webhook.profile)?;
    let language = session.query.text("lang").parse().unwrap_or(Language::Node);
    let found = snippet(&profile, webhook.standard_headers, language)?;
    Some(Code {
        language,
        text: found.code,
        header: found.header,
        wants_standard: found.secret == Key::Standard,
        note: found.note,
    })
}

/// `GET /webhooks/{id}/secret?lang=`.
pub async fn show(session: Session, id: Path<String>) -> PageResult {
    session.show(move |session| SecretPage::of(session, &header::find(session, &id)?)).await
}

/// `POST /webhooks/{id}/secret`: the same page with the secret in it. A POST, so that no link, history or preview
/// shows it.
pub async fn reveal(submission: Submission, id: Path<String>) -> PageResult {
    submission
        .run(move |session, _| {
            let webhook = header::find(session, &id)?;
            let mut page = SecretPage::of(session, &webhook)?;
            // This one is written down: somebody has seen it.
            let revealed = session.app.actions.reveal_secret(&session.caller(), &id)?;
            page.shown = Some(Shown {
                secret: revealed.secret.as_str().to_owned(),
                standard_secret: revealed.secret.standard_form(),
            });
            Ok(Response::page(StatusCode::OK, &page))
        })
        .await
}

/// `POST /webhooks/{id}/secret/rotate` with `overlap_s` and perhaps `own`. What takes the old secret away at once is
/// asked for twice.
pub async fn rotate(submission: Submission, id: Path<String>) -> PageResult {
    submission
        .run(move |session, fields| {
            let webhook = header::find(session, &id)?;
            let path = format!("/webhooks/{}/secret", webhook.id);
            let page_path = format!("{path}?{}", session.query.query_without(&[]));
            let overlap = fields.given("overlap_s").unwrap_or("86400").to_owned();
            let own = fields.text("own").to_owned();
            let is_at_once = overlap == "0";
            let only_ends = fields.has("ends");
            if is_at_once && fields.text("confirmed") != "yes" {
                return ask(session, &webhook, &path, own);
            }
            let rotation = Rotation {
                secret: Some(own.clone()).filter(|own| !own.is_empty()),
                // What is no number is out of range, and is told so.
                overlap_s: Some(overlap.parse().unwrap_or(-1)),
                only_ends,
            };
            let actions = &session.app.actions;
            match actions.rotate_secret(&session.caller(), &id, rotation).wait() {
                Ok(_) if is_at_once => {
                    Ok(session.done(&page_path, "Only the new secret signs from now on. Reveal it to copy it."))
                }
                Ok(_) => Ok(session.done(
                    &page_path,
                    "Rotated. Reveal the new secret, copy it into the receiver, and test before the overlap ends.",
                )),
                Err(error) => {
                    let mut page = SecretPage::of(session, &webhook)?;
                    (page.own, page.overlap) = (own, overlap);
                    page.problem = Some(problem(error)?);
                    Ok(Response::again(&page))
                }
            }
        })
        .await
}

fn ask(session: &Session, webhook: &Webhook, path: &str, own: String) -> Result<Response, PageError> {
    let ends = webhook.old_secret.as_ref().is_some_and(|old| session.now() < old.overlap_ends_ms);
    let mut hidden = vec![("overlap_s".to_owned(), "0".to_owned())];
    if !own.is_empty() {
        hidden.push(("own".to_owned(), own));
    }
    if ends {
        hidden.push(("ends".to_owned(), "yes".to_owned()));
    }
    let (question, label) = if ends {
        ("End the overlap now?", "End the overlap")
    } else {
        ("Rotate the secret without an overlap?", "Rotate secret now")
    };
    Confirm {
        heading: format!("{question} ({})", webhook.name()),
        effect: "A receiver that still has the old secret rejects every delivery until it has the new one.".to_owned(),
        action: Some(format!("{path}/rotate")),
        back: path.to_owned(),
        fields: hidden,
        button: label.to_owned(),
        is_danger: true,
        ..Confirm::default()
    }
    .show(session, Section::Webhooks)
}
