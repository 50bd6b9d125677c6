//! `/settings/data`: retention, the database, backups.

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
    /// Retention of finished deliveries and of dead letters.
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
                    "Delivered and discarded deliveries are deleted after {}, with their attempts; an event goes with its last delivery.",
                    days(limit)
                ),
                None => "Delivered and discarded deliveries are kept forever.".to_owned(),
            },
            match retention.failed_days() {
                Some(limit) => format!("Dead letters are deleted after {}.", days(limit)),
                None => "Dead letters are kept forever.".to_owned(),
            },
        ],
        path: actions.store.path().display().to_string(),
        database: humanize::bytes(database),
        wal: humanize::bytes(wal),
        free: actions.store.free_bytes().map(humanize::bytes),
    })
}

/// `POST /settings/data/backup`: like `GET /v1/backup`.
pub async fn backup(form: Submission) -> PageResult {
    form.run(|session, _| {
        session.require_administrator()?;
        let copied = backup::copy(&session.app.actions.store, &session.caller())?;
        Ok(Response::Backup(copied))
    })
    .await
}
