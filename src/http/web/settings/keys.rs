//! `/settings/keys`: API keys. A new key is shown once.

use crate::actions::ActionError;
use crate::actions::unchanged::Unchanged;
use crate::auth::api_key::{self as auth, KeyRequest, issue};
use crate::domain::Invalid;
use crate::domain::zone::Twice;
use crate::http::web::confirm::Choice;
use crate::http::web::date_field;
use crate::http::web::pager::Pager;
use crate::http::web::{
    Confirm, Fields, FormErrors, Frame, PageError, PageResult, Response, Section, Session, Template, problem,
    shown_once,
};
use crate::store::api_key::{self, ApiKey, Scope};

const PATH: &str = "/settings/keys";

/// Offered overlaps of a rotation: seconds, label, explanation.
const OVERLAPS: [(&str, &str, &str); 4] = [
    ("86400", "24 hours", "if you have to deploy the application"),
    ("3600", "1 hour", "if you change the application right away"),
    ("604800", "7 days", "if somebody else has to deploy the application"),
    ("0", "None", "the old key stops working now"),
];

#[derive(Template)]
#[template(path = "settings/keys.html")]
pub struct KeysPage {
    frame: Frame,
    keys: Vec<ApiKey>,
    pager: Pager,
    created: Option<CreatedKey>,
    typed: Fields,
    errors: FormErrors,
    scopes: [(Scope, &'static str); 3],
    profiles: Vec<String>,
}

/// A new key, in plain text.
struct CreatedKey {
    name: String,
    text: String,
}

/// `GET /settings/keys?cursor=`.
pub fn show(session: &Session) -> Result<KeysPage, PageError> {
    session.require_operator()?;
    let request = session.query.page_request()?;
    let (frame, page) =
        session.read(|db| Ok((session.frame(db, "API keys", Section::Settings)?, api_key::page(db, &request)?)))?;
    let profiles = session.app.actions.store.profiles().all();
    Ok(KeysPage {
        pager: Pager::new(&format!("{}/settings/keys", frame.base), "", &session.query, page.next),
        keys: page.rows,
        frame: frame.with_api("GET", "/v1/api-keys"),
        created: None,
        typed: Fields::default(),
        errors: FormErrors::default(),
        scopes: [
            (Scope::Publish, "publish events and batches"),
            (Scope::Read, "read everything except secrets and backups"),
            (Scope::Admin, "full access"),
        ],
        profiles: profiles.iter().map(|profile| profile.name().to_owned()).collect(),
    })
}

/// `GET /settings`: redirects to the first page.
pub async fn start(session: Session) -> PageResult {
    session.require_operator().map_err(|error| error.within(session.shell()))?;
    Err(PageError::Redirect { location: format!("{}/settings/keys", session.base()) })
}

/// `POST /settings/keys`.
pub fn create(session: &Session, fields: &Fields) -> Result<Response, PageError> {
    let created = parse(session, fields).map_err(ActionError::from).and_then(|request| {
        let name = request.name.clone();
        let (text, new) = issue(request, session.now())?;
        auth::store(&session.app.actions.store, &session.caller(), new).wait()?;
        Ok(CreatedKey { name, text })
    });
    let page = show(session)?;
    match created {
        Ok(created) => Ok(shown_once::redirect(session, &KeysPage { created: Some(created), ..page }, PATH)),
        Err(error) => Ok(Response::again(&KeysPage { errors: problem(error)?.into(), typed: fields.clone(), ..page })),
    }
}

fn parse(session: &Session, fields: &Fields) -> Result<KeyRequest, Invalid> {
    let in_field = |field: &'static str| move |invalid: Invalid| invalid.in_field(field);
    let tenant = fields.given("tenant").map(str::parse).transpose();
    let ends = fields.given("expires_at").map(|text| date_field::parse(text, session.zone(), Twice::First));
    let limit = fields.given("rate_limit_per_s").map(str::parse).transpose();
    Ok(KeyRequest {
        name: fields.text("name").trim().to_owned(),
        scope: fields.text("scope").parse().map_err(in_field("scope"))?,
        tenant: tenant.map_err(in_field("tenant"))?,
        profile: fields.given("profile").map(str::to_owned),
        rate_limit_per_s: limit.map_err(|_| {
            Invalid::new("invalid_rate_limit", "The rate limit must be 1 to 100000 requests per second.")
                .in_field("rate_limit_per_s")
        })?,
        ends_ms: ends.transpose().map_err(in_field("expires_at"))?,
    })
}

/// `POST /settings/keys/{id}/rotate` with `overlap_s`: creates the key that replaces it.
pub fn rotate(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    if fields.text("confirmed") != "yes" {
        return Confirm {
            heading: "Rotate this API key?".to_owned(),
            effect: "You get a new key with the same name and permissions.".to_owned(),
            choice: Some(Choice {
                name: "overlap_s",
                legend: "The old key also works for".to_owned(),
                options: &OVERLAPS,
            }),
            action: Some(format!("/settings/keys/{id}/rotate")),
            back: PATH.to_owned(),
            button: "Rotate key".to_owned(),
            ..Confirm::default()
        }
        .show(session, Section::Settings);
    }
    // Out of range, and refused as such, if it is not a number.
    let overlap = auth::overlap(fields.given("overlap_s").map(|text| text.parse().unwrap_or(-1)))?;
    let (text, new) = auth::rotate(&session.app.actions.store, &session.caller(), id, overlap).wait()?;
    let created = Some(CreatedKey { name: new.name, text });
    Ok(shown_once::redirect(session, &KeysPage { created, ..show(session)? }, PATH))
}

/// `POST /settings/keys/{id}/revoke`.
pub fn revoke(session: &Session, fields: &Fields, id: &str) -> Result<Response, PageError> {
    if fields.text("confirmed") != "yes" {
        return Confirm {
            heading: "Revoke this API key?".to_owned(),
            effect: "Requests with this key are rejected. This can't be undone.".to_owned(),
            action: Some(format!("/settings/keys/{id}/revoke")),
            back: PATH.to_owned(),
            button: "Revoke key".to_owned(),
            is_danger: true,
            ..Confirm::default()
        }
        .show(session, Section::Settings);
    }
    auth::revoke(&session.app.actions.store, &session.caller(), id, Unchanged::default()).wait()?;
    Ok(session.done(PATH, "Key revoked. Requests with this key are rejected."))
}
