//! `/settings/data`: how long things are kept, where they are, and how to have a copy.

use askama::Template;

use super::super::super::backup;
use super::super::error::PageError;
use crate::http::web::form::Submission;
use crate::http::web::layout::{Frame, Section};
use crate::http::web::session::{PageResult, Response, Session};
use crate::text::humanize;

#[derive(Template)]
#[template(path = "settings/data.html")]
struct DataPage {
    frame: Frame,
    /// How long deliveries and events stay, a sentence each.
    retention: [String; 2],
    path: String,
    database: String,
    wal: String,
    free: Option<String>,
}

/// `GET /settings/data`.
pub async fn show(session: Session) -> PageResult {
    session.show(data_page).await
}

fn data_page(session: &Session) -> Result<DataPage, PageError> {
    session.require_operator()?;
    let actions = &session.app.actions;
    let (database, wal) = actions.store.sizes();
    let retention = &actions.retention;
    let days = |days: u32| humanize::counted(days.into(), "day");
    let frame = session.read(|db| session.frame(db, "Data", Section::Settings))?;
    Ok(DataPage {
        frame: frame.with_api("GET", "/v1/backup"),
        retention: [
            match retention.finished_days() {
                Some(limit) => format!(
                    "What was delivered or discarded goes {} after it ended, with its attempts; an event goes with its last delivery.",
                    days(limit)
                ),
                None => "What was delivered or discarded is kept for good.".to_owned(),
            },
            match retention.failed_days() {
                Some(limit) => format!("Dead letters go {} after they failed.", days(limit)),
                None => "Dead letters are kept for good.".to_owned(),
            },
        ],
        path: actions.store.path().display().to_string(),
        database: humanize::bytes(database),
        wal: humanize::bytes(wal),
        free: actions.store.free_bytes().map(humanize::bytes),
    })
}

/// `POST /settings/data/backup`: the same copy as `GET /v1/backup` streams.
pub async fn backup(form: Submission) -> PageResult {
    form.run(|session, _| {
        session.require_administrator()?;
        let copied = backup::copy(&session.app.actions.store, &session.caller())?;
        Ok(Response::Backup(copied))
    })
    .await
}
