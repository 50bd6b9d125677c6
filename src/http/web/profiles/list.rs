//! `/profiles`: the built-in profiles and the custom ones.

use askama::Template;

use crate::http::web::error::PageError;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::profile::{self, Profile};
use crate::store::{Connection, profile as table};

#[derive(Template)]
#[template(path = "profiles/list.html")]
struct ProfilesPage {
    frame: Frame,
    rows: Vec<ProfileRow>,
}

struct ProfileRow {
    name: String,
    title: String,
    is_built_in: bool,
    is_default: bool,
    signatures: String,
    attempts: usize,
    webhooks: u64,
}

/// `GET /profiles`.
pub async fn show(session: Session) -> PageResult {
    session.show(|session| session.read(|db| profiles_page(session, db))).await
}

fn profiles_page(session: &Session, db: &Connection) -> Result<ProfilesPage, PageError> {
    session.require_operator()?;
    let actions = &session.app.actions;
    let uses = table::uses_of_all(db)?;
    let row = |profile: &Profile| {
        let spec = profile.spec();
        let headers: Vec<&str> = spec.signatures.iter().map(|signature| signature.header.as_str()).collect();
        ProfileRow {
            name: profile.name().to_owned(),
            title: spec.title.clone(),
            is_built_in: profile::find(profile.name()).is_some(),
            is_default: *profile.name() == *actions.default_profile,
            signatures: headers.join(", "),
            attempts: profile.schedule().attempts(),
            webhooks: uses.get(profile.name()).copied().unwrap_or(0),
        }
    };
    Ok(ProfilesPage {
        rows: actions.store.profiles().all().iter().map(|profile| row(profile)).collect(),
        frame: session.frame(db, "Profiles", Section::Profiles)?.with_api("GET", "/v1/profiles"),
    })
}
