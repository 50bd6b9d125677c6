//! `/profiles`: the built-in ones and one's own.

use std::sync::Arc;

use askama::Template;

use super::super::error::PageError;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Session};
use crate::profile::{self, Profile};
use crate::store::profile as table;

#[derive(Template)]
#[template(path = "profiles/list.html")]
struct ListPage {
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
    session.show(list_page).await
}

fn list_page(session: &Session) -> Result<ListPage, PageError> {
    session.require_operator()?;
    let actions = &session.app.actions;
    let uses = actions.store.read(table::uses_of_all)?;
    let row = |profile: &Arc<Profile>| {
        let spec = profile.spec();
        let headers: Vec<&str> = spec.signatures.iter().map(|of| of.header.as_str()).collect();
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
    let rows = actions.store.profiles().all().iter().map(row).collect();
    let frame = session.read(|db| session.frame(db, "Profiles", Section::Profiles))?;
    Ok(ListPage { rows, frame: frame.with_api("GET", "/v1/profiles") })
}
