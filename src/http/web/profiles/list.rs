//! `/profiles`: the built-in profiles and the custom ones.

use std::sync::Arc;

use crate::http::web::{Connection, Frame, PageError, Section, Session, Template};
use crate::profile::{self, Profile};
use crate::store::profile as table;

#[derive(Template)]
#[template(path = "profiles/list.html")]
pub struct ProfilesPage {
    frame: Frame,
    rows: Vec<ProfileRow>,
}

struct ProfileRow {
    profile: Arc<Profile>,
    is_default: bool,
    webhooks: u64,
}

impl ProfileRow {
    fn is_built_in(&self) -> bool {
        profile::find(self.profile.name()).is_some()
    }

    fn signatures(&self) -> String {
        let headers = self.profile.spec().signatures.iter().map(|signature| signature.header.as_str());
        headers.collect::<Vec<_>>().join(", ")
    }
}

/// `GET /profiles`.
pub fn show(session: &Session, db: &Connection) -> Result<ProfilesPage, PageError> {
    session.require_operator()?;
    let actions = &session.app.actions;
    let uses = table::uses_of_all(db)?;
    let row = |profile: Arc<Profile>| ProfileRow {
        is_default: *profile.name() == *actions.default_profile,
        webhooks: uses.get(profile.name()).copied().unwrap_or(0),
        profile,
    };
    Ok(ProfilesPage {
        rows: actions.store.profiles().all().into_iter().map(row).collect(),
        frame: session.frame(db, "Profiles", Section::Profiles)?.with_api("GET", "/v1/profiles"),
    })
}
